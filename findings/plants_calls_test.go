package findings_test

import (
	"fmt"
	"slices"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/findings"
)

// planted is what is put into traces of a kind: what is wrong, and what only looks so.
type planted struct{ wrong, near []plant }

// below is a plant below a span of its own.
func below(name string, body func(w *world, op *node, at time.Duration) time.Duration) plant {
	return func(w *world, parent *node, at time.Duration) time.Duration {
		return w.inside(parent, at, name, func(op *node, at time.Duration) time.Duration { return body(w, op, at) }).end
	}
}

const pause = time.Millisecond // between calls, at most

// loop makes calls one after another, the first at a time.
func (w *world) loop(at time.Duration, n int, call func(i int, at time.Duration) *node) []*node {
	var all []*node
	for i := range n {
		all = append(all, call(i, at))
		at = all[i].end + w.between(0, pause)
	}
	return all
}

func last(calls []*node) time.Duration {
	var end time.Duration
	for _, c := range calls {
		end = max(end, c.end)
	}
	return end
}

func sum(calls []*node) (total, longest time.Duration) {
	for _, c := range calls {
		total += c.duration()
		longest = max(longest, c.duration())
	}
	return total, longest
}

// shape is a statement whose literals differ, and that is one all the same.
func (w *world) shape() func() string {
	return pick(
		w,
		func() string { return "SELECT * FROM orders WHERE id = " + w.number() },
		func() string { return "SELECT name FROM users WHERE mail = 'u" + w.number() + "@example.com' LIMIT 1" },
		func() string { return "/* req " + w.number() + " */ select a, b from x where c in (" + w.list() + ")" },
		func() string { return "UPDATE stock SET n = n - " + w.number() + " WHERE sku = $1" },
		func() string { return "SELECT price FROM items WHERE id = $1" },
		func() string { return "SELECT a FROM t -- for " + w.number() + "\nWHERE b = -" + w.number() + ".5" },
		func() string { return "INSERT INTO t (a, b) VALUES (" + w.list() + ")" },
		func() string { return "DELETE FROM t WHERE note = 'it''s " + w.number() + "'" },
	)
}

func (w *world) list() string {
	text := w.number()
	for range w.rng.IntN(5) {
		text += ", " + w.number()
	}
	return text
}

var nPlusOne = planted{
	wrong: []plant{
		below("n+1", func(w *world, op *node, at time.Duration) time.Duration {
			db, statement := w.unique("db"), w.shape()
			calls := w.loop(at, 5+w.rng.IntN(20), func(_ int, at time.Duration) *node { return w.query(op, at, w.ms(1, 30), db, statement()) })
			total, longest := sum(calls)
			w.wrong(findings.NPlusOne, op, total-longest, calls...)
			return last(calls)
		}),
		// Each begins at the very time at which the one before ends.
		below("n+1, close", func(w *world, op *node, at time.Duration) time.Duration {
			db, statement := w.unique("db"), w.shape()
			var calls []*node
			for range 5 {
				calls = append(calls, w.query(op, at, w.ms(1, 30), db, statement()))
				at = last(calls)
			}
			total, longest := sum(calls)
			w.wrong(findings.NPlusOne, op, total-longest, calls...)
			return at
		}),
		// Two of them, in turns.
		below("n+1, twice", func(w *world, op *node, at time.Duration) time.Duration {
			db := w.unique("db")
			statements := []string{"SELECT a FROM users WHERE id = ", "SELECT b FROM items WHERE id = "}
			var each [2][]*node
			all := w.loop(at, 2*(5+w.rng.IntN(5)), func(i int, at time.Duration) *node {
				n := w.query(op, at, w.ms(1, 30), db, statements[i%2]+w.number())
				each[i%2] = append(each[i%2], n)
				return n
			})
			for _, calls := range each {
				total, longest := sum(calls)
				w.wrong(findings.NPlusOne, op, total-longest, calls...)
			}
			return last(all)
		}),
		// One that fails ends it, and is no part of it.
		below("n+1, until one fails", func(w *world, op *node, at time.Duration) time.Duration {
			db := w.unique("db")
			all := w.loop(at, 5+w.rng.IntN(4)+3, func(i int, at time.Duration) *node {
				return w.query(op, at, w.ms(1, 30), db, fmt.Sprintf("SELECT a FROM t WHERE id = %d", i))
			})
			calls, fails := all[:len(all)-3], all[len(all)-3].fail()
			total, longest := sum(calls)
			w.wrong(findings.NPlusOne, op, total-longest, calls...)
			w.wrong(findings.ErrorOrigin, fails, fails.duration())
			return last(all)
		}),
		// Batches of one are none.
		below("n+1, batches of one", func(w *world, op *node, at time.Duration) time.Duration {
			db, statement := w.unique("db"), w.shape()
			calls := w.loop(at, 5+w.rng.IntN(3), func(_ int, at time.Duration) *node {
				return w.query(op, at, w.ms(1, 30), db, statement()).set(attribute.Int("db.operation.batch.size", 1))
			})
			total, longest := sum(calls)
			w.wrong(findings.NPlusOne, op, total-longest, calls...)
			return last(calls)
		}),
		// Each in spans of the functions that ask, some of which acquire a connection, too.
		below("n+1, in functions", func(w *world, op *node, at time.Duration) time.Duration {
			db, statement, deep, acquires := w.unique("db"), w.shape(), w.coin(), w.coin()
			var calls []*node
			ask := func(op *node, at time.Duration) time.Duration {
				if acquires {
					at = w.span(op, op.service, "pool.acquire", trace.SpanKindClient, at, at+ms).set(attribute.String("db.system.name", "postgresql")).end
				}
				n := w.query(op, at, w.ms(1, 9), db, statement())
				calls = append(calls, n)
				return n.end
			}
			all := w.loop(at, 5+w.rng.IntN(5), func(_ int, at time.Duration) *node {
				return w.inside(op, at, "UserRepository.find", func(op *node, at time.Duration) time.Duration {
					if deep {
						return w.inside(op, at, "Session.find", ask).end
					}
					return ask(op, at)
				})
			})
			total, longest := sum(calls)
			w.wrong(findings.NPlusOne, op, total-longest, calls...)
			return last(all)
		}),
		// A key-value store, whose instrumentation knows no statement.
		below("n+1, redis", func(w *world, op *node, at time.Duration) time.Duration {
			name := w.unique("cache")
			calls := w.loop(at, 5+w.rng.IntN(9), func(_ int, at time.Duration) *node {
				return w.span(op, op.service, "HGETALL", trace.SpanKindClient, at, at+w.ms(1, 9)).set(
					attribute.String("db.system.name", "redis"), attribute.String("server.address", name), attribute.String("db.operation.name", "HGETALL"))
			})
			total, longest := sum(calls)
			w.wrong(findings.NPlusOne, op, total-longest, calls...)
			return last(calls)
		}),
	},
	near: []plant{
		below("loop of four", func(w *world, op *node, at time.Duration) time.Duration {
			db, statement := w.unique("db"), w.shape()
			return last(w.loop(at, 4, func(_ int, at time.Duration) *node { return w.query(op, at, w.ms(1, 30), db, statement()) }))
		}),
		below("all at once", func(w *world, op *node, at time.Duration) time.Duration {
			db, statement := w.unique("db"), w.shape()
			var calls []*node
			for range 5 + w.rng.IntN(4) {
				calls = append(calls, w.query(op, at+w.between(0, pause), w.ms(5, 40), db, statement()))
			}
			return last(calls)
		}),
		below("two workers", func(w *world, op *node, at time.Duration) time.Duration {
			db, statement := w.unique("db"), w.shape()
			free := []time.Duration{at, at + 2*pause}
			for range 8 + w.rng.IntN(8) { // the one that is free first takes the next; the other is at work for some time
				i := 0
				if free[1] < free[0] {
					i = 1
				}
				start := free[i]
				free[i] = w.query(op, start, free[1-i]-start+w.ms(2, 9), db, statement()).end
			}
			return max(free[0], free[1])
		}),
		// Four, and four: the fifth does not wait for the fourth.
		below("two runs", func(w *world, op *node, at time.Duration) time.Duration {
			db, statement := w.unique("db"), w.shape()
			first := w.loop(at, 4, func(_ int, at time.Duration) *node { return w.query(op, at, w.ms(5, 30), db, statement()) })
			second := w.loop(last(first)-ms, 4, func(_ int, at time.Duration) *node {
				return w.query(op, at, w.ms(5, 30), db, statement())
			})
			return last(second)
		}),
		below("one fails between", func(w *world, op *node, at time.Duration) time.Duration {
			db := w.unique("db")
			all := w.loop(at, 9, func(i int, at time.Duration) *node {
				return w.query(op, at, w.ms(1, 30), db, fmt.Sprintf("SELECT a FROM t WHERE id = %d", i))
			})
			w.wrong(findings.ErrorOrigin, all[4].fail(), all[4].duration())
			return last(all)
		}),
		below("batches", func(w *world, op *node, at time.Duration) time.Duration {
			db, statement := w.unique("db"), w.shape()
			return last(w.loop(at, 6, func(_ int, at time.Duration) *node {
				return w.query(op, at, w.ms(1, 30), db, statement()).set(attribute.Int("db.operation.batch.size", 2+w.rng.IntN(50)))
			}))
		}),
		below("different shapes", func(w *world, op *node, at time.Duration) time.Duration {
			db := w.unique("db")
			return last(w.loop(at, 8, func(i int, at time.Duration) *node {
				return w.query(op, at, w.ms(1, 30), db, fmt.Sprintf("SELECT %c FROM t WHERE id = %d", 'a'+i, i))
			}))
		}),
		below("savepoints", func(w *world, op *node, at time.Duration) time.Duration {
			db := w.unique("db")
			return last(w.loop(at, 8, func(i int, at time.Duration) *node {
				return w.query(op, at, w.ms(1, 9), db, []string{"SAVEPOINT a", "COMMIT", "BEGIN", "SET search_path TO a"}[i%4])
			}))
		}),
		below("begin only", func(w *world, op *node, at time.Duration) time.Duration {
			db, statement := w.unique("db"), pick(w, "BEGIN", "COMMIT", "ROLLBACK", "START TRANSACTION", "SET search_path TO a")
			return last(w.loop(at, 7, func(_ int, at time.Duration) *node { return w.query(op, at, w.ms(1, 9), db, statement) }))
		}),
		// Below parents of their own.
		below("by parents", func(w *world, op *node, at time.Duration) time.Duration {
			db, statement := w.unique("db"), w.shape()
			return last(w.loop(at, 6, func(i int, at time.Duration) *node {
				return w.inside(op, at, fmt.Sprintf("load%c", 'A'+i), func(op *node, at time.Duration) time.Duration {
					return w.query(op, at, w.ms(1, 9), db, statement()).end
				})
			}))
		}),
		// Not of a database.
		below("requests", func(w *world, op *node, at time.Duration) time.Duration {
			service := w.unique("svc")
			return last(w.loop(at, 7, func(_ int, at time.Duration) *node { return w.get(op, at, w.ms(1, 30), service, "/a/"+w.number()) }))
		}),
	},
}

// read makes a call that reads, of a new target.
func (w *world) read(op *node, at, took time.Duration) *node {
	switch w.rng.IntN(5) {
	case 0:
		return w.query(op, at, took, w.unique("db"), "SELECT a FROM t WHERE id = "+w.number())
	case 3:
		return w.rpc(op, at, took, w.unique("svc"), "Get")
	case 1:
		return w.request(op, at, took, w.unique("ext"), "GET", "/read/"+w.number())
	case 2:
		return w.query(op, at, took, w.unique("db"), "WITH q AS (SELECT 1) SELECT * FROM q")
	default:
		return w.get(op, at, took, w.unique("svc"), "/read/"+w.number())
	}
}

// ordered makes calls one after another, of which each may do something to the one
// before it.
func ordered(name string, calls int, order func(w *world, before, call *node)) plant {
	return below(name, func(w *world, op *node, at time.Duration) time.Duration {
		all := w.loop(at, calls, func(_ int, at time.Duration) *node { return w.read(op, at, w.ms(8, 60)) })
		for i := 1; i < len(all); i++ {
			order(w, all[i-1], all[i])
		}
		return last(all)
	})
}

func inARow(name string, calls func(w *world) int, more func(w *world, op *node, all []*node)) plant {
	return below(name, func(w *world, op *node, at time.Duration) time.Duration {
		all := w.loop(at, calls(w), func(_ int, at time.Duration) *node { return w.read(op, at, w.ms(6, 80)) })
		total, longest := sum(all)
		w.wrong(findings.SequentialCalls, op, total-longest, all...)
		more(w, op, all)
		return last(all)
	})
}

var sequentialCalls = planted{
	wrong: []plant{
		inARow("in a row", func(w *world) int { return 2 + w.rng.IntN(3) }, func(*world, *node, []*node) {}),
		// What the parent knows, all may know.
		inARow("with the tenant", func(*world) int { return 3 }, func(w *world, op *node, all []*node) {
			tenant := w.unique("tenant")
			op.set(attribute.String("app.tenant", tenant))
			for i, n := range all {
				n.set(attribute.String(fmt.Sprintf("tenant%d", i), tenant))
			}
		}),
		inARow("with a common key", func(*world) int { return 2 }, func(_ *world, _ *node, all []*node) {
			for _, n := range all {
				n.set(attribute.String("enduser.id", "user-0817"))
			}
		}),
		inARow("with a short value", func(*world) int { return 2 }, func(_ *world, _ *node, all []*node) {
			all[0].set(attribute.String("app.answer", "yes-1"))
			all[1].set(attribute.String("app.question", "yes-1"))
		}),
		inARow("with what was there before", func(*world) int { return 2 }, func(w *world, op *node, all []*node) {
			root := op
			for root.parent != nil {
				root = root.parent
			}
			id := w.unique("session")
			root.set(attribute.String("session.id", id))
			all[0].set(attribute.String("app.answer", id))
			all[1].set(attribute.String("app.question", id))
		}),
		// A write at the end, or at the start, orders no reads.
		below("two and a write", func(w *world, op *node, at time.Duration) time.Duration {
			write := pick(w, 0, 2)
			var reads []*node
			all := w.loop(at, 3, func(i int, at time.Duration) *node {
				if i == write {
					return w.request(op, at, w.ms(6, 60), w.unique("svc"), "POST", "/write")
				}
				n := w.read(op, at, w.ms(6, 80))
				reads = append(reads, n)
				return n
			})
			total, longest := sum(reads)
			w.wrong(findings.SequentialCalls, op, total-longest, reads...)
			return last(all)
		}),
		inARow("where the last fails", func(*world) int { return 2 }, func(w *world, _ *node, all []*node) {
			w.wrong(findings.ErrorOrigin, all[1].fail(), all[1].duration())
		}),
		// One that waits for another ends the run of that, and begins its own.
		below("one apart", func(w *world, op *node, at time.Duration) time.Duration {
			all := w.loop(at, 3, func(_ int, at time.Duration) *node { return w.read(op, at, w.ms(8, 60)) })
			all[1].links = append(all[1].links, sdktrace.Link{SpanContext: w.context(all[0])})
			w.wrong(findings.SequentialCalls, op, min(all[1].duration(), all[2].duration()), all[1:]...)
			return last(all)
		}),
		// Each begins at the very time at which the one before ends.
		below("close", func(w *world, op *node, at time.Duration) time.Duration {
			var all []*node
			for range 2 + w.rng.IntN(3) {
				all = append(all, w.read(op, at, w.ms(6, 80)))
				at = last(all)
			}
			total, longest := sum(all)
			w.wrong(findings.SequentialCalls, op, total-longest, all...)
			return at
		}),
		// The same host, and another database or port.
		below("of one host", func(w *world, op *node, at time.Duration) time.Duration {
			name := w.unique("host")
			all := w.loop(at, 2, func(_ int, at time.Duration) *node {
				n := w.query(op, at, w.ms(6, 60), w.unique("db"), "SELECT 1 FROM t")
				n.attrs[1].Value = attribute.StringValue(name)
				return n
			})
			total, longest := sum(all)
			w.wrong(findings.SequentialCalls, op, total-longest, all...)
			return last(all)
		}),
		// Those to one target are one.
		below("two and one", func(w *world, op *node, at time.Duration) time.Duration {
			db := w.unique("db")
			all := w.loop(at, 2, func(i int, at time.Duration) *node {
				return w.query(op, at, w.ms(6, 40), db, fmt.Sprintf("SELECT a%d FROM t", i))
			})
			one, _ := sum(all)
			other := w.read(op, last(all)+w.between(0, pause), w.ms(6, 80))
			all = append(all, other)
			w.wrong(findings.SequentialCalls, op, min(one, other.duration()), all...)
			return last(all)
		}),
	},
	near: []plant{
		below("side by side", func(w *world, op *node, at time.Duration) time.Duration {
			return w.together(op, at, 2+w.rng.IntN(5), 80)
		}),
		ordered("by link", 2, func(w *world, before, call *node) {
			call.links = append(call.links, sdktrace.Link{SpanContext: w.context(before)})
		}),
		ordered("by value", 2, func(w *world, before, call *node) {
			v := w.unique("order")
			before.set(attribute.String("app.order.id", v))
			call.set(attribute.String("app.lookup.key", v))
		}),
		ordered("by value in the path", 3, func(w *world, before, call *node) {
			v := w.unique("token")
			before.set(attribute.String("app.result", v))
			key := attribute.Key("url.full")
			if i := slices.IndexFunc(call.attrs, func(kv attribute.KeyValue) bool {
				return kv.Key == key || kv.Key == "http.url" || kv.Key == "db.statement" || kv.Key == "db.query.text"
			}); i >= 0 {
				call.attrs[i].Value = attribute.StringValue(call.attrs[i].Value.AsString() + "/" + v)
			} else {
				call.set(attribute.String("rpc.request", "items/"+v))
			}
		}),
		// A call that writes stays between what is before and behind it.
		below("by write", func(w *world, op *node, at time.Duration) time.Duration {
			write := w.rng.IntN(3)
			some := pick(w, "DELETE FROM t", "UPDATE t SET a = 1", "INSERT INTO t VALUES (1)")
			return last(w.loop(at, 3, func(i int, at time.Duration) *node {
				switch {
				case i != 1:
					return w.read(op, at, w.ms(8, 60))
				case write == 0:
					return w.query(op, at, w.ms(8, 60), w.unique("db"), "INSERT INTO t (a) VALUES ("+w.number()+")")
				case write == 1:
					return w.request(op, at, w.ms(8, 60), w.unique("svc"), pick(w, "POST", "PUT", "DELETE", "PATCH"), "/write")
				default:
					return w.query(op, at, w.ms(8, 60), w.unique("db"), "WITH q AS ("+some+" RETURNING id) SELECT id FROM q")
				}
			}))
		}),
		below("by failure", func(w *world, op *node, at time.Duration) time.Duration {
			all := w.loop(at, 2, func(_ int, at time.Duration) *node {
				return w.request(op, at, w.ms(8, 60), w.unique("ext"), "GET", "/primary")
			})
			w.wrong(findings.ErrorOrigin, all[0].fail(), all[0].duration())
			return last(all)
		}),
		below("by two writes", func(w *world, op *node, at time.Duration) time.Duration {
			return last(w.loop(at, 2, func(_ int, at time.Duration) *node {
				return w.request(op, at, w.ms(8, 60), w.unique("svc"), pick(w, "POST", "PUT"), "/write")
			}))
		}),
		below("by number", func(w *world, op *node, at time.Duration) time.Duration {
			first := w.read(op, at, w.ms(8, 60)).set(attribute.Int("app.order.id", 81_234_567))
			return w.request(op, first.end+w.between(0, pause), w.ms(8, 60), w.unique("svc"), "GET", "/orders/81234567").end
		}),
		// What a call makes itself is not for who calls to put side by side.
		below("below a call", func(w *world, op *node, at time.Duration) time.Duration {
			call := w.request(op, at, 0, w.unique("ext"), "GET", "/redirected")
			all := w.loop(at, 2, func(_ int, at time.Duration) *node {
				return w.request(call, at, w.ms(8, 60), w.unique("ext"), "GET", "/there")
			})
			call.end = last(all)
			return call.end
		}),
		below("a moment side by side", func(w *world, op *node, at time.Duration) time.Duration {
			first := w.read(op, at, w.ms(8, 60))
			return w.read(op, first.end-1, w.ms(8, 60)).end
		}),
		below("little to save", func(w *world, op *node, at time.Duration) time.Duration {
			first := w.read(op, at, w.ms(20, 60))
			return w.read(op, first.end+w.between(0, pause), w.between(time.Millisecond, 4900*time.Microsecond)).end
		}),
		below("one target", func(w *world, op *node, at time.Duration) time.Duration {
			service := w.unique("svc")
			return last(w.loop(at, 3, func(i int, at time.Duration) *node {
				return w.get(op, at, w.ms(8, 60), service, fmt.Sprintf("/page%c", 'a'+i))
			}))
		}),
		below("by parents", func(w *world, op *node, at time.Duration) time.Duration {
			return last(w.loop(at, 2, func(_ int, at time.Duration) *node {
				return w.inside(op, at, "one", func(op *node, at time.Duration) time.Duration { return w.read(op, at, w.ms(8, 60)).end })
			}))
		}),
	},
}
