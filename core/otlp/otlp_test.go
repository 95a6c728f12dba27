package otlp_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/riffletrace/riffle/core/otlp"
	"github.com/riffletrace/riffle/internal/testspans"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fullSpan has every field set, and an attribute of every type.
func fullSpan() tracetest.SpanStub {
	state, err := trace.ParseTraceState("ot=th:fd70a4,vendor=a b")
	if err != nil {
		panic(err)
	}
	traceID := trace.TraceID{1, 2, 3, 15: 16}
	return tracetest.SpanStub{
		Name: "POST /checkout/{id}",
		SpanContext: trace.NewSpanContext(trace.SpanContextConfig{
			TraceID: traceID, SpanID: trace.SpanID{1, 7: 8}, TraceFlags: 0x03, TraceState: state,
		}),
		Parent:    trace.NewSpanContext(trace.SpanContextConfig{TraceID: traceID, SpanID: trace.SpanID{9}, Remote: true}),
		SpanKind:  trace.SpanKindServer,
		StartTime: time.Unix(1_700_000_000, 123),
		EndTime:   time.Unix(1_700_000_001, 456),
		Attributes: []attribute.KeyValue{
			attribute.String("string", "grüße"),
			attribute.String("string.empty", ""),
			attribute.Bool("bool", true),
			attribute.Bool("bool.false", false),
			attribute.Int64("int", math.MinInt64),
			attribute.Int64("int.zero", 0),
			attribute.Float64("float", -0.5),
			attribute.Float64("float.zero", 0),
			attribute.StringSlice("strings", []string{"a", "", "c", "d", "e"}),
			attribute.BoolSlice("bools", []bool{true, false}),
			attribute.Int64Slice("ints", []int64{-1, 0, 1}),
			attribute.Float64Slice("floats", []float64{math.Inf(1), 0}),
			{Key: "bytes", Value: attribute.ByteSliceValue([]byte{0, 0xff})},
			{Key: "bytes.empty", Value: attribute.ByteSliceValue(nil)},
			{Key: "empty"},
			{Key: "slice", Value: attribute.SliceValue(
				attribute.StringValue("a"), attribute.IntValue(1), attribute.Value{},
				attribute.SliceValue(attribute.StringSliceValue([]string{"b"})),
			)},
			{Key: "slice.empty", Value: attribute.SliceValue()},
			{Key: "map", Value: attribute.MapValue(
				attribute.Bool("a", false), attribute.KeyValue{Key: "b", Value: attribute.MapValue(attribute.Int("c", 1))},
			)},
			{Key: "map.empty", Value: attribute.MapValue()},
		},
		Events: []sdktrace.Event{{
			Name: "exception", Time: time.Unix(1_700_000_000, 789), DroppedAttributeCount: 1,
			Attributes: []attribute.KeyValue{attribute.String("exception.message", strings.Repeat("m", 200))},
		}},
		Links: []sdktrace.Link{{
			SpanContext: trace.NewSpanContext(trace.SpanContextConfig{
				TraceID: trace.TraceID{5}, SpanID: trace.SpanID{6}, TraceFlags: 1, TraceState: state, Remote: true,
			}),
			Attributes: []attribute.KeyValue{attribute.Int("link", 1)}, DroppedAttributeCount: 2,
		}},
		Status:            sdktrace.Status{Code: codes.Error, Description: "card declined"},
		DroppedAttributes: 3,
		DroppedEvents:     4,
		DroppedLinks:      5,
		Resource: resource.NewWithAttributes("https://opentelemetry.io/schemas/1.37.0",
			attribute.String("service.name", "fluxbase"), attribute.StringSlice("process.command_args", []string{"a", "b"})),
		InstrumentationScope: instrumentation.Scope{
			Name: "checkout", Version: "1.2.3", SchemaURL: "https://opentelemetry.io/schemas/1.36.0",
			Attributes: attribute.NewSet(attribute.String("team", "payments")),
		},
	}
}

func TestAppendRequestEqualsSDK(t *testing.T) {
	full := fullSpan()
	for name, stubs := range map[string]tracetest.SpanStubs{
		"full":      {full},
		"zero":      {{}},
		"no spans":  {},
		"no name":   {{SpanContext: full.SpanContext, Resource: resource.Empty()}},
		"no parent": {{SpanContext: full.SpanContext, Parent: trace.SpanContext{}}},
		"parent without a span ID": {{
			Parent: trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, Remote: true}),
		}},
		"unknown kind and code": {{SpanKind: 99, Status: sdktrace.Status{Code: 99}}},
		"out of range":          {{DroppedAttributes: -1, DroppedEvents: math.MaxInt, StartTime: time.Unix(-1, 0)}},
		"not a number":          {{Attributes: []attribute.KeyValue{attribute.Float64("nan", math.NaN())}}},
	} {
		t.Run(name, func(t *testing.T) { requireEqualsSDK(t, stubs.Snapshots()) })
	}
	t.Run("random", func(t *testing.T) {
		for seed := range uint64(200) {
			requireEqualsSDK(t, testspans.Random(seed))
		}
	})
	t.Run("ended by the SDK", func(t *testing.T) { requireEqualsSDK(t, testspans.Service(t, 700)) })
}

func FuzzEncode(f *testing.F) {
	f.Add([]byte{})
	for seed := range uint64(20) {
		r, data := rand.New(rand.NewPCG(seed, 1)), make([]byte, 200)
		for i := range data {
			data[i] = byte(r.Uint32())
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		spans := testspans.RandomFrom(data)
		requireEqualsSDK(t, spans)
		requireRoundTrip(t, spans)
		requireJSONRoundTrip(t, spans)
	})
}

// requireEqualsSDK fails unless the spans are encoded as the SDK does, but for
// the tracestate of links, which the SDK leaves out.
func requireEqualsSDK(t *testing.T, spans []sdktrace.ReadOnlySpan) {
	t.Helper()
	var got, want tracepb.TracesData
	exporter := otlptrace.NewUnstarted(clientFunc(func(rs []*tracepb.ResourceSpans) error {
		want.ResourceSpans = rs
		return nil
	}))
	if err := exporter.ExportSpans(context.Background(), spans); err != nil {
		t.Fatal(err)
	}
	if err := proto.Unmarshal(otlp.AppendRequest(nil, spans), &got); err != nil {
		t.Fatal(err)
	}
	for _, rs := range got.GetResourceSpans() {
		for _, ss := range rs.GetScopeSpans() {
			for _, s := range ss.GetSpans() {
				for _, l := range s.GetLinks() {
					l.TraceState = ""
				}
			}
		}
	}
	// The SDK's resources come out of a map.
	for _, data := range []*tracepb.TracesData{&got, &want} {
		slices.SortFunc(data.GetResourceSpans(), func(a, b *tracepb.ResourceSpans) int {
			return cmp.Compare(a.GetResource().String(), b.GetResource().String())
		})
	}
	if !proto.Equal(&got, &want) {
		t.Fatalf("differs from the SDK (-SDK +riffle):\n%s", gocmp.Diff(&want, &got, protocmp.Transform()))
	}
}

func TestRoundTripKeepsEverything(t *testing.T) {
	full := fullSpan()
	decoded, err := otlp.Decode(otlp.AppendRequest(nil, tracetest.SpanStubs{full, full}.Snapshots()))
	if err != nil {
		t.Fatal(err)
	}
	want := full
	want.InstrumentationLibrary = want.InstrumentationScope //nolint:staticcheck // SpanStubFromReadOnlySpan sets it
	opts := gocmp.Options{
		gocmp.Comparer(func(a, b trace.SpanContext) bool { return a.Equal(b) }),
		gocmp.Comparer(func(a, b trace.TraceState) bool { return a.String() == b.String() }),
		gocmp.Comparer(func(a, b attribute.Value) bool { return a.Type() == b.Type() && a.String() == b.String() }),
		gocmp.Comparer(func(a, b attribute.Set) bool { return a.Equals(&b) }),
		gocmp.Comparer(func(a, b *resource.Resource) bool { return a.Equal(b) && a.SchemaURL() == b.SchemaURL() }),
	}
	if len(decoded) != 2 {
		t.Fatalf("%d spans came back, want 2", len(decoded))
	}
	for _, s := range decoded {
		if diff := gocmp.Diff(want, tracetest.SpanStubFromReadOnlySpan(s), opts); diff != "" {
			t.Errorf("the span came back different (-want +got):\n%s", diff)
		}
	}
}

func TestRoundTripOfBytes(t *testing.T) {
	requireRoundTrip(t, testspans.Service(t, 700))
	for seed := range uint64(200) {
		requireRoundTrip(t, testspans.Random(seed))
	}
}

func requireRoundTrip(t *testing.T, spans []sdktrace.ReadOnlySpan) {
	t.Helper()
	b := otlp.AppendRequest(nil, spans)
	decoded, err := otlp.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	if again := otlp.AppendRequest(nil, decoded); !bytes.Equal(b, again) {
		t.Fatalf("encoding the decoded spans gave other bytes:\n%s", gocmp.Diff(hex.Dump(b), hex.Dump(again)))
	}
	if n, err := otlp.CountSpans(b); err != nil || n != len(decoded) {
		t.Fatalf("CountSpans = %d, %v, want %d", n, err, len(decoded))
	}
}

func TestAppendRequestGroups(t *testing.T) {
	span := func(name, service, schema, scope string) tracetest.SpanStub {
		return tracetest.SpanStub{
			Name: name,
			// A resource of its own each time: what counts is what is in it.
			Resource:             resource.NewWithAttributes(schema, attribute.String("service.name", service)),
			InstrumentationScope: instrumentation.Scope{Name: scope},
		}
	}
	spans := tracetest.SpanStubs{
		span("1", "a", "", "http"),
		span("2", "b", "", "http"),
		span("3", "a", "", "db"),
		span("4", "a", "", "http"),
		span("5", "a", "v2", "db"),
		span("6", "b", "", "http"),
		span("7", "a", "", "db"),
	}.Snapshots()
	spans = append([]sdktrace.ReadOnlySpan{nil}, spans...)

	var data tracepb.TracesData
	if err := proto.Unmarshal(otlp.AppendRequest(nil, spans), &data); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, rs := range data.GetResourceSpans() {
		for _, ss := range rs.GetScopeSpans() {
			group := rs.GetResource().GetAttributes()[0].GetValue().GetStringValue() + rs.GetSchemaUrl() + " " + ss.GetScope().GetName() + ":"
			for _, s := range ss.GetSpans() {
				group += " " + s.GetName()
			}
			got = append(got, group)
		}
	}
	want := []string{"a http: 1 4", "a db: 3 7", "b http: 2 6", "av2 db: 5"}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("groups (-want +got):\n%s", diff)
	}
}

func TestAppendRequestAppends(t *testing.T) {
	spans := tracetest.SpanStubs{fullSpan()}.Snapshots()
	for _, n := range []int{0, 1, 100} {
		dst := slices.Grow([]byte("kept"), n)
		got, rest := otlp.AppendRequest(dst, spans), otlp.AppendRequest(nil, spans)
		if !bytes.Equal(got, append([]byte("kept"), rest...)) {
			t.Errorf("with %d bytes to spare, dst was not kept or its extension is wrong", n)
		}
	}
	if got := otlp.AppendRequest([]byte("kept"), []sdktrace.ReadOnlySpan{nil}); string(got) != "kept" {
		t.Errorf("without spans: %q, want dst unchanged", got)
	}
}

// What wraps a snapshot, as the engine does to set thresholds, has the last word.
func TestAppendRequestAsksTheWrapper(t *testing.T) {
	sc := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{7}, SpanID: trace.SpanID{8}, TraceFlags: 1})
	attrs := []attribute.KeyValue{attribute.String("sampling.sampler", "slow")}
	decoded, err := otlp.Decode(otlp.AppendRequest(nil, []sdktrace.ReadOnlySpan{wrapped{testspans.Service(t, 1)[0], sc, attrs}}))
	if err != nil {
		t.Fatal(err)
	}
	if got := decoded[0]; !got.SpanContext().Equal(sc) || !slices.Equal(got.Attributes(), attrs) {
		t.Errorf("the wrapped span was encoded instead: %v %v", got.SpanContext(), got.Attributes())
	}
}

type wrapped struct {
	sdktrace.ReadOnlySpan
	sc    trace.SpanContext
	attrs []attribute.KeyValue
}

func (w wrapped) SpanContext() trace.SpanContext   { return w.sc }
func (w wrapped) Attributes() []attribute.KeyValue { return w.attrs }

func TestSizes(t *testing.T) {
	small, large := fullSpan(), fullSpan()
	small.Attributes, small.Events, small.Links = nil, nil, nil
	large.Attributes = append(large.Attributes,
		attribute.String("db.query.text", strings.Repeat("x", 1<<20)),
		attribute.StringSlice("args", slices.Repeat([]string{"argument"}, 1000)),
	)
	spans := append(testspans.Service(t, 1), tracetest.SpanStubs{fullSpan(), small, large}.Snapshots()...)
	for _, s := range spans {
		one, two := otlp.AppendRequest(nil, []sdktrace.ReadOnlySpan{s}), otlp.AppendRequest(nil, []sdktrace.ReadOnlySpan{s, s})
		size, estimate := len(two)-len(one), otlp.EstimateSize(s)
		if estimate < size*3/4 || estimate > size*5/4 {
			t.Errorf("%q: estimate %d, truth %d", s.Name(), estimate, size)
		}
		if exact := otlp.Size(s); exact < size-4 || exact > size { // the lengths around it may grow
			t.Errorf("%q: size %d, truth %d", s.Name(), exact, size)
		}
	}
}

func TestInvalidUTF8CostsNoBatch(t *testing.T) {
	const bad, good = "a\xff\xfeb\xc3", "a\uFFFDb\uFFFD"
	span := func(s string) []sdktrace.ReadOnlySpan {
		attrs := []attribute.KeyValue{
			attribute.String("k"+s, s),
			attribute.StringSlice("slice", []string{s, "fine"}),
			{Key: "map", Value: attribute.MapValue(attribute.String("k"+s, s))},
		}
		return tracetest.SpanStubs{{
			Name:       s,
			Attributes: attrs,
			Events:     []sdktrace.Event{{Name: s, Attributes: attrs}},
			Links:      []sdktrace.Link{{Attributes: attrs}},
			Status:     sdktrace.Status{Code: codes.Error, Description: s},
			Resource:   resource.NewWithAttributes(s, attrs...),
			InstrumentationScope: instrumentation.Scope{
				Name: s, Version: s, SchemaURL: s, Attributes: attribute.NewSet(slices.Clone(attrs)...),
			},
		}}.Snapshots()
	}
	got, want := otlp.AppendRequest(nil, span(bad)), otlp.AppendRequest(nil, span(good))
	if !bytes.Equal(got, want) {
		t.Errorf("bytes differ from those of the repaired strings (-want +got):\n%s", gocmp.Diff(hex.Dump(want), hex.Dump(got)))
	}
	requireRoundTrip(t, span(bad))
}

func TestDecodeErrors(t *testing.T) {
	id16, id8 := make([]byte, 16), make([]byte, 8)
	request := func(s *tracepb.Span) []byte {
		b, err := proto.Marshal(&tracepb.TracesData{ResourceSpans: []*tracepb.ResourceSpans{{}, {
			ScopeSpans: []*tracepb.ScopeSpans{{Spans: []*tracepb.Span{{TraceId: id16, SpanId: id8}, s}}},
		}}})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	const at = `decoding OTLP: resource_spans[1].scope_spans[0].spans[1] "GET /": `
	for name, tc := range map[string]struct {
		in   []byte
		want string
	}{
		"not protobuf":       {[]byte("hello"), "decoding OTLP: proto:"},
		"no trace ID":        {request(&tracepb.Span{Name: "GET /", SpanId: id8}), at + "trace ID of 0 bytes instead of 16"},
		"long span ID":       {request(&tracepb.Span{Name: "GET /", TraceId: id16, SpanId: id16}), at + "span ID of 16 bytes instead of 8"},
		"short parent ID":    {request(&tracepb.Span{Name: "GET /", TraceId: id16, SpanId: id8, ParentSpanId: id8[:7]}), at + "parent: span ID of 7 bytes instead of 8"},
		"invalid tracestate": {request(&tracepb.Span{Name: "GET /", TraceId: id16, SpanId: id8, TraceState: "==="}), at + "failed to parse tracestate"},
		"link": {
			request(&tracepb.Span{Name: "GET /", TraceId: id16, SpanId: id8, Links: []*tracepb.Span_Link{{TraceId: id16}}}),
			at + "links[0]: span ID of 0 bytes instead of 8",
		},
		"nested too deeply": {nestedValue(20_000), "decoding OTLP: proto: "},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := otlp.Decode(tc.in); err == nil || !strings.HasPrefix(strings.ReplaceAll(err.Error(), "\u00a0", " "), tc.want) {
				t.Errorf("error %v, want %s", err, tc.want)
			}
		})
	}
	if _, err := otlp.CountSpans([]byte("hello")); err == nil {
		t.Error("CountSpans took what is not protobuf")
	}
}

func TestDecodeDeepValue(t *testing.T) {
	b := nestedValue(3_000)
	spans, err := otlp.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := otlp.Decode(otlp.AppendRequest(nil, spans)); err != nil {
		t.Error(err)
	}
}

// nestedValue is a request with a span whose attribute is an array in an array
// in an array and so on.
func nestedValue(depth int) []byte {
	wrap := func(num protowire.Number, b []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(nil, num, protowire.BytesType), b)
	}
	var value []byte
	for range depth {
		value = wrap(5, wrap(1, value))
	}
	span := slices.Concat(wrap(1, make([]byte, 16)), wrap(2, make([]byte, 8)), wrap(9, wrap(2, value)))
	return wrap(1, wrap(2, wrap(2, span)))
}

func TestDecodeForeign(t *testing.T) {
	// Nothing here is ours: no status, no flags, no values, a time that no
	// time.Time has in nanoseconds, a schema URL without a resource.
	b, err := proto.Marshal(&tracepb.TracesData{ResourceSpans: []*tracepb.ResourceSpans{{
		SchemaUrl: "v1",
		ScopeSpans: []*tracepb.ScopeSpans{{Spans: []*tracepb.Span{{
			TraceId: make([]byte, 16), SpanId: make([]byte, 8), EndTimeUnixNano: math.MaxUint64,
		}}}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	spans, err := otlp.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	s := spans[0]
	if got := s.Resource().SchemaURL(); got != "v1" {
		t.Errorf("schema URL %q, want v1", got)
	}
	if got := s.EndTime().UnixNano(); got != math.MaxInt64 {
		t.Errorf("end %d, want the latest time there is", got)
	}
	if !s.StartTime().IsZero() {
		t.Errorf("start %v, want the zero time", s.StartTime())
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte{})
	f.Add(otlp.AppendRequest(nil, tracetest.SpanStubs{fullSpan()}.Snapshots()))
	f.Add(nestedValue(10))
	for seed := range uint64(20) {
		f.Add(otlp.AppendRequest(nil, testspans.Random(seed)))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		n, countErr := otlp.CountSpans(b)
		spans, err := otlp.Decode(b)
		if err != nil {
			return
		}
		if countErr != nil || n != len(spans) {
			t.Fatalf("CountSpans = %d, %v; Decode found %d", n, countErr, len(spans))
		}
		requireRoundTrip(t, spans)
	})
}

func TestConcurrentSafe(t *testing.T) {
	batches := [][]sdktrace.ReadOnlySpan{testspans.Service(t, 50), testspans.Random(1), testspans.Random(2), testspans.Random(3)}
	want := make([][]byte, len(batches))
	for i, spans := range batches {
		want[i] = otlp.AppendRequest(nil, spans)
	}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 100 {
				i = (g + i) % len(batches)
				b := otlp.AppendRequest(nil, batches[i])
				if !bytes.Equal(b, want[i]) {
					t.Error("other goroutines changed the bytes")
					return
				}
				if _, err := otlp.Decode(b); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}
