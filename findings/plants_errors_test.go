package findings_test

import (
	"fmt"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/findings"
)

func (w *world) exception(n *node, at time.Duration) {
	n.events = append(n.events, sdktrace.Event{Name: "exception", Time: w.at(n, at), Attributes: []attribute.KeyValue{
		attribute.String("exception.type", "*errors.errorString"), attribute.String("exception.message", "boom"),
	}})
}

// failing is a chain of spans that fail, down to the one where it began; each has
// children that failed later, or not at all.
func (w *world) failing(parent *node, at time.Duration, depth int, path *[]*node) *node {
	service := parent.service
	call := w.request(parent, at, 0, service, "GET", "/inner")
	call.fail()
	*path = append(*path, call)
	if depth == 0 {
		call.end = at + w.ms(5, 50)
		w.exception(call, call.end)
		return call
	}
	service = w.unique("svc")
	server := w.served(call, service, "/inner", at+ms, 0)
	server.fail()
	*path = append(*path, server)
	w.work(server, server.start+ms, server.start+w.ms(2, 9)) // it does not fail
	inner := w.failing(server, server.start+10*ms, depth-1, path)
	server.end = inner.end + w.ms(1, 9)
	if w.coin() { // fails because the other has failed
		w.work(server, inner.end, inner.end+ms/2).fail()
	}
	call.end = server.end + w.ms(1, 3)
	return call
}

var errorOrigin = planted{
	wrong: []plant{
		below("fails", func(w *world, op *node, at time.Duration) time.Duration {
			var path []*node
			top := w.failing(op, at, w.rng.IntN(4), &path)
			w.wrong(findings.ErrorOrigin, path[len(path)-1], top.duration())
			return top.end
		}),
		// The span itself fails, below nothing that does.
		below("fails alone", func(w *world, op *node, at time.Duration) time.Duration {
			n := w.work(op, at, at+w.ms(1, 60)).fail()
			w.wrong(findings.ErrorOrigin, n, n.duration())
			return n.end
		}),
		// Two that fail side by side: the one that ended first began it.
		below("two fail", func(w *world, op *node, at time.Duration) time.Duration {
			top := w.work(op, at, 0).fail()
			slow, quick := w.work(top, at, at+w.ms(40, 80)).fail(), w.work(top, at+w.ms(1, 5), at+w.ms(10, 30)).fail()
			top.end = slow.end + ms
			w.wrong(findings.ErrorOrigin, quick, top.duration())
			return top.end
		}),
		// Two errors, each with an end of its own.
		below("fails twice", func(w *world, op *node, at time.Duration) time.Duration {
			for range 2 {
				n := w.work(op, at, at+w.ms(1, 60)).fail()
				w.wrong(findings.ErrorOrigin, n, n.duration())
				at = n.end + w.between(0, pause)
			}
			return at
		}),
		// A span that does not fail parts two errors.
		below("handled between", func(w *world, op *node, at time.Duration) time.Duration {
			top := w.work(op, at, at+60*ms).fail()
			handles := w.work(top, at, at+50*ms)
			inner := w.work(handles, at, at+w.ms(10, 40)).fail()
			w.wrong(findings.ErrorOrigin, top, top.duration())
			w.wrong(findings.ErrorOrigin, inner, inner.duration())
			return top.end
		}),
	},
	near: []plant{
		below("handled", func(w *world, op *node, at time.Duration) time.Duration {
			n := w.work(op, at, at+w.ms(5, 60))
			w.exception(n, n.end)
			return n.end
		}),
		below("not found", func(w *world, op *node, at time.Duration) time.Duration {
			n := w.get(op, at, w.ms(5, 60), w.unique("svc"), "/none")
			for _, of := range w.nodes[len(w.nodes)-2:] {
				of.attrs[len(of.attrs)-1].Value = attribute.IntValue(pick(w, 400, 404, 409, 429, 503))
			}
			return n.end
		}),
		below("went well", func(w *world, op *node, at time.Duration) time.Duration {
			n := w.work(op, at, at+w.ms(5, 60)).set(attribute.String("error.type", "timeout"))
			n.status = codes.Ok
			return n.end
		}),
	},
}

// try makes calls of one kind until one succeeds, or all fail. It labels their errors.
func (w *world) try(at time.Duration, fails, succeeds int, call func(i int, at time.Duration) *node) []*node {
	all := w.loop(at, fails+succeeds, call)
	for _, n := range all[:fails] {
		w.wrong(findings.ErrorOrigin, n.fail(), n.duration())
	}
	return all
}

// again labels repetitions.
func (w *world) again(op *node, all []*node) {
	l := w.wrong(findings.Retry, op, all[len(all)-1].start-all[0].start, all...)
	l.count = float64(len(all) - 1)
}

var retry = planted{
	wrong: []plant{
		below("again", func(w *world, op *node, at time.Duration) time.Duration {
			service := w.unique("ext")
			all := w.try(at, 1+w.rng.IntN(7), 1, func(_ int, at time.Duration) *node { return w.request(op, at, w.ms(2, 60), service, "POST", "/pay") })
			w.again(op, all)
			return last(all)
		}),
		below("again, of a database", func(w *world, op *node, at time.Duration) time.Duration {
			db := w.unique("db")
			all := w.try(at, 1+w.rng.IntN(2), 1, func(_ int, at time.Duration) *node {
				return w.query(op, at, w.ms(2, 60), db, "UPDATE t SET a = 1 WHERE id = 7")
			})
			w.again(op, all)
			return last(all)
		}),
		// What comes after the success is none.
		below("again, and once more", func(w *world, op *node, at time.Duration) time.Duration {
			service := w.unique("ext")
			fails := 1 + w.rng.IntN(3)
			all := w.try(at, fails, 3, func(_ int, at time.Duration) *node { return w.request(op, at, w.ms(2, 60), service, "GET", "/a") })
			w.again(op, all[:fails+1])
			return last(all)
		}),
		below("again, by gRPC", func(w *world, op *node, at time.Duration) time.Duration {
			service := w.unique("svc")
			all := w.try(at, 2, 1, func(_ int, at time.Duration) *node { return w.rpc(op, at, w.ms(2, 60), service, "Get") })
			w.again(op, all)
			return last(all)
		}),
		// With something to wait for in between, and no success.
		below("backs off", func(w *world, op *node, at time.Duration) time.Duration {
			service := w.unique("svc")
			var all []*node
			for range 3 {
				all = append(all, w.get(op, at, w.ms(2, 60), service, "/a").fail())
				at = last(all) + w.ms(5, 20)
			}
			op.fail()
			w.wrong(findings.ErrorOrigin, all[0], 0).free = true // op has no end yet
			w.again(op, all)
			return last(all)
		}),
		// What the client itself counts.
		below("counted", func(w *world, op *node, at time.Duration) time.Duration {
			service := w.unique("ext")
			all := w.try(at, 1, 1, func(i int, at time.Duration) *node {
				n := w.request(op, at, w.ms(2, 60), service, "GET", "/a")
				if i > 0 {
					n.set(attribute.Int("http.request.resend_count", i))
				}
				return n
			})
			w.again(op, all)
			return last(all)
		}),
		below("counted alone", func(w *world, op *node, at time.Duration) time.Duration {
			n := w.request(op, at, w.ms(2, 60), w.unique("ext"), "GET", "/a").set(attribute.Int("http.request.resend_count", 1))
			w.wrong(findings.Retry, op, 0, n)
			return n.end
		}),
	},
	near: []plant{
		below("after success", func(w *world, op *node, at time.Duration) time.Duration {
			service := w.unique("ext")
			return last(w.loop(at, 3, func(_ int, at time.Duration) *node { return w.request(op, at, w.ms(2, 60), service, "GET", "/a") }))
		}),
		below("hedged", func(w *world, op *node, at time.Duration) time.Duration {
			service := w.unique("ext")
			first := w.request(op, at, w.ms(30, 60), service, "GET", "/a").fail()
			second := w.request(op, at+w.ms(10, 29), w.ms(2, 60), service, "GET", "/a")
			w.wrong(findings.ErrorOrigin, first, first.duration())
			return max(first.end, second.end)
		}),
		below("another", func(w *world, op *node, at time.Duration) time.Duration {
			service := w.unique("ext")
			all := w.try(at, 1, 1, func(i int, at time.Duration) *node {
				return w.request(op, at, w.ms(2, 60), service, "GET", []string{"/primary", "/fallback"}[i])
			})
			return last(all)
		}),
		below("another row", func(w *world, op *node, at time.Duration) time.Duration {
			db := w.unique("db")
			return last(w.try(at, 1, 2, func(i int, at time.Duration) *node {
				return w.query(op, at, w.ms(2, 60), db, fmt.Sprintf("UPDATE t SET a = 1 WHERE id = %d", i))
			}))
		}),
		below("another item", func(w *world, op *node, at time.Duration) time.Duration {
			service := w.unique("ext")
			return last(w.try(at, 1, 2, func(i int, at time.Duration) *node {
				return w.request(op, at, w.ms(2, 60), service, "GET", fmt.Sprintf("/items/%d", i))
			}))
		}),
		below("elsewhere", func(w *world, op *node, at time.Duration) time.Duration {
			return last(w.try(at, 1, 1, func(_ int, at time.Duration) *node {
				return w.request(op, at, w.ms(2, 60), w.unique("ext"), "POST", "/pay")
			}))
		}),
		below("by parents", func(w *world, op *node, at time.Duration) time.Duration {
			service := w.unique("ext")
			for i := range 2 {
				at = w.inside(op, at, "one", func(op *node, at time.Duration) time.Duration {
					n := w.request(op, at, w.ms(2, 60), service, "GET", "/a")
					if i == 0 {
						w.wrong(findings.ErrorOrigin, n.fail(), n.duration())
					}
					return n.end
				}).end
			}
			return at
		}),
		below("first time", func(w *world, op *node, at time.Duration) time.Duration {
			return w.request(op, at, w.ms(2, 60), w.unique("ext"), "GET", "/a").set(attribute.Int("http.request.resend_count", 0)).end
		}),
		below("fails at the end", func(w *world, op *node, at time.Duration) time.Duration {
			service := w.unique("ext")
			all := w.loop(at, 3, func(_ int, at time.Duration) *node { return w.request(op, at, w.ms(2, 60), service, "GET", "/a") })
			w.wrong(findings.ErrorOrigin, all[2].fail(), all[2].duration())
			return last(all)
		}),
	},
}

// rounds makes calls of a service below some spans, so that no parent has many.
func (w *world) rounds(parent *node, at time.Duration, n int, service string) (calls []*node, end time.Duration) {
	for n > 0 {
		some := min(n, 1+w.rng.IntN(4))
		n -= some
		at = w.inside(parent, at, "round", func(op *node, at time.Duration) time.Duration {
			round := w.loop(at, some, func(_ int, at time.Duration) *node { return w.get(op, at, w.ms(2, 40), service, "/item/"+w.number()) })
			calls = append(calls, round...)
			return last(round)
		}).end
	}
	return calls, at
}

// server is the server's side of a call.
func (w *world) server(call *node) *node {
	for _, n := range w.nodes {
		if n.parent == call && n.kind == trace.SpanKindServer {
			return n
		}
	}
	return nil
}

var chatty = planted{
	wrong: []plant{
		func(w *world, parent *node, at time.Duration) time.Duration {
			calls, end := w.rounds(parent, at, 10+w.rng.IntN(15), w.unique("svc"))
			var total, most time.Duration
			for _, c := range calls {
				over := c.duration() - w.server(c).duration()
				total, most = total+over, max(most, over)
			}
			w.wrong(findings.Chatty, parent, total-most, calls...)
			return end
		},
		// From several parents at once, by gRPC.
		below("chatty", func(w *world, op *node, at time.Duration) time.Duration {
			service := w.unique("svc")
			var all []*node
			for range 4 {
				w.inside(op, at, "worker", func(op *node, at time.Duration) time.Duration {
					calls := w.loop(at, 3+w.rng.IntN(3), func(_ int, at time.Duration) *node { return w.rpc(op, at, w.ms(2, 30), service, "Get") })
					all = append(all, calls...)
					return last(calls)
				})
			}
			var total, most time.Duration
			for _, c := range all {
				over := c.duration() - w.server(c).duration()
				total, most = total+over, max(most, over)
			}
			w.wrong(findings.Chatty, op, total-most, all...)
			return last(all) + ms
		}),
		// No server tells of it.
		below("chatty", func(w *world, op *node, at time.Duration) time.Duration {
			service := w.unique("ext")
			calls := w.loop(at, 10+w.rng.IntN(9), func(_ int, at time.Duration) *node {
				return w.request(op, at, w.ms(1, 20), service, "GET", "/item/"+w.number())
			})
			total, longest := sum(calls)
			w.wrong(findings.Chatty, op, total-longest, calls...)
			return last(calls)
		}),
	},
	near: []plant{
		func(w *world, parent *node, at time.Duration) time.Duration {
			_, end := w.rounds(parent, at, 9, w.unique("svc"))
			return end
		},
		func(w *world, parent *node, at time.Duration) time.Duration { // two services
			_, at = w.rounds(parent, at, 7, w.unique("svc"))
			_, at = w.rounds(parent, at, 7, w.unique("svc"))
			return at
		},
		below("a database", func(w *world, op *node, at time.Duration) time.Duration { // below many parents
			db := w.unique("db")
			for range 6 {
				at = w.inside(op, at, "one", func(op *node, at time.Duration) time.Duration {
					at = w.query(op, at, w.ms(1, 9), db, "SELECT 1 FROM t").end
					return w.query(op, at, w.ms(1, 9), db, "SELECT 1 FROM u").end
				}).end
			}
			return at
		}),
		// A service that calls itself has two local roots.
		func(w *world, parent *node, at time.Duration) time.Duration {
			service := w.unique("svc")
			_, at = w.rounds(parent, at, 6, service)
			return w.inside(parent, at, "itself", func(op *node, at time.Duration) time.Duration {
				call := w.request(op, at, 0, op.service, "GET", "/inner")
				server := w.served(call, op.service, "/inner", at+ms/2, 0)
				server.remote = true
				_, server.end = w.rounds(server, server.start, 6, service)
				call.end = server.end + ms/2
				return call.end
			}).end
		},
		// Of two requests that one trace makes of a service, each calls less than often.
		below("two requests", func(w *world, op *node, at time.Duration) time.Duration {
			middle, service := w.unique("svc"), w.unique("svc")
			for range 2 {
				call := w.request(op, at, 0, middle, "GET", "/middle")
				server := w.served(call, middle, "/middle", at+ms/2, 0)
				_, server.end = w.rounds(server, server.start, 6, service)
				call.end = server.end + ms/2
				at = call.end + w.between(0, pause)
			}
			return at
		}),
	},
}
