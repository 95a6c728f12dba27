package importer_test

import (
	"flag"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/riffletrace/riffle/cmd/riffle/internal/importer"
	"github.com/riffletrace/riffle/config"
	"github.com/riffletrace/riffle/core"
	_ "github.com/riffletrace/riffle/exporters/otlp"
	_ "github.com/riffletrace/riffle/samplers/standard"
)

var update = flag.Bool("update", false, "write the golden files")

const section = "observability.tracing"

// accepted fails the test unless a configuration is one that validate takes.
func accepted(t testing.TB, data []byte) {
	t.Helper()
	in, err := config.Inspect(data, config.Section(section), config.Environ([]string{"STAGE=x"}))
	if err != nil {
		t.Fatalf("%v\n%s", err, data)
	}
	if err := in.With(nil); len(err) > 0 {
		t.Fatalf("%v\n%s", err, data)
	}
	if _, err := core.Try(t.Context(), in.Spec, core.Logger(slog.New(slog.DiscardHandler))); err != nil {
		t.Fatalf("%v\n%s", err, data)
	}
}

// What is written for whole files stands next to them.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/[cer]*/*")
	if err != nil || len(files) == 0 {
		t.Fatal("no files", err)
	}
	for _, file := range files {
		golden := strings.Contains(file, ".golden.")
		if golden {
			continue
		}
		t.Run(filepath.ToSlash(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got, err := importer.Import(data, importer.Options{Section: section, File: filepath.Base(file)})
			if err != nil {
				t.Fatal(err)
			}
			golden := strings.TrimSuffix(file, filepath.Ext(file)) + ".golden.yaml"
			if *update {
				if err := os.WriteFile(golden, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("not as in the golden file (-update writes it):\n%s", diff)
			}
			accepted(t, got)
		})
	}
}
