package core_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A mutant breaks the engine in a way that its tests must find. Every text it
// replaces stands exactly once in its file.
type mutant struct {
	name  string
	edits []edit
	tests []string // that must fail, each of them
}

type edit struct{ file, from, to string }

const (
	byOracle  = "TestOracle"
	byStrata  = "TestWeightsAreExactPerStratum"
	bySeeds   = "TestUnbiased"
	byPressed = "TestUnbiasedUnderPressure"
)

var mutants = []mutant{
	{"the weight is the start's", []edit{
		{"speak.go", "\tst.lower(t, rank, by)\n", "\t_, _ = rank, by\n"},
	}, []string{byOracle, byStrata, bySeeds}},
	{"T is the greatest", []edit{
		{"speak.go", "least := sampling.Least(st.least, t)", "least := t\n\tif st.byRank != unranked {\n\t\tleast = max(st.least, t)\n\t}"},
	}, []string{byOracle, byStrata, bySeeds}},
	{"the limit is left out of T", []edit{
		{"speak.go", "\t\tt = compared\n", "\t\tt = max(t, st.pressure)\n"},
	}, []string{byOracle, byStrata, bySeeds}},
	{"late spans copy the first decision", []edit{
		{"shard.go", "\tleast    sampling.Threshold\n", "\tleast    sampling.Threshold\n\tfirst    sampling.Threshold\n"},
		{"buffer.go", "\tout.threshold, out.sampler = st.least,", "\tif !st.counted {\n\t\tst.first = st.least\n\t}\n\tout.threshold, out.sampler = st.first,"},
	}, []string{byOracle, byStrata, bySeeds}},
	{"unselected traces are evicted at random", []edit{
		{"keeper.go", "\t\"log/slog\"\n", "\t\"log/slog\"\n\t\"math/rand/v2\"\n"},
		{"keeper.go", "case st.pressure.Selects(st.randomness):", "case st.pressure.Selects(rand.Uint64() >> 8):"},
	}, []string{byPressed}},
	{"pressure is left out of T", []edit{
		{"speak.go", "compared := max(limit, st.pressure)", "compared := limit"},
	}, []string{byPressed}},
	{"spans started after an answer are not promoted", []edit{
		{"buffer.go", "\tcase st.spoken:\n", "\tcase false:\n"},
	}, []string{byOracle, byStrata, bySeeds}},
	{"the last answer of an end sampler stands", []edit{
		{"speak.go", "\t\t\tst.answered |= e.bit\n", ""},
	}, []string{byOracle}},
	{"spans of a trace that was forgotten stay so", []edit{
		{"buffer.go", "\tcase st.decided && st.kept:\n", "\tcase st.decided && st.kept && st.forgotten == 0:\n"},
	}, []string{byOracle, byStrata, bySeeds}},
	{"a trace that was forgotten does not begin again", []edit{
		{"shard.go", "\t\tst.decided, st.at = false, now\n", "\t\tst.at = now\n"},
	}, []string{byOracle}},
	{"a forgotten trace takes the randomness of its next span", []edit{
		{"memory.go", "\t\tst.randomness, st.forgotten = old.randomness, old.spans\n", "\t\tst.forgotten = old.spans\n"},
	}, []string{byOracle}},
	{"an unknown threshold is not remembered", []edit{
		{"memory.go", " && st.least != sampling.Unknown", ""},
	}, []string{byOracle}},
	{"a sampled parent of a forgotten trace is not believed", []edit{
		{"memory.go", "\tif sc.IsSampled() && !st.kept && !st.discard {\n", "\tif false {\n"},
	}, []string{byOracle}},
	{"only the first local root is watched", []edit{
		{"buffer.go", "live.roots = append(live.roots, ", "live.roots = append(live.roots[:0], "},
	}, []string{byOracle}},
	{"a discarded trace is kept", []edit{
		{"judge.go", "\t\tst.kept, st.spoken = false, false\n", ""},
	}, []string{byOracle, byStrata, bySeeds}},
}

// TestMutantsApply fails where the engine has changed and a mutant has not.
func TestMutantsApply(t *testing.T) {
	for _, m := range mutants {
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

// TestMutants breaks the engine on purpose and expects the tests to notice.
func TestMutants(t *testing.T) {
	if os.Getenv("RIFFLE_MUTANTS") == "" {
		t.Skip("builds and tests the engine once per mutant, which takes minutes: set RIFFLE_MUTANTS=1")
	}
	for _, m := range mutants {
		t.Run(strings.ReplaceAll(m.name, " ", "_"), func(t *testing.T) {
			dir := t.TempDir()
			copyModule(t, dir)
			for _, e := range m.edits {
				path := filepath.Join(dir, "core", e.file)
				text, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(strings.Replace(string(text), e.from, e.to, 1)), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			cmd := exec.CommandContext(t.Context(), "go", "test", "-count=1", "-short", "-run", "^("+strings.Join(m.tests, "|")+")$", "./core")
			cmd.Dir = dir
			out, err := cmd.CombinedOutput()
			if err == nil {
				t.Fatalf("the tests pass:\n%s", out)
			}
			for _, name := range m.tests {
				if !regexp.MustCompile(`(?m)^--- FAIL: ` + name + ` `).Match(out) {
					t.Errorf("%s does not notice:\n%s", name, out)
				}
			}
		})
	}
}

// copyModule copies what the engine and its tests are made of.
func copyModule(t *testing.T, dir string) {
	t.Helper()
	for _, name := range []string{"go.mod", "go.sum"} {
		text, err := os.ReadFile(filepath.Join("..", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"core", "samplers"} {
		if err := os.CopyFS(filepath.Join(dir, name), os.DirFS(filepath.Join("..", name))); err != nil {
			t.Fatal(err)
		}
	}
}
