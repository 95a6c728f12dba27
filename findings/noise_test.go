package findings_test

import (
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// A plant puts something below a span, from a time on, and tells when it ends.
type plant func(w *world, parent *node, at time.Duration) time.Duration

// grow makes a trace of some services, with the plant in one of them. All of the rest is
// built so that nothing is wrong with it: calls below one parent overlap, or are few and
// to one target, or there is one; nobody waits for long without a child; nothing fails.
func (w *world) grow(p plant) {
	depth := w.rng.IntN(3)
	at := w.rng.IntN(depth + 1)
	root := w.span(nil, w.unique("svc"), "GET /start", trace.SpanKindServer, 0, 0)
	root.set(attribute.String("http.request.method", "GET"), attribute.String("url.path", "/start/"+w.number()))
	w.fill(root, 0, depth, at, p)
}

// fill puts into a server span what it does.
func (w *world) fill(n *node, level, depth, plantAt int, p plant) {
	var steps []plant
	for range 1 + w.rng.IntN(3) {
		steps = append(steps, noise[w.rng.IntN(len(noise))])
	}
	if level < depth {
		steps = append(steps, func(w *world, n *node, at time.Duration) time.Duration {
			service, path := w.unique("svc"), "/step/"+w.number()
			call := w.request(n, at, 0, service, "GET", path)
			start := at + w.between(0, 2*time.Millisecond)
			server := w.served(call, service, path, start, start)
			w.fill(server, level+1, depth, plantAt, p)
			call.end = server.end + w.between(0, 2*time.Millisecond)
			return call.end
		})
	}
	if level == plantAt {
		steps = append(steps, p)
	}
	w.rng.Shuffle(len(steps), func(i, j int) { steps[i], steps[j] = steps[j], steps[i] })
	at := n.start
	for _, step := range steps {
		at = step(w, n, at+w.between(0, time.Millisecond))
	}
	n.end = at + w.between(0, time.Millisecond)
}

// noise is what services do, and nothing is wrong with.
var noise = []plant{
	// One query.
	func(w *world, n *node, at time.Duration) time.Duration {
		return w.inside(n, at, "load", func(op *node, at time.Duration) time.Duration {
			return w.query(op, at, w.ms(1, 60), w.unique("db"), "SELECT * FROM t WHERE id = "+w.number()).end
		}).end
	},
	// Work without calls.
	func(w *world, n *node, at time.Duration) time.Duration {
		return w.inside(n, at, "render", func(op *node, at time.Duration) time.Duration {
			op.events = append(op.events, sdktrace.Event{Name: "cache miss", Time: w.base.Add(at)})
			return at + w.ms(1, 90)
		}).end
	},
	// Calls side by side.
	func(w *world, n *node, at time.Duration) time.Duration {
		return w.inside(n, at, "gather", func(op *node, at time.Duration) time.Duration {
			return w.together(op, at, 2+w.rng.IntN(3), 60)
		}).end
	},
	// A transaction.
	func(w *world, n *node, at time.Duration) time.Duration {
		return w.inside(n, at, "store", func(op *node, at time.Duration) time.Duration {
			db := w.unique("db")
			for _, statement := range []string{"BEGIN", "INSERT INTO t VALUES (" + w.number() + ")", "UPDATE t SET a = " + w.number(), "COMMIT"} {
				at = w.query(op, at, w.ms(1, 10), db, statement).end + w.between(0, time.Millisecond)
			}
			return at
		}).end
	},
	// A loop of four, which is none too many.
	func(w *world, n *node, at time.Duration) time.Duration {
		return w.inside(n, at, "few", func(op *node, at time.Duration) time.Duration {
			db := w.unique("db")
			for range 2 + w.rng.IntN(3) {
				at = w.query(op, at, w.ms(1, 20), db, "SELECT name FROM u WHERE id = "+w.number()).end + w.between(0, time.Millisecond)
			}
			return at
		}).end
	},
	// What is not there, and nobody minds.
	func(w *world, n *node, at time.Duration) time.Duration {
		return w.inside(n, at, "lookup", func(op *node, at time.Duration) time.Duration {
			call := w.request(op, at, w.ms(2, 40), w.unique("svc"), "GET", "/maybe/"+w.number())
			call.attrs[len(call.attrs)-1].Value = attribute.IntValue(404)
			return call.end
		}).end
	},
	// A remote call with the server's side, slow but there.
	func(w *world, n *node, at time.Duration) time.Duration {
		return w.inside(n, at, "ask", func(op *node, at time.Duration) time.Duration {
			if w.coin() {
				return w.rpc(op, at, w.ms(5, 900), w.unique("svc"), "Ask").end
			}
			return w.get(op, at, w.ms(5, 900), w.unique("svc"), "/slow/"+w.number()).end
		}).end
	},
	// A message that is dealt with later.
	func(w *world, n *node, at time.Duration) time.Duration {
		p := w.span(n, n.service, "publish orders", trace.SpanKindProducer, at, at+w.ms(1, 5))
		later := p.end + w.ms(20, 3000)
		w.span(p, w.unique("worker"), "process orders", trace.SpanKindConsumer, later, later+w.ms(1, 80))
		return p.end
	},
}

// together makes calls to different targets that are all open at one time.
func (w *world) together(op *node, at time.Duration, calls, most int) time.Duration {
	end := at
	middle := at + 5*time.Millisecond
	for range calls {
		start := at + w.between(0, 4*time.Millisecond)
		took := middle - start + w.ms(1, most)
		var n *node
		switch w.rng.IntN(3) {
		case 0:
			n = w.query(op, start, took, w.unique("db"), "SELECT 1 FROM t WHERE id = "+w.number())
		case 1:
			n = w.rpc(op, start, took, w.unique("svc"), "Get")
		default:
			n = w.get(op, start, took, w.unique("svc"), "/part/"+w.number())
		}
		end = max(end, n.end)
	}
	return end
}
