package report

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/riffletrace/riffle/bench"
)

// What the README and the pages show is what the results in this repository say.
func TestPublished(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("..", "results", "full.json"))
	if err != nil {
		t.Fatal(err)
	}
	r := new(bench.Result)
	if err := json.Unmarshal(data, r); err != nil {
		t.Fatal(err)
	}
	if err := r.Check("full.json"); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		file  string
		write func(io.Writer, *bench.Result) error
		part  bool
	}{
		{"README.md", README, true},
		{"docs/bench-report.md", Markdown, false},
		{"docs/bench-report.html", HTML, false},
	} {
		t.Run(test.file, func(t *testing.T) {
			var want bytes.Buffer
			if err := test.write(&want, r); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join("..", "..", filepath.FromSlash(test.file))
			if *update && !test.part {
				if err := os.WriteFile(file, want.Bytes(), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			got, err := os.ReadFile(file)
			switch {
			case err != nil:
				t.Fatal(err)
			case test.part && !strings.Contains(string(got), want.String()):
				t.Errorf("it does not have this:\n%s", &want)
			case !test.part && want.String() != string(got):
				t.Errorf("go test ./bench/report -update writes it (-want +got):\n%s", cmp.Diff(want.String(), string(got)))
			}
		})
	}
}
