package report

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/riffletrace/riffle/bench"
)

// fixed is a run with what reports tell: figures that are not resolved, or of too few
// rounds, losses that are counted and one that is not, points that dropped spans, rounds
// measured again, and a user's configuration.
func fixed(t *testing.T) *bench.Result {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "result.json"))
	if err != nil {
		t.Fatal(err)
	}
	r := new(bench.Result)
	if err := json.Unmarshal(data, r); err != nil {
		t.Fatal(err)
	}
	return r
}

// without leaves variants out.
func without(r *bench.Result, names ...string) *bench.Result {
	for _, name := range names {
		for i := range r.Variants {
			if r.Variants[i].Name == name {
				r.Variants = append(r.Variants[:i], r.Variants[i+1:]...)
				break
			}
		}
	}
	return r
}

// cut leaves the first rounds.
func cut(r *bench.Result, n int) *bench.Result {
	r.Settings.Rounds, r.Settings.SideRounds = n, n
	for i := range r.Variants {
		m := &r.Variants[i]
		m.Rounds, m.Latency, m.Throughput = m.Rounds[:min(n, len(m.Rounds))], m.Latency[:min(n, len(m.Latency))], m.Throughput[:min(n, len(m.Throughput))]
	}
	for i := range r.Scaling {
		p := &r.Scaling[i]
		p.CPU, p.PerSecond = p.CPU[:n], p.PerSecond[:n]
	}
	return r
}

func allCharts(r *bench.Result) (all []chart) {
	for _, s := range sections(r) {
		all = append(all, charts(r, s.ID)...)
	}
	return all
}

// colors are the first classes that the shapes and the legends of charts have, by what
// they are of.
func colors(all []chart) map[string]map[string]bool {
	is := map[string]map[string]bool{}
	add := func(class, name string) {
		class = strings.Fields(strings.TrimPrefix(strings.TrimPrefix(class, "bar "), "dot "))[0]
		if is[class] == nil {
			is[class] = map[string]bool{}
		}
		is[class][name] = true
	}
	for _, c := range all {
		for _, k := range c.Legend {
			add(k.Class, k.Name)
		}
		for _, r := range c.Rects {
			if r.Class == "hollow" {
				continue
			}
			name, _, _ := strings.Cut(r.Title, ": ")
			if _, part, ok := strings.Cut(r.Class, "part-"); ok {
				name = part
			}
			add(r.Class, name)
		}
	}
	return is
}

// A class is of one kind of variant, or one part, in all charts, and the page has a
// colour for it in both themes that is nothing else's.
func TestColors(t *testing.T) {
	r := fixed(t)
	want := map[string]map[string]bool{
		"off":    {"off": true},
		"floor":  {"floor": true},
		"stock":  {"stock": true, "stock 10 %": true, "stock 100 %": true},
		"riffle": {"riffle": true, "riffle 0 %": true, "riffle 10 %": true, "riffle 100 %": true},
		"keeps":  {"riffle 1 % + error + slow": true, "riffle 1 % + error + slow, span metrics": true, "riffle + error + slow": true},
		"own":    {"fluxbase.yaml": true},
	}
	for _, part := range []string{"record", "sample", "queue", "encode", "compress", "send"} {
		want["part-"+part] = map[string]bool{part: true}
	}
	tenth, _ := r.Variant(full)
	r.Variants = append(r.Variants, *tenth)
	tenth = &r.Variants[len(r.Variants)-1]
	tenth.Variant = bench.RiffleAt(0.1, false, bench.HTTP) // so that there is a chart by rate
	got := colors(allCharts(r))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what has a colour (-want +got):\n%s", diff)
	}
	for class := range want {
		variable := strings.TrimPrefix(class, "part-")
		if n := strings.Count(pageSource, "--"+variable+": #"); n != 2 {
			t.Errorf("%s has %d colours, want one in each theme", class, n)
		}
		if !strings.Contains(pageSource, "."+class+" { --c: var(--"+variable+"); }") {
			t.Errorf("class %s has no colour", class)
		}
	}
	seen := map[string]bool{}
	for _, color := range regexp.MustCompile(`--[a-z]+: (#[0-9a-f]+)`).FindAllStringSubmatch(pageSource, -1) {
		if seen[color[1]] {
			t.Errorf("%s is two colours", color[1])
		}
		seen[color[1]] = true
	}
}

// What dropped spans has no bar with a length, and is no point of a line.
func TestDroppedIsNotCheap(t *testing.T) {
	const name = "stock 100 %, gRPC"
	r := fixed(t)
	boxes := 0
	for _, c := range allCharts(r) {
		wide := 0.0
		for _, rect := range c.Rects {
			if rect.Class == "hollow" {
				boxes++
				wide = rect.W
			}
			if rect.Class != "hollow" && strings.HasPrefix(rect.Title, name) {
				t.Errorf("%s: %s is drawn as a bar", c.Title, rect.Title)
			}
		}
		if wide > 0 && wide < plotW {
			t.Errorf("%s: the box is %v wide, as if that was a cost", c.Title, wide)
		}
		if strings.HasPrefix(c.Title, "CPU of a trace") {
			for _, d := range c.Dots {
				if hollow := strings.HasPrefix(d.Class, "hollow"); hollow != strings.HasPrefix(d.Title, "stock 100 %") || hollow != strings.Contains(d.Title, "dropped 25.0 %") {
					t.Errorf("%s: %+v", c.Title, d)
				}
			}
			for _, p := range c.Paths {
				if strings.HasPrefix(p.Class, "stock") && p.D != "" {
					t.Errorf("%s: %+v", c.Title, p)
				}
			}
		}
	}
	if boxes != 3 { // CPU time, what is allocated, and the parts
		t.Errorf("%d boxes of what is not comparable, want 3", boxes)
	}
	// Shares of what dropped spans are none of all spans.
	m, _ := r.Variant(stock)
	m.Counts.Dropped = m.Counts.Kept / 2
	if c := shareChart(r); strings.Contains(c.About, "share") {
		t.Errorf("%q though %s dropped half of it", c.About, stock)
	}
}

// Fewer than six rounds have no interval: neither drawn, nor written.
func TestFewRounds(t *testing.T) {
	for _, n := range []int{1, 5, 6} {
		r := cut(fixed(t), n)
		whiskers, brackets := 0, 0
		for _, c := range allCharts(r) {
			whiskers += len(c.Whiskers)
		}
		var text strings.Builder
		if err := Text(&text, r); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(text.String()) {
			brackets += strings.Count(line, " .. ")
		}
		if few := n < 6; few != (whiskers == 0) || few != (brackets == 0) {
			t.Errorf("%d rounds: %d whiskers, %d intervals", n, whiskers, brackets)
		}
	}
}

// The first sentence says what is known, and no more.
func TestFindings(t *testing.T) {
	const kept, most = "Every error, every slow request and 1 % of the rest, with riffle: ", "Everything, with riffle: "
	others := []string{"fluxbase.yaml", full}
	noisy := fixed(t)
	base, _ := noisy.Variant(stock)
	for i := range base.Rounds {
		base.Rounds[i].User -= []time.Duration{45e6, 50e6}[i%2]
	}
	dropping := fixed(t)
	base, _ = dropping.Variant(stock)
	base.Counts.Dropped = 940
	for _, test := range []struct {
		name string
		r    *bench.Result
		want []string
	}{
		{"resolved", without(fixed(t), "fluxbase.yaml"), []string{
			kept + "0.24 [0.22 .. 0.25] of the CPU time that the SDK takes to send everything, and 4.3 KiB allocated for a request instead of 18.4.",
			most + "0.38 [0.35 .. 0.42] of the CPU time that the SDK takes to send everything, and 7.1 KiB allocated for a request instead of 18.4.",
		}},
		{"not resolved", without(noisy, others...), []string{
			kept + "4.3 KiB allocated for a request instead of 18.4 with the SDK that sends everything; what it takes of CPU time is not resolved by this run.",
		}},
		{"few rounds", without(cut(fixed(t), 2), others...), []string{
			kept + "4.3 KiB allocated for a request instead of 18.4 with the SDK that sends everything; what it takes of CPU time is not resolved by this run.",
		}},
		{"dropped", without(dropping, others...), []string{
			kept + "0.24 [0.22 .. 0.25] of the CPU time that the SDK takes to send everything, and 4.3 KiB allocated for a request instead of 18.4. But stock 100 % dropped 1.0 % of its spans, which is cheaper than to send them.",
		}},
		{"without the SDK", without(fixed(t), append(others, stock)...), []string{
			kept + "11.1 µs [10.2 .. 11.7] of CPU time and 4.3 KiB allocated for a request, over the untraced service.",
		}},
		{"of a user", without(fixed(t), full, keeps), []string{
			"fluxbase.yaml: 0.30 [0.29 .. 0.31] of the CPU time that the SDK takes to send everything, and 5.5 KiB allocated for a request instead of 18.4.",
		}},
		{"others", without(fixed(t), append(others, keeps, stock, "riffle 0 %")...), []string{
			"stock 10 %: 9.1 µs [7.5 .. 10.5] of CPU time and 3.6 KiB allocated for a request, over the untraced service.",
		}},
		{"nothing", &bench.Result{}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, findings(test.r)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
