package core_test

import (
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/samplers/ratio"
)

// What a client sends is bounded unless the configuration says otherwise.
func TestAttributeValueLength(t *testing.T) {
	const kib16 = 16 << 10
	long := strings.Repeat("x", 1<<20)
	set := func(n int) *int { return &n }
	for name, tt := range map[string]struct {
		set         *int
		variable    string
		name, value int
	}{
		"by default":         {nil, "", kib16, kib16},
		"set lower":          {set(20), "", kib16, 20},
		"set higher":         {set(100_000), "", 400_000, 100_000},
		"no limit":           {set(-1), "", len(long), len(long)},
		"in the environment": {nil, "30", kib16, 30},
	} {
		t.Run(name, func(t *testing.T) {
			if tt.variable != "" {
				t.Setenv("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", tt.variable)
			}
			b := newBench(t, core.Spec{
				Limits:   core.SpanLimits{AttributeValueLength: tt.set},
				Samplers: []core.SamplerEntry{core.UseSampler(ratio.Factory, "", ratio.Config{Rate: 1})},
			})
			_, span := b.tracer.Start(t.Context(), long, trace.WithAttributes(attribute.String("a", long)))
			span.SetAttributes(attribute.String("b", long))
			span.End()
			got := b.flushed()
			if len(got) != 1 {
				t.Fatalf("%d spans arrived, want 1", len(got))
			}
			for name, s := range got {
				if len(name) != tt.name {
					t.Errorf("a name of %d bytes, want %d", len(name), tt.name)
				}
				for _, key := range []attribute.Key{"a", "b"} {
					if n := len(attr(s, key).AsString()); n != tt.value {
						t.Errorf("%s has %d bytes, want %d", key, n, tt.value)
					}
				}
			}
		})
	}
}
