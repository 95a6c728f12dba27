package findings_test

import (
	"fmt"
	"slices"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/findings"
)

func TestNPlusOne(t *testing.T) {
	item := query(1, 0, 2, "SELECT * FROM items WHERE id = 7")
	var literals, names []actor
	for i := range 6 {
		literals = append(literals, query(1, 3*i, 3*i+2, fmt.Sprintf("select * FROM items where id=%d -- no %d", i, i)))
		names = append(names, query(1, 3*i, 3*i+2, fmt.Sprintf("SELECT * FROM items_%d", i)))
	}
	old := in(item, func(a *actor) {
		a.kind = trace.SpanKindInternal
		a.attrs = []attribute.KeyValue{attribute.String("db.system", "mysql"), attribute.String("db.statement", "SELECT 1 FROM t")}
	})
	const found = "shop: SELECT * FROM items WHERE id = ? ×1 8ms, 5 spans"
	play(t, findings.NPlusOne, []sceneCase{
		{"five", all(request(0, 100), times(5, 3, item)), []string{found}},
		{"with nothing between", all(request(0, 100), times(5, 2, item)), []string{found}},
		{"below a parent that is not there", all(in(request(0, 100), func(a *actor) { a.id = 9 }), times(5, 3, item)), []string{found}},
		{"other literals", all(request(0, 100), literals), []string{"shop: SELECT * FROM items WHERE id = ? ×1 10ms, 6 spans"}},
		{"old conventions", all(request(0, 100), times(5, 3, old)), []string{"shop: SELECT ? FROM t ×1 8ms, 5 spans"}},
		{"one of many overlaps", all(request(0, 100), times(5, 3, item), query(1, 16, 30, "SELECT * FROM items WHERE id = 8"), times(3, 3, in(item, func(a *actor) { a.from, a.to = 17, 19 }))), []string{found}},
		{"one of many fails", all(request(0, 100), times(5, 3, item), failing(query(1, 20, 22, "SELECT * FROM items WHERE id = 8")), times(2, 3, in(item, func(a *actor) { a.from, a.to = 30, 32 }))), []string{found}},
		{"weighs", all(request(0, 100), times(5, 3, in(item, func(a *actor) { a.state = "ot=th:c;rv:ffffffffffffff" }))), []string{"shop: SELECT * FROM items WHERE id = ? ×4 32ms, 5 spans"}},

		{"four", all(request(0, 100), times(4, 3, item)), nil},
		{"side by side", all(request(0, 100), times(9, 1, item)), nil},
		{"all at once", all(request(0, 100), times(9, 0, item)), nil},
		{"below several", all(request(0, 100), times(3, 3, item), in(request(0, 100), func(a *actor) { a.id = 50 }), times(3, 3, in(item, func(a *actor) { a.parent = 50 }))), nil},
		{"other tables", all(request(0, 100), names), nil},
		{"other servers", all(request(0, 100), times(4, 3, item), query(1, 30, 33, "SELECT * FROM items WHERE id = 7", attribute.String("db.namespace", "other"))), nil},
		{"transactions", all(request(0, 100), times(9, 3, query(1, 0, 2, "BEGIN")), times(9, 3, query(1, 50, 52, "commit;"))), nil},
		{"sessions", all(request(0, 100), times(9, 3, query(1, 0, 2, "SET search_path = a"))), nil},
		{"batches", all(request(0, 100), times(9, 3, query(1, 0, 2, "INSERT INTO t VALUES (1)", attribute.Int("db.operation.batch.size", 9)))), nil},
		{"all fail", all(request(0, 100), times(9, 3, failing(item))), nil},
		{"no database", all(request(0, 100), times(9, 3, get(1, 0, 2, "http://users/1"))), nil},
		{"without parents", times(9, 3, in(item, func(a *actor) { a.parent = 0 })), nil},
	})
}

func TestSequentialCalls(t *testing.T) {
	users, prices := get(1, 0, 20, "http://users:80/u/1"), get(1, 21, 51, "http://prices:80/p/1")
	const found = "shop: GET /checkout ×1 20ms, 2 spans"
	grpc := func(parent, from, to int, name, service string) actor {
		return actor{parent: parent, name: name, kind: trace.SpanKindClient, from: from, to: to, attrs: []attribute.KeyValue{attribute.String("rpc.system", "grpc"), attribute.String("rpc.service", service)}}
	}
	with := func(a actor, key, value string) actor {
		return in(a, func(a *actor) { a.attrs = append(slices.Clip(a.attrs), attribute.String(key, value)) })
	}
	post := in(get(1, 21, 51, "http://prices:80/p/1"), func(a *actor) {
		a.attrs = append([]attribute.KeyValue{attribute.String("http.request.method", "POST")}, a.attrs[1:]...)
	})
	play(t, findings.SequentialCalls, []sceneCase{
		{"two", all(request(0, 100), users, prices), []string{found}},
		{"a query and a call", all(request(0, 100), query(1, 0, 20, "SELECT 1 FROM a"), prices), []string{found}},
		{"of gRPC", all(request(0, 100), grpc(1, 0, 20, "a.A/B", "a.A"), grpc(1, 21, 51, "c.C/D", "c.C")), []string{found}},
		{"targets are services", all(request(0, 100), actor{parent: 1, name: "call", kind: trace.SpanKindClient, to: 20}, serving("a", 2, 1, 19), actor{parent: 1, name: "call", kind: trace.SpanKindClient, from: 21, to: 51}, serving("b", 4, 22, 50)), []string{found}},
		{"several of one target are one", all(request(0, 100), users, prices, get(1, 52, 72, "http://users:80/u/2")), []string{"shop: GET /checkout ×1 30ms, 3 spans"}},
		{"a value that the parent has", all(with(request(0, 100), "order", "ord-12345"), with(users, "id", "ord-12345"), with(prices, "about", "ord-12345")), []string{found}},
		{"a value that the resource has", all(request(0, 100), with(users, "zone", "eu-central-7"), with(prices, "place", "eu-central-7")), []string{found}},
		{"a value under one key", all(request(0, 100), with(users, "user.id", "u-12345"), with(with(prices, "user.id", "u-12345"), "about", "u-12345")), []string{found}},
		{"a short value", all(request(0, 100), with(users, "id", "12345"), with(prices, "about", "12345")), []string{found}},
		{"the host of one in the other's URL", all(request(0, 100), with(users, "server.address", "prices"), prices), []string{found}},
		{"behind a write", all(request(0, 200), query(1, 0, 20, "UPDATE t SET a = 1"), in(users, func(a *actor) { a.from, a.to = 21, 41 }), in(prices, func(a *actor) { a.from, a.to = 42, 72 })), []string{found}},
		{"behind one that two need", all(request(0, 200), with(users, "result", "res-9876"), with(prices, "about", "res-9876"), get(1, 52, 72, "http://stock:80/s/1")), []string{found}},

		{"of one target", all(request(0, 100), users, get(1, 21, 51, "http://users:80/u/2")), nil},
		{"of two instances of a service", all(request(0, 100), get(1, 0, 20, "http://10.0.0.1:80/u"), serving("users", 2, 1, 19), get(1, 21, 51, "http://10.0.0.2:80/u"), serving("users", 4, 22, 50)), nil},
		{"overlapping", all(request(0, 100), users, get(1, 19, 51, "http://prices:80/p/1")), nil},
		{"a chain of overlaps", all(request(0, 100), users, get(1, 19, 51, "http://prices:80/p/1"), get(1, 50, 70, "http://stock:80/p/1")), nil},
		{"too short", all(request(0, 100), get(1, 0, 4, "http://users:80/u/1"), prices), nil},
		{"a link", all(request(0, 100), users, in(prices, func(a *actor) { a.links = []int{2} })), nil},
		{"a write behind", all(request(0, 100), users, post), nil},
		{"a write before", all(request(0, 100), query(1, 0, 20, "INSERT INTO t VALUES (1)"), prices), nil},
		{"a write that begins like a read", all(request(0, 100), query(1, 0, 20, "SELECT a FROM t WHERE b = 1 FOR UPDATE"), prices), nil},
		{"a write between", all(request(0, 100), users, query(1, 20, 21, "COMMIT"), prices), nil},
		{"a value in the URL", all(request(0, 100), with(users, "order.id", "ord-12345"), get(1, 21, 51, "http://prices:80/orders/ord-12345/price")), nil},
		{"a number in the URL", all(request(0, 100), in(users, func(a *actor) { a.attrs = append(a.attrs, attribute.Int("order.id", 1234567)) }), get(1, 21, 51, "http://prices:80/orders/1234567?x=y")), nil},
		{"an address in the query", all(request(0, 100), with(users, "mail", "a.b@example.com"), get(1, 21, 51, "http://prices:80/p?for=a.b@example.com&x=1")), nil},
		{"a value in a statement", all(request(0, 100), with(users, "order.id", "ord-12345"), query(1, 21, 51, "SELECT 1 FROM t WHERE a = 'ord-12345'")), nil},
		{"the first fails", all(request(0, 100), failing(users), prices), nil},
		{"names alone", all(request(0, 100), actor{parent: 1, name: "find", kind: trace.SpanKindClient, to: 20}, actor{parent: 1, name: "get", kind: trace.SpanKindClient, from: 21, to: 51}), nil},
		{"parts of a call", all(request(0, 100), actor{parent: 1, name: "GET", kind: trace.SpanKindClient, to: 99}, actor{parent: 2, name: "http.dns", kind: trace.SpanKindClient, to: 20}, actor{parent: 2, name: "http.connect", kind: trace.SpanKindClient, from: 20, to: 50}), nil},
		{"below two parents", all(request(0, 100), users, in(request(0, 100), func(a *actor) { a.parent = 0 }), in(prices, func(a *actor) { a.parent = 3 })), nil},
		{"spans that are no calls", all(request(0, 100), actor{parent: 1, name: "a", kind: trace.SpanKindInternal, to: 20}, actor{parent: 1, name: "b", kind: trace.SpanKindInternal, from: 21, to: 50}), nil},
	})
}

func TestSlow(t *testing.T) {
	play(t, findings.SlowQuery, []sceneCase{
		{"at the threshold", all(query(0, 0, 100, "SELECT 1")), []string{"shop: SELECT ? ×1 0ms, 1 spans"}},
		{"above", all(query(0, 0, 140, "SELECT 1")), []string{"shop: SELECT ? ×1 40ms, 1 spans"}},
		{"below", all(query(0, 0, 99, "SELECT 1")), nil},
		{"no database", all(get(0, 0, 400, "http://a/b")), nil},
		{"without an end", all(query(0, 0, noEnd, "SELECT 1")), nil},
		{"a driver below an ORM", all(query(0, 0, 150, "orm"), query(1, 1, 149, "SELECT 1")), []string{"shop: SELECT ? ×1 48ms, 1 spans"}},
		{"a statement alone", all(actor{name: "SQL SELECT", kind: trace.SpanKindClient, to: 140, attrs: []attribute.KeyValue{attribute.String("sql.query", "SELECT 1"), attribute.String("peer.service", "mysql")}}), []string{"shop: SELECT ? ×1 40ms, 1 spans"}},
	})
	play(t, findings.SlowExternalCall, []sceneCase{
		{"at the threshold", all(get(0, 0, 500, "http://a/b/7")), []string{"shop: GET /b/* to a ×1 0ms, 1 spans"}},
		{"above, with parts", all(get(0, 0, 900, "http://a/b"), actor{parent: 1, name: "dns", to: 5}), []string{"shop: GET /b to a ×1 400ms, 1 spans"}},
		{"old conventions", all(in(get(0, 0, 500, ""), func(a *actor) {
			a.attrs = []attribute.KeyValue{attribute.String("http.method", "GET"), attribute.String("http.url", "http://a/b/7")}
		})), []string{"shop: GET /b/* to a ×1 0ms, 1 spans"}},
		{"below", all(get(0, 0, 499, "http://a/b")), nil},
		{"traced on the other side", all(get(0, 0, 900, "http://a/b"), serving("a", 1, 1, 899)), nil},
		{"traced deeper", all(get(0, 0, 900, "http://a/b"), actor{parent: 1, name: "try", to: 899}, serving("a", 2, 1, 899)), nil},
		{"a database", all(query(0, 0, 900, "SELECT 1")), nil},
		{"no call", all(request(0, 900)), nil},
		{"waits for messages", all(get(0, 0, 900, "http://a/b", attribute.String("messaging.operation.type", "receive"))), nil},
	})
}

func TestRetry(t *testing.T) {
	call := get(1, 0, 10, "http://pay:80/charge/7")
	next := func(from int) actor { return in(call, func(a *actor) { a.from, a.to = from, from+10 }) }
	play(t, findings.Retry, []sceneCase{
		{"once", all(request(0, 100), failing(call), next(20)), []string{"shop: GET /charge/* to pay:80 ×1 20ms, 2 spans"}},
		{"thrice", all(request(0, 100), failing(call), failing(next(20)), failing(next(40)), next(70)), []string{"shop: GET /charge/* to pay:80 ×3 70ms, 4 spans"}},
		{"of a statement", all(request(0, 100), failing(query(1, 0, 10, "SELECT 1")), query(1, 20, 30, "SELECT 1")), []string{"shop: SELECT ? to postgresql pg ×1 20ms, 2 spans"}},
		{"says so", all(request(0, 100), call, in(next(20), func(a *actor) { a.attrs = append(a.attrs[:2:2], attribute.Int("http.request.resend_count", 1)) })), []string{"shop: GET /charge/* to pay:80 ×1 20ms, 2 spans"}},
		{"and then more that are none", all(request(0, 100), failing(call), next(20), next(40), next(60)), []string{"shop: GET /charge/* to pay:80 ×1 20ms, 2 spans"}},

		{"of another path", all(request(0, 100), failing(call), get(1, 20, 30, "http://pay:80/charge/8")), nil},
		{"of another target", all(request(0, 100), failing(call), get(1, 20, 30, "http://pay2:80/charge/7")), nil},
		{"before the failure", all(request(0, 100), failing(call), next(9)), nil},
		{"below another parent", all(request(0, 100), failing(call), in(request(0, 100), func(*actor) {}), in(next(20), func(a *actor) { a.parent = 3 })), nil},
		{"without failure", all(request(0, 100), call, next(20), failing(next(40))), nil},
	})
}

func TestFanOut(t *testing.T) {
	call := get(1, 0, 100, "http://a/b")
	play(t, findings.FanOut, []sceneCase{
		{"ten", all(request(0, 500), times(10, 5, call)), []string{"shop: GET /checkout ×1 45ms, 10 spans"}},
		{"ten at most", all(request(0, 500), times(30, 10, call)), []string{"shop: GET /checkout ×1 290ms, 30 spans"}},
		{"nine", all(request(0, 500), times(9, 5, call)), nil},
		{"nine at most", all(request(0, 900), times(30, 12, call)), nil},
		{"one after another", all(request(0, 5000), times(30, 100, call)), nil},
		{"no calls", all(request(0, 500), times(30, 5, actor{parent: 1, name: "x", to: 100})), nil},
	})
}
