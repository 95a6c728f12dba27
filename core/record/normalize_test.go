package record_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/record"
)

// The SDK is asked what becomes of an attribute: it is set, and read back.

func stock(depth, length int) *sdktrace.TracerProvider {
	limits := sdktrace.NewSpanLimits()
	limits.AttributeValueDepthLimit, limits.AttributeValueLengthLimit = depth, length
	limits.AttributePerEventCountLimit, limits.AttributePerLinkCountLimit = -1, -1
	return sdktrace.NewTracerProvider(sdktrace.WithRawSpanLimits(limits))
}

func stockSpan(depth, length int, opts ...trace.TracerOption) sdktrace.ReadWriteSpan {
	_, span := stock(depth, length).Tracer("test", opts...).Start(context.Background(), "span")
	return span.(sdktrace.ReadWriteSpan)
}

func stockAttribute(kv attribute.KeyValue, depth, length int) attribute.KeyValue {
	span := stockSpan(depth, length)
	span.SetAttributes(kv)
	return span.Attributes()[0]
}

func stockSet(set attribute.Set, depth int) attribute.Set {
	span := stockSpan(depth, -1, trace.WithInstrumentationAttributeSet(set))
	return span.InstrumentationScope().Attributes
}

// checkAttribute compares a span's attribute with the SDK's.
func checkAttribute(t *testing.T, kv attribute.KeyValue, depth, length int) {
	t.Helper()
	got, want := record.NormalizeAttribute(kv, depth, length), stockAttribute(kv, depth, length)
	if !sameValue(got.Value, want.Value) || got.Key != want.Key {
		t.Errorf("depth %d, length %d: %s becomes\n%s, the SDK's\n%s",
			depth, length, show(kv.Value), show(got.Value), show(want.Value))
	}
}

// checkAttributes compares the attributes of an event, a link and a scope.
func checkAttributes(t *testing.T, kvs []attribute.KeyValue, depth int) {
	t.Helper()
	before := slices.Clone(kvs)
	got := record.NormalizeAttributes(kvs, depth)

	span := stockSpan(depth, -1)
	span.AddEvent("event", trace.WithAttributes(kvs...))
	span.AddLink(trace.Link{Attributes: kvs})
	event := span.Events()[0].Attributes
	if !slices.EqualFunc(got, event, sameAttribute) {
		t.Errorf("depth %d: %s becomes\n%s, the event's\n%s", depth, showAll(kvs), showAll(got), showAll(event))
	}
	if len(kvs) > 0 { // or the SDK leaves out the link
		link := span.Links()[0].Attributes
		if !slices.EqualFunc(got, link, sameAttribute) {
			t.Errorf("depth %d: %s becomes\n%s, the link's\n%s", depth, showAll(kvs), showAll(got), showAll(link))
		}
		if same, stockSame := &got[0] == &kvs[0], &link[0] == &kvs[0]; same != stockSame {
			t.Errorf("depth %d: %s is returned as it is: %t, by the SDK: %t", depth, showAll(kvs), same, stockSame)
		}
	}
	if !slices.EqualFunc(before, kvs, sameAttribute) {
		t.Errorf("depth %d: the argument %s was changed to %s", depth, showAll(before), showAll(kvs))
	}

	set := attribute.NewSet(slices.Clone(kvs)...)
	gotSet, wantSet := record.NormalizeSet(set, depth), stockSet(set, depth)
	if !slices.EqualFunc(gotSet.ToSlice(), wantSet.ToSlice(), sameAttribute) {
		t.Errorf("depth %d: %s becomes\n%s, the scope's\n%s",
			depth, showAll(set.ToSlice()), showAll(gotSet.ToSlice()), showAll(wantSet.ToSlice()))
	}
}

// The values of the rules; random ones may take long to find them all.
func TestNormalizeRules(t *testing.T) {
	nested := func(n int) attribute.Value {
		v := attribute.StringValue("leaf")
		for range n {
			v = attribute.SliceValue(attribute.MapValue(attribute.KeyValue{Key: "k", Value: v}), attribute.BoolValue(true))
		}
		return v
	}
	values := []attribute.Value{
		attribute.MapValue(attribute.Int("b", 1), attribute.Int("a", 1), attribute.Int("b", 2)),
		attribute.MapValue(attribute.Int("a", 1), attribute.Int("a", 2)),
		attribute.MapValue(attribute.Int("a", 1), attribute.Map("b", attribute.Int("c", 1), attribute.Int("c", 2))),
		attribute.MapValue(attribute.Int("", 1), attribute.Int("", 2), attribute.String("c", "abcdef")),
		attribute.SliceValue(attribute.MapValue(attribute.Int("a", 1), attribute.Int("a", 2)), attribute.StringValue("é")),
		attribute.SliceValue(attribute.SliceValue(), attribute.MapValue(), attribute.StringSliceValue(nil)),
		attribute.SliceValue(attribute.BoolSliceValue([]bool{true}), attribute.Int64SliceValue([]int64{1}),
			attribute.Float64SliceValue([]float64{1}), attribute.StringSliceValue([]string{"a"}), attribute.ByteSliceValue([]byte{1})),
		attribute.SliceValue(), attribute.MapValue(),
		{},
		attribute.SliceValue(attribute.Value{}, attribute.StringValue(strings.Repeat("ab\xff", 9))),
		attribute.BoolSliceValue(nil), attribute.StringSliceValue([]string{"a", "abcdef", "ab\xffcdef"}),
		nested(1), nested(2), nested(33), nested(70),
	}
	for _, s := range texts {
		values = append(values, attribute.StringValue(s), attribute.ByteSliceValue([]byte(s)),
			attribute.StringSliceValue([]string{"a", s, "", s}), attribute.SliceValue(attribute.StringValue(s)))
	}
	for _, depth := range []int{-1, 1, 2, 3, 64} {
		for _, v := range values {
			for _, length := range []int{-1, 0, 1, 2, 3, 5, 6, 100} {
				checkAttribute(t, attribute.KeyValue{Key: "k", Value: v}, depth, length)
			}
			checkAttributes(t, []attribute.KeyValue{attribute.Int("a", 1), {Key: "k", Value: v}, {Key: "k", Value: v}, {}}, depth)
		}
		checkAttributes(t, nil, depth)
	}
}

// A depth of 0 is 64 for the SDK's provider, so it cannot be asked.
func TestNormalizeDepthZero(t *testing.T) {
	list := attribute.StringSlice("list", []string{"a"})
	nested := attribute.Slice("nested")
	text := attribute.String("text", "a")
	empty := attribute.KeyValue{Key: "nested"}
	for _, tt := range []struct{ kv, want attribute.KeyValue }{{list, list}, {nested, empty}, {text, text}} {
		if got := record.NormalizeAttribute(tt.kv, 0, -1); !sameAttribute(got, tt.want) {
			t.Errorf("%s becomes %s, not %s", tt.kv, got, tt.want)
		}
	}
	got := record.NormalizeAttributes([]attribute.KeyValue{list, nested, text}, 0)
	if want := []attribute.KeyValue{{Key: "list"}, empty, text}; !slices.EqualFunc(got, want, sameAttribute) {
		t.Errorf("the attributes of an event become %s, not %s", showAll(got), showAll(want))
	}
}

func checkNormalize(t *testing.T, c choices) {
	t.Helper()
	depth, length := one(c, []int{-1, 1, 2, 3, 64}), one(c, []int{-1, 0, 1, 2, 5})
	checkAttribute(t, attribute.KeyValue{Key: "k", Value: value(c, 5)}, depth, length)
	checkAttributes(t, attributes(c, 5, 5), depth)
}

func TestNormalizeRandom(t *testing.T) {
	n := 20_000
	if raceDetector || testing.Short() {
		n = 2_000
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range n {
		if checkNormalize(t, r); t.Failed() {
			return
		}
	}
}

func FuzzNormalize(f *testing.F) {
	f.Add([]byte("\x01\x04\x0f\x07\x00\x0e\x03\x04\x0b\x00\x04\x0c\x07\x03\x00\x0f\x03\x01\x02\x03"), "ab\xffcdef", 3)
	f.Add([]byte("\x02\x03\x0e\x04\x0f\x02\x00\x0b\x04\x01\x02\x03\x0e\x01"), "日本語の文字列", 5)
	f.Fuzz(func(t *testing.T, data []byte, s string, length int) {
		checkNormalize(t, (*fuzzed)(&data))
		length = max(length, -1)
		checkAttribute(t, attribute.String("k", s), 1, length)
		checkAttribute(t, attribute.StringSlice("k", []string{"", s, s}), 1, length)
		checkAttribute(t, attribute.Slice("k", attribute.StringValue(s), attribute.ByteSliceValue([]byte(s))), 1, length)
	})
}

// A span that waits holds what it needs of a large string, and no more.
func TestNormalizeCopiesWhatItCuts(t *testing.T) {
	big := strings.Repeat("x", 1<<20)
	got := record.NormalizeAttribute(attribute.String("k", big), -1, 10).Value.AsString()
	if got != big[:10] {
		t.Fatalf("got %q", got)
	}
	if unsafe.StringData(got) == unsafe.StringData(big) {
		t.Error("the first ten characters hold a megabyte")
	}
}

// common is what nearly all attributes are: nothing of them changes.
var common = []attribute.KeyValue{
	attribute.String("http.request.method", "GET"),
	attribute.String("url.path", "/api/orders/42"),
	attribute.Int("http.response.status_code", 200),
	attribute.Float64("ratio", 0.5),
	attribute.Bool("cached", true),
	attribute.Int64Slice("ids", []int64{1, 2, 3}),
}

func TestNormalizeAllocations(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector allocates; CI runs this without it")
	}
	set := attribute.NewSet(slices.Clone(common)...)
	for _, length := range []int{-1, 100} {
		for _, tt := range []struct {
			name string
			do   func()
		}{
			{"span", func() {
				for _, kv := range common {
					sinkAttribute = record.NormalizeAttribute(kv, 64, length)
				}
			}},
			{"event", func() { sinkAttributes = record.NormalizeAttributes(common, 64) }},
			{"scope", func() { sinkSet = record.NormalizeSet(set, 64) }},
		} {
			if n := testing.AllocsPerRun(100, tt.do); n != 0 {
				t.Errorf("%s, length %d: %g allocations", tt.name, length, n)
			}
		}
	}
}

var (
	sinkAttribute  attribute.KeyValue
	sinkAttributes []attribute.KeyValue
	sinkSet        attribute.Set
)

func BenchmarkNormalize(b *testing.B) {
	nested := attribute.Map("k", attribute.String("a", "abcdef"), attribute.Slice("b", attribute.IntValue(1)))
	for _, bb := range []struct {
		name   string
		kv     attribute.KeyValue
		length int
	}{
		{"of=string/length=-1", common[0], -1},
		{"of=string/length=100", common[0], 100},
		{"of=string/length=2", common[0], 2},
		{"of=int/length=100", common[2], 100},
		{"of=map/length=-1", nested, -1},
		{"of=map/length=2", nested, 2},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				sinkAttribute = record.NormalizeAttribute(bb.kv, 64, bb.length)
			}
		})
	}
	b.Run("of=event", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			sinkAttributes = record.NormalizeAttributes(common, 64)
		}
	})
	set := attribute.NewSet(slices.Clone(common)...)
	b.Run("of=scope", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			sinkSet = record.NormalizeSet(set, 64)
		}
	})
}
