package record

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/sampling"
)

// byParent leaves every local root to the parent, with thresholds below a sampled one and
// below another.
func byParent(sampled, unsampled sampling.Threshold) startFunc {
	return func(sampling.StartParameters) sampling.Answer { return sampling.ByParent(sampled, unsampled) }
}

// parentOf is what a client sends, by what it says of sampling.
var parentOf = map[string]struct {
	flags trace.TraceFlags
	state string
	local bool
}{
	"none":         {flags: trace.FlagsSampled},
	"other":        {flags: trace.FlagsSampled, state: "vendor=1,ot=rv:ffffffffffffff;a:b"},
	"malformed":    {flags: trace.FlagsSampled, state: "ot=th:xyz;rv:ffffffffffffff"},
	"known":        {flags: trace.FlagsSampled, state: "ot=th:8;rv:80000000000000"},
	"contradicted": {flags: trace.FlagsSampled, state: "ot=th:8;rv:7fffffffffffff"},
	"too high":     {flags: trace.FlagsSampled, state: "ot=th:fffff8;rv:ffffffffffffff"},
	"unsampled":    {state: "ot=rv:ffffffffffffff"},
	"local":        {flags: trace.FlagsSampled, local: true},
}

// Local roots whose parent's sampling nobody can weigh are counted, by what is wrong with
// its threshold, where the parent's decision counts.
func TestParentsWithoutThreshold(t *testing.T) {
	watched := map[string]Stats{
		"none": {NoThreshold: 1}, "other": {NoThreshold: 1}, "malformed": {NoThreshold: 1},
		"contradicted": {ImpossibleThreshold: 1}, "too high": {ImpossibleThreshold: 1},
	}
	for _, tt := range []struct {
		name    string
		remote  RemoteParent
		sampler sampling.Sampler
		want    map[string]Stats
	}{
		{"watch", Watch, selectNone, watched},
		{"follow", Follow, selectNone, watched},
		{"ask, of a sampler that follows the parent", Ask, byParent(sampling.Always, sampling.Never), watched},
		{"ask, of one that keeps none", Ask, byParent(sampling.Never, sampling.Never), nil},
		{"ask, of one that knows no threshold", Ask, byParent(sampling.Unknown, sampling.Never), nil},
		{"ask, of one that decides", Ask, selectAll, nil},
		{"ignore", Ignore, selectAll, nil},
		{"restart", Restart, selectAll, nil},
		{"a drop rule", Watch, startFunc(func(sampling.StartParameters) sampling.Answer { return sampling.Drop() }), nil},
	} {
		for name, from := range parentOf {
			t.Run(tt.name+"/"+name, func(t *testing.T) {
				r := newRecorder(t, Config{RemoteParent: tt.remote}, tt.sampler)
				r.start(withParent(remoteParent(t, from.flags, from.state).WithRemote(!from.local)), "root").End()
				got, want := r.Stats(), tt.want[name]
				if got.NoThreshold != want.NoThreshold || got.ImpossibleThreshold != want.ImpossibleThreshold {
					t.Errorf("counted %d without and %d with an impossible threshold, want %d and %d",
						got.NoThreshold, got.ImpossibleThreshold, want.NoThreshold, want.ImpossibleThreshold)
				}
				for _, s := range r.spans() {
					if want.NoThreshold+want.ImpossibleThreshold > 0 && thresholdIn(s) != sampling.Unknown {
						t.Errorf("the span has threshold %v", thresholdIn(s))
					}
				}
			})
		}
	}
}

// What began under rules that closed is counted once, where it begins anew.
func TestForgottenStart(t *testing.T) {
	for _, state := range []string{"", "ot=th:8;rv:00000000000000", "ot=th:0"} {
		r := newStartRules(nil, Watch, nil, new([countParts]startCounts))
		q := rootRequest{parent: remoteParent(t, trace.FlagsSampled, state)}
		q.ParentContext, q.TraceID = withParent(q.parent), q.parent.TraceID()
		var d startDecision
		r.decide(&d, &q)
		c := r.count(&q)
		if n := c.started[d.unweighed].Load(); n != 1 {
			t.Errorf("%q: %d are counted, want 1", state, n)
		}
		r.forget(&d, &q)
		for says := range c.started {
			if n := c.started[says].Load(); n != 0 {
				t.Errorf("%q: %d are counted still", state, int64(n))
			}
		}
	}
}

// blockedLog is a logger that waits until it may go on.
type blockedLog struct {
	slog.Handler
	mu    sync.Mutex
	lines []string
	wait  chan struct{}
}

func (*blockedLog) Enabled(context.Context, slog.Level) bool { return true }

func (b *blockedLog) Handle(_ context.Context, r slog.Record) error {
	<-b.wait
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lines = append(b.lines, r.Message)
	return nil
}

// It is said once in the life of a process, with what to do, by nobody who starts a span;
// also where nothing else runs in the background.
func TestWarningOfParents(t *testing.T) {
	for _, samplers := range [][]sampling.Sampler{{selectNone}, {onError, selectNone}} {
		synctest.Test(t, func(t *testing.T) {
			log := &blockedLog{wait: make(chan struct{})}
			r := newRecorder(t, Config{Logger: slog.New(log)}, samplers...)
			r.start(withParent(remoteParent(t, trace.FlagsSampled, "ot=th:0")), "weighed").End()
			r.start(withParent(remoteParent(t, 0, "")), "not sampled").End()
			if r.live.warned.Load() {
				t.Error("it warns of parents that there is nothing to say about")
			}
			for range 1000 {
				r.start(withParent(remoteParent(t, trace.FlagsSampled, "")), "root").End()
			}
			close(log.wait)
			if !r.Reconfigure(Config{Limits: unlimited, RemoteParent: Follow}, func(context.Context) {}) {
				t.Fatal("no other rules")
			}
			for range 1000 {
				r.start(withParent(remoteParent(t, trace.FlagsSampled, "ot=th:fffff8;rv:ffffffffffffff")), "root").End()
			}
			time.Sleep(2 * time.Hour)
			synctest.Wait()
			if err := r.Shutdown(context.Background()); err != nil {
				t.Fatal(err)
			}
			if len(log.lines) != 1 {
				t.Fatalf("logged %d lines, want 1: %q", len(log.lines), log.lines)
			}
			for _, want := range []string{"ot=th", "no weight", "span_metrics", "docs/upgrading-a-fleet.md"} {
				if !strings.Contains(log.lines[0], want) {
					t.Errorf("the line does not say %q: %s", want, log.lines[0])
				}
			}
			if s := r.Stats(); s.NoThreshold != 1000 || s.ImpossibleThreshold != 1000 || s.Started != 2002 {
				t.Errorf("stats = %+v", s)
			}
		})
	}
}

// While rules are put into force, or after Shutdown, whoever starts a span does not wait to
// warn.
func TestWarningOfParentsThatMustWait(t *testing.T) {
	log := &blockedLog{wait: make(chan struct{})}
	close(log.wait)
	r := newRecorder(t, Config{Logger: slog.New(log)}, selectNone)
	r.live.former.mu.Lock()
	r.start(withParent(remoteParent(t, trace.FlagsSampled, "")), "root").End()
	r.live.former.mu.Unlock()
	if r.live.warned.Load() {
		t.Error("it has warned")
	}
	r.start(withParent(remoteParent(t, trace.FlagsSampled, "")), "root").End()
	if err := r.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	if len(log.lines) != 1 {
		t.Errorf("logged %d lines, want 1", len(log.lines))
	}
	r.live.warned.Store(false)
	r.live.warnOfParents()
	if r.live.warned.Load() {
		t.Error("it warns after Shutdown")
	}
}
