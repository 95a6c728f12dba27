package core_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/sampling"
	"github.com/riffletrace/riffle/samplers/route"
)

// countsErrors counts itself what it is asked.
type countsErrors struct {
	keepsErrors
	asked, answered atomic.Uint64
}

func (c *countsErrors) SampleEnd(p sampling.EndParameters) sampling.Answer {
	c.asked.Add(1)
	a := c.keepsErrors.SampleEnd(p)
	if !a.IsAbstain() {
		c.answered.Add(1)
	}
	return a
}

// countsSegments discards one segment of three, and counts itself.
type countsSegments struct{ asked, answered atomic.Uint64 }

func (*countsSegments) Traits() sampling.Traits { return sampling.Traits{Description: "discards"} }

func (c *countsSegments) SampleSegments(_ context.Context, all []sampling.Segment, answers []sampling.Answer) {
	for i := range all {
		if c.asked.Add(1)%3 == 0 {
			answers[i] = sampling.AtMost(sampling.Never)
			c.answered.Add(1)
		}
	}
}

// Status, Stats and the metrics are told apart by nothing: after load, each figure of the
// one is that of the others, and what samplers counted themselves.
func TestStatusStatsAndMetricsAgree(t *testing.T) {
	reader := metric.NewManualReader()
	onError, onSegment := &countsErrors{}, &countsSegments{}
	b := newBench(t, core.Spec{Samplers: []core.SamplerEntry{
		core.UseSampler(route.Factory, "", route.Config{Rules: []route.Rule{
			{Route: "/health", Sample: "drop"}, {Route: "/paid", Sample: "1"}, {Route: "/never", Sample: "1"},
		}}),
		use("error", onError), use("discard", onSegment), baseline(0.25),
	}}, core.MeterProvider(metric.NewMeterProvider(metric.WithReader(reader))))
	const workers, each = 4, 300
	var load sync.WaitGroup
	for range workers {
		load.Go(func() {
			for i := range each {
				path := []string{"/health", "/paid", "/other"}[i%3]
				ctx, root := b.tracer.Start(t.Context(), "GET", trace.WithSpanKind(trace.SpanKindServer),
					trace.WithAttributes(attribute.String("url.path", path), attribute.String("http.request.method", "GET")))
				_, child := b.tracer.Start(ctx, "query")
				if i%7 == 0 {
					fail(child)
				} else {
					child.End()
				}
				root.End()
				if i%50 == 0 {
					_ = b.provider.Status() // also while others count
				}
			}
		})
	}
	load.Wait()
	b.flushed()

	status, stats, metrics := b.provider.Status(), b.provider.Stats(), collect(t, reader)
	if n := len(status.Problems); n != 0 {
		t.Errorf("problems: %+v", status.Problems)
	}
	g := status.Segments
	for _, tt := range []struct {
		name          string
		status, stats uint64
		metric        string
	}{
		{"started", g.Started, stats.Started, "riffle.segments.started riffle.outcome=recorded"},
		{"dropped", g.Dropped, workers * each / 3, "riffle.segments.started riffle.outcome=dropped"},
		{"kept by route", g.KeptBy["route"], stats.Kept["route"], "riffle.segments.kept riffle.sampler=route"},
		{"kept by ratio", g.KeptBy["ratio"], stats.Kept["ratio"], "riffle.segments.kept riffle.sampler=ratio"},
		{"discarded", g.Discarded, onSegment.answered.Load(), "riffle.segments.not_kept riffle.reason=discarded"},
		{"spans kept", g.SpansKept, stats.SpansKept, "riffle.spans.ended riffle.outcome=kept"},
		{"spans not kept", g.SpansNotKept, stats.SpansNotKept, "riffle.spans.ended riffle.outcome=not_kept"},
		{"sent", status.Exporters[0].Sent, stats.SpansKept, ""},
		{"starts of route", status.Samplers[0].Asked.Starts, workers * each, "riffle.samplers.asked riffle.sampler=route,riffle.stage=start"},
		{"drops of route", status.Samplers[0].Answered.Drops, workers * each / 3, "riffle.samplers.answered riffle.answer=drop,riffle.sampler=route"},
		{"thresholds of route", status.Samplers[0].Answered.Thresholds, workers * each / 3, "riffle.samplers.answered riffle.answer=threshold,riffle.sampler=route"},
		{"ends of error", status.Samplers[1].Asked.Ends, onError.asked.Load(), "riffle.samplers.asked riffle.sampler=error,riffle.stage=end"},
		{"answers of error", status.Samplers[1].Answered.Thresholds, onError.answered.Load(), "riffle.samplers.answered riffle.answer=threshold,riffle.sampler=error"},
		{"segments of discard", status.Samplers[2].Asked.Segments, onSegment.asked.Load(), "riffle.samplers.asked riffle.sampler=discard,riffle.stage=segment"},
		{"answers of discard", status.Samplers[2].Answered.AtMost, onSegment.answered.Load(), "riffle.samplers.answered riffle.answer=at_most,riffle.sampler=discard"},
		{"starts of ratio", status.Samplers[3].Asked.Starts, workers * each / 3, "riffle.samplers.asked riffle.sampler=ratio,riffle.stage=start"},
	} {
		if tt.status != tt.stats || tt.status == 0 {
			t.Errorf("%s: status tells %d, stats %d", tt.name, tt.status, tt.stats)
		}
		if n, ok := metrics[tt.metric]; tt.metric != "" && (!ok || uint64(n) != tt.status) {
			t.Errorf("%s: status tells %d, the metric %d", tt.name, tt.status, n)
		}
	}
	rules := status.Samplers[0].Rules
	const third = workers * each / 3
	if len(rules) != 3 || rules[0].Answered != third || rules[1].Answered != third || rules[2].Answered != 0 || rules[0].Kept != 0 ||
		rules[1].Kept != status.Samplers[0].Kept || rules[1].Kept == 0 {
		t.Errorf("rules: %+v of %+v", rules, status.Samplers[0])
	}
	if n := metrics["riffle.rules.kept riffle.rule="+strings.ReplaceAll(rules[1].Name, "=", `\=`)+",riffle.sampler=route"]; uint64(n) != rules[1].Kept {
		t.Errorf("the metric of the rule tells %d: %v", n, metrics)
	}
	if g.Open != 0 || g.Waiting != 0 || g.HeldBytes != stats.HeldBytes || g.MaxBytes != 64<<20 || g.Probability != 1 {
		t.Errorf("%+v", g)
	}
}

// Of more rules than are counted, none is said to have met nothing that has met something.
func TestStatusOfManyRules(t *testing.T) {
	const many = 300
	var rules []route.Rule
	for i := range many {
		rules = append(rules, route.Rule{Route: fmt.Sprintf("/%d", i), Sample: "1"})
	}
	b := newBench(t, core.Spec{Samplers: []core.SamplerEntry{core.UseSampler(route.Factory, "", route.Config{Rules: rules}), baseline(0)}})
	for i := range many {
		_, root := b.tracer.Start(t.Context(), "GET", trace.WithSpanKind(trace.SpanKindServer),
			trace.WithAttributes(attribute.String("url.path", fmt.Sprintf("/%d", i)), attribute.String("http.request.method", "GET")))
		root.End()
	}
	counted := 0
	told := b.provider.Status().Samplers[0].Rules
	for _, r := range told {
		if r.Answered == 0 && !r.Uncounted {
			t.Errorf("%s is said to have met nothing", r.Name)
		}
		if !r.Uncounted {
			counted++
		}
	}
	if len(told) != many || counted == 0 {
		t.Errorf("%d of %d rules are counted", counted, len(told))
	}
}

// described is a sampler that says where it asks.
type described struct{ keepsErrors }

func (described) Traits() sampling.Traits {
	return sampling.Traits{Description: "asks https://bob:hunter2@h.example:80/k3y/x?t=s3cret now"}
}

// A configuration that is made in Go tells nothing of URLs but where they lead, either.
func TestStatusOfASamplerWithAURL(t *testing.T) {
	b := newBench(t, core.Spec{Samplers: []core.SamplerEntry{use("remote", described{}), baseline(0)}})
	if got, want := b.provider.Status().Samplers[0].Description, "asks https://h.example:80/*** now"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestStatusOfASuspendedSampler(t *testing.T) {
	b := newBench(t, core.Spec{Samplers: []core.SamplerEntry{use("bad", panickingJudge{}), use("error", keepsErrors{}), baseline(0)}})
	_, root := b.tracer.Start(t.Context(), "root")
	fail(root)
	b.flushed()
	s := b.provider.Status()
	bad := s.Samplers[0]
	if left := bad.SuspendedUntil.Sub(s.At); bad.SuspendedFor != "it panicked" || left <= 0 || left > 30*time.Second || bad.Suspensions != 1 {
		t.Errorf("%+v, for another %v", bad, left)
	}
	if len(s.Problems) != 1 || s.Problems[0].About != `sampler "bad"` {
		t.Errorf("problems: %+v", s.Problems)
	}
	if !s.Samplers[1].SuspendedUntil.IsZero() {
		t.Errorf("%+v is not suspended", s.Samplers[1])
	}
}

// scripted is an exporter that returns an error until it is told otherwise.
type scripted struct{ err atomic.Pointer[error] }

func (s *scripted) ExportSpans(context.Context, []sdktrace.ReadOnlySpan) error { return *s.err.Load() }
func (*scripted) Shutdown(context.Context) error                               { return nil }

// It tells of an exporter what it does and what went wrong, and no words of a backend.
func TestStatusOfAFailingExporter(t *testing.T) {
	e := &scripted{}
	answer := func(err error) { e.err.Store(&err) }
	p, err := core.New(t.Context(), core.Spec{
		Enabled: true, Samplers: []core.SamplerEntry{baseline(1)}, Exporters: []core.ExporterEntry{useExporter("out", e)},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Shutdown(context.Background()) // which tells of the span that is lost
	send := func() core.ExporterStatus {
		_, root := p.TracerProvider().Tracer("test").Start(t.Context(), "root")
		root.End()
		_ = p.ForceFlush(t.Context()) // that is what is tested
		return p.Status().Exporters[0]
	}
	answer(nil)
	if got := send(); got.State != "idle" || got.LastSuccess.IsZero() || got.LastError != "" || got.Sent != 1 {
		t.Errorf("after a success: %+v", got)
	}
	answer(errors.New("attribute user.email=alice@example.com refused, see https://alice:pw@example.com/?key=k"))
	got := send()
	if got.Lost != 1 || got.Dropped["refused"] != 1 || got.LastErrorAt.IsZero() || got.FailingSince.IsZero() || got.State != "failing" {
		t.Errorf("after a refusal: %+v", got)
	}
	if text, err := json.Marshal(p.Status()); err != nil || strings.Contains(string(text), "alice") || strings.Contains(string(text), "key=k") {
		t.Errorf("%v: %s", err, text)
	}
	answer(&net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")})
	got = send()
	if got.LastError != "dial tcp: connection refused" || got.WaitingSpans != 1 || got.OldestSeconds <= 0 {
		t.Errorf("while it is away: %+v", got)
	}
	if all := p.Status().Problems; len(all) != 2 || !strings.Contains(all[0].Text, "connection refused") || !strings.Contains(all[1].Text, "1 refused") {
		t.Errorf("problems: %+v", all)
	}
	answer(nil)
	if got = send(); !got.FailingSince.IsZero() || got.WaitingSpans != 0 || got.Sent != 3 || got.LastError == "" {
		t.Errorf("after it is back: %+v", got)
	}
}

// The longest are those that started first, whatever was decided of them meanwhile; they
// tell nothing but names.
func TestStatusOfOpenSegments(t *testing.T) {
	b := newBench(t, core.Spec{})
	for i := range 25 {
		_, root := b.tracer.Start(t.Context(), fmt.Sprintf("root %02d\x1b[2J", i), trace.WithTimestamp(time.Now().Add(-time.Duration(i)*time.Minute)),
			trace.WithAttributes(attribute.String("http.route", fmt.Sprintf("/r/%d", i)), attribute.String("secret", "s3cret")))
		defer root.End()
	}
	ctx, ended := b.tracer.Start(t.Context(), "ended root", trace.WithTimestamp(time.Now().Add(-time.Hour)))
	_, child := b.tracer.Start(ctx, "left")
	defer child.End()
	ended.End()
	got := b.provider.Status()
	if len(got.LongestOpen) != 10 || got.Segments.Open != 26 {
		t.Fatalf("%d of %d: %+v", len(got.LongestOpen), got.Segments.Open, got.LongestOpen)
	}
	first := got.LongestOpen[0]
	if first.AgeSeconds < 3600 || first.AgeSeconds > 3700 {
		t.Errorf("the age is %v s", first.AgeSeconds)
	}
	first.AgeSeconds = 0
	if want := (core.OpenStatus{Name: "ended root", OpenSpans: 1, EndedSpans: 1, RootEnded: true}); first != want {
		t.Errorf("got %+v, want %+v", first, want)
	}
	for i, o := range got.LongestOpen[1:] {
		if o.Name != fmt.Sprintf("root %02d?[2J", 24-i) || o.Route != fmt.Sprintf("/r/%d", 24-i) || o.OpenSpans != 1 {
			t.Errorf("%d: %+v", i, o)
		}
	}
	if text, err := json.Marshal(got); err != nil || strings.Contains(string(text), "s3cret") {
		t.Errorf("%v: %s", err, text)
	}
}

func TestStatusOffAndAfterShutdown(t *testing.T) {
	off, err := core.New(t.Context(), core.Spec{})
	if err != nil {
		t.Fatal(err)
	}
	if s := off.Status(); s.State != core.Off || s.Samplers == nil || len(s.Problems) != 0 {
		t.Errorf("%+v", s)
	}
	_ = off.Shutdown(context.Background())
	b := newBench(t, core.Spec{})
	_, root := b.tracer.Start(t.Context(), "root")
	fail(root)
	if s := b.provider.Status(); s.State != core.Running {
		t.Errorf("%+v", s)
	}
	if err := b.provider.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	s := b.provider.Status()
	if s.State != core.ShutDown || s.Exporters[0].State != "stopped" || s.Exporters[0].Sent != 1 || s.Segments.Kept != 1 {
		t.Errorf("%+v", s)
	}
	var back core.Status // what a program reads of it is what it says
	text, err := json.Marshal(s)
	if err := errors.Join(err, json.Unmarshal(text, &back)); err != nil {
		t.Fatal(err)
	}
	s.At, s.Started = back.At, back.Started // without the monotonic clock
	if d := cmp.Diff(s.Segments, back.Segments); d != "" {
		t.Error(d)
	}
}
