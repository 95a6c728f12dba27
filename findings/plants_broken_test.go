package findings_test

import (
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/findings"
)

var unended = planted{
	wrong: []plant{
		below("never ends", func(w *world, op *node, at time.Duration) time.Duration {
			n := w.span(op, op.service, pick(w, "forgotten", "leaked"), trace.SpanKindInternal, at, 0)
			n.unended = true
			w.wrong(findings.UnendedSpan, n, 0)
			return at + 5*ms
		}),
		below("never answered", func(w *world, op *node, at time.Duration) time.Duration {
			n := w.request(op, at, 0, w.unique("ext"), "GET", "/hangs")
			n.unended = true
			w.wrong(findings.UnendedSpan, n, 0)
			return at + 5*ms
		}),
		below("never ends, with work", func(w *world, op *node, at time.Duration) time.Duration {
			n := w.span(op, op.service, "forgotten", trace.SpanKindInternal, at, 0)
			n.unended = true
			w.work(n, at+ms, at+5*ms)
			w.wrong(findings.UnendedSpan, n, 0)
			return at + 5*ms
		}),
		below("shut down", func(w *world, op *node, at time.Duration) time.Duration {
			n := w.work(op, at, at+w.ms(1, 60)).set(attribute.Bool("span.unfinished", true))
			w.wrong(findings.UnendedSpan, n, 0)
			return n.end
		}),
	},
	near: []plant{
		below("no time", func(w *world, op *node, at time.Duration) time.Duration { return w.work(op, at, at).end + ms }),
		below("finished", func(w *world, op *node, at time.Duration) time.Duration {
			return w.work(op, at, at+w.ms(1, 60)).set(attribute.Bool("span.unfinished", false), attribute.Bool("sampling.partial", true)).end
		}),
		below("outlives", func(w *world, op *node, at time.Duration) time.Duration {
			n := w.work(op, at, at+w.ms(100, 9000))
			return n.start + ms
		}),
	},
}

// skewed is a call of a service whose clock is ahead; the server's side is in the middle
// of the call by the clock of the caller.
func skewed(name string, ahead, side func(w *world) time.Duration, wrong bool) plant {
	return below(name, func(w *world, op *node, at time.Duration) time.Duration {
		service := w.unique("svc")
		call := w.request(op, at, w.ms(20, 60), service, "GET", "/skewed")
		margin := side(w)
		server := w.served(call, service, "/skewed", call.start+margin, call.end-margin)
		w.work(server, server.start+ms, server.end-ms)
		w.clocks[service] = ahead(w)
		if wrong {
			w.wrong(findings.ClockSkew, server, 0).service = ""
		}
		return call.end
	})
}

func between(least, most time.Duration) func(*world) time.Duration {
	return func(w *world) time.Duration { return w.between(least, most) }
}

var clockSkew = planted{
	wrong: []plant{
		skewed("behind", between(-4*time.Hour, -6*ms), between(0, ms), true),
		skewed("ahead", between(6*ms, 4*time.Hour), between(0, ms), true),
		skewed("just behind", between(-5*ms, -5*ms), between(0, 0), true),
		skewed("just ahead", between(5*ms, 5*ms), between(0, 0), true),
	},
	near: []plant{
		skewed("a little behind", between(-5*ms+1, 0), between(0, 3*ms), false),
		skewed("a little ahead", between(0, 5*ms-1), between(0, 3*ms), false),
		// As much as what was on the way hides.
		skewed("hidden", between(-8*ms, 8*ms), between(8*ms, 9*ms), false),
		// The client has given up, and the server goes on.
		below("given up", func(w *world, op *node, at time.Duration) time.Duration {
			service := w.unique("svc")
			call := w.request(op, at, w.ms(20, 60), service, "GET", "/late").fail()
			w.wrong(findings.ErrorOrigin, call, call.duration())
			server := w.served(call, service, "/late", call.end-w.ms(1, 15), 0)
			server.end = call.end + w.ms(5, 12)
			if w.coin() {
				server.end = call.end + w.ms(100, 3000)
			}
			w.work(server, server.start, server.end)
			return call.end
		}),
		// It takes longer: it is the server that goes on, after it has answered.
		below("goes on", func(w *world, op *node, at time.Duration) time.Duration {
			service := w.unique("svc")
			call := w.request(op, at, w.ms(20, 60), service, "GET", "/stream")
			server := w.served(call, service, "/stream", call.start+ms, call.end+w.ms(5, 900))
			w.work(server, server.start, server.end)
			return call.end
		}),
		// A consumer is no server.
		below("later", func(w *world, op *node, at time.Duration) time.Duration {
			p := w.span(op, op.service, "publish", trace.SpanKindProducer, at, at+w.ms(1, 5))
			w.span(p, w.unique("worker"), "process", trace.SpanKindConsumer, p.end+w.ms(5, 900), p.end+w.ms(901, 990))
			return p.end
		}),
	},
}

// unpropagated is a call whose server begins a trace of its own.
func unpropagated(name string, change func(w *world, call, server *node), wrong bool) plant {
	return below(name, func(w *world, op *node, at time.Duration) time.Duration {
		service, path := w.unique("svc"), "/"+w.unique("broken")
		call := w.request(op, at, w.ms(20, 60), service, "GET", path)
		own := w.trace
		w.newTrace()
		server := w.served(nil, service, path, call.start+w.ms(1, 5), call.end-w.ms(1, 5))
		w.work(server, server.start+ms, server.end-ms)
		w.trace = own
		change(w, call, server)
		if wrong {
			w.wrong(findings.MissingParent, server, 0).service = ""
		}
		return call.end
	})
}

var missingParent = planted{
	wrong: []plant{
		// The caller's span was not exported.
		below("without the call", func(w *world, op *node, at time.Duration) time.Duration {
			call := w.get(op, at, w.ms(20, 60), w.unique("svc"), "/orphan")
			call.lost = true
			w.wrong(findings.MissingParent, w.server(call), 0).service = ""
			return call.end
		}),
		below("without work", func(w *world, op *node, at time.Duration) time.Duration {
			lost := w.work(op, at, at+w.ms(5, 60))
			lost.lost = true
			var orphans []*node
			for range 1 + w.rng.IntN(3) {
				orphans = append(orphans, w.work(lost, at, lost.end))
			}
			l := w.wrong(findings.MissingParent, orphans[0], 0, orphans[1:]...) // one parent is missing, of several spans
			l.service, l.count = "", float64(len(orphans))
			return lost.end
		}),
		unpropagated("not propagated", func(*world, *node, *node) {}, true),
	},
	near: []plant{
		below("a link to what is not there", func(w *world, op *node, at time.Duration) time.Duration {
			n := w.work(op, at, at+w.ms(1, 60))
			n.links = append(n.links, sdktrace.Link{SpanContext: trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}})})
			return n.end
		}),
		unpropagated("of another time", func(w *world, call, server *node) {
			if later := call.duration() / 2; w.coin() {
				w.shift(server, later+10*ms)
			} else {
				w.shift(server, -10*ms)
			}
		}, false),
		unpropagated("of another path", func(_ *world, _, server *node) {
			server.name = "GET /elsewhere"
			for i, kv := range server.attrs {
				if strings.HasPrefix(kv.Value.AsString(), "/broken") {
					server.attrs[i].Value = attribute.StringValue("/elsewhere")
				}
			}
		}, false),
		unpropagated("of another method", func(_ *world, _, server *node) {
			server.name = strings.Replace(server.name, "GET", "POST", 1)
			for i, kv := range server.attrs {
				if kv.Value.AsString() == "GET" {
					server.attrs[i].Value = attribute.StringValue("POST")
				}
			}
		}, false),
		unpropagated("of another call", func(w *world, call, server *node) { // which has its server
			own := w.trace
			w.trace = call.trace
			path := strings.TrimPrefix(server.name, "GET ")
			w.serve(call, server.service, path)
			w.trace = own
		}, false),
		below("a job", func(w *world, op *node, at time.Duration) time.Duration {
			own := w.trace
			w.newTrace()
			job := w.span(nil, op.service, "cleanup", trace.SpanKindInternal, at, at+w.ms(1, 60))
			w.trace = own
			return job.end - job.duration() + ms
		}),
	},
}

// shift moves a span and what is below it.
func (w *world) shift(n *node, by time.Duration) {
	for _, of := range w.nodes {
		for p := of; p != nil; p = p.parent {
			if p == n {
				of.start, of.end = of.start+by, of.end+by
				break
			}
		}
	}
}

const kib = 1 << 10

// large puts a text somewhere.
func large(name, key string, least, most int, wrong bool, into func(n *node, kv attribute.KeyValue)) plant {
	return below(name, func(w *world, op *node, at time.Duration) time.Duration {
		n := w.work(op, at, at+w.ms(1, 60))
		into(n, attribute.String(key, strings.Repeat("x", least+w.rng.IntN(most-least+1))))
		if wrong {
			w.wrong(findings.LargeAttribute, n, 0)
		}
		return n.end
	})
}

func intoSpan(n *node, kv attribute.KeyValue) { n.set(kv) }

func intoEvent(n *node, kv attribute.KeyValue) {
	n.events = append(n.events, sdktrace.Event{Name: "exception", Attributes: []attribute.KeyValue{attribute.String("exception.type", "e"), kv}})
}

func intoLink(n *node, kv attribute.KeyValue) {
	n.links = append(n.links, sdktrace.Link{
		SpanContext: trace.NewSpanContext(trace.SpanContextConfig{TraceID: n.trace, SpanID: n.parent.id}), Attributes: []attribute.KeyValue{kv},
	})
}

var largeAttribute = planted{
	wrong: []plant{
		large("body", "http.request.body", 8*kib, 40*kib, true, intoSpan),
		large("just large", "app.blob", 8*kib, 8*kib, true, intoSpan),
		large("message", "exception.message", 9*kib, 20*kib, true, intoEvent),
		below("letters of two bytes", func(w *world, op *node, at time.Duration) time.Duration {
			n := w.work(op, at, at+w.ms(1, 60)).set(attribute.String("app.blob", strings.Repeat("ü", 4*kib)))
			w.wrong(findings.LargeAttribute, n, 0)
			return n.end
		}),
		large("link", "app.why", 9*kib, 20*kib, true, intoLink),
	},
	near: []plant{
		large("not quite", "app.blob", 8*kib-1, 8*kib-1, false, intoSpan),
		large("event, not quite", "app.blob", 4*kib, 8*kib-1, false, intoEvent),
		large("link, not quite", "app.blob", 4*kib, 8*kib-1, false, intoLink),
		large("stack", "exception.stacktrace", 20*kib, 40*kib, false, intoEvent),
		large("stack of a span", "exception.stacktrace", 20*kib, 40*kib, false, intoSpan),
		below("many", func(w *world, op *node, at time.Duration) time.Duration {
			n := w.work(op, at, at+w.ms(1, 60))
			for _, key := range []string{"a", "b", "c", "d"} {
				n.set(attribute.String(key, strings.Repeat(key, 5*kib)))
			}
			return n.end
		}),
	},
}
