package redact_test

import (
	"fmt"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/riffletrace/riffle/core/delivery/redact"
)

// ten are rules as an operator would write them.
func ten(t testing.TB) *redact.Redactor {
	return compile(t,
		redact.Rule{Presets: []string{"emails", "bearer_tokens", "credit_cards", "url_credentials"}},
		redact.Rule{Keys: []string{"enduser.*", "session.id"}, Action: redact.SHA256},
		redact.Rule{Keys: []string{"http.request.header.*"}, Action: redact.Drop},
		redact.Rule{Keys: []string{"*password*", "*secret*", "*token*"}},
		redact.Rule{Value: `\b\d{3}-\d{2}-\d{4}\b`},
		redact.Rule{Value: `(?i)(api[_-]?key|password)=[^&\s]+`},
		redact.Rule{Value: `eyJ[\w-]+\.[\w-]+\.[\w-]+`},
	)
}

// usual is a server's span: 8 attributes, one event, nothing to hide.
func usual() sdktrace.ReadOnlySpan {
	return tracetest.SpanStub{
		Name: "GET /products/{id}",
		Attributes: []attribute.KeyValue{
			attribute.String("http.request.method", "GET"), attribute.String("url.path", "/products/1234"),
			attribute.String("http.route", "/products/{id}"), attribute.Int("http.response.status_code", 200),
			attribute.String("server.address", "shop.example.com"), attribute.Int("server.port", 443),
			attribute.String("user_agent.original", "Mozilla/5.0 (X11; Linux x86_64)"), attribute.String("network.protocol.version", "1.1"),
		},
		Events:   []sdktrace.Event{{Name: "cache miss", Attributes: []attribute.KeyValue{attribute.String("cache.key", "product:1234")}}},
		Status:   sdktrace.Status{Code: codes.Unset},
		Resource: resource.NewSchemaless(attribute.String("service.name", "shop"), attribute.String("host.name", "shop-1")),
	}.Snapshot()
}

func BenchmarkSpan(b *testing.B) {
	r := ten(b)
	secret := stub().Snapshot()
	for name, s := range map[string]sdktrace.ReadOnlySpan{"rules=10/match=false": usual(), "rules=10/match=true": secret} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r.Span(s)
			}
		})
	}
}

// hostile are texts that look like much and are nothing.
var hostile = []string{"the quick brown fox, ", "%2541", "4111-", "4111111111111111 ", "x", "bearer ", "a@", "://a", "%40a+", "eyJ.", "password="}

// long is a span with one value, cut or not.
func long(unit string, length int, marker string) sdktrace.ReadOnlySpan {
	return tracetest.SpanStub{Attributes: []attribute.KeyValue{
		attribute.String("user_agent.original", strings.Repeat(unit, length/len(unit))+marker),
	}}.Snapshot()
}

func BenchmarkLong(b *testing.B) {
	r := compileCut(b, redact.Cut{Marker: marker}, cutRules...)
	for _, unit := range hostile {
		for _, end := range []string{"", marker} {
			s := long(unit, 16<<10, end)
			b.Run(fmt.Sprintf("unit=%s/cut=%t", strings.TrimSpace(unit), end != ""), func(b *testing.B) {
				for b.Loop() {
					r.Span(s)
				}
			})
		}
	}
}
