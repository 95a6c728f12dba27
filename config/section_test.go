package config_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/riffletrace/riffle/config"
)

// The section stands where the application says, and variables and errors follow it.
func TestSectionPath(t *testing.T) {
	for _, tt := range []struct {
		path, text string
		prefix     string
		wrong      string // the path of a key that is not known
	}{
		{"observability.tracing", "observability:\n  tracing:\n    KEY\n", "FLUXBASE_OBSERVABILITY_TRACING_", "observability.tracing.x"},
		{"tracing", "tracing:\n    KEY\n", "FLUXBASE_TRACING_", "tracing.x"},
		{"a.b-c.d_2", "a:\n  b-c:\n    d_2:\n      KEY\n", "FLUXBASE_A_B_C_D_2_", "a.b-c.d_2.x"},
		{"", "KEY\n", "FLUXBASE_TRACING_", "x"},
		{"samplers", "samplers:\n    KEY\n", "FLUXBASE_SAMPLERS_", "samplers.x"},
	} {
		t.Run(tt.path, func(t *testing.T) {
			options := slices.Concat(registries(t), []config.Option{config.App("fluxbase"), config.Section(tt.path), config.File("f.yaml")})
			with := func(key string, env ...string) (string, error) {
				spec, err := config.Parse([]byte(strings.ReplaceAll(tt.text, "KEY", key)), append(options, config.Environ(env))...)
				return spec.ServiceVersion, err
			}
			if got, err := with("service_version: v1"); got != "v1" || err != nil {
				t.Errorf("from the file: %q, %v", got, err)
			}
			if got, err := with("service_version: v1", tt.prefix+"SERVICE_VERSION=v2"); got != "v2" || err != nil {
				t.Errorf("from the variable: %q, %v", got, err)
			}
			_, err := with("x: 1")
			if err == nil || !strings.Contains(err.Error(), ": "+tt.wrong+": unknown key") {
				t.Errorf("got %v, want it about %s", err, tt.wrong)
			}
			if ref := config.Describe(options...); !strings.HasPrefix(ref.Variables[0].Name, tt.prefix) {
				t.Errorf("described as %s, want %s...", ref.Variables[0].Name, tt.prefix)
			}
		})
	}
}

// A value that is secret is found also where the section has another path.
func TestSectionHidesSecrets(t *testing.T) {
	text := "tracing:\n  exporters:\n    - {type: otlp, headers: {x-api-key: hunter2secretpa}, endpoint: hunter2secretpa}\n    - hunter2secretpa\n"
	_, err := config.Parse([]byte(text), append(registries(t), config.Section("tracing"), config.Environ(nil))...)
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Error(err)
	}
}

func TestWrongSection(t *testing.T) {
	const names, dots = `"a/b" is not the path of a section: want names of letters, digits, - and _, joined by dots, such as observability.tracing`,
		` is not the path of a section: there is nothing before, after or between its dots`
	for path, want := range map[string]string{
		".": `"."` + dots, "a.": `"a."` + dots, ".a": `".a"` + dots, "a..b": `"a..b"` + dots,
		"a/b": names, "a b": strings.Replace(names, "a/b", "a b", 1), "a\n": strings.Replace(names, "a/b", `a\n`, 1),
		"a[0]": strings.Replace(names, "a/b", "a[0]", 1), "é": strings.Replace(names, "a/b", "é", 1), " ": strings.Replace(names, "a/b", " ", 1),
	} {
		for from, read := range map[string]func() error{
			"CheckSection": func() error { return config.CheckSection(path) },
			"Parse":        func() error { _, err := config.Parse([]byte("a: 1"), config.Section(path)); return err },
			"FromEnv":      func() error { _, err := config.FromEnv(config.Section(path)); return err },
		} {
			err := read()
			if err == nil {
				t.Errorf("%s takes %q", from, path)
			} else if diff := cmp.Diff(want, err.Error()); diff != "" {
				t.Errorf("%s of %q (-want +got):\n%s", from, path, diff)
			}
		}
	}
}
