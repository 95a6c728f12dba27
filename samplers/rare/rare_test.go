package rare_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/sampling"
	"github.com/riffletrace/riffle/samplers/rare"
	"github.com/riffletrace/riffle/samplers/samplertest"
)

const hour = component.Duration(time.Hour)

func newSampler(tb testing.TB, c rare.Config) sampling.SegmentSampler {
	tb.Helper()
	if c.Window == 0 {
		c.Window = hour
	}
	return samplertest.Plan(component.Use(rare.Factory, "", c))(tb).(sampling.SegmentSampler)
}

// number gives each span an ID.
var number uint64

func span(name string, status codes.Code, kvs ...attribute.KeyValue) sdktrace.ReadOnlySpan {
	number++
	var id trace.SpanID
	binary.BigEndian.PutUint64(id[:], number)
	return tracetest.SpanStub{
		Name: name, Status: sdktrace.Status{Code: status}, Attributes: kvs,
		SpanContext: trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: id}),
	}.Snapshot()
}

// whole is a complete segment; the last of the spans is its local root.
func whole(spans ...sdktrace.ReadOnlySpan) sampling.Segment {
	return sampling.Segment{Root: spans[len(spans)-1], Spans: spans, Complete: true, Threshold: sampling.Never}
}

// kept asks about a segment.
func kept(tb testing.TB, s sampling.SegmentSampler, g sampling.Segment) bool {
	tb.Helper()
	answers := make([]sampling.Answer, 1)
	s.SampleSegments(tb.Context(), []sampling.Segment{g}, answers)
	switch got := answers[0].String(); {
	case answers[0].IsAbstain():
		return false
	case !strings.HasPrefix(got, "threshold 0: first ") || answers[0].Rule() == nil:
		tb.Errorf("the answer is %s", got)
	}
	return true
}

func route(route string, status codes.Code, kvs ...attribute.KeyValue) sampling.Segment {
	return whole(span("GET", status, append(kvs, attribute.String("http.route", route))...))
}

func TestRare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSampler(t, rare.Config{First: 2, Key: []string{"route", "status", "error.type"}})
		timeout := attribute.String("error.type", "timeout")
		for i, tt := range []struct {
			pause time.Duration
			about sampling.Segment
			want  bool
		}{
			{0, route("/a", codes.Unset), true},
			{time.Minute, route("/a", codes.Unset), true},
			{0, route("/a", codes.Unset), false},
			{0, route("/a", codes.Error), true}, // another status
			{0, route("/b", codes.Unset), true}, // another route
			{0, route("/a", codes.Error, timeout), true},
			{58 * time.Minute, route("/a", codes.Unset), false},
			{time.Minute, route("/a", codes.Unset), true}, // the window is over since its first
			{0, route("/a", codes.Unset), true},
			{0, route("/a", codes.Unset), false},
			{0, route("/b", codes.Unset), true},
			{0, route("/b", codes.Unset), false},
		} {
			time.Sleep(tt.pause)
			if got := kept(t, s, tt.about); got != tt.want {
				t.Errorf("segment %d is kept: %v", i, got)
			}
		}
	})
}

// A segment counts once, with its local root.
func TestParts(t *testing.T) {
	s := newSampler(t, rare.Config{First: 1, Key: []string{"name", "fingerprint"}})
	root, child, late := span("root", codes.Unset), span("child", codes.Unset), span("late", codes.Unset)
	for _, tt := range []struct {
		what  string
		about sampling.Segment
		want  bool
	}{
		{"overdue, the root open", sampling.Segment{Spans: []sdktrace.ReadOnlySpan{child}}, false},
		{"overdue, the root ended", sampling.Segment{Root: root, Spans: []sdktrace.ReadOnlySpan{child, root}}, true},
		{"what ended after it", sampling.Segment{Root: root, Spans: []sdktrace.ReadOnlySpan{late}, Complete: true}, false},
		{"the same, complete", sampling.Segment{Root: root, Spans: []sdktrace.ReadOnlySpan{root, child}, Complete: true}, true},
		{"once more", sampling.Segment{Root: root, Spans: []sdktrace.ReadOnlySpan{child, root}, Complete: true}, false},
	} {
		if got := kept(t, s, tt.about); got != tt.want {
			t.Errorf("%s: kept %v", tt.what, got)
		}
	}
}

// What an exception says, its event tells.
func TestException(t *testing.T) {
	s := newSampler(t, rare.Config{First: 1, Key: []string{"exception.type"}})
	for _, kind := range []string{"timeout", "refused"} {
		stub := tracetest.SpanStubFromReadOnlySpan(span("root", codes.Error))
		stub.Events = []sdktrace.Event{{Name: "exception", Attributes: []attribute.KeyValue{attribute.String("exception.type", kind)}}}
		if !kept(t, s, whole(stub.Snapshot())) {
			t.Errorf("the first %s is not kept", kind)
		}
	}
}

func TestFingerprints(t *testing.T) {
	root := func() sdktrace.ReadOnlySpan { return span("root", codes.Unset) }
	query, failed := span("query", codes.Unset), span("query", codes.Error)
	client := tracetest.SpanStub{Name: "query", SpanKind: trace.SpanKindClient}.Snapshot()
	for _, tt := range []struct {
		what string
		one  []sdktrace.ReadOnlySpan
		two  []sdktrace.ReadOnlySpan
		same bool
	}{
		{"one and many", []sdktrace.ReadOnlySpan{query}, []sdktrace.ReadOnlySpan{query, query, query}, true},
		{"another order", []sdktrace.ReadOnlySpan{query, failed, client}, []sdktrace.ReadOnlySpan{client, query, failed}, true},
		{"another name", []sdktrace.ReadOnlySpan{query}, []sdktrace.ReadOnlySpan{span("insert", codes.Unset)}, false},
		{"another status", []sdktrace.ReadOnlySpan{query}, []sdktrace.ReadOnlySpan{failed}, false},
		{"another kind", []sdktrace.ReadOnlySpan{query}, []sdktrace.ReadOnlySpan{client}, false},
		{"one more", []sdktrace.ReadOnlySpan{query}, []sdktrace.ReadOnlySpan{query, failed}, false},
		{"none", nil, []sdktrace.ReadOnlySpan{query}, false},
	} {
		t.Run(tt.what, func(t *testing.T) {
			s := newSampler(t, rare.Config{First: 1, Key: []string{"fingerprint"}})
			if !kept(t, s, whole(append(tt.one, root())...)) {
				t.Error("the first shape is not kept")
			}
			if got := kept(t, s, whole(append(tt.two, root())...)); got == tt.same {
				t.Errorf("the other is new: %v, want %v", got, !tt.same)
			}
		})
	}
}

// Against a model that remembers everything, with keys that come and go.
func TestModel(t *testing.T) {
	const first, window = 3, time.Minute
	synctest.Test(t, func(t *testing.T) {
		s := newSampler(t, rare.Config{First: first, Window: component.Duration(window), Key: []string{"tenant"}})
		random := rand.New(rand.NewPCG(5, 6))
		type remembered struct {
			since time.Time
			seen  int
		}
		model := map[int]*remembered{}
		for i := range 20_000 {
			time.Sleep(time.Duration(random.IntN(200)) * time.Millisecond)
			tenant := random.IntN(random.IntN(2000) + 1)
			c := model[tenant]
			if c == nil || time.Since(c.since) >= window {
				c = &remembered{since: time.Now()}
				model[tenant] = c
			}
			c.seen++
			if got := kept(t, s, whole(span("x", codes.Unset, attribute.Int("tenant", tenant)))); got != (c.seen <= first) {
				t.Fatalf("arrival %d: the tenant's %d. in its window is kept: %v", i, c.seen, got)
			}
		}
	})
}

// The first are kept whatever their randomness is, and the others are left to the
// baseline, so that the weights add up to what there was.
func TestUnbiased(t *testing.T) {
	const n, one = 100_000, sampling.Threshold(0xe666 << 40) // about one in ten
	s := newSampler(t, rare.Config{First: 2, Key: []string{"route"}})
	random := rand.New(rand.NewPCG(7, 8))
	var sum, variance float64
	for _, i := range random.Perm(n) {
		r := uint64((float64(i)+random.Float64())/n*(1<<56)) & (1<<56 - 1) // one of each n-th
		threshold := one
		if kept(t, s, route(fmt.Sprint(random.IntN(5000)), codes.Unset)) {
			threshold = sampling.Always
		}
		variance += threshold.AdjustedCount() - 1
		if threshold.Selects(r) {
			sum += threshold.AdjustedCount()
		}
	}
	if off := sum - n; off*off > 16*variance {
		t.Errorf("the weights add up to %.0f, want %d", sum, n)
	}
}

// Ten thousand keys are counted apart, the rest together, and that is logged once a
// minute.
func TestManyKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		built, err := rare.New(t.Context(), component.Settings{Logger: slog.New(slog.NewTextHandler(&log, nil))}, rare.Config{First: 1, Window: hour, Key: []string{"user"}})
		if err != nil {
			t.Fatal(err)
		}
		s := built.(sampling.SegmentSampler)
		users := func(from, to int) (n int) {
			for i := from; i < to; i++ {
				if kept(t, s, whole(span("x", codes.Unset, attribute.String("user", fmt.Sprint(i, strings.Repeat("x", 1000)))))) {
					n++
				}
			}
			return n
		}
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		if n := users(0, 10_000); n != 10_000 {
			t.Errorf("%d of the first 10,000 keys are kept", n)
		}
		if n := users(10_000, 30_000); n != 1 {
			t.Errorf("%d of 20,000 further keys are kept, want one: they share a count", n)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 2<<20 {
			t.Errorf("10,000 keys take %d bytes", grown)
		}
		if n := users(0, 10_000); n != 0 {
			t.Errorf("%d of the keys are forgotten", n)
		}
		if n := strings.Count(log.String(), "counted together"); n != 1 {
			t.Errorf("that there is no room is logged %d times in a minute", n)
		}
		time.Sleep(time.Hour)
		if n := users(40_000, 50_000); n != 10_000 {
			t.Errorf("%d of 10,000 new keys are kept when the others are over", n)
		}
		if !kept(t, s, whole(span("x", codes.Unset, attribute.String("user", strings.Repeat("y", 2000))))) {
			t.Error("the rest is not counted anew")
		}
		if n := strings.Count(log.String(), "counted together"); n != 2 {
			t.Errorf("it is logged %d times after an hour, want 2", n)
		}
		runtime.KeepAlive(s)
	})
}

// What one segment costs does not grow with its spans without bound, and what is left
// of a batch when time is up abstains.
func TestBounds(t *testing.T) {
	s := newSampler(t, rare.Config{First: 1, Key: []string{"fingerprint"}})
	var spans []sdktrace.ReadOnlySpan
	for i := range 4096 {
		spans = append(spans, span(fmt.Sprint(i)+strings.Repeat("x", 2000), codes.Unset))
	}
	large := whole(append(slices.Clip(spans), span("root", codes.Unset))...)
	larger := whole(append(slices.Clip(spans), span("another", codes.Unset), span("root", codes.Unset))...)
	if !kept(t, s, large) || kept(t, s, larger) {
		t.Error("more is looked at than the first 4096 spans")
	}
	done, cancel := context.WithCancel(t.Context())
	cancel()
	answers := make([]sampling.Answer, 1)
	s.SampleSegments(done, []sampling.Segment{whole(span("new", codes.Unset))}, answers)
	if !answers[0].IsAbstain() {
		t.Errorf("when time is up the answer is %v", answers[0])
	}
}

func TestConfig(t *testing.T) {
	for _, tt := range []struct {
		config rare.Config
		want   []string
	}{
		{rare.Config{First: 1, Window: hour, Key: []string{"route", "name", "kind", "status", "fingerprint", "error.type"}}, nil},
		{rare.Config{}, []string{"first: 0 keeps none", "window: 0s is too short", "key: empty"}},
		{rare.Config{First: -1, Window: hour, Key: []string{"a", "", "a"}}, []string{"first: -1 keeps none", "key[1]: empty: want an attribute, or one of", `key[2]: "a" is listed twice`}},
	} {
		got := component.FieldErrors(tt.config.Validate())
		if len(got) != len(tt.want) {
			t.Errorf("%+v: %v, want %q", tt.config, got, tt.want)
			continue
		}
		for i := range got {
			if !strings.HasPrefix(got[i].Error(), tt.want[i]) {
				t.Errorf("%+v: %v, want %q", tt.config, got[i], tt.want[i])
			}
		}
	}
	traits := newSampler(t, rare.Config{First: 5, Key: []string{"route", "fingerprint"}}).Traits()
	if want := "rare, first 5 in 1h by route, fingerprint"; traits.Description != want || !traits.NeverRaises {
		t.Errorf("traits %+v, want the description %s", traits, want)
	}
}

func TestConformance(t *testing.T) {
	samplertest.Run(t, samplertest.Plan(component.Use(rare.Factory, "", rare.Config{First: 2, Window: hour, Key: []string{"route", "status", "fingerprint"}})))
}
