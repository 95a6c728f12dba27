package record

import (
	"context"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/sampling"
	"github.com/riffletrace/riffle/internal/bound"
)

// Whatever the application passes on of a client, no name and no value holds more than
// the limit, samplers are asked about no more, and nothing keeps the whole alive.
func TestTextIsBounded(t *testing.T) {
	const limit = 1000
	long := strings.Repeat("世", 1<<16)
	list := slices.Repeat([]string{"abc"}, 1<<12)
	values := []attribute.KeyValue{
		attribute.String("string", long),
		attribute.String(long, "key"),
		attribute.StringSlice("strings", []string{"first", long, "last"}),
		attribute.StringSlice("many strings", list),
		attribute.Int64Slice("numbers", make([]int64, 1<<12)),
		attribute.Float64Slice("floats", make([]float64, 1<<12)),
		attribute.BoolSlice("bools", make([]bool, 1<<12)),
		attribute.ByteSlice("bytes", make([]byte, 1<<12)),
		attribute.Slice("slice", attribute.Int64Value(1), attribute.SliceValue(attribute.StringValue(long)), attribute.StringValue(long)),
		attribute.Map("map", attribute.String("a", "1"), attribute.Map("b", attribute.String("c", long)), attribute.String(long, "")),
		attribute.Slice("many", slices.Repeat([]attribute.Value{attribute.MapValue(attribute.Int("x", 1))}, 1<<10)...),
	}
	var asked int
	see := startFunc(func(p sampling.StartParameters) sampling.Answer {
		asked++
		checkBounded(t, limit, "a sampler's name", attribute.String("", p.Name))
		for _, kv := range p.Attributes {
			checkBounded(t, limit, "a sampler's attribute", kv)
		}
		return sampling.At(sampling.Always)
	})
	r := newRecorder(t, Config{MaxText: limit}, see, onError)
	ctx, root := r.tracer.Start(context.Background(), long, trace.WithAttributes(values...))
	child := r.start(ctx, long, trace.WithAttributes(values...), trace.WithLinks(trace.Link{
		SpanContext: remoteParent(t, 0, ""), Attributes: values,
	}))
	child.SetAttributes(attribute.String("set", long))
	child.SetAttributes(values...)
	child.SetName(long)
	child.SetStatus(codes.Error, long)
	child.AddEvent(long, trace.WithAttributes(values...))
	child.AddLink(trace.Link{SpanContext: remoteParent(t, 0, ""), Attributes: values})
	child.End()
	root.End()
	if asked == 0 || len(r.spans()) != 2 {
		t.Fatalf("%d spans were delivered, samplers asked about %d", len(r.spans()), asked)
	}
	for _, s := range r.spans() {
		all := append(s.Attributes(), attribute.String("name", s.Name()), attribute.String("status", s.Status().Description))
		for _, e := range s.Events() {
			all = append(append(all, attribute.String("event", e.Name)), e.Attributes...)
		}
		for _, l := range s.Links() {
			all = append(all, l.Attributes...)
		}
		cut := 0
		for _, kv := range all {
			checkBounded(t, limit, "what is recorded", kv)
			if strings.Contains(string(kv.Key)+kv.Value.String(), bound.Marker) {
				cut++
			}
		}
		if cut < 7 {
			t.Errorf("%d of %d texts end in the marker", cut, len(all))
		}
	}
	for _, kv := range values { // which are the application's
		if strings.Contains(kv.Value.String(), bound.Marker) {
			t.Errorf("%.20s was changed", kv.Key)
		}
	}
}

func checkBounded(t *testing.T, limit int64, what string, kv attribute.KeyValue) {
	t.Helper()
	if n := bound.ValueBytes(kv.Value); n > limit+200 {
		t.Errorf("%s, %.20s: a value of %d bytes, want at most %d", what, kv.Key, n, limit)
	}
	if n := len(kv.Key); int64(n) > limit {
		t.Errorf("%s: a key of %d bytes, want at most %d", what, n, limit)
	}
	if !utf8.ValidString(string(kv.Key)) || kv.Value.Type() == attribute.STRING && !utf8.ValidString(kv.Value.AsString()) {
		t.Errorf("%s, %.20s is cut within a character", what, kv.Key)
	}
}
