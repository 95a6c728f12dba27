package redact_test

import (
	"net/url"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/riffletrace/riffle/core/delivery/redact"
)

const marker = "...[truncated]"

func compileCut(t testing.TB, cut redact.Cut, rules ...redact.Rule) *redact.Redactor {
	t.Helper()
	r, err := redact.New(cut, &redact.Config{Salt: "pepper and salt", Rules: rules})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// cuts are texts that were cut, and what is left of them.
var cuts = []struct{ text, want string }{
	{"postgres://admin:hunter2secretpa", "postgres://***"},
	{"postgres://admin", "postgres://***"},
	{"dial postgres://u:p@h, redis://x:y", "dial postgres://***@h, redis://***"},
	{"https://example.com/path of", "https://example.com/path ***"}, // "of" can be of an email
	{"https://example.com/path, ", "https://example.com/path, "},
	{"mail to alice@exam", "mail to ***"},
	{"mail to alice@", "mail to ***"},
	{"mail to ali", "mail to ***"},
	{"authorization: Bearer%20eyJhbGci/", "authorization: Bearer%20***"},
	{"email=alice%40exa", "email=***"},
	{"email=alice%40", "email=***"},
	{"email=alice%4", "email=***"},
	{"email=alice%", "email=***"},
	{"a@b.example.com@", "***"},
	{"Bearer eyJhbGci", "Bearer ***"},
	{"Bearer%20eyJhbGci", "***"}, // which can be of an email,
	{"card 4111 1111 1111 11", "card ***"},
	{"card 4111 1111 1111 ", "card ***"},
	{"card 4111%201111%2011", "card ***"},
	{"card 4111 1111 1111 1111", "card ***"},
	{"ssn 078-05-1", "ssn ***"},
	{"x=1&PassWord=hunt", "x=1&***"},
	{"x=1&Passw", "x=1&***"},
	{"x=1&password%3Dhunt", "x=1&***"},
	{"token: eyJhbGci.eyJz", "token: ***"},
	{"by bob@example.com. ", "by ***. "},
	{"nothing. ", "nothing. "},
	{"", ""},
}

var cutRules = []redact.Rule{
	all, {Value: `\b\d{3}-\d{2}-\d{4}\b`}, {Value: `(?i)(api[_-]?key|password)=[^&\s]+`}, {Value: `eyJ[\w-]+\.[\w-]+\.[\w-]+`},
}

func value(r *redact.Redactor, v attribute.Value) attribute.Value {
	s := tracetest.SpanStub{Attributes: []attribute.KeyValue{{Key: "key", Value: v}}}
	return r.Span(s.Snapshot()).Attributes()[0].Value
}

// A value that was cut counts as one that goes on.
func TestCutValues(t *testing.T) {
	for _, tt := range cuts {
		whole := compileCut(t, redact.Cut{Length: 1000, Marker: marker}, cutRules...)
		marked := tt.text + marker
		if got := value(whole, attribute.StringValue(marked)).AsString(); got != tt.want+marker {
			t.Errorf("%q became %q", marked, got)
		}
		if got := name(whole, marked); got != tt.want+marker {
			t.Errorf("the name %q became %q", marked, got)
		}
		if got := value(whole, attribute.ByteSliceValue([]byte(marked))).AsByteSlice(); string(got) != tt.want+marker {
			t.Errorf("bytes of %q became %q", marked, got)
		}
		if got := value(whole, attribute.StringSliceValue([]string{"a", marked})).AsStringSlice()[1]; got != tt.want+marker {
			t.Errorf("a list of %q became %q", marked, got)
		}
		if tt.text == "" {
			continue
		}
		text := "é" + tt.text // characters count, not bytes
		byLength := compileCut(t, redact.Cut{Length: len(tt.text) + 1}, cutRules...)
		if got := value(byLength, attribute.StringValue(text)).AsString(); got != "é"+tt.want && got != tt.want {
			t.Errorf("%q of %d characters became %q", text, len(tt.text)+1, got)
		}
		if got := value(byLength, attribute.MapValue(attribute.String("a", text))).AsMap()[0].Value.AsString(); got != "é"+tt.want && got != tt.want {
			t.Errorf("a map of %q became %q", text, got)
		}
	}
}

// A value that is whole stays.
func TestWholeValues(t *testing.T) {
	r := compileCut(t, redact.Cut{Length: 100, Marker: marker}, cutRules...)
	for _, text := range []string{
		"postgres://admin:hunter2secretpa", "mail to ali", "card 4111 1111 1111 11", strings.Repeat("x", 99), strings.Repeat("x", 101),
		"...[truncated] x", "f(x)", "[truncated]",
	} {
		if got := name(r, text); got != text {
			t.Errorf("%q became %q", text, got)
		}
	}
}

// What an earlier rule or configuration has made shorter was still cut.
func TestCutBeforeEarlierRules(t *testing.T) {
	text := "bob@example.com, postgres://admin:hunter2"
	first := &redact.Config{Rules: []redact.Rule{{Presets: []string{"emails"}}}}
	second := &redact.Config{Salt: "pepper and salt", Rules: []redact.Rule{{Presets: []string{"url_credentials"}, Action: redact.SHA256}}}
	r, err := redact.New(redact.Cut{Length: len(text)}, first, nil, second)
	if err != nil {
		t.Fatal(err)
	}
	got := value(r, attribute.StringValue(text)).AsString()
	if strings.Contains(got, "admin") || !strings.HasPrefix(got, "***, postgres://") {
		t.Errorf("%q", got)
	}
}

// Of a rule whose beginnings cannot be told, nothing of a cut value stays.
func TestTooLargeForBeginnings(t *testing.T) {
	r := compileCut(t, redact.Cut{Marker: marker}, redact.Rule{Value: strings.Repeat(`(?:[a-z]{100}|[0-9]{100}){9}`, 10)})
	if got := name(r, "whatever"+marker); got != "***"+marker {
		t.Errorf("%q", got)
	}
}

// The SDK's own cut is recognized, whatever it cuts.
func TestCutByTheSDK(t *testing.T) {
	const limit = 32
	limits := sdktrace.NewSpanLimits()
	limits.AttributeValueLengthLimit = limit
	exporter := tracetest.NewInMemoryExporter()
	p := sdktrace.NewTracerProvider(sdktrace.WithRawSpanLimits(limits), sdktrace.WithSyncer(exporter))
	_, span := p.Tracer("test").Start(t.Context(), "cut")
	long := "postgres://administrator:hunter2secretpassword@db/shop"
	span.SetAttributes(
		attribute.String("text", long), attribute.StringSlice("list", []string{long}), attribute.ByteSlice("bytes", []byte(long)),
		attribute.Slice("values", attribute.StringValue(long)), attribute.Map("map", attribute.String("a", long)),
		attribute.String("characters", "pässwörd äöüäöü "+long),
	)
	span.End()
	r := compileCut(t, redact.Cut{Length: limit}, all)
	for _, kv := range r.Span(exporter.GetSpans().Snapshots()[0]).Attributes() {
		if text := kv.Value.String(); strings.Contains(text, "admin") {
			t.Errorf("%s is %s", kv.Key, text)
		}
	}
}

// Of what is hidden where a text is whole, nothing shows where it is cut.
func FuzzCut(f *testing.F) {
	secrets := []string{"aliceqz@example.com", "postgres://adminqz:hunter2qz@db", "bearer eyJqzqz", "4111 1111 1111 1111", "password=hunter2qz", "078-05-1120"}
	for i := range secrets {
		f.Add("by bob@example.com, ", uint8(i), uint8(9), false)
		f.Add("a=%20", uint8(i), uint8(14), true)
	}
	r := compileCut(f, redact.Cut{Marker: marker}, cutRules...)
	f.Fuzz(func(t *testing.T, before string, which, n uint8, encode bool) {
		secret := secrets[int(which)%len(secrets)]
		shown := func(text string) string {
			text, _ = strings.CutSuffix(text, marker)
			for range 3 {
				decoded, err := url.QueryUnescape(text)
				if err != nil {
					return text
				}
				text = decoded
			}
			return text
		}
		part := secret[:min(int(n), len(secret))]
		if encode {
			secret, part = url.QueryEscape(secret), url.QueryEscape(part)
		}
		if len(part) < 12 || strings.Contains(before, "://") || strings.HasSuffix(part, "%") {
			return
		}
		hidden := shown(part)[10:] // what stands before it is no secret of all of them
		if whole := shown(name(r, before+secret)); len(hidden) < 2 || strings.Contains(whole, hidden) || strings.Contains(before, hidden) {
			return
		}
		if got := name(r, before+part+marker); strings.Contains(shown(got), hidden) {
			t.Errorf("%q became %q", before+part, got)
		}
	})
}

// No number is cut, however many digits it has.
func TestNumbersAreWhole(t *testing.T) {
	r := compileCut(t, redact.Cut{Length: 5}, cutRules...)
	got := value(r, attribute.SliceValue(attribute.StringValue("a@b.example"), attribute.IntValue(41111))).AsSlice()
	if len(got) != 2 || got[1].Type() != attribute.INT64 || got[1].AsInt64() != 41111 {
		t.Errorf("%v", got)
	}
}

// An escape that was cut is no end of what stands before it.
func TestCutEscapes(t *testing.T) {
	r := compileCut(t, redact.Cut{Marker: marker}, redact.Rule{Presets: []string{"credit_cards"}})
	for _, escape := range []string{"%", "%2", "%25", "%252"} {
		if got := name(r, "card 4111-1111-1111"+escape+marker); got != "card ***"+marker {
			t.Errorf("%q was cut: %q", escape, got)
		}
	}
}
