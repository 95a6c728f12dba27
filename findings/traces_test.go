package findings_test

import (
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/findings"
)

func TestErrorOrigin(t *testing.T) {
	play(t, findings.ErrorOrigin, []sceneCase{
		{"one", all(failing(request(0, 100))), []string{"shop: GET /checkout ×1 100ms, 1 spans"}},
		{"across services", all(failing(request(0, 100)), failing(get(1, 1, 90, "http://pay/x")), failing(serving("pay", 2, 2, 89))), []string{"pay: GET /x ×1 100ms, 3 spans"}},
		{"the first of two", all(failing(request(0, 100)), failing(get(1, 1, 90, "http://pay/x")), failing(query(1, 1, 50, "SELECT 1"))), []string{"shop: db.query ×1 100ms, 2 spans"}},
		{"behind a mended one", all(request(0, 100), failing(get(1, 1, 90, "http://pay/x"))), []string{"shop: GET ×1 89ms, 1 spans"}},
		{"below one that does not fail", all(failing(request(0, 100)), actor{parent: 1, name: "x", to: 50}, failing(query(2, 1, 50, "SELECT 1"))), []string{"shop: GET /checkout ×1 100ms, 1 spans", "shop: db.query ×1 49ms, 1 spans"}},
		{"none", all(request(0, 100)), nil},
	})
}

func TestGap(t *testing.T) {
	play(t, findings.Gap, []sceneCase{
		{"between", all(request(0, 400), actor{parent: 1, name: "a", to: 200}, actor{parent: 1, name: "b", from: 300, to: 400}), []string{"shop: GET /checkout ×1 100ms, 1 spans"}},
		{"before and behind", all(request(0, 400), actor{parent: 1, name: "a", from: 60, to: 300}, actor{parent: 1, name: "b", from: 100, to: 200}), []string{"shop: GET /checkout ×1 160ms, 1 spans"}},
		{"what a message causes", all(request(0, 400), actor{parent: 1, name: "a", to: 100}, actor{parent: 1, service: "w", name: "b", kind: trace.SpanKindConsumer, from: 50, to: 400}), []string{"shop: GET /checkout ×1 300ms, 1 spans"}},
		{"too little", all(request(0, 399), actor{parent: 1, name: "a", to: 300}), nil},
		{"too small a share", all(request(0, 1000), actor{parent: 1, name: "a", to: 800}), nil},
		{"no children", all(request(0, 400)), nil},
		{"only what a message causes", all(request(0, 400), actor{parent: 1, name: "b", kind: trace.SpanKindConsumer, from: 300, to: 400}), nil},
		{"covered by two", all(request(0, 400), actor{parent: 1, name: "a", to: 250}, actor{parent: 1, name: "b", from: 200, to: 400}), nil},
		{"a child that is open still", all(request(0, 400), actor{parent: 1, name: "a", from: 10, to: noEnd}), nil},
		{"another clock", all(get(0, 0, 400, "http://a/b"), serving("a", 1, -300, 95)), nil},
	})
}

func TestChatty(t *testing.T) {
	pair := func(parent, id int) []actor {
		return all(in(get(parent, id*10, id*10+5, "http://a:80/b"), func(a *actor) { a.id = id }), in(serving("a", id, id*10+1, id*10+3), func(a *actor) { a.id = id + 100 }))
	}
	var ten, nine, deeper []actor
	for i := range 10 {
		ten = append(ten, pair(1, i+2)...)
		if i < 9 {
			nine = append(nine, pair(1, i+2)...)
		}
		deeper = append(deeper, pair(90+i%2, i+2)...)
	}
	below := func(id int) actor { return actor{id: id, parent: 1, name: "step", to: 400} }
	play(t, findings.Chatty, []sceneCase{
		{"ten", all(request(0, 500), ten), []string{"shop: a ×1 27ms, 10 spans"}},
		{"deeper", all(request(0, 500), below(90), below(91), deeper), []string{"shop: a ×1 27ms, 10 spans"}},
		{"unseen", all(request(0, 500), times(10, 10, get(1, 0, 5, "http://a:80/b"))), []string{"shop: a:80 ×1 45ms, 10 spans"}},
		{"some unseen", all(request(0, 500), nine, get(1, 300, 305, "http://a:80/c")), []string{"shop: a ×1 27ms, 10 spans"}},
		{"nine", all(request(0, 500), nine), nil},
		{"calls itself", all(request(0, 500), times(10, 10, get(1, 0, 5, "http://me:80/b")), in(serving("shop", 2, 1, 4), func(a *actor) { a.id = 90 })), nil},
		{"a database", all(request(0, 500), times(20, 10, query(1, 0, 5, "SELECT 1"))), nil},
		{"two of five", all(request(0, 500), times(5, 10, get(1, 0, 5, "http://a:80/b")), times(5, 10, get(1, 100, 105, "http://b:80/b"))), nil},
		{"below two local roots", all(request(0, 500), times(5, 10, get(1, 0, 5, "http://a:80/b")), in(request(0, 500), func(a *actor) { a.id = 60 }), times(5, 10, get(60, 100, 105, "http://a:80/b"))), nil},
	})
}

func TestBrokenSpans(t *testing.T) {
	play(t, findings.UnendedSpan, []sceneCase{
		{"no end", all(in(request(0, noEnd), func(*actor) {})), []string{"shop: GET /checkout ×1 0ms, 1 spans"}},
		{"ended by a shutdown", all(in(request(0, 9), func(a *actor) { a.attrs = []attribute.KeyValue{attribute.Bool("span.unfinished", true)} })), []string{"shop: GET /checkout ×1 0ms, 1 spans"}},
		{"ended", all(request(0, 9)), nil},
		{"took no time", all(request(0, 0)), nil},
	})
	call := get(0, 0, 100, "http://a/b")
	play(t, findings.ClockSkew, []sceneCase{
		{"early", all(call, serving("a", 1, -5, 50)), []string{"a: GET /x ×1 0ms, 1 spans"}},
		{"late", all(call, serving("a", 1, 50, 105)), []string{"a: GET /x ×1 0ms, 1 spans"}},
		{"a little early", all(call, serving("a", 1, -4, 50)), nil},
		{"a little late", all(call, serving("a", 1, 50, 104)), nil},
		{"given up", all(failing(call), serving("a", 1, 50, 140)), nil},
		{"takes longer", all(call, serving("a", 1, 1, 140)), nil},
		{"of one process", all(call, serving("shop", 1, -50, 50)), nil},
		{"a message", all(in(call, func(a *actor) { a.kind = trace.SpanKindProducer }), serving("a", 1, -50, 50)), nil},
	})
	play(t, findings.MissingParent, []sceneCase{
		{"not there", all(in(serving("a", 9, 0, 5), func(*actor) {})), []string{"a: GET /x ×1 0ms, 1 spans"}},
		{"two of one", all(serving("a", 9, 0, 5), serving("a", 9, 1, 5), serving("b", 9, 1, 5)), []string{"a: GET /x ×2 0ms, 2 spans", "b: GET /x ×1 0ms, 1 spans"}},
		{"itself", all(serving("a", 1, 0, 5)), []string{"a: GET /x ×1 0ms, 1 spans"}},
		{"a circle", all(serving("a", 3, 2, 5), serving("b", 1, 1, 5), serving("c", 2, 3, 5), serving("d", 3, 0, 1)), []string{"b: GET /x ×1 0ms, 1 spans"}},
		{"there", all(request(0, 9), serving("a", 1, 0, 5)), nil},
	})
	long := strings.Repeat("x", 8<<10)
	texts := func(key, value string) []attribute.KeyValue {
		return []attribute.KeyValue{attribute.String(key, value)}
	}
	play(t, findings.LargeAttribute, []sceneCase{
		{"of the span", all(in(request(0, 9), func(a *actor) { a.attrs = texts("body", long) })), []string{"shop: GET /checkout ×1 0ms, 1 spans"}},
		{"of an event", all(in(request(0, 9), func(a *actor) { a.events = []sdktrace.Event{{Name: "e", Attributes: texts("body", long)}} })), []string{"shop: GET /checkout ×1 0ms, 1 spans"}},
		{"in a list", all(in(request(0, 9), func(a *actor) { a.attrs = []attribute.KeyValue{attribute.StringSlice("x", []string{"", long})} })), []string{"shop: GET /checkout ×1 0ms, 1 spans"}},
		{"a stack trace", all(in(request(0, 9), func(a *actor) {
			a.events = []sdktrace.Event{{Name: "exception", Attributes: texts("exception.stacktrace", long)}}
		})), nil},
		{"a byte less", all(in(request(0, 9), func(a *actor) { a.attrs = texts("body", long[1:]) })), nil},
	})
}

func TestAcross(t *testing.T) {
	call := get(0, 0, 100, "http://b:80/orders%2f7?x=1")
	server := func(trace, from, to int, service string) actor {
		return actor{trace: trace, service: service, name: "GET /orders/{id}", kind: 2, from: from, to: to, attrs: []attribute.KeyValue{
			attribute.String("http.request.method", "GET"), attribute.String("url.path", "/orders/7"), attribute.String("http.route", "/orders/{id}"),
		}}
	}
	for _, tt := range []sceneCase{
		{"broken", all(call, server(1, 10, 90, "b")), []string{"b: GET /orders/{id} ×1 0ms, 1 spans"}},
		{"old conventions", all(in(call, func(a *actor) {
			a.attrs = []attribute.KeyValue{attribute.String("http.method", "GET"), attribute.String("http.url", "http://b:80/orders/7")}
		}), server(1, 10, 90, "b")), []string{"b: GET /orders/{id} ×1 0ms, 1 spans"}},
		{"one call for one", all(call, server(1, 10, 90, "b"), server(2, 11, 91, "b")), []string{"b: GET /orders/{id} ×1 0ms, 1 spans"}},
		{"ends behind the call", all(call, server(1, 10, 101, "b")), nil},
		{"begins before the call", all(call, server(1, -1, 90, "b")), nil},
		{"of another path", all(get(0, 0, 100, "http://b:80/orders/8"), server(1, 10, 90, "b")), nil},
		{"of the same process", all(call, server(1, 10, 90, "shop")), nil},
		{"of a call that arrived", all(call, serving("b", 1, 10, 90), server(1, 10, 90, "b")), nil},
		{"with a parent", all(call, in(server(1, 10, 90, "b"), func(a *actor) { a.parent = 77 })), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := toldOf(findings.MissingParent, findings.Across(findings.Defaults(), scene(tt.actors...)))
			if strings.Join(got, "\n") != strings.Join(tt.want, "\n") {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}

// What clocks say does not have to make sense.
func TestNonsense(t *testing.T) {
	spans := scene(all(request(0, 5), query(1, 90, 10, "SELECT 1"), get(1, -1e9, 1e9, "http://a/b"), serving("a", 3, 1e9, -1e9), in(request(0, 0), func(a *actor) { a.kind = 99 }))...)
	findings.Find(findings.Defaults(), append(spans, nil))
	findings.Find(findings.Config{}, spans)
	if got := findings.Find(findings.Defaults(), nil); len(got) != 0 {
		t.Error(got)
	}
}
