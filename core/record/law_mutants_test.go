package record

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// lawMutant breaks the law in a way that TestLaw must find. Every text that it
// replaces stands exactly once in its file.
type lawMutant struct {
	name  string
	by    string // the kind of failure that tells, whatever else may
	edits []lawEdit
}

type lawEdit struct{ file, from, to string }

var lawMutants = []lawMutant{
	{"end samplers are asked only about what the start did not select", "law", []lawEdit{
		{"end.go", "if mask := g.unanswered.Load(); mask != 0 {", "if mask := g.unanswered.Load(); mask != 0 && !g.isSelected() {"},
	}},
	{"overdue segments are asked about only if the start did not select them", "law", []lawEdit{
		{"sweep.go", "mask != 0 && g.root.IsRecording()", "mask != 0 && !g.isSelected() && g.root.IsRecording()"},
	}},
	{"an end sampler whose answer does not select is asked again", "law", []lawEdit{
		{"decide.go", "\tg.file(said)\n", "\tg.file(said)\n\tif !max(t, said.from).Selects(g.randomness) {\n\t\tg.unanswered.Or(bit)\n\t}\n"},
	}},
	{"a limit counts what it selects", "others", []lawEdit{
		{"decide.go", "if e.limit != nil {", "if e.limit != nil && t.Selects(g.randomness) {"},
	}},
	{"what is remembered is what keeps", "traceless", []lawEdit{
		{"memory.go", "if g.has(isPrivate | isFollowing) {", "if g.has(isPrivate|isFollowing) || !max(a.threshold, a.from).Selects(g.randomness) {"},
	}},
	{"others are heard only by what the start did not select", "law", []lawEdit{
		{"memory.go", "l.memory.traces.Load() == 0 || g.has(isGone)", "l.memory.traces.Load() == 0 || g.has(isGone) || g.isSelected()"},
	}},
	{"an answer is passed on without the pressure on who gave it", "law", []lawEdit{
		{"memory.go", "\ta.from = max(a.from, g.pressure)\n", ""},
	}},
	{"an early decision is for good where it does not keep", "law", []lawEdit{
		{
			"decide.go", "\tif g.ask(false) {\n\t\treturn\n\t}\n",
			"\tif g.ask(false) {\n\t\treturn\n\t}\n\tif _, _, kept := g.threshold(sampling.Always, unlowered); !kept {\n\t\tg.bits |= isGone\n\t}\n",
		},
	}},
	{"late spans of a segment that was let go are not recorded", "law", []lawEdit{
		{"segment.go", "if g.has(isGone|isFinished) ||", "if g.has(isGone|isFinished) || g.has(isCountedLost) && g.slot == unlisted ||"},
	}},
	{"late spans of a segment that was kept are handed over at once", "law", []lawEdit{
		{"decide.go", "return g.has(isSure) || !g.rules().WaitForEnd()", "return g.has(isSure|isCounted) || !g.rules().WaitForEnd()"},
	}},
	{"the threshold has the pressure of today", "law", []lawEdit{
		{"pressure.go", "\tif pressure <= g.pressure {\n\t\treturn 0, 0\n\t}\n", ""},
	}},
	{"a segment that opens again has the pressure of today", "law", []lawEdit{
		{"segment.go", "g.pressure = max(g.pressure, l.pressure())", "g.pressure = l.pressure()"},
	}},
	{"the threshold is without the pressure", "law", []lawEdit{
		{"decide.go", "said := max(g.pressure, g.least)", "said := g.least"},
	}},
	{"pressure lets go of what the start selected", "law", []lawEdit{
		{"pressure.go", "\tcase g.isSelected():\n\t\tg.unanswered.Store(0) // the start's threshold is the least\n", ""},
	}},
	{"only what the start did not select is thinned", "law", []lawEdit{
		{"end.go", "case g.bytes > r.bounds.MaxSegmentBytes && g.opens > 0", "case !g.isSelected() && g.bytes > r.bounds.MaxSegmentBytes && g.opens > 0"},
	}},
	{"a segment holds more if it has a threshold", "traceless", []lawEdit{
		{"size.go", "if key != otKey {", "if true {"},
	}},
	{"at most is not for what the start selected", "law", []lawEdit{
		{"decide.go", "\t\tt = max(t, raise)\n", "\t\tif !g.isSelected() {\n\t\t\tt = max(t, raise)\n\t\t}\n"},
	}},
	{"at most raises what is said, and is not compared", "law", []lawEdit{
		{"decide.go", "return t, by, t.Selects(g.randomness)", "return t, by, true"},
	}},
	{"segment samplers are asked only about what the start did not select", "law", []lawEdit{
		{"ask.go", "if len(g.rules().segment) == 0 || g.isSettled() {", "if len(g.rules().segment) == 0 || g.isSettled() || g.isSelected() {"},
	}},
	{"segment samplers are told the threshold only where it selects", "law", []lawEdit{
		{"decide.go", "\tt := min(g.start, max(g.pressure, g.least))\n\tif t == sampling.Never", "\tt := min(g.start, max(g.pressure, g.least))\n\tif !t.Selects(g.randomness) {\n\t\treturn sampling.Unknown\n\t}\n\tif t == sampling.Never"},
	}},
	{"a segment whose parent is followed is asked about", "law", []lawEdit{
		{"segment.go", "\t\tg.bits |= isFollowing\n\t\tg.unanswered.Store(0)\n", ""},
	}},
	{"a segment whose parent did not select it is not watched", "law", []lawEdit{
		{"start.go", "d.dropped = follow && !d.selected && !r.record ||", "d.dropped = !d.selected ||"},
	}},
	{"what a client says is the randomness", "law", []lawEdit{
		{"start.go", "d.randomness = r.random() & (uint64(sampling.Never) - 1)", "d.randomness = sampling.Randomness(q.parent)"},
	}},
	{"only what the parent sampled is asked about", "law", []lawEdit{
		{"start.go", "(!remote || r.remote != Ask)", "(!remote || r.remote != Ask || !q.parent.IsSampled())"},
	}},
	{"what the parent leaves of a trace has the sampler's threshold", "law", []lawEdit{
		{"parent.go", "d.threshold, d.given = max(t, own), true", "d.threshold, d.given = own, true"},
	}},
	{"what the parent did not sample has the sampler's threshold", "law", []lawEdit{
		{"parent.go", "d.threshold = sampling.Never\n", "d.threshold = own\n"},
	}},
	{"who waits for the local root is asked only about what the start did not select", "law", []lawEdit{
		{"end.go", "if later &= g.unanswered.Load(); later == 0 {", "if later &= g.unanswered.Load(); later == 0 || g.isSelected() {"},
	}},
	{"a budget counts what it keeps", "others", []lawEdit{
		{"budget.go", "\tif g.has(isSure) { // forced: nothing raises it", "\tif _, _, kept := g.threshold(raise, unlowered); !kept {\n\t\tsize = 0\n\t}\n\tif g.has(isSure) { // forced: nothing raises it"},
	}},
	{"a budget lowers what the start did not select", "law", []lawEdit{
		{"budget.go", "\treturn factors{f, fBase}", "\tif g.isSelected() {\n\t\treturn unlowered\n\t}\n\treturn factors{f, fBase}"},
	}},
	{"a budget counts what it did not keep again", "others", []lawEdit{
		{"budget.go", "\tcase !g.has(isSpent):", "\tcase !g.has(isSpent) || g.has(isCountedLost):"},
	}},
	{"a forced segment is like one that is kept", "forced", []lawEdit{
		{"segment.go", "if d.forced || !r.mayRaise && d.threshold == sampling.Always {", "if !r.mayRaise && d.threshold == sampling.Always {"},
	}},
	{"spans that are let go for lack of room are not measured", "wrong", []lawEdit{
		{"room.go", "g.letGo(out, g.waiting.take())", "g.letGo(&handOver{}, g.waiting.take())"},
	}},
	{"only what is kept is measured", "wrong", []lawEdit{
		{"handover.go", "\t\th.measure(context.Background(), Measured{&s.recorded})\n", ""},
	}},
	{"spans that are kept are measured as others", "wrong", []lawEdit{
		{"handover.go", "h.measure((*exemplar)(s), Measured{&s.recorded})", "h.measure(context.Background(), Measured{&s.recorded})"},
	}},
	{"of spans that are let go together only the first are measured", "wrong", []lawEdit{
		{"segment.go", "\t\tl.last.next, more.first.prev = more.first, l.last\n", ""},
	}},
}

// TestLawMutantsApply fails where the engine has changed and a mutant has not.
func TestLawMutantsApply(t *testing.T) {
	for _, m := range lawMutants {
		for _, e := range m.edits {
			text, err := os.ReadFile(e.file)
			if err != nil {
				t.Fatal(err)
			}
			if n := strings.Count(string(text), e.from); n != 1 {
				t.Errorf("%s: %s holds %q %d times, want once", m.name, e.file, e.from, n)
			}
		}
	}
}

// TestLawMutants breaks the engine on purpose and expects TestLaw to notice.
func TestLawMutants(t *testing.T) {
	which := os.Getenv("RIFFLE_MUTANTS")
	if which == "" {
		t.Skip("builds and tests the engine once per mutant, which takes minutes: set RIFFLE_MUTANTS=0/3 for every third, as CI does, or 0/1 for all")
	}
	var part, parts int
	if _, err := fmt.Sscanf(which, "%d/%d", &part, &parts); err != nil || parts <= 0 || part < 0 || part >= parts {
		t.Fatalf("RIFFLE_MUTANTS=%s: want a part, such as 0/3", which)
	}
	for i, m := range lawMutants {
		if i%parts != part {
			continue
		}
		t.Run(strings.ReplaceAll(m.name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), "go", "test", "-vet=off", "-count=1", "-overlay", m.overlay(t), "-run", "^TestLaw$", ".", "-seeds", "20000", "-only", m.by)
			out, err := cmd.CombinedOutput()
			switch {
			case err == nil:
				t.Errorf("TestLaw passes:\n%s", out)
			case !regexp.MustCompile(`(?m)^--- FAIL: TestLaw `).Match(out):
				t.Errorf("TestLaw does not run:\n%s", out)
			default:
				t.Logf("%s", out)
			}
		})
	}
}

// overlay makes the file that tells go which text to build in place of which.
func (m *lawMutant) overlay(t *testing.T) string {
	t.Helper()
	dir, texts, files := t.TempDir(), make(map[string]string), make(map[string]string)
	for _, e := range m.edits {
		text, edited := texts[e.file]
		if !edited {
			original, err := os.ReadFile(e.file)
			if err != nil {
				t.Fatal(err)
			}
			text = string(original)
		}
		texts[e.file] = strings.Replace(text, e.from, e.to, 1)
	}
	for name, text := range texts {
		original, err := filepath.Abs(name)
		if err != nil {
			t.Fatal(err)
		}
		files[original] = filepath.Join(dir, name)
		if err := os.WriteFile(files[original], []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	overlay, err := json.Marshal(map[string]any{"Replace": files})
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(name, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}
