package sampling

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/trace"
)

func TestParseOT(t *testing.T) {
	long := strings.Repeat("x", 250)
	tests := []struct {
		name, in string
		want     otEntry
		out      string
	}{
		{"empty", "", otEntry{th: Unknown}, ""},
		{"th", "th:c", otEntry{th: 0xc << 52}, "th:c"},
		{"th with zeros", "th:c000", otEntry{th: 0xc << 52}, "th:c"},
		{"rv", "rv:6e6d1a75832a2f", otEntry{th: Unknown, rv: 0x6e6d1a75832a2f, hasRV: true}, "rv:6e6d1a75832a2f"},
		{"rv with leading zeros", "rv:00000000000001", otEntry{th: Unknown, rv: 1, hasRV: true}, "rv:00000000000001"},
		{"foreign members are kept", "p:8;th:0;r:62", otEntry{th: Always, foreign: "p:8;r:62"}, "th:0;p:8;r:62"},
		{"malformed th is absent", "th:xyz;a:1", otEntry{th: Unknown, foreign: "a:1"}, "a:1"},
		{"th of 15 digits is absent", "th:000000000000000", otEntry{th: Unknown}, ""},
		{"upper case th is absent", "th:C", otEntry{th: Unknown}, ""},
		{"empty th is absent", "th:", otEntry{th: Unknown}, ""},
		{"th twice is absent: which one holds?", "th:0;th:c", otEntry{th: Unknown}, ""},
		{"rv of 13 digits is absent", "rv:6e6d1a75832a2", otEntry{th: Unknown}, ""},
		{"rv twice is absent", "rv:6e6d1a75832a2f;rv:00000000000001", otEntry{th: Unknown}, ""},
		{"members without colon are left out", "junk;th:8;;", otEntry{th: 8 << 52}, "th:8"},
		{"keys in upper case are left out", "Th:8;a:1", otEntry{th: Unknown, foreign: "a:1"}, "a:1"},
		{"values with spaces are left out", "a:b c;b:1", otEntry{th: Unknown, foreign: "b:1"}, "b:1"},
		{"the first of equal keys stays", "a:1;a:2", otEntry{th: Unknown, foreign: "a:1"}, "a:1"},
		{"over 256 characters is ignored", "a:" + long + long, otEntry{th: Unknown}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := parseOT(tt.in)
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(otEntry{})); diff != "" {
				t.Errorf("parseOT(%q) (-want +got):\n%s", tt.in, diff)
			}
			if s := got.String(); s != tt.out {
				t.Errorf("parseOT(%q).String() = %q, want %q", tt.in, s, tt.out)
			}
		})
	}
}

func TestWithThresholdKeepsOtherEntries(t *testing.T) {
	ts := mustTraceState(t, "vendor=1,ot=p:8;th:8;rv:6e6d1a75832a2f,other=2")
	if got, want := WithThreshold(ts, 0xc<<52).String(), "ot=th:c;rv:6e6d1a75832a2f;p:8,vendor=1,other=2"; got != want {
		t.Errorf("withThreshold = %q, want %q", got, want)
	}
	if got, want := WithThreshold(ts, Unknown).String(), "ot=rv:6e6d1a75832a2f;p:8,vendor=1,other=2"; got != want {
		t.Errorf("withoutThreshold = %q, want %q", got, want)
	}
	only := mustTraceState(t, "ot=th:8")
	if got := WithThreshold(only, Unknown).String(); got != "" {
		t.Errorf("withoutThreshold left %q", got)
	}
}

// A stale threshold would be a wrong weight, so that a full entry loses th.
func TestFullEntryLosesThreshold(t *testing.T) {
	foreign := "a:" + strings.Repeat("x", 252)
	ts := mustTraceState(t, "ot="+foreign)
	if got, want := WithThreshold(ts, Always).String(), "ot="+foreign; got != want {
		t.Errorf("withThreshold = %q, want %q", got, want)
	}
}

func TestThresholdOfContradiction(t *testing.T) {
	id := trace.TraceID{15: 0x7f, 9: 0x7f}
	sc := func(ts string) trace.SpanContext {
		return trace.NewSpanContext(trace.SpanContextConfig{TraceID: id, SpanID: trace.SpanID{1}, TraceState: mustTraceState(t, ts)})
	}
	if got := ThresholdOf(sc("ot=th:7")); got != 7<<52 {
		t.Errorf("R >= T: %s, want 7", got)
	}
	if got := ThresholdOf(sc("ot=th:8")); got != Unknown {
		t.Errorf("R < T: %s, want unknown", got)
	}
	if got := ThresholdOf(sc("ot=th:8;rv:80000000000000")); got != 8<<52 {
		t.Errorf("rv replaces the trace ID: %s, want 8", got)
	}
	if got := ThresholdOf(sc("")); got != Unknown {
		t.Errorf("no th: %s, want unknown", got)
	}
}

func FuzzTraceState(f *testing.F) {
	for _, s := range []string{"th:c", "rv:6e6d1a75832a2f;th:0", "a:1;b:2", ";;;", "th:;rv:", strings.Repeat("a:1;", 70)} {
		f.Add(s, uint64(0xc<<52))
	}
	f.Fuzz(func(t *testing.T, s string, th uint64) {
		e := parseOT(s)
		if again := parseOT(e.String()); again != e {
			t.Fatalf("%q: %+v became %+v", s, e, again)
		}
		e.th = Threshold(th % (1<<56 + 1))
		out := e.String()
		if len(out) > otMaxLen {
			t.Fatalf("%q became %d characters", s, len(out))
		}
		if got := parseOT(out); got.hasRV != e.hasRV || got.rv != e.rv || got.foreign != e.foreign {
			t.Fatalf("setting th of %q changed the rest: %+v, want %+v", s, got, e)
		}
		if out != "" {
			if _, err := trace.ParseTraceState("ot=" + out); err != nil {
				t.Fatalf("%q became %q: %v", s, out, err)
			}
		}
	})
}

func mustTraceState(t *testing.T, s string) trace.TraceState {
	t.Helper()
	ts, err := trace.ParseTraceState(s)
	if err != nil {
		t.Fatal(err)
	}
	return ts
}
