package config_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
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
		public := spec.Source.(core.PublicSource).Public(&spec)
		for _, line := range public.Settings {
			if strings.ContainsAny(line.Line, "\n\r") || strings.Contains(line.Line, "hunter2") {
				t.Errorf("%q is shown to anybody", line.Line)
			}
		}
		_ = public.Mask(string(data[:min(len(data), 1000)]))
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

// FuzzOTelVariables: no value of any of OpenTelemetry's variables is a mistake.
func FuzzOTelVariables(f *testing.F) {
	variables := slices.DeleteFunc(config.Describe().OTelVariables, func(v config.Variable) bool {
		return v.Name == "OTEL_CONFIG_FILE" // that it names no file is a mistake
	})
	for i, v := range variables {
		for _, value := range []string{"", "0", "-1", "10s", "true", "a=b,c", "a=%zz", "traceidratio", "file,none", "https://u:p@h:1/x?y#z", "unix:", "~", "null", "{", "\xff"} {
			f.Add(uint8(i), value, "0x1p-2")
			if v.Name == "OTEL_TRACES_SAMPLER_ARG" {
				f.Add(uint8(i-1), "traceidratio", value)
			}
		}
	}
	opts := otelRegistries(f)
	f.Fuzz(func(t *testing.T, i uint8, value, next string) {
		first := int(i) % len(variables)
		var env []string
		for j, value := range []string{value, next} {
			if strings.ContainsRune(value, 0) {
				return // no variable has it
			}
			name := variables[(first+j)%len(variables)].Name
			t.Setenv(name, value)
			env = append(env, name+"="+value)
		}
		for _, enabled := range []string{"FLUXBASE_OBSERVABILITY_TRACING_ENABLED=true", ""} {
			spec, err := config.FromEnv(append(opts, config.App("fluxbase"), config.Environ(append(env, enabled)))...)
			if err != nil {
				t.Fatalf("%q: %v", env, err)
			}
			for _, w := range spec.Source.Warnings() {
				if w.Position == "" && w.Path == "" || w.Err.Error() == "" {
					t.Errorf("%q: a warning about nothing: %v", env, w)
				}
			}
		}
	})
}
