package match_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/match"
)

func ExampleConfig() {
	m, err := match.Config{
		Attributes: map[string]any{"http.response.status_code": map[string]any{"min": 500}},
		Kind:       "server",
		Not:        &match.Config{Route: "GET /healthz"},
	}.Compile()
	if err != nil {
		fmt.Println(err)
		return
	}
	span := match.Span{
		Name:       "GET /checkout/{id}",
		Kind:       trace.SpanKindServer,
		Attributes: []attribute.KeyValue{attribute.Int("http.response.status_code", 503)},
	}
	fmt.Println(m.Match(&match.Subject{Span: span, IsRoot: true}))
	span.Name = "GET /healthz"
	fmt.Println(m.Match(&match.Subject{Span: span, IsRoot: true}))
	// Output:
	// yes
	// no
}

type (
	object = map[string]any
	list   = []any
)

func attributes(key string, condition any) match.Config {
	return match.Config{Attributes: object{key: condition}}
}

func compile(tb testing.TB, c match.Config) *match.Matcher {
	tb.Helper()
	m, err := c.Compile()
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

// starts asks about a local root that starts.
func starts(m *match.Matcher, s match.Span) bool {
	return m.Match(&match.Subject{Span: s, IsRoot: true}) == match.Yes
}

func TestAttributes(t *testing.T) {
	const huge = 1<<53 + 1 // float64 cannot tell it from its neighbour
	for _, tt := range []struct {
		condition any
		yes, no   []attribute.Value
	}{
		{
			"gold",
			[]attribute.Value{attribute.StringValue("gold"), attribute.StringSliceValue([]string{"new", "gold"}), attribute.SliceValue(attribute.IntValue(1), attribute.StringValue("gold"))},
			[]attribute.Value{attribute.StringValue("Gold"), attribute.StringValue(""), attribute.StringSliceValue(nil), attribute.StringSliceValue([]string{"golden"}), attribute.IntValue(7), {}},
		},
		{
			true,
			[]attribute.Value{attribute.BoolValue(true), attribute.BoolSliceValue([]bool{false, true})},
			[]attribute.Value{attribute.BoolValue(false), attribute.StringValue("true"), attribute.IntValue(1)},
		},
		{false, []attribute.Value{attribute.BoolValue(false)}, []attribute.Value{attribute.BoolValue(true), {}}},
		{
			500,
			[]attribute.Value{attribute.IntValue(500), attribute.Float64Value(500), attribute.Int64SliceValue([]int64{1, 500}), attribute.StringValue("500"), attribute.StringValue("500.0")},
			[]attribute.Value{attribute.IntValue(501), attribute.Float64Value(500.5), attribute.StringValue("501"), attribute.StringValue("500 "), attribute.BoolValue(true)},
		},
		{
			0.5,
			[]attribute.Value{attribute.Float64Value(0.5), attribute.Float64SliceValue([]float64{1, 0.5})},
			[]attribute.Value{attribute.IntValue(0), attribute.IntValue(1), attribute.Float64Value(math.NaN())},
		},
		{huge, []attribute.Value{attribute.Int64Value(huge)}, []attribute.Value{attribute.Int64Value(huge - 1), attribute.Float64Value(huge - 1)}},
		{float64(1 << 53), []attribute.Value{attribute.Int64Value(1 << 53)}, []attribute.Value{attribute.Int64Value(huge)}},
		{float64(1 << 63), []attribute.Value{attribute.Float64Value(1 << 63)}, []attribute.Value{attribute.Int64Value(1<<63 - 1)}},
		{0.5, []attribute.Value{attribute.Float64Value(0.5)}, []attribute.Value{attribute.IntValue(0), attribute.IntValue(1)}},
		{uint64(math.MaxUint64), []attribute.Value{attribute.Float64Value(math.MaxUint64)}, []attribute.Value{attribute.Int64Value(-1)}},
		{
			list{"eu", 7, true},
			[]attribute.Value{attribute.StringValue("eu"), attribute.IntValue(7), attribute.StringValue("7"), attribute.BoolValue(true), attribute.StringSliceValue([]string{"us", "eu"})},
			[]attribute.Value{attribute.StringValue("us"), attribute.StringValue("true"), attribute.BoolValue(false), attribute.StringSliceValue([]string{"us"})},
		},
		{[]string{"eu", "us"}, []attribute.Value{attribute.StringValue("us")}, []attribute.Value{attribute.StringValue("af")}},
		{object{"equals": "x"}, []attribute.Value{attribute.StringValue("x")}, []attribute.Value{attribute.StringValue("y")}},
		{object{"one_of": list{"x", "y"}}, []attribute.Value{attribute.StringValue("y")}, []attribute.Value{attribute.StringValue("z")}},
		{
			object{"glob": "/api/*"},
			[]attribute.Value{attribute.StringValue("/api/x/y"), attribute.StringSliceValue([]string{"/", "/api/"})},
			[]attribute.Value{attribute.StringValue("/ap"), attribute.IntValue(1)},
		},
		{
			object{"min": 500, "max": 599},
			[]attribute.Value{attribute.IntValue(500), attribute.IntValue(599), attribute.Float64Value(599), attribute.Int64SliceValue([]int64{1, 503}), attribute.StringValue("503")},
			[]attribute.Value{attribute.IntValue(499), attribute.IntValue(600), attribute.Float64Value(599.5), attribute.StringValue("600"), attribute.StringValue("x503"), attribute.Float64Value(math.NaN()), attribute.Int64SliceValue([]int64{1, 600})},
		},
		{object{"min": 0.5}, []attribute.Value{attribute.IntValue(1), attribute.Float64Value(math.Inf(1))}, []attribute.Value{attribute.IntValue(0)}},
		{object{"max": -1}, []attribute.Value{attribute.IntValue(-1)}, []attribute.Value{attribute.IntValue(0), attribute.Float64Value(math.NaN())}},
		{object{"min": -1}, []attribute.Value{attribute.IntValue(-1), attribute.StringValue("0")}, []attribute.Value{attribute.StringValue("-2"), {}}},
		{object{"glob": "a*", "one_of": list{"ab", "bb"}}, []attribute.Value{attribute.StringValue("ab")}, []attribute.Value{attribute.StringValue("bb"), attribute.StringValue("ac"), attribute.StringSliceValue([]string{"ac", "bb"})}},
		{"404", []attribute.Value{attribute.StringValue("404"), attribute.IntValue(404), attribute.Float64Value(404)}, []attribute.Value{attribute.StringValue("404.0"), attribute.IntValue(4)}},
		{
			math.MaxInt64,
			[]attribute.Value{attribute.Int64Value(math.MaxInt64), attribute.StringValue("9223372036854775807"), attribute.StringValue("+09223372036854775807")},
			[]attribute.Value{attribute.StringValue("9223372036854775808"), attribute.StringValue("9223372036854775806"), attribute.Float64Value(1 << 63)},
		},
		{"9223372036854775807", []attribute.Value{attribute.Int64Value(math.MaxInt64)}, []attribute.Value{attribute.Float64Value(1 << 63)}},
		{"-9223372036854775808", []attribute.Value{attribute.Int64Value(math.MinInt64)}, []attribute.Value{attribute.Int64Value(math.MinInt64 + 1)}},
		{math.MinInt64, []attribute.Value{attribute.StringValue("-9223372036854775808"), attribute.Float64Value(-1 << 63)}, []attribute.Value{attribute.StringValue("-9223372036854775807")}},
		{"1.50", []attribute.Value{attribute.StringValue("1.50")}, []attribute.Value{attribute.Float64Value(1.5)}},
		{"007", []attribute.Value{attribute.StringValue("007")}, []attribute.Value{attribute.IntValue(7)}},
		{list{"404", 410}, []attribute.Value{attribute.IntValue(404), attribute.IntValue(410), attribute.StringValue("410")}, []attribute.Value{attribute.IntValue(0)}},
		{object{"regex": "^/api/v[0-9]+/"}, []attribute.Value{attribute.StringValue("/api/v12/x"), attribute.StringSliceValue([]string{"x", "/api/v1/"})}, []attribute.Value{attribute.StringValue("/api/v/"), attribute.StringValue("x/api/v1/"), attribute.IntValue(1)}},
		{object{"equals": "straße", "ignore_case": true}, []attribute.Value{attribute.StringValue("STRAßE")}, []attribute.Value{attribute.StringValue("strasse")}},
		{object{"equals": "ok", "ignore_case": true}, []attribute.Value{attribute.StringValue("OK"), attribute.StringValue("o\u212a")}, []attribute.Value{attribute.StringValue("okay"), attribute.StringValue("o")}},
		{object{"equals": "ok", "ignore_case": false}, []attribute.Value{attribute.StringValue("ok")}, []attribute.Value{attribute.StringValue("OK")}},
		{object{"one_of": list{"GET", "Head"}, "ignore_case": true}, []attribute.Value{attribute.StringValue("get"), attribute.StringValue("hEAD")}, []attribute.Value{attribute.StringValue("post")}},
		{object{"glob": "*Bot/?", "ignore_case": true}, []attribute.Value{attribute.StringValue("a ROBOT/1"), attribute.StringValue("bot/É")}, []attribute.Value{attribute.StringValue("bot/12"), attribute.StringValue("bot/")}},
		{object{"regex": "^(GET|put) ", "ignore_case": true}, []attribute.Value{attribute.StringValue("get /"), attribute.StringValue("PUT /")}, []attribute.Value{attribute.StringValue("get")}},
		{object{"regex": "b", "glob": "a*"}, []attribute.Value{attribute.StringValue("ab")}, []attribute.Value{attribute.StringValue("ac"), attribute.StringValue("b")}},
		{object{"exists": true}, []attribute.Value{attribute.StringValue(""), attribute.BoolValue(false), attribute.StringSliceValue(nil)}, nil},
		{object{"exists": false}, nil, []attribute.Value{attribute.StringValue("")}},
	} {
		m := compile(t, attributes("k", tt.condition))
		for _, v := range append(slices.Clone(tt.yes), tt.no...) {
			want := slices.ContainsFunc(tt.yes, func(y attribute.Value) bool { return y.Type() == v.Type() && y.String() == v.String() })
			kvs := []attribute.KeyValue{attribute.String("a", "gold"), {Key: "k", Value: v}, attribute.String("z", "gold")}
			if got := starts(m, match.Span{Attributes: kvs}); got != want {
				t.Errorf("%v of %s %s = %v", tt.condition, v.Type(), v.String(), got)
			}
		}
		absent := match.Span{Attributes: []attribute.KeyValue{attribute.String("a", "gold")}}
		if o, _ := tt.condition.(object); starts(m, absent) != (o["exists"] == false) {
			t.Errorf("%v of no attribute = %v", tt.condition, starts(m, absent))
		}
	}
}

func TestMatch(t *testing.T) {
	gold := attributes("tier", "gold")
	server := match.Config{Kind: "server"}
	span := match.Span{Name: "GET /a/7", Kind: trace.SpanKindServer, Attributes: []attribute.KeyValue{
		attribute.String("tier", "iron"), attribute.String("region", "eu"), attribute.String("tier", "gold"),
	}}
	for _, tt := range []struct {
		name string
		c    match.Config
		s    match.Span
		want bool
	}{
		{"the last of two counts", gold, span, true},
		{"the last of two counts, no", attributes("tier", "iron"), span, false},
		{"name", match.Config{Name: "GET *"}, span, true},
		{"name, no", match.Config{Name: "POST *"}, span, false},
		{"kind", server, span, true},
		{"kind, no", match.Config{Kind: "client"}, span, false},
		{"kinds", match.Config{Kind: list{"client", "server"}}, span, true},
		{"an unspecified kind is internal", match.Config{Kind: "internal"}, match.Span{}, true},
		{"a kind nobody knows is internal", match.Config{Kind: "internal"}, match.Span{Kind: 99}, true},
		{"route", match.Config{Route: "GET /a/{id}"}, span, true},
		{"route, no", match.Config{Route: "POST /a/{id}"}, span, false},
		{"route, of no request", match.Config{Route: "/"}, match.Span{Name: "job"}, false},
		{"routes", match.Config{Route: []string{"/b/{x}", "/{y}/7"}}, span, true},
		{"routes that conflict and repeat", match.Config{Route: list{"/a/{x}", "/{y}/7", "/a/{x}"}}, match.Span{Name: "PUT /z/7"}, true},
		{"and", match.Config{Name: "GET *", Attributes: object{"tier": "gold", "region": "us"}}, span, false},
		{"all", match.Config{All: []match.Config{gold, server}}, span, true},
		{"all, no", match.Config{All: []match.Config{gold, {Kind: "client"}}}, span, false},
		{"any", match.Config{Any: []match.Config{{Kind: "client"}, gold}}, span, true},
		{"any, no", match.Config{Any: []match.Config{{Kind: "client"}}}, span, false},
		{"not", match.Config{Not: &gold}, span, false},
		{"not, yes", match.Config{Not: &match.Config{Kind: "client"}}, span, true},
		{"any and not", match.Config{Any: []match.Config{gold}, Not: &server}, span, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := starts(compile(t, tt.c), tt.s); got != tt.want {
				t.Errorf("Match = %v", got)
			}
		})
	}
	if (*match.Matcher)(nil).Match(&match.Subject{}) != match.Yes || (*match.Matcher)(nil).Check(match.AtStart) != nil || (*match.Matcher)(nil).NeedsEnded() || (*match.Matcher)(nil).NeedsBaggage() || (*match.Matcher)(nil).Keys() != nil {
		t.Error("a nil matcher does not match everything")
	}
}

func TestKeys(t *testing.T) {
	m := compile(t, match.Config{
		Attributes: object{"z": 1, "a": 1},
		Any:        []match.Config{{Not: &match.Config{Attributes: object{"m": 1}}}, {Route: "/"}},
		Kind:       "server",
	})
	want := []attribute.Key{"a", "http.method", "http.request.method", "http.request.method_original", "http.route", "http.target", "m", "rpc.system", "rpc.system.name", "url.full", "url.path", "z"}
	if diff := cmp.Diff(want, m.Keys()); diff != "" {
		t.Error(diff)
	}
}

func TestErrors(t *testing.T) {
	_, err := match.Config{
		Attributes: object{
			"":           "empty key",
			"nil":        nil,
			"list":       list{},
			"items":      list{"x", list{"y"}, nil},
			"nan":        math.NaN(),
			"empty":      object{},
			"user.id":    object{"glob": 7, "globb": "x", "wildcard": "x"},
			"exists":     object{"exists": "yes"},
			"never":      object{"exists": false, "glob": "x"},
			"number":     object{"min": "1", "max": true},
			"inverted":   object{"min": 2, "max": 1.5},
			"equals":     object{"equals": list{"x"}},
			"one_of":     object{"one_of": "x"},
			"structured": struct{}{},
			"typed":      map[string]string{"glob": "x"},
		},
		Dotted: object{
			"a.b":     object{"regex": "[a"},
			"c.d":     object{"regex": 7, "ignore_case": "x"},
			"e.f":     object{"min": 1, "ignore_case": true},
			"user.id": "twice",
			"nodot":   1,
		},
		Kind:  list{"sever", "batch", 7},
		Route: list{"GET x/", "/a/{"},
		All:   []match.Config{{Name: "x"}, {}},
		Any:   []match.Config{{Kind: 7}, {Any: []match.Config{{Kind: list{}}}}},
		Not:   &match.Config{},

		Status:     list{"eror", 1},
		Duration:   durations(time.Second, time.Millisecond),
		Parent:     "sampled",
		Spans:      &match.Counts{},
		Links:      &match.Counts{Min: new(-1), Max: new(-2)},
		Scope:      7,
		Tracestate: object{"ot": "x", "Vendor": "x"},
		Event:      &match.Event{},
		Link:       &match.Link{},
		Root:       &match.SpanConfig{},
		Span:       &match.SpanConfig{All: []match.SpanConfig{{Status: "x"}}, Event: &match.Event{Dotted: object{"a.b": nil}}},
		AnySpan:    &match.SpanConfig{Any: []match.SpanConfig{{}}, Not: &match.SpanConfig{Kind: "x"}, Link: &match.Link{Attributes: object{"a": list{}}}},
	}.Compile()
	want := `parent: "sampled" is neither none nor remote
spans: an empty range: want min, max or both
tracestate.Vendor: no key of a tracestate: want a lowercase letter, and then letters, digits and any of _-*/@
tracestate.ot: it holds the randomness of the trace, on which nothing may depend but the comparison with a threshold
kind[2]: want a string, not 7
kind[0]: "sever" is not a kind (did you mean "server"?)
kind[1]: "batch" is not a kind: known are internal, server, client, producer, consumer
scope: want a string or a list of them, not 7
duration.min: 1s is above max, 1ms
status[1]: want a string, not 1
status[0]: "eror" is not a status (did you mean "error"?)
attributes.empty: an empty condition: want one or more of equals, exists, glob, ignore_case, max, min, one_of, regex
attributes.equals.equals: want a string, a number or a boolean, not a list
attributes.exists.exists: want true or false, not "yes"
attributes.inverted.min: 2 is above max, 1.5
attributes.items[1]: want a string, a number or a boolean, not a list
attributes.items[2]: want a string, a number or a boolean, not nothing
attributes.list: an empty list matches nothing
attributes.nan: want a string, a number or a boolean, not NaN
attributes.never.exists: an attribute that does not exist meets no other condition
attributes.nil: want a string, a number or a boolean, not nothing
attributes.number.max: want a number, not true
attributes.number.min: want a number, not "1"
attributes.one_of.one_of: want a list, not "x"
attributes.structured: want a string, a number or a boolean, not a struct {}
attributes.typed: want a map[string]any, not a map[string]string
attributes["user.id"].glob: want a string, not 7
attributes["user.id"].globb: unknown key (did you mean "glob"?)
attributes["user.id"].wildcard: unknown key: known are equals, exists, glob, ignore_case, max, min, one_of, regex
["a.b"].regex: error parsing regexp: missing closing ]: ` + "`[a`" + `
["c.d"].ignore_case: want true or false, not "x"
["c.d"].regex: want a string, not 7
["e.f"].ignore_case: it is about equals, one_of, glob and regex, and there is none of them
nodot: only a key with a dot is short for one of attributes
["user.id"]: it is one of attributes too: leave one of them out
route[0]: pattern "GET x/": the host "x" cannot be told from a span: the path starts with a slash
route[1]: pattern "/a/{": the wildcard in "{" does not fill its segment
links.min: -1 is negative
links.max: -2 is negative
links.min: -1 is above max, -2
link: an empty match: want attributes; links: {min: 1} is about spans with any link
event: an empty match: want name, attributes or both
root: an empty match: want one or more of attributes, name, route, kind, status, duration, scope, event, link, links, all, any, not
span.event["a.b"]: want a string, a number or a boolean, not nothing
span.all[0].status: "x" is not a status: known are unset, error, ok
all[1]: an empty match: want one or more of attributes, name, route, kind, status, duration, parent, spans, baggage, tracestate, resource, scope, event, link, links, root, span, any_span, all, any, not
any[0].kind: want a string or a list of them, not 7
any[1].any[0].kind: an empty list matches nothing
not: an empty match: want one or more of attributes, name, route, kind, status, duration, parent, spans, baggage, tracestate, resource, scope, event, link, links, root, span, any_span, all, any, not
any_span.link.attributes.a: an empty list matches nothing
any_span.any[0]: an empty match: want one or more of attributes, name, route, kind, status, duration, scope, event, link, links, all, any, not
any_span.not.kind: "x" is not a kind: known are internal, server, client, producer, consumer`
	if err == nil {
		t.Fatal("no error")
	}
	if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(err.Error(), "\n")); diff != "" {
		t.Error(diff)
	}
	if _, err := (match.Config{}).Compile(); err == nil || !strings.HasPrefix(err.Error(), "an empty match") {
		t.Errorf("an empty match: %v", err)
	}
}

// Values of Go's own types are told by their types, and texts of them are texts.
func TestTypesOfGo(t *testing.T) {
	type word string
	one := 1
	_, err := match.Config{
		Kind: trace.SpanKindServer, Status: []codes.Code{codes.Error}, Scope: &one,
		Attributes: object{"pointer": &one, "array": [1]int{1}, "key": attribute.Int("a", 1), "glob": object{"glob": time.Second}},
	}.Compile()
	want := `kind: want a string or a list of them, not server (a trace.SpanKind)
scope: want a string or a list of them, not a *int
status[0]: want a string, not Error (a codes.Code)
attributes.array: want a string, a number or a boolean, not a [1]int
attributes.glob.glob: want a string, not 1s (a time.Duration)
attributes.key: want a string, a number or a boolean, not a attribute.KeyValue
attributes.pointer: want a string, a number or a boolean, not a *int`
	if diff := cmp.Diff(want, fmt.Sprint(err)); diff != "" {
		t.Error(diff)
	}
	m := compile(t, match.Config{Kind: []word{"client", "server"}, Scope: word("net/*"), Attributes: object{"a": word("x"), "b": object{"regex": word("^y")}}})
	s := match.Span{Kind: trace.SpanKindServer, Scope: "net/http", Attributes: []attribute.KeyValue{attribute.String("a", "x"), attribute.String("b", "yes")}}
	if !starts(m, s) {
		t.Error("it does not match")
	}
}

// Of a list, so much is looked at as costs little.
func TestLongLists(t *testing.T) {
	m := compile(t, attributes("list", object{"glob": "*bot*"}))
	list := func(n int, text string) match.Span {
		var texts []string
		var values []attribute.Value
		for range n {
			texts, values = append(texts, text), append(values, attribute.SliceValue(attribute.StringValue(text)))
		}
		texts, values = append(texts, "robot"), append(values, attribute.StringValue("robot"))
		return match.Span{Attributes: []attribute.KeyValue{attribute.StringSlice("other", texts), attribute.Slice("list", values...), attribute.StringSlice("list", texts)}}
	}
	for _, tt := range []struct {
		n    int
		text string
		want bool
	}{
		{500, "bo", true},
		{2, strings.Repeat("bo", match.MaxText), true},
		{2000, "", false},
		{5, strings.Repeat("bo", match.MaxText), false},
	} {
		s := list(tt.n, tt.text)
		if got := starts(m, s); got != tt.want {
			t.Errorf("after %d elements of %d bytes: %v", tt.n, len(tt.text), got)
		}
		s.Attributes = s.Attributes[:2] // the list of lists
		if got := starts(m, s); got != tt.want {
			t.Errorf("after %d lists of %d bytes: %v", tt.n, len(tt.text), got)
		}
	}
}
