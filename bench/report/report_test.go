package report

import (
	"bytes"
	"encoding/json"
	"flag"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/riffletrace/riffle/bench"
)

var update = flag.Bool("update", false, "write the golden files")

// slower is fixed, but for one variant that takes more.
func slower(t *testing.T) *bench.Result {
	t.Helper()
	r := fixed(t)
	m, _ := r.Variant("riffle 100 %")
	for i := range m.Rounds {
		m.Rounds[i].User *= 2
	}
	r.Machine.Cores = 64
	return r
}

func TestReports(t *testing.T) {
	for _, test := range []struct {
		file  string
		write func(io.Writer) error
	}{
		{"report.txt", func(w io.Writer) error { return Text(w, fixed(t)) }},
		{"report.md", func(w io.Writer) error { return Markdown(w, fixed(t)) }},
		{"readme.md", func(w io.Writer) error { return README(w, fixed(t)) }},
		{"report.html", func(w io.Writer) error { return HTML(w, fixed(t)) }},
		{"comparison.txt", func(w io.Writer) error {
			worse, err := Comparison(w, fixed(t), slower(t))
			if !worse {
				t.Error("twice the CPU time is not worse")
			}
			return err
		}},
	} {
		t.Run(test.file, func(t *testing.T) {
			var got bytes.Buffer
			if err := test.write(&got); err != nil {
				t.Fatal(err)
			}
			golden := filepath.Join("testdata", test.file)
			if *update {
				if err := os.WriteFile(golden, got.Bytes(), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got.String()); diff != "" {
				t.Errorf("go test ./bench/report -update writes it (-want +got):\n%s", diff)
			}
		})
	}
}

// The page holds what was measured and needs nothing from elsewhere.
func TestSelfContained(t *testing.T) {
	var page bytes.Buffer
	if err := HTML(&page, fixed(t)); err != nil {
		t.Fatal(err)
	}
	if m := regexp.MustCompile(`(?i)(src|href|url|@import)\s*[=(:]`).FindString(page.String()); m != "" {
		t.Errorf("%q in the page", m)
	}
	_, rest, _ := strings.Cut(page.String(), `<script type="application/json" id="data">`)
	data, _, _ := strings.Cut(rest, "</script>")
	got := new(bench.Result)
	if err := json.Unmarshal([]byte(data), got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(fixed(t), got, cmp.AllowUnexported(bench.Variant{})); diff != "" {
		t.Errorf("the data in the page (-measured +page):\n%s", diff)
	}
}

// Nothing is worse than itself.
func TestSame(t *testing.T) {
	var out bytes.Buffer
	r := fixed(t)
	m, _ := r.Variant("stock 10 %")
	m.Counts.Received, m.Counts.Sent = m.Counts.Kept, m.Counts.Kept // or it lost spans, which is
	worse, err := Comparison(&out, r, r)
	if err != nil || worse {
		t.Errorf("%v\n%s", err, &out)
	}
}
