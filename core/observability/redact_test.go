package observability_test

import (
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"

	"github.com/riffletrace/riffle/core/delivery/redact"
	"github.com/riffletrace/riffle/core/observability"
	"github.com/riffletrace/riffle/core/observability/internal/spantest"
	"github.com/riffletrace/riffle/internal/bound"
)

// What a helper has cut is redacted as if it went on.
func TestRedactionOfHugeValues(t *testing.T) {
	secret := "postgres://admin:hunter2secretpassword@db/shop"
	huge := strings.Repeat(" ", observability.MaxValueLength-30) + secret
	spans := spantest.Record(t)
	ctx, span := observability.StartStorageSpan(t.Context(), "upload", "b", huge)
	observability.SetSpanAttributes(ctx, attribute.String("s", huge), attribute.StringSlice("l", []string{huge}))
	span.End()
	r, err := redact.New(redact.Cut{Marker: bound.Marker}, &redact.Config{Rules: []redact.Rule{{Presets: []string{"url_credentials"}}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, kv := range r.Span(spans.One("storage.upload").Snapshot()).Attributes() {
		if text := kv.Value.String(); strings.Contains(text, "admin") {
			t.Errorf("%s ends in %q", kv.Key, text[max(0, len(text)-60):])
		}
	}
}
