package host

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/sampling"
)

// told is a sampler that does what a file says: the rate of all, and then the
// tenants about whom that is news, or nobody if it is about everybody. Its
// leases hold for so long that none runs out in a test.
type toldConfig struct {
	Path string `yaml:"path" doc:"of the file"`
}

var toldFactory = component.NewFactory("told", toldConfig{}, func(_ context.Context, _ component.Settings, c toldConfig) (sampling.Sampler, error) {
	return told{c.Path}, nil
})

type told struct{ path string }

func (told) Traits() sampling.Traits {
	return sampling.Traits{Description: "told", Keyed: true, Keys: []attribute.Key{"tenant"}, IgnoresName: true, IgnoresKind: true}
}

func (t told) words() []string { b, _ := os.ReadFile(t.path); return strings.Fields(string(b)) }

func (t told) answer() sampling.Answer {
	return sampling.At(map[string]sampling.Threshold{"all": sampling.Always, "none": sampling.Never}[t.words()[0]])
}
func (t told) SampleStart(sampling.StartParameters) sampling.Answer { return t.answer() }

func (t told) Lease(sampling.StartParameters, uint64) (sampling.Answer, time.Duration) {
	return t.answer(), time.Hour
}

func (t told) Changes(ctx context.Context, changed func(...sampling.StartParameters)) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for last := t.words(); ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := t.words()
		if len(now) == 0 || slices.Equal(now, last) {
			continue
		}
		last = now
		var starts []sampling.StartParameters
		for _, tenant := range now[1:] {
			starts = append(starts, sampling.StartParameters{Attributes: []attribute.KeyValue{attribute.String("tenant", tenant)}})
		}
		changed(starts...)
	}
}

// A plugin takes back what it leased, for some or for all, and at once: the
// leases hold for an hour.
func TestChanges(t *testing.T) {
	file := filepath.Join(t.TempDir(), "told")
	tell := func(text string) {
		t.Helper()
		if err := os.WriteFile(file+".new", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	}
	tell("all")
	p, logs := opened(t, "told", nil)
	built, err := p.Sampler(t.Context(), settings(logs), "", component.JSON(`{"path": "`+file+`"}`))
	if err != nil {
		t.Fatal(err)
	}
	defer built.(component.Shutdowner).Shutdown(context.Background())
	s := built.(sampling.StartSampler)
	const all, none = "threshold 0", "threshold never"
	for _, tenant := range []string{"a", "b", "c"} {
		if got := answered(t, s, start(tenant)).String(); got != all {
			t.Fatalf("the answer about %s is %s, want %s", tenant, got, all)
		}
	}
	// The stream is open once it has told of a change.
	eventually(t, "the first change", func() bool {
		tell("none c")
		tell("all c")
		tell("none c")
		return s.SampleStart(start("c")).String() == none
	})

	// A lease that is replaced decides without a gap; others stay as they are.
	tell("none a")
	eventually(t, "a has another answer", func() bool {
		a := s.SampleStart(start("a"))
		if a.IsAbstain() {
			t.Fatal("between two leases nobody decides")
		}
		return a.String() == none
	})
	if got := s.SampleStart(start("b")).String(); got != all {
		t.Errorf("the answer about b is %s although nothing was said about it, want %s", got, all)
	}
	// For everybody.
	tell("none")
	for _, tenant := range []string{"b", "a", "c"} {
		eventually(t, tenant+" has the answer of all", func() bool { return s.SampleStart(start(tenant)).String() == none })
	}
	tell("all")
	eventually(t, "b has its first answer again", func() bool { return s.SampleStart(start("b")).String() == all })
}
