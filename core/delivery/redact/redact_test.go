package redact_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/delivery/redact"
)

func compile(t testing.TB, rules ...redact.Rule) *redact.Redactor {
	t.Helper()
	c := redact.Config{Salt: "pepper and salt", Rules: rules}
	r, err := c.Compile()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

var all = redact.Rule{Presets: []string{"emails", "bearer_tokens", "credit_cards", "url_credentials"}}

// name redacts a text as the name of a span.
func name(r *redact.Redactor, text string) string {
	return r.Span(tracetest.SpanStub{Name: text}.Snapshot()).Name()
}

func TestPresets(t *testing.T) {
	tests := []struct{ preset, text, want string }{
		{"emails", "bob@example.com", "***"},
		{"emails", "to: bob.o'neil+x@mail.example.co.uk, cc", "to: bob.o'***, cc"},
		{"emails", "<jürgen@exämple.de>", "<***>"},
		{"emails", "a@b.c and d@e.f", "*** and ***"},
		{"emails", "mention @bob, bob@localhost, a@.b, @, a@b", "mention @bob, bob@localhost, a@.b, @, a@b"},
		{"emails", "bob@example.com.", "***."},
		{"emails", "GET /users/bob@example.com/orders", "GET /users/***/orders"},
		{"emails", "a@@b.example.com@c.com", "a@@***"},

		{"bearer_tokens", "Bearer eyJhbGciOi.eyJzdWIi.SflKxw-_", "Bearer ***"},
		{"bearer_tokens", "authorization: bearer  abc123==, x", "authorization: bearer  ***, x"},
		{"bearer_tokens", "the bearer of bad news", "the bearer *** bad news"},
		{"bearer_tokens", "forbearer abc, bearer: abc, bearer", "forbearer abc, bearer: abc, bearer"},

		{"credit_cards", "4111111111111111", "***"},
		{"credit_cards", "card 4111 1111 1111 1111 expires 12/29", "card *** expires 12/29"},
		{"credit_cards", "378282246310005, 5555-5555-5555-4444, 6011111111111117", "***, ***, ***"},
		{"credit_cards", "200 4111 1111 1111 1111 200", "200 *** 200"},
		{"credit_cards", "4111111111111112 a4111111111111111 41111111111111110000", "4111111111111112 a4111111111111111 41111111111111110000"},
		{"credit_cards", "4bf92f3577b34da6a3ce929d0e0e4736 1767366245000000000", "4bf92f3577b34da6a3ce929d0e0e4736 1767366245000000000"},
		{"credit_cards", "41111111 11111111", "***"},
		{"credit_cards", "4111  1111  1111  1111", "4111  1111  1111  1111"},

		{"url_credentials", "postgres://bob:secret@db:5432/shop", "postgres://***@db:5432/shop"},
		{"url_credentials", "dial amqp://u:p@ss@mq, redis://:x@r/0", "dial amqp://***@mq, redis://***@r/0"},
		{"url_credentials", "https://example.com/a@b http://h?x=a@b", "https://example.com/a@b http://h?x=a@b"},
		{"url_credentials", "https://token@github.com", "https://***@github.com"},
	}
	for _, tt := range tests {
		r := compile(t, redact.Rule{Presets: []string{tt.preset}})
		if got := name(r, tt.text); got != tt.want {
			t.Errorf("%s: %q became %q, want %q", tt.preset, tt.text, got, tt.want)
		}
	}
}

func TestActions(t *testing.T) {
	attrs := []attribute.KeyValue{
		attribute.String("user.id", "bob"), attribute.Int("user.age", 42), attribute.String("note", "id 7731 of bob"),
		attribute.StringSlice("notes", []string{"nothing", "id 7731"}), attribute.Int64("card", 4111111111111111),
		attribute.Int64Slice("cards", []int64{1, 4111111111111111}), attribute.Bool("ok", true),
		attribute.Map("nested", attribute.String("user.id", "bob"), attribute.String("note", "id 7731"),
			attribute.Slice("list", attribute.MapValue(attribute.String("user.id", "bob"), attribute.Int("n", 1)))),
	}
	rules := func(a redact.Action) []redact.Rule {
		return []redact.Rule{
			{Keys: []string{"user.*"}, Action: a},
			{Value: `\b\d{4}\b`, Action: a},
			{Presets: []string{"credit_cards"}, Action: a},
		}
	}
	hash := func(text string) string {
		r := compile(t, redact.Rule{Value: ".+", Action: redact.SHA256})
		h := name(r, text)
		if len(h) != 64 || h == text {
			t.Errorf("%q is hashed to %q", text, h)
		}
		return h
	}
	nested := func(id, note string) attribute.KeyValue {
		return attribute.Map("nested", attribute.String("user.id", id), attribute.String("note", note),
			attribute.Slice("list", attribute.MapValue(attribute.String("user.id", id), attribute.Int("n", 1))))
	}
	tests := map[redact.Action][]attribute.KeyValue{
		redact.Mask: {
			attribute.String("user.id", "***"), attribute.String("user.age", "***"), attribute.String("note", "id *** of bob"),
			attribute.StringSlice("notes", []string{"nothing", "id ***"}), attribute.String("card", "***"),
			attribute.StringSlice("cards", []string{"1", "***"}), attribute.Bool("ok", true), nested("***", "id ***"),
		},
		redact.Drop: {
			attribute.Bool("ok", true),
			attribute.Map("nested", attribute.Slice("list", attribute.MapValue(attribute.Int("n", 1)))),
		},
		redact.SHA256: {
			attribute.String("user.id", hash("bob")), attribute.String("user.age", hash("42")), attribute.String("note", "id "+hash("7731")+" of bob"),
			attribute.StringSlice("notes", []string{"nothing", "id " + hash("7731")}), attribute.String("card", hash("4111111111111111")),
			attribute.StringSlice("cards", []string{"1", hash("4111111111111111")}), attribute.Bool("ok", true), nested(hash("bob"), "id "+hash("7731")),
		},
	}
	for action, want := range tests {
		s := tracetest.SpanStub{Name: "a 7731 b", Attributes: attrs}.Snapshot()
		got := compile(t, rules(action)...).Span(s)
		if diff := cmp.Diff(want, got.Attributes(), cmp.AllowUnexported(attribute.Value{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", action, diff)
		}
		wantName := map[redact.Action]string{redact.Mask: "a *** b", redact.Drop: "a  b", redact.SHA256: "a " + hash("7731") + " b"}
		if got.Name() != wantName[action] {
			t.Errorf("%s: %q", action, got.Name())
		}
	}
	if hash("bob") == hash("alice") {
		t.Error("two texts have one hash")
	}
	other := redact.Config{Salt: "another salt", Rules: []redact.Rule{{Value: ".+", Action: redact.SHA256}}}
	r, err := other.Compile()
	if err != nil {
		t.Fatal(err)
	}
	if name(r, "bob") == hash("bob") {
		t.Error("the salt makes no difference")
	}
}

// secret stands everywhere where a span can have text.
const secret = "bob@example.com"

func stub() tracetest.SpanStub {
	kv := func(key string) []attribute.KeyValue {
		return []attribute.KeyValue{attribute.Int("n", 1), attribute.String(key, "by "+secret)}
	}
	return tracetest.SpanStub{
		Name:       "mail " + secret,
		Attributes: kv("span.to"),
		Events:     []sdktrace.Event{{Name: "sent to " + secret, Time: time.Unix(1, 0), Attributes: kv("event.to")}, {Name: "nothing"}},
		Links:      []sdktrace.Link{{Attributes: kv("link.to")}},
		Status:     sdktrace.Status{Code: codes.Error, Description: "no such user: " + secret},
		Resource:   resource.NewSchemaless(kv("resource.to")...),
		InstrumentationScope: instrumentation.Scope{
			Name: "scope", Attributes: attribute.NewSet(kv("scope.to")...),
		},
		SpanContext: trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}}),
	}
}

// same tells whether a span is not wrapped.
func same(a, b sdktrace.ReadOnlySpan) bool { return fmt.Sprintf("%T", a) == fmt.Sprintf("%T", b) }

// A secret is found wherever it is, and wherever it is alone.
func TestEverywhere(t *testing.T) {
	r := compile(t, all)
	clean := tracetest.SpanStub{Name: "clean", Attributes: []attribute.KeyValue{attribute.String("key", "value")}}
	whole := stub()
	for place, put := range map[string]func(*tracetest.SpanStub){
		"all":              func(s *tracetest.SpanStub) { *s = whole },
		"name":             func(s *tracetest.SpanStub) { s.Name = whole.Name },
		"attributes":       func(s *tracetest.SpanStub) { s.Attributes = whole.Attributes },
		"event":            func(s *tracetest.SpanStub) { s.Events = []sdktrace.Event{{Name: whole.Events[0].Name}} },
		"event attributes": func(s *tracetest.SpanStub) { s.Events = []sdktrace.Event{{Attributes: whole.Attributes}} },
		"links":            func(s *tracetest.SpanStub) { s.Links = whole.Links },
		"status":           func(s *tracetest.SpanStub) { s.Status = whole.Status },
		"resource":         func(s *tracetest.SpanStub) { s.Resource = whole.Resource },
		"scope":            func(s *tracetest.SpanStub) { s.InstrumentationScope = whole.InstrumentationScope },
	} {
		s := clean
		put(&s)
		span := s.Snapshot()
		before := tracetest.SpanStubFromReadOnlySpan(span)
		got := r.Span(span)
		text := fmt.Sprintf("%+v", tracetest.SpanStubFromReadOnlySpan(got))
		set := got.InstrumentationScope().Attributes
		text += fmt.Sprint(got.Resource(), set.ToSlice())
		if same(got, span) || strings.Contains(text, "bob") {
			t.Errorf("%s: %s", place, text)
		}
		if !strings.Contains(text, "***") {
			t.Errorf("%s: no mask in %s", place, text)
		}
		if diff := cmp.Diff(fmt.Sprint(before), fmt.Sprint(tracetest.SpanStubFromReadOnlySpan(span))); diff != "" {
			t.Errorf("%s: the span itself has changed:\n%s", place, diff)
		}
		if !got.SpanContext().Equal(span.SpanContext()) {
			t.Errorf("%s: the context has changed", place)
		}
	}
	span := clean.Snapshot()
	if !same(r.Span(span), span) {
		t.Error("a span without secrets is wrapped")
	}
}

// Rules about keys leave everything else alone.
func TestKeys(t *testing.T) {
	r := compile(t, redact.Rule{Keys: []string{"*.to"}, Presets: []string{"emails"}}, redact.Rule{Keys: []string{"event.t?"}, Action: redact.Drop})
	s := r.Span(stub().Snapshot())
	if s.Name() != stub().Name || s.Status() != stub().Status || s.Events()[0].Name != stub().Events[0].Name {
		t.Error("a rule about keys has changed a text without one")
	}
	if got := s.Attributes()[1].Value.AsString(); got != "by ***" {
		t.Errorf("%q", got)
	}
	if got := s.Events()[0].Attributes; len(got) != 1 || len(s.Events()) != 2 {
		t.Errorf("%v", got)
	}
}

// However many keys there are, a rule finds its own.
func TestManyKeys(t *testing.T) {
	r := compile(t, redact.Rule{Keys: []string{"secret.*"}})
	for range 2 {
		for i := range 20_000 {
			key, want := fmt.Sprint("public.", i), "text"
			if i%2 == 0 {
				key, want = fmt.Sprint("secret.", i), "***"
			}
			s := tracetest.SpanStub{Attributes: []attribute.KeyValue{attribute.String(key, "text")}}
			if got := r.Span(s.Snapshot()).Attributes()[0].Value.AsString(); got != want {
				t.Fatalf("%s: %q", key, got)
			}
		}
	}
}

// Each rule sees what those before have left.
func TestOrder(t *testing.T) {
	r := compile(t, redact.Rule{Value: "b+"}, redact.Rule{Value: `\*\*\*`, Action: redact.Drop})
	if got := name(r, "abbc"); got != "ac" {
		t.Errorf("%q", got)
	}
}

func TestMistakes(t *testing.T) {
	c := redact.Config{Rules: []redact.Rule{
		{}, {Value: "("}, {Value: "a*"}, {Presets: []string{"mails"}}, {Keys: []string{"a", ""}, Action: "hide"}, {Keys: []string{"a"}, Action: redact.SHA256},
	}}
	err := c.Validate()
	if err == nil {
		t.Fatal("valid")
	}
	want := "rules[0]: want one or more of keys, value, presets\n" +
		"rules[1].value: a regular expression of RE2: error parsing regexp: missing closing ): `(`\n" +
		"rules[2].value: it matches where there is nothing\n" +
		"rules[3].presets[0]: \"mails\" is not one of bearer_tokens, credit_cards, emails, url_credentials\n" +
		"rules[4].action: \"hide\" is not one of mask, sha256, drop\n" +
		"rules[4].keys[1]: an empty key matches nothing\n" +
		"salt: sha256 needs one of 8 characters or more: without it, everybody can find out what was hashed by trying"
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if r, err := new(redact.Config).Compile(); r != nil || err != nil {
		t.Errorf("no rules: %v, %v", r, err)
	}
	var none *redact.Redactor
	if s := (tracetest.SpanStub{}).Snapshot(); !same(none.Span(s), s) {
		t.Error("no redactor changes a span")
	}
}

func FuzzRedact(f *testing.F) {
	f.Add("user.id", "bob@example.com pays 4111 1111 1111 1111 at https://u:p@h/ with Bearer abc", int64(4111111111111111))
	f.Add("a", "://a@b@c.d://", int64(-1))
	r := compile(f, all, redact.Rule{Keys: []string{"user.*"}, Action: redact.SHA256}, redact.Rule{Value: `(?i)pass(word)?=\S+`})
	f.Fuzz(func(t *testing.T, key, text string, n int64) {
		s := tracetest.SpanStub{
			Name: text, Status: sdktrace.Status{Code: codes.Error, Description: text},
			Attributes: []attribute.KeyValue{
				attribute.String(key, text), attribute.Int64(key, n), attribute.StringSlice(key, []string{text, "", text}),
				attribute.Map(key, attribute.String(text, text), attribute.Slice(text, attribute.StringValue(text))),
			},
			Events: []sdktrace.Event{{Name: text, Attributes: []attribute.KeyValue{attribute.String(key, text)}}},
		}.Snapshot()
		got := r.Span(s)
		if len(got.Attributes()) != len(s.Attributes()) || len(got.Events()) != 1 {
			t.Error("masks and hashes lose nothing else")
		}
		// One pass finds everything that each preset finds.
		for _, preset := range all.Presets {
			once := compile(t, redact.Rule{Presets: []string{preset}, Action: redact.Mask})
			first := name(once, text)
			if preset == "bearer_tokens" {
				first = strings.ReplaceAll(first, "***", "\x00")
			}
			if again := name(once, first); again != first {
				t.Errorf("%s: %q became %q, then %q", preset, text, first, again)
			}
		}
	})
}
