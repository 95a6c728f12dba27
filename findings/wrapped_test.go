package findings_test

import (
	"fmt"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/findings"
)

// function is a span without a call.
func function(parent, from, to int, name string) actor {
	return actor{parent: parent, name: name, kind: trace.SpanKindInternal, from: from, to: to}
}

func system(parent, from, to int, name string) actor {
	return actor{parent: parent, name: name, kind: trace.SpanKindClient, from: from, to: to, attrs: []attribute.KeyValue{attribute.String("db.system", "postgresql")}}
}

func scoped(scope string, a actor) actor { return in(a, func(a *actor) { a.scope = scope }) }

// Instrumentation of other languages has more than one span for a query: a repository's
// function, an ORM, a pool of connections and a driver.
func TestWrappedQueries(t *testing.T) {
	const statement = "SELECT * FROM items WHERE id = 7"
	const found = "shop: SELECT * FROM items WHERE id = ? ×1 8ms, 5 spans"
	// each has so many spans below the request, of which the first is 2 + n*len.
	loop := func(n int, each func(i, first, from int) []actor) []actor {
		actors := all(request(0, 100))
		for i := range n {
			actors = append(actors, each(i, len(actors)+1, 10*i)...)
		}
		return actors
	}
	wrapped := func(name string, more ...func(first, from int) actor) func(i, first, from int) []actor {
		return func(_, first, from int) []actor {
			out := all(function(1, from, from+9, name), query(first, from+1, from+3, statement))
			for _, m := range more {
				out = append(out, m(first, from))
			}
			return out
		}
	}
	play(t, findings.NPlusOne, []sceneCase{
		{"in functions", loop(5, wrapped("find")), []string{found}},
		{"in functions of functions", loop(5, func(_, first, from int) []actor {
			return all(function(1, from, from+9, "find"), function(first, from, from+8, "load"), query(first+1, from+1, from+3, statement))
		}), []string{found}},
		{"with a connection, a transaction and work", loop(5, wrapped("find",
			func(first, from int) actor { return system(first, from, from+1, "HikariDataSource.getConnection") },
			func(first, from int) actor { return query(first, from+4, from+5, "COMMIT") },
			func(first, from int) actor { return function(first, from+5, from+6, "map") })), []string{found}},
		{"an ORM and its driver, the one beside the other", loop(5, func(_, _, from int) []actor {
			return all(scoped("orm", query(1, from, from+4, statement)), scoped("driver", query(1, from+1, from+3, statement)))
		}), []string{found}},
		{"an ORM and its driver, which start together", loop(5, func(_, _, from int) []actor {
			return all(scoped("driver", query(1, from, from+2, statement)), scoped("orm", query(1, from, from+4, statement)))
		}), []string{found}},
		{"an ORM and its driver, the one below the other", loop(5, func(_, first, from int) []actor {
			return all(scoped("orm", query(1, from, from+2, statement)), scoped("driver", query(first, from, from+1, statement)))
		}), []string{found}},

		{"in four functions", loop(4, wrapped("find")), nil},
		{"in functions of several names", loop(6, func(i, first, from int) []actor {
			return wrapped(fmt.Sprint("find ", i))(i, first, from)
		}), nil},
		{"in functions that overlap", loop(9, func(_, first, from int) []actor {
			return all(function(1, from, from+11, "find"), query(first, from+1, from+3, statement))
		}), nil},
		{"in functions with another query", loop(9, wrapped("find", func(first, from int) actor { return query(first, from+5, from+6, "SELECT 1 FROM other") })), nil},
		{"in functions of another process", loop(9, func(_, first, from int) []actor {
			return all(function(1, from, from+9, "find"), of("items", query(first, from+1, from+3, statement)))
		}), nil},
		{"connections of a pool", loop(9, func(_, _, from int) []actor {
			return all(system(1, from, from+1, "HikariDataSource.getConnection"))
		}), nil},
		{"the reading of rows", loop(9, func(_, _, from int) []actor { return all(system(1, from, from+1, "sql.rows")) }), nil},
		{"side by side", loop(9, func(i, _, _ int) []actor { return all(scoped("orm", query(1, i, i+5, statement))) }), nil},
	})
	play(t, findings.SlowQuery, []sceneCase{
		{"an ORM and its driver", all(request(0, 300), scoped("orm", query(1, 0, 150, statement)), scoped("driver", query(1, 1, 141, statement))), []string{"shop: SELECT * FROM items WHERE id = ? ×1 40ms, 1 spans"}},
		{"a driver in a function of an ORM", all(query(0, 0, 150, "orm"), function(1, 0, 150, "execute"), query(2, 1, 141, statement)), []string{"shop: SELECT * FROM items WHERE id = ? ×1 40ms, 1 spans"}},
		{"waits for others to write", all(actor{name: "BRPOP", kind: trace.SpanKindClient, to: 900, attrs: []attribute.KeyValue{attribute.String("db.system", "redis"), attribute.String("db.statement", "BRPOP jobs 5")}}), nil},
	})
}

// A library's call and the call of HTTP that it makes are one.
func TestCallsOfCalls(t *testing.T) {
	s3 := func(parent, from, to int) actor {
		return actor{parent: parent, name: "S3.GetObject", kind: trace.SpanKindClient, from: from, to: to, attrs: []attribute.KeyValue{
			attribute.String("rpc.system", "aws-api"), attribute.String("rpc.service", "S3"), attribute.String("rpc.method", "GetObject"), attribute.String("server.address", "s3"),
		}}
	}
	var six, ten []actor
	for i := range 10 {
		pair := all(s3(1, 10*i, 10*i+9), get(2+2*i, 10*i, 10*i+8, "http://s3/b"))
		if ten = append(ten, pair...); i < 6 {
			six = append(six, pair...)
		}
	}
	play(t, findings.Chatty, []sceneCase{
		{"ten", all(request(0, 100), ten), []string{"shop: s3 ×1 81ms, 10 spans"}},
		{"six", all(request(0, 100), six), nil},
	})
	play(t, findings.SlowExternalCall, []sceneCase{
		{"of a library", all(s3(0, 0, 900), get(1, 0, 800, "http://s3/b")), []string{"shop: GET /b to s3 ×1 300ms, 1 spans"}},
		{"in attempts that are not slow", all(s3(0, 0, 900), get(1, 0, 400, "http://s3/b"), get(1, 401, 800, "http://s3/b")), []string{"shop: S3/GetObject to s3 ×1 400ms, 1 spans"}},
		{"of a database", all(query(0, 0, 900, "{}"), get(1, 0, 800, "http://elastic/_search")), nil},
		{"that waits for messages", all(in(s3(0, 0, 9000), func(a *actor) { a.attrs[2] = attribute.String("rpc.method", "ReceiveMessage") })), nil},
		{"that polls", all(get(0, 0, 9000, "http://a/b", attribute.String("messaging.operation.name", "poll"))), nil},
	})
	// The name of gRPC's own span tells no target; the server span is below that of HTTP.
	grpc := func(from, to int) actor {
		return actor{parent: 1, name: "call", kind: trace.SpanKindClient, from: from, to: to}
	}
	play(t, findings.SequentialCalls, []sceneCase{
		{"with the server below HTTP", all(request(0, 100), grpc(0, 20), get(2, 1, 19, "http://a/x"), serving("a", 3, 2, 18), grpc(21, 51), get(5, 22, 50, "http://b/x"), serving("b", 6, 23, 49)), []string{"shop: GET /checkout ×1 20ms, 2 spans"}},
	})
}

// A path may begin at a span that has not ended.
func TestErrorOfOpenSpan(t *testing.T) {
	const want = "The error begins here: no; what has no end fails by it: shop GET /checkout > shop db.query."
	for _, f := range findings.Trace(findings.Defaults(), scene(failing(request(0, noEnd)), failing(query(1, 0, 10, "SELECT 1")))) {
		if f.Kind == findings.ErrorOrigin && f.Advice != want {
			t.Errorf("got %s", f.Advice)
		}
	}
}

// Not every library sets the status of a client span.
func TestErrorsWithoutStatus(t *testing.T) {
	call := get(1, 0, 90, "http://pay/charge")
	play(t, findings.ErrorOrigin, []sceneCase{
		{"of the client", all(failing(request(0, 100)), call, failing(serving("pay", 2, 1, 89)), of("pay", failing(query(3, 2, 80, "SELECT 1")))), []string{"pay: db.query ×1 100ms, 4 spans"}},
		{"and of what calls it", all(request(0, 100), call, failing(serving("pay", 2, 1, 89))), []string{"pay: GET /x ×1 90ms, 2 spans"}},
		{"where another server answers in its stead", all(request(0, 100), call, failing(serving("pay", 2, 1, 9)), serving("pay", 2, 11, 89)), []string{"pay: GET /x ×1 8ms, 1 spans"}},
	})
	play(t, findings.Retry, []sceneCase{
		{"again after it", all(request(0, 200), call, failing(serving("pay", 2, 1, 89)), in(call, func(a *actor) { a.from, a.to = 100, 190 })), []string{"shop: GET /charge to pay ×1 100ms, 2 spans"}},
	})
	play(t, findings.ClockSkew, []sceneCase{
		{"late", all(call, failing(serving("pay", 1, 50, 110))), []string{"pay: GET /x ×1 0ms, 1 spans"}},
	})
}
