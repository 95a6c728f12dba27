package config_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/riffletrace/riffle/config"
	"github.com/riffletrace/riffle/core"
)

// FuzzParse: whatever the file holds, there is a spec that can be asked, or
// errors with a position.
func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"testdata/broken/*.yaml", "testdata/good/*.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			f.Fatalf("no seeds in %s: %v", pattern, err)
		}
		for _, path := range files {
			data, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	opts := append(registries(f), config.App("fluxbase"), config.File("fluxbase.yaml"), config.Environ([]string{
		"A=1", "RATE=0.5", lead + "SAMPLE_RATE=0.5", lead + "ENDPOINT=a:1", "OTEL_TRACES_EXPORTER=console,otlp",
	}))
	f.Fuzz(func(t *testing.T, data []byte) {
		spec, err := config.Parse(data, opts...)
		if err != nil {
			var all core.ConfigErrors
			if !errors.As(err, &all) {
				t.Fatalf("%T is not ConfigErrors", err)
			}
			for _, e := range all {
				if e.Err == nil || e.Position == "" || strings.TrimSpace(e.Err.Error()) == "" {
					t.Errorf("no position or no message: %q", e)
				}
			}
			return
		}
		for i, e := range spec.Samplers {
			if path := fmt.Sprintf("samplers[%d].type", i); spec.Source.Place(path, err).Position == "" || e.Config() == nil {
				t.Errorf("entry %q stands nowhere, or holds nothing", e.ID())
			}
		}
		for _, path := range []string{"", "enabled", "resource[\"", "samplers[0].type", "samplers[99999999999999999999]", "[", "..", "a[]b"} {
			_ = spec.Source.Place(path, errors.New("wrong"))
		}
	})
}
