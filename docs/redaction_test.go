package docs

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/riffletrace/riffle/config"
	"github.com/riffletrace/riffle/core/delivery/redact"
)

// What docs/redaction.md shows does what it says.
func TestRedactionRecipes(t *testing.T) {
	var shown []block
	for _, b := range blocksOf(t, "docs/redaction.md") {
		if b.language == "yaml" {
			shown = append(shown, b)
		}
	}
	compile := func(b block) *redact.Redactor {
		spec, err := config.Parse([]byte(b.text), config.Environ([]string{"REDACT_SALT=of a test"}))
		if err != nil || spec.Redact == nil {
			t.Fatalf("docs/redaction.md:%d: %v", b.line, err)
		}
		r, err := spec.Redact.Compile()
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if len(shown) < 2 {
		t.Fatalf("docs/redaction.md shows %d configurations", len(shown))
	}
	for _, c := range []struct {
		of       block
		key      attribute.Key
		in, want string // want "": the attribute is gone
	}{
		{shown[0], "enduser.id", "ann", "2f554b0527090f6351331c9a0ad8088c526d3d01c63660016245debcfbea8c2d"},
		{shown[0], "note", "ask ann@example.com", "ask ***"},
		{shown[0], "http.request.header.authorization", "Bearer abc.def", "Bearer ***"},
		{shown[0], "note", "card 4111 1111 1111 1111 expired", "card *** expired"},
		{shown[0], "db.url", "postgres://app:hunter2@db/app", "postgres://***@db/app"},
		{shown[0], "http.route", "/users/{id}", "/users/{id}"},

		{shown[1], "db.query.text", "SELECT * FROM users WHERE name = 'ann' AND city = 'Bern'", "SELECT * FROM users WHERE name = *** AND city = ***"},
		{shown[1], "db.statement", "SELECT 'x'", "SELECT ***"},
		{shown[1], "note", "got eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln-x", "got ***"},
		{shown[1], "url.full", "https://api.example.com/login?user=ann&api_key=abc123&lang=de", "https://api.example.com/login?user=ann&***&lang=de"},
		{shown[1], "url.query", "Token=s3cret", "***"},
		{shown[1], "client.address", "203.0.113.7", "203.0***"},
		{shown[1], "http.request.body", `{"name":"ann"}`, ""},
		{shown[1], "exception.stacktrace", "main.go:1", ""},
		{shown[1], "http.route", "/users/{id}", "/users/{id}"},
	} {
		in := tracetest.SpanStub{Attributes: []attribute.KeyValue{c.key.String(c.in)}}.Snapshot()
		got, left := "", compile(c.of).Span(in).Attributes()
		if len(left) > 0 {
			got = left[0].Value.AsString()
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("docs/redaction.md:%d: %s = %q: -want +got:\n%s", c.of.line, c.key, c.in, diff)
		}
	}
}
