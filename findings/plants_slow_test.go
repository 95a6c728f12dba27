package findings_test

import (
	"slices"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/findings"
)

const ms = time.Millisecond

var slowQuery = planted{
	wrong: []plant{
		below("slow", func(w *world, op *node, at time.Duration) time.Duration {
			n := w.query(op, at, w.ms(101, 5000), w.unique("db"), w.shape()())
			w.wrong(findings.SlowQuery, n, n.duration()-100*ms)
			return n.end
		}),
		below("just slow", func(w *world, op *node, at time.Duration) time.Duration {
			n := w.query(op, at, 100*ms, w.unique("db"), w.shape()())
			w.wrong(findings.SlowQuery, n, 0)
			return n.end
		}),
		below("slow, and fails", func(w *world, op *node, at time.Duration) time.Duration {
			n := w.query(op, at, w.ms(101, 900), w.unique("db"), w.shape()()).fail()
			w.wrong(findings.SlowQuery, n, n.duration()-100*ms)
			w.wrong(findings.ErrorOrigin, n, n.duration())
			return n.end
		}),
		// Not a client by its kind, but a call all the same.
		below("slow inside", func(w *world, op *node, at time.Duration) time.Duration {
			n := w.query(op, at, w.ms(101, 900), w.unique("db"), w.shape()())
			n.kind = trace.SpanKindInternal
			w.wrong(findings.SlowQuery, n, n.duration()-100*ms)
			return n.end
		}),
	},
	near: []plant{
		below("not quite", func(w *world, op *node, at time.Duration) time.Duration {
			return w.query(op, at, w.between(95*ms, 100*ms-1), w.unique("db"), w.shape()()).end
		}),
		below("slow work", func(w *world, op *node, at time.Duration) time.Duration {
			return w.span(op, op.service, "compute", trace.SpanKindInternal, at, at+w.ms(100, 3000)).end
		}),
		below("slow service", func(w *world, op *node, at time.Duration) time.Duration {
			return w.get(op, at, w.ms(100, 3000), w.unique("svc"), "/report").end
		}),
		below("many fast ones", func(w *world, op *node, at time.Duration) time.Duration {
			db := w.unique("db")
			return last(w.loop(at, 4, func(_ int, at time.Duration) *node { return w.query(op, at, w.ms(60, 99), db, "SELECT 1 FROM t") }))
		}),
	},
}

var slowExternal = planted{
	wrong: []plant{
		below("slow", func(w *world, op *node, at time.Duration) time.Duration {
			n := w.request(op, at, w.ms(501, 9000), w.unique("ext"), pick(w, "GET", "POST"), "/pay")
			w.wrong(findings.SlowExternalCall, n, n.duration()-500*ms)
			return n.end
		}),
		below("just slow", func(w *world, op *node, at time.Duration) time.Duration {
			n := w.request(op, at, 500*ms, w.unique("ext"), "GET", "/pay")
			w.wrong(findings.SlowExternalCall, n, 0)
			return n.end
		}),
		// Spans of this service below it are no server's.
		below("slow, with connection", func(w *world, op *node, at time.Duration) time.Duration {
			n := w.request(op, at, w.ms(501, 2000), w.unique("ext"), "GET", "/pay")
			w.span(n, n.service, "http.dns", trace.SpanKindInternal, n.start, n.start+5*ms)
			w.span(n, n.service, "http.receive", trace.SpanKindInternal, n.start+5*ms, n.end)
			w.wrong(findings.SlowExternalCall, n, n.duration()-500*ms)
			return n.end
		}),
		below("slow, and times out", func(w *world, op *node, at time.Duration) time.Duration {
			n := w.request(op, at, w.ms(501, 5000), w.unique("ext"), "GET", "/pay").fail()
			w.wrong(findings.SlowExternalCall, n, n.duration()-500*ms)
			w.wrong(findings.ErrorOrigin, n, n.duration())
			return n.end
		}),
		below("slow, by gRPC", func(w *world, op *node, at time.Duration) time.Duration {
			n := w.span(op, op.service, "bank.Pay/Charge", trace.SpanKindClient, at, at+w.ms(501, 2000)).set(
				attribute.String("rpc.system", "grpc"), attribute.String("rpc.service", "bank.Pay"), attribute.String("rpc.method", "Charge"))
			w.wrong(findings.SlowExternalCall, n, n.duration()-500*ms)
			return n.end
		}),
	},
	near: []plant{
		below("not quite", func(w *world, op *node, at time.Duration) time.Duration {
			return w.request(op, at, w.between(480*ms, 500*ms-1), w.unique("ext"), "GET", "/pay").end
		}),
		below("slow, and there", func(w *world, op *node, at time.Duration) time.Duration {
			if w.coin() {
				return w.rpc(op, at, w.ms(500, 4000), w.unique("svc"), "Wait").end
			}
			return w.get(op, at, w.ms(500, 4000), w.unique("svc"), "/wait").end
		}),
		below("slow, and there below another", func(w *world, op *node, at time.Duration) time.Duration {
			service := w.unique("svc")
			n := w.request(op, at, w.ms(500, 4000), service, "GET", "/wait")
			try := w.span(n, n.service, "attempt", trace.SpanKindInternal, n.start, n.end)
			w.serve(try, service, "/wait")
			return n.end
		}),
		below("a slow query", func(w *world, op *node, at time.Duration) time.Duration {
			n := w.query(op, at, w.ms(500, 2000), w.unique("db"), w.shape()())
			w.wrong(findings.SlowQuery, n, n.duration()-100*ms)
			return n.end
		}),
		below("slow work", func(w *world, op *node, at time.Duration) time.Duration {
			return w.span(op, op.service, "compute", trace.SpanKindInternal, at, at+w.ms(500, 3000)).end
		}),
		below("a slow publish", func(w *world, op *node, at time.Duration) time.Duration {
			return w.span(op, op.service, "publish", trace.SpanKindProducer, at, at+w.ms(500, 900)).end
		}),
	},
}

// work is a child that does something.
func (w *world) work(parent *node, start, end time.Duration) *node {
	return w.span(parent, parent.service, "work", trace.SpanKindInternal, start, end)
}

var gap = planted{
	wrong: []plant{
		// In the middle.
		func(w *world, parent *node, at time.Duration) time.Duration {
			op := w.span(parent, parent.service, "waits", trace.SpanKindInternal, at, at)
			a := w.work(op, at, at+w.ms(1, 90))
			b := w.work(op, a.end+w.ms(100, 900), 0)
			b.end = b.start + w.ms(1, 90)
			op.end = b.end
			waits := b.start - a.end
			if waits*4 < op.duration() {
				panic("a gap that is none")
			}
			w.wrong(findings.Gap, op, waits)
			return op.end
		},
		// At both ends, each too short alone, with children that overlap.
		func(w *world, parent *node, at time.Duration) time.Duration {
			op := w.span(parent, parent.service, "waits", trace.SpanKindInternal, at, at)
			a := w.work(op, at+w.ms(55, 90), 0)
			a.end = a.start + w.ms(40, 80)
			b := w.work(op, a.start+w.ms(1, 30), 0)
			b.end = b.start + w.ms(40, 80)
			busy := max(a.end, b.end)
			op.end = busy + w.ms(55, 90)
			w.wrong(findings.Gap, op, op.duration()-(busy-a.start))
			return op.end
		},
		// Exactly so long, and so much of it; a child that goes on covers no more.
		func(w *world, parent *node, at time.Duration) time.Duration {
			op := w.span(parent, parent.service, "waits", trace.SpanKindInternal, at, at+400*ms)
			w.work(op, at+100*ms, op.end+w.ms(0, 50))
			w.wrong(findings.Gap, op, 100*ms)
			return op.end
		},
		// In another service.
		below("waits there", func(w *world, op *node, at time.Duration) time.Duration {
			service := w.unique("svc")
			call := w.request(op, at, w.ms(300, 900), service, "GET", "/waits")
			server := w.served(call, service, "/waits", call.start+ms, call.end-ms)
			done := w.query(server, server.start+w.ms(0, 20), w.ms(1, 60), w.unique("db"), "SELECT 1 FROM t")
			w.wrong(findings.Gap, server, server.duration()-done.duration())
			return call.end
		}),
		// What a producer causes later is no work of its.
		func(w *world, parent *node, at time.Duration) time.Duration {
			op := w.span(parent, parent.service, "waits", trace.SpanKindInternal, at, at)
			p := w.span(op, op.service, "publish", trace.SpanKindProducer, at, at+w.ms(1, 5))
			op.end = p.end + w.ms(150, 400)
			w.span(p, w.unique("worker"), "process", trace.SpanKindConsumer, p.end+w.ms(1, 5), op.end-w.ms(1, 5))
			w.wrong(findings.Gap, op, op.end-p.end)
			return op.end
		},
	},
	near: []plant{
		func(w *world, parent *node, at time.Duration) time.Duration { // short
			op := w.span(parent, parent.service, "waits", trace.SpanKindInternal, at, at)
			a := w.work(op, at, at+w.ms(1, 90))
			b := w.work(op, a.end+w.between(40*ms, 100*ms-1), 0)
			b.end = b.start + w.ms(1, 90)
			op.end = b.end
			return op.end
		},
		func(w *world, parent *node, at time.Duration) time.Duration { // little of it
			op := w.span(parent, parent.service, "waits", trace.SpanKindInternal, at, at)
			a := w.work(op, at, at+w.ms(400, 900))
			b := w.work(op, a.end+w.ms(100, 190), 0)
			b.end = b.start + w.ms(200, 400)
			op.end = b.end
			if (b.start-a.end)*4 >= op.duration() {
				panic("a near miss that is none")
			}
			return op.end
		},
		func(w *world, parent *node, at time.Duration) time.Duration { // covered side by side
			op := w.span(parent, parent.service, "covered", trace.SpanKindInternal, at, at+600*ms)
			w.work(op, at, at+w.ms(310, 400))
			w.work(op, at+w.ms(100, 200), at+w.ms(500, 580))
			w.work(op, at+w.ms(320, 450), op.end)
			w.work(op, at+w.ms(10, 20), at+w.ms(30, 40))
			return op.end
		},
		func(w *world, parent *node, at time.Duration) time.Duration { // no children
			return w.span(parent, parent.service, "compute", trace.SpanKindInternal, at, at+w.ms(200, 3000)).end
		},
		// The server's side by a clock that is wrong.
		below("covered by another clock", func(w *world, op *node, at time.Duration) time.Duration {
			service := w.unique("svc")
			call := w.request(op, at, w.ms(200, 600), service, "GET", "/skewed")
			w.wrong(findings.ClockSkew, w.serve(call, service, "/skewed"), 0).service = ""
			w.clocks[service] = pick(w, -time.Hour, -time.Second, time.Second, time.Hour)
			return call.end
		}),
		func(w *world, parent *node, at time.Duration) time.Duration { // a child that outlives it
			op := w.span(parent, parent.service, "starts", trace.SpanKindInternal, at, at+w.ms(100, 300))
			w.work(op, at+w.ms(0, 5), op.end+w.ms(10, 500))
			return op.end
		},
	},
}

// open makes calls that are all open at one time.
func (w *world) open(n int, at time.Duration, call func(i int, at, took time.Duration) *node) []*node {
	var all []*node
	for i := range n {
		start := w.between(0, 2*ms)
		all = append(all, call(i, at+start, 3*ms-start+w.ms(1, 60)))
	}
	return all
}

// wide labels calls that are open at once.
func (w *world) wide(op *node, calls []*node) {
	first := calls[0].start
	var took []time.Duration
	for _, c := range calls {
		first = min(first, c.start)
		took = append(took, c.duration())
	}
	slices.Sort(took)
	upper, lower := took[len(took)/2], took[(len(took)-1)/2]
	l := w.wrong(findings.FanOut, op, last(calls)-first-(upper+lower)/2, calls...)
	l.slack = (upper-lower)/2 + time.Microsecond // of an even number, either may be meant
}

var fanOut = planted{
	wrong: []plant{
		below("queries", func(w *world, op *node, at time.Duration) time.Duration {
			db, statement := w.unique("db"), w.shape()
			calls := w.open(10+w.rng.IntN(30), at, func(_ int, at, took time.Duration) *node { return w.query(op, at, took, db, statement()) })
			w.wide(op, calls)
			return last(calls)
		}),
		// Workers that take one after another: all of them are one.
		below("workers", func(w *world, op *node, at time.Duration) time.Duration {
			db, statement := w.unique("db"), w.shape()
			workers := w.open(10+w.rng.IntN(5), at, func(_ int, at, took time.Duration) *node { return w.query(op, at, took, db, statement()) })
			end := last(workers)
			calls := workers
			for _, n := range workers {
				if n.end < end { // another was open when this one ended
					calls = append(calls, w.query(op, n.end, w.ms(1, 60), db, statement()))
				}
			}
			w.wide(op, calls)
			return last(calls)
		}),
		below("services", func(w *world, op *node, at time.Duration) time.Duration {
			calls := w.open(10+w.rng.IntN(9), at, func(_ int, at, took time.Duration) *node {
				return w.get(op, at, took, w.unique("svc"), "/part")
			})
			w.wide(op, calls)
			return last(calls)
		}),
	},
	near: []plant{
		below("nine", func(w *world, op *node, at time.Duration) time.Duration {
			db, statement := w.unique("db"), w.shape()
			return last(w.open(9, at, func(_ int, at, took time.Duration) *node { return w.query(op, at, took, db, statement()) }))
		}),
		below("nine by nine", func(w *world, op *node, at time.Duration) time.Duration {
			db, statement := w.unique("db"), w.shape()
			for range 3 {
				at = last(w.open(9, at, func(_ int, at, took time.Duration) *node { return w.query(op, at, took, db, statement()) }))
			}
			return at
		}),
		below("no calls", func(w *world, op *node, at time.Duration) time.Duration {
			return last(w.open(10+w.rng.IntN(20), at, func(_ int, at, took time.Duration) *node { return w.work(op, at, at+took) }))
		}),
		below("by parents", func(w *world, op *node, at time.Duration) time.Duration {
			return last(w.open(12, at, func(_ int, at, took time.Duration) *node {
				op := w.span(op, op.service, "worker", trace.SpanKindInternal, at, at+took)
				w.query(op, at, took, w.unique("db"), "SELECT 1 FROM t")
				return op
			}))
		}),
	},
}
