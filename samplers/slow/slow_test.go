package slow_test

import (
	"strings"
	"testing"
	"time"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/samplers/samplertest"
	"github.com/riffletrace/riffle/samplers/slow"
)

func newSampler(tb testing.TB, c slow.Config) core.EndSampler {
	tb.Helper()
	if c.Spans == "" {
		c.Spans = slow.LocalRoot
	}
	s, err := slow.New(tb.Context(), core.Settings{}, c)
	if err != nil {
		tb.Fatal(err)
	}
	return s.(core.EndSampler)
}

const second = core.Duration(time.Second)

func TestSlow(t *testing.T) {
	const long, short = time.Second, time.Second - 1
	for _, tt := range []struct {
		name  string
		spans slow.Spans
		p     core.EndParameters
		keep  bool
	}{
		{"root at the threshold", slow.LocalRoot, core.EndParameters{LocalRoot: true, Duration: long}, true},
		{"root below it", slow.LocalRoot, core.EndParameters{LocalRoot: true, Duration: short}, false},
		{"open root, from its age", slow.LocalRoot, core.EndParameters{LocalRoot: true, Open: true, Duration: long}, true},
		{"another span", slow.LocalRoot, core.EndParameters{Duration: long}, false},
		{"any: root", slow.Any, core.EndParameters{LocalRoot: true, Duration: long}, true},
		{"any: another span", slow.Any, core.EndParameters{Duration: long}, true},
		{"any: below", slow.Any, core.EndParameters{Duration: short}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := newSampler(t, slow.Config{Threshold: second, Spans: tt.spans}).SampleEnd(tt.p)
			want := "abstain"
			if tt.keep {
				want = "threshold 0: took 1s or longer"
			}
			if got := a.String(); got != want {
				t.Errorf("answer = %s, want %s", got, want)
			}
		})
	}
}

func TestConfig(t *testing.T) {
	for _, tt := range []struct {
		name   string
		config slow.Config
		errors []string
	}{
		{"complete", slow.Config{Threshold: second, Spans: slow.Any}, nil},
		{"no threshold", slow.Config{Spans: slow.Any}, []string{"threshold: missing"}},
		{"below 0", slow.Config{Threshold: -second, Spans: slow.Any}, []string{"threshold: -1s is no time to wait for"}},
		{"spans", slow.Config{Threshold: second, Spans: "root"}, []string{`spans: "root" is not one of local_root, any`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := core.FieldErrors(tt.config.Validate())
			if len(got) != len(tt.errors) {
				t.Fatalf("errors = %v, want %q", got, tt.errors)
			}
			for i := range got {
				if !strings.HasPrefix(got[i].Error(), tt.errors[i]) {
					t.Errorf("error = %v, want %q", got[i], tt.errors[i])
				}
			}
		})
	}
}

func TestDescription(t *testing.T) {
	for want, c := range map[string]slow.Config{
		"slow from 1s":              {Threshold: second},
		"slow from 250ms, any span": {Threshold: second / 4, Spans: slow.Any},
	} {
		if got := newSampler(t, c).Description(); got != want {
			t.Errorf("description = %s, want %s", got, want)
		}
	}
}

func TestLongestWait(t *testing.T) {
	s := newSampler(t, slow.Config{Threshold: second}).(interface{ LongestWait() time.Duration })
	if got := s.LongestWait(); got != time.Second {
		t.Errorf("longest wait = %v, want 1s", got)
	}
}

func TestConformance(t *testing.T) {
	for _, spans := range []slow.Spans{slow.LocalRoot, slow.Any} {
		samplertest.Run(t, samplertest.Component(core.Use(slow.Factory, "", slow.Config{Threshold: second, Spans: spans})))
	}
}
