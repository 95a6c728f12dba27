package viewer

import (
	"math"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/findings"
)

const ms = time.Millisecond

// someTraces are three: a fine one with a call, one that fails, one of unknown weight.
func someTraces(t *testing.T) *store {
	t.Helper()
	s := newStore(math.MaxInt64)
	s.add(spans(t,
		stub{trace: 1, id: 1, service: "shop", name: "GET /cart", kind: 2, to: 100 * ms, state: "ot=th:c", attrs: []attribute.KeyValue{
			attribute.String("user.name", "Änne"), attribute.Int("http.response.status_code", 200), attribute.StringSlice("tags", []string{"a", "b"}),
		}},
		stub{trace: 1, id: 2, parent: 1, service: "payment", name: "POST /charge", kind: 3, from: 10 * ms, to: 20 * ms, state: "ot=th:c"},
		stub{trace: 2, id: 1, service: "shop", name: "GET /cart", kind: 2, from: time.Second, to: 3 * time.Second, failed: true, events: []sdktrace.Event{
			{Name: "exception", Time: epoch, Attributes: []attribute.KeyValue{attribute.String("exception.message", "Card DECLINED")}},
		}},
		stub{trace: 3, id: 9, parent: 8, service: "mail", name: "send", kind: 5, from: 10 * time.Second, to: 10*time.Second + 5*ms, attrs: []attribute.KeyValue{attribute.Bool("urgent", true), attribute.Float64("share", 0.5)}},
	))
	a := &analysis{store: s, detect: noDetector}
	a.detect.Trace = func(spans []sdktrace.ReadOnlySpan) []findings.Finding {
		if spans[0].Name() == "send" {
			return []findings.Finding{{Kind: findings.MissingParent}}
		}
		return nil
	}
	a.look(t.Context())
	return s
}

func search(t *testing.T, s *store, raw string) *found {
	t.Helper()
	q, err := parseQuery(raw, searchKeys)
	if err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	out, err := s.search(t.Context(), &q)
	if err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	return out
}

func TestSearch(t *testing.T) {
	s := someTraces(t)
	for raw, want := range map[string]string{ // traces, the latest first
		"":                                       "321",
		"sort=longest":                           "213",
		"sort=spans":                             "123",
		"limit=1":                                "3",
		"service=shop":                           "21",
		"service=sho":                            "",
		"service=payment":                        "1",
		"name=GET+/cart":                         "21",
		"service=payment&name=GET+/cart":         "", // of one span
		"status=error":                           "2",
		"status=ok":                              "31",
		"min=99ms":                               "21",
		"min=1s":                                 "2",
		"max=5ms":                                "3",
		"min=6ms&max=10ms":                       "1",
		"trace_min=100ms":                        "21",
		"trace_below=100ms":                      "3",
		"trace_min=5ms&trace_below=100001us":     "31",
		"trace_below=5ms":                        "",
		"finding=missing_parent":                 "3",
		"finding=gap":                            "",
		"attr=http.response.status_code%3D200":   "1",
		"attr=http.response.status_code%3D20":    "",
		"attr=urgent%3Dtrue":                     "3",
		"attr=share%3D0.5":                       "3",
		"attr=urgent%3Dtrue&attr=share%3D0.5":    "3",
		"attr=urgent%3Dtrue&attr=share%3D0.6":    "",
		"attr=absent%3Dx":                        "",
		"attr=urgent%3Dtrue&attr=urgent%3Dfalse": "",
		"attr=tags%3D" + url.QueryEscape(`["a","b"]`):                     "1",
		"attr=host.name%3Dshop-1":                                         "21", // of the resource
		"attr=host.name%3Dshop-1&attr=http.response.status_code%3D200":    "1",
		"attr=host.name%3Dpayment-1&attr=http.response.status_code%3D200": "",
		"q=declined":         "2",
		"q=cArD+dEcL":        "2",
		"q=CHARGE":           "1",
		"q=%C3%84NNE":        "1",
		"q=%C3%A4nne":        "1",
		"q=exception":        "2", // the event's name
		"q=user.name":        "",  // a key
		"q=it+BROKE":         "2", // why it failed
		"q=payment-1":        "1",
		"q=200":              "1",
		"q=true":             "3",
		"q=bb00000000000009": "3",
		"q=BB00000000000009": "3",
		"q=aa000000000000000" + "0ff00000000000" + "2":      "2",
		"service=shop&q=charge":                             "",
		"from=" + micro(time.Second):                        "32",
		"to=" + micro(time.Second):                          "21",
		"from=" + micro(ms) + "&to=" + micro(2*time.Second): "2",
	} {
		var got strings.Builder
		out := search(t, s, raw)
		for _, tr := range out.Traces {
			got.WriteString(tr.ID[len(tr.ID)-1:])
		}
		if got.String() != want {
			t.Errorf("%s: %q, want %q", raw, got.String(), want)
		}
		if !strings.HasPrefix(raw, "limit") && out.Matched != len(want) {
			t.Errorf("%s: %d match", raw, out.Matched)
		}
	}
}

func micro(d time.Duration) string {
	return attribute.Int64Value(epoch.Add(d).UnixMicro()).String()
}

func TestSearchFigures(t *testing.T) {
	out := search(t, someTraces(t), "")
	four := 4.0
	want := []foundTrace{
		{ID: traceID(3).String(), Service: "mail", Name: "send", Start: float64(epoch.UnixMicro() + 10_000_000), Duration: 5000, Spans: 1, Services: []string{"mail"}, Findings: []findings.Kind{findings.MissingParent}},
		{ID: traceID(2).String(), Service: "shop", Name: "GET /cart", Start: float64(epoch.UnixMicro() + 1_000_000), Duration: 2e6, Spans: 1, Errors: 1, Services: []string{"shop"}, Root: true, Findings: []findings.Kind{}},
		{ID: traceID(1).String(), Service: "shop", Name: "GET /cart", Start: float64(epoch.UnixMicro()), Duration: 1e5, Spans: 2, Services: []string{"payment", "shop"}, Weight: &four, Root: true, Findings: []findings.Kind{}},
	}
	if diff := cmp.Diff(want, out.Traces); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if out.Weight != 6 || len(out.Points) != 3 || out.Took <= 0 || out.Version == 0 {
		t.Errorf("%+v", out)
	}
	wantHistogram := foundHistogram{
		Edges:   []float64{1e4, 2e4, 5e4, 1e5, 2e5, 5e5, 1e6, 2e6},
		Weights: []float64{1, 0, 0, 0, 4, 0, 0, 0, 1}, Errors: []float64{0, 0, 0, 0, 0, 0, 0, 0, 1},
	}
	if diff := cmp.Diff(wantHistogram, out.Histogram); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	empty := search(t, newStore(1), "")
	if len(empty.Histogram.Weights) != 1 || len(empty.Histogram.Edges) != 0 || empty.Traces == nil || empty.Points == nil {
		t.Errorf("%+v", empty)
	}
}

// A bar of the histogram counts the traces that a search between its edges finds.
func TestBarsAreWhatIsFound(t *testing.T) {
	s := someTraces(t)
	s.add(load(1, 300))
	all := search(t, s, "").Histogram
	edge := func(i int) string { return time.Duration(all.Edges[i] * 1e3).String() }
	for i, want := range all.Weights {
		query := url.Values{}
		if i > 0 {
			query.Set("trace_min", edge(i-1))
		}
		if i < len(all.Edges) {
			query.Set("trace_below", edge(i))
		}
		if got := search(t, s, query.Encode()).Weight; got != want {
			t.Errorf("%v: %v, the bar says %v", query, got, want)
		}
	}
}

// Of many traces the scatter has some, and the longest; each once.
func TestPoints(t *testing.T) {
	s := newStore(math.MaxInt64)
	fill(s, 5000)
	out := search(t, s, "limit=1000&sort=longest")
	if len(out.Points) < maxPoints/2 || len(out.Points) > maxPoints || len(out.Traces) != 1000 {
		t.Fatalf("%d points, %d traces", len(out.Points), len(out.Traces))
	}
	seen := map[any]bool{}
	for _, p := range out.Points {
		if seen[p[3]] {
			t.Fatalf("%v is there twice", p)
		}
		seen[p[3]] = true
	}
	for i, tr := range out.Traces {
		if i < maxPoints/8 && !seen[tr.ID] {
			t.Errorf("the longest but %d is missing", i)
		}
		if i > 0 && tr.Duration > out.Traces[i-1].Duration {
			t.Errorf("%d is longer than the one before", i)
		}
	}
}

func TestBest(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	byLength := order(sortLongest)
	for range 200 {
		all := make([]*held, r.IntN(300))
		for i := range all {
			all[i] = &held{id: trace.TraceID{byte(i), byte(i >> 8)}, end: r.Int64N(50)}
		}
		n := 1 + r.IntN(40)
		want := slices.SortedFunc(slices.Values(all), byLength)
		if got := best(all, n, byLength); !slices.Equal(got, want[:min(n, len(want))]) {
			t.Fatalf("%d of %d", n, len(all))
		}
	}
}

func TestOperations(t *testing.T) {
	s := someTraces(t)
	q, err := parseQuery("", queryKeys)
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.operations(t.Context(), &q)
	if err != nil {
		t.Fatal(err)
	}
	seconds := (10*time.Second + 5*ms).Seconds()
	want := []operation{
		// One span that stands for four, and one for itself.
		{"shop", "GET /cart", "server", 2, 5, 5 / seconds, 1, 1e5, 2e6, 2e6},
		{"payment", "POST /charge", "client", 1, 4, 4 / seconds, 0, 1e4, 1e4, 1e4},
		{"mail", "send", "consumer", 1, 1, 1 / seconds, 0, 5e3, 5e3, 5e3},
	}
	if diff := cmp.Diff(want, got.Operations); diff != "" || got.Seconds != seconds {
		t.Errorf("%v seconds (-want +got):\n%s", got.Seconds, diff)
	}
}

func TestPercentilesAreByWeight(t *testing.T) {
	s := samples{all: []sample{{3000, 1}, {1000, 96}, {2000, 2}, {4000, 1}}}
	if p50, p95, p99 := s.percentiles(); p50 != 1 || p95 != 1 || p99 != 3 {
		t.Errorf("%v %v %v", p50, p95, p99)
	}
	r := rand.New(rand.NewPCG(5, 6))
	for range 100 { // a weight of n is n of them
		var weighted, single samples
		for range 1 + r.IntN(50) {
			d, w := r.Int64N(100), 1+r.IntN(9)
			weighted.all = append(weighted.all, sample{d, float64(w)})
			for range w {
				single.all = append(single.all, sample{d, 1})
			}
		}
		a, b, c := weighted.percentiles()
		if x, y, z := single.percentiles(); a != x || b != y || c != z {
			t.Fatalf("%v %v %v, want %v %v %v", a, b, c, x, y, z)
		}
	}
}

func TestQueryMistakes(t *testing.T) {
	for raw, want := range map[string]string{
		"nope=1":                              `unknown parameter "nope": want service, name, status, min, max, trace_min, trace_below, attr, q, from, to, finding, sort, limit`,
		"q=a&q=b":                             "q is there 2 times: want 1 at most",
		strings.Repeat("attr=a%3Db&", 17):     "attr is there 17 times: want 16 at most",
		"status=bad":                          `status: "bad": want error or ok`,
		"min=5":                               `min: "5": want a duration such as 250ms`,
		"max=-5s":                             `max: "-5s": want a duration such as 250ms`,
		"min=2s&max=1s":                       "min is above max",
		"trace_min=2s&trace_below=2s":         "trace_min is not below trace_below",
		"attr=a":                              `attr: "a": want KEY=VALUE`,
		"attr=%3Da":                           `attr: "=a": want KEY=VALUE`,
		"from=NaN":                            `from: "NaN": want microseconds since 1970`,
		"to=Inf":                              `to: "Inf": want microseconds since 1970`,
		"from=2&to=1":                         "from is after to",
		"finding=x":                           `finding: "x": want one of n_plus_one, `,
		"sort=x":                              `sort: "x": want one of recent, longest, spans`,
		"limit=0":                             `limit: "0": want 1 to 1000`,
		"limit=1001":                          `limit: "1001": want 1 to 1000`,
		"q=%zz":                               "reading the query: invalid URL escape",
		"q=" + strings.Repeat("x", maxText+1): "q is longer than 1024 bytes",
		"q=" + strings.Repeat("x", maxQuery):  "the query is longer than 16384 bytes",
	} {
		if _, err := parseQuery(raw, searchKeys); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%.50s: %v, want %s", raw, err, want)
		}
	}
	if _, err := parseQuery("limit=1", queryKeys); err == nil {
		t.Error("operations take a limit")
	}
}

// Whatever is asked, there is an answer or a short mistake.
func FuzzQuery(f *testing.F) {
	f.Add("service=shop&name=x&status=error&min=1ms&max=1h&attr=a%3Db&q=%C3%84&from=1&to=2e300&finding=gap&sort=spans&limit=7")
	s := newStore(math.MaxInt64)
	fill(s, 50)
	f.Fuzz(func(t *testing.T, raw string) {
		q, err := parseQuery(raw, searchKeys)
		if err != nil {
			if len(err.Error()) > 4*maxText {
				t.Errorf("%d bytes of mistake", len(err.Error()))
			}
			return
		}
		if out, err := s.search(t.Context(), &q); err != nil || len(out.Traces) > q.limit || out.Matched > 50 {
			t.Errorf("%+v, %v", out, err)
		}
		if _, err := s.operations(t.Context(), &q); err != nil {
			t.Error(err)
		}
	})
}

// A text is found exactly where it is in lower case.
func FuzzNeedle(f *testing.F) {
	f.Add("aBc", "xxABCxx")
	f.Add("Ä", "xä")
	f.Add("", "")
	f.Fuzz(func(t *testing.T, text, in string) {
		n := newNeedle(text)
		lower := strings.ToLower(in)
		if !isASCII(in) && n.ascii {
			lower = strings.Map(func(r rune) rune { // letters of ASCII alone
				if r < 128 {
					return rune(lowered[r])
				}
				return r
			}, in)
		}
		if want := strings.Contains(lower, n.lower); n.in([]byte(in)) != want {
			t.Errorf("%q in %q: want %t", text, in, want)
		}
	})
}
