package findings_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/findings"
)

// checkout is a trace with an N+1 of so many queries, which take so long.
func checkout(trace, queries, took int) []actor {
	actors := all(request(0, 1000), times(queries, took, query(1, 0, took, "SELECT * FROM items WHERE id = 1")))
	for i := range actors {
		actors[i].trace, actors[i].id, actors[i].state = trace, i+1, "ot=th:8;rv:ffffffffffffff"
	}
	return actors
}

func TestFind(t *testing.T) {
	var actors []actor
	for i := range 8 {
		actors = append(actors, checkout(i, 5+i, 2)...)
	}
	c := findings.Defaults()
	c.Examples = 3
	spans := scene(actors...)
	got := findings.Find(c, spans)
	if got[0].Kind != findings.Gap || got[0].Count != 16 { // of spans that weigh 2
		t.Errorf("first there is %+v", got[0])
	}
	at := slices.IndexFunc(got, func(f findings.Finding) bool { return f.Kind == findings.NPlusOne })
	want := findings.Finding{
		Kind: findings.NPlusOne, Service: "shop", Operation: "SELECT * FROM items WHERE id = ?", Count: 16, CostMS: 4 * (4 + 5 + 6 + 7 + 8 + 9 + 10 + 11),
		Traces: []string{traceID(7).String(), traceID(6).String(), traceID(5).String()},
		Advice: "At worst: 12 times the same statement below one span, one after another, 24ms; fetch all in one, with IN or a join.",
	}
	for _, s := range spans[len(spans)-12:][:3] {
		want.Spans = append(want.Spans, s.SpanContext().SpanID().String())
	}
	if diff := cmp.Diff(want, got[at]); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}

	// Merged it is the same, in parts too, and so are spans in another order or there twice.
	about := cmpopts.EquateApprox(1e-9, 0)
	parts := findings.Merge(c, append(findings.Trace(c, spans), findings.Across(c, spans)...))
	if diff := cmp.Diff(got, parts, about); diff != "" {
		t.Errorf("merged: -want +got:\n%s", diff)
	}
	if diff := cmp.Diff(got, findings.Merge(c, got), about); diff != "" {
		t.Errorf("merged again: -want +got:\n%s", diff)
	}
	mixed := slices.Concat(spans, spans)
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
	if diff := cmp.Diff(got, findings.Find(c, mixed), about); diff != "" {
		t.Errorf("shuffled: -want +got:\n%s", diff)
	}
}

// Of a span that is there with its end and without, that with the end counts.
func TestTwins(t *testing.T) {
	ended, open := request(0, 5), request(0, noEnd)
	ended.id, open.id = 7, 7
	for _, actors := range [][]actor{{ended, open}, {open, ended}} {
		if got := findings.Trace(findings.Defaults(), scene(actors...)); len(got) != 0 {
			t.Errorf("found %+v", got)
		}
	}
}

// A span of which nobody says when it started does not take the time since 1970.
func TestWithoutStart(t *testing.T) {
	for _, s := range [][]actor{all(query(0, 0, 50, "SELECT 1")), all(request(0, 50), query(1, 0, 50, "SELECT 1"))} {
		stubs := tracetest.SpanStubsFromReadOnlySpans(scene(s...))
		for i := range stubs {
			stubs[i].StartTime = time.Unix(0, 0)
		}
		if got := findings.Trace(findings.Defaults(), stubs.Snapshots()); len(got) != 0 {
			t.Errorf("found %+v", got)
		}
	}
}

// Everything about a trace is found again in Find.
func TestRandom(t *testing.T) {
	c := findings.Defaults()
	for seed := range uint64(300) {
		spans := scene(nonsense(rand.New(rand.NewPCG(seed, 1)), 60)...)
		got := findings.Find(c, spans)
		parts := findings.Merge(c, append(findings.Trace(c, spans), findings.Across(c, spans)...))
		if diff := cmp.Diff(got, parts, cmpopts.EquateApprox(1e-9, 1e-9)); diff != "" {
			t.Fatalf("seed %d: -Find +Merge:\n%s", seed, diff)
		}
		for _, f := range got {
			if f.CostMS < 0 || !(f.Count > 0) || f.Advice == "" || len(f.Traces) == 0 || len(f.Spans) == 0 {
				t.Fatalf("seed %d: %+v", seed, f)
			}
		}
	}
}

// nonsense is a trace as nobody should make it.
func nonsense(r *rand.Rand, n int) []actor {
	var out []actor
	for range n {
		from := r.IntN(500)
		a := []actor{
			request(from, from+r.IntN(900)-100), query(0, from, from+r.IntN(300)-10, fmt.Sprintf("SELECT %d FROM t", r.IntN(9))),
			get(0, from, from+r.IntN(900), fmt.Sprintf("http://h%d/x/%d", r.IntN(3), r.IntN(3))),
		}[r.IntN(3)]
		a.trace, a.id, a.parent = r.IntN(2), 1+r.IntN(n), r.IntN(n+9)
		a.service = []string{"a", "b"}[r.IntN(2)]
		if r.IntN(4) == 0 {
			a.failed = "no"
		}
		if r.IntN(9) == 0 {
			a.to = noEnd
		}
		out = append(out, a)
	}
	return out
}

func TestCheck(t *testing.T) {
	c := findings.Defaults()
	if err := c.Check(); err != nil {
		t.Error(err)
	}
	c = findings.Config{Gap: findings.GapConfig{MinDuration: -1, MinShare: 2}, SlowQuery: findings.SlowQueryConfig{MinDuration: -1}}
	var got []string
	for _, err := range component.FieldErrors(c.Check()) {
		got = append(got, err.Error())
	}
	want := []string{
		"n_plus_one.min_calls: 0: want 2 or more", "sequential_calls.min_calls: 0: want 2 or more", "slow_query.min_duration: -1ns: want 0s or more",
		"retry.storm: 0: want 1 or more", "gap.min_duration: -1ns: want 0s or more", "gap.min_share: 2: want 0 to 1", "fan_out.min_concurrent: 0: want 2 or more",
		"chatty.min_calls: 0: want 2 or more", "large_attribute.min_size: 0B: want 1B or more", "examples: 0: want 1 or more",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// Each key of the settings stands in the documentation of the package with its kind.
func TestKeys(t *testing.T) {
	kinds := map[string]bool{}
	for _, k := range findings.Kinds() {
		kinds[string(k)] = true
		if k.Doc() == "" {
			t.Errorf("nothing is said about %s", k)
		}
	}
	fields, _ := component.FieldsOf(findings.Defaults())
	for _, f := range fields {
		if f.Key != "examples" && !kinds[f.Key] {
			t.Errorf("%s is no kind", f.Key)
		}
	}
}

// What strangers say is in findings, and cut.
func TestLongTexts(t *testing.T) {
	long := strings.Repeat("ä", 1<<20)
	a := failing(query(0, 0, 900, "SELECT \""+long+"\""))
	a.name, a.service, a.failed = long, long, long
	a.attrs = append(a.attrs, attribute.String(long, long))
	b := get(0, 0, 900, "http://a/b", attribute.String("peer.service", long), attribute.String("url.template", long))
	b.name = long
	for _, f := range findings.Find(findings.Defaults(), scene(a, b)) {
		if len(f.Advice) > 2<<10 || len(f.Operation) > 1<<10 || len(f.Service) > 1<<10 {
			t.Errorf("%s: advice of %d bytes, operation %d, service %d", f.Kind, len(f.Advice), len(f.Operation), len(f.Service))
		}
	}
}

func FuzzFind(f *testing.F) {
	f.Add(uint64(1), 9)
	f.Fuzz(func(_ *testing.T, seed uint64, n int) {
		findings.Find(findings.Defaults(), scene(nonsense(rand.New(rand.NewPCG(seed, 2)), 1+n&0xff)...))
	})
}
