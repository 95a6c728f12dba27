package all_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	_ "github.com/riffletrace/riffle/all"
	"github.com/riffletrace/riffle/config"
	"github.com/riffletrace/riffle/core/component"
)

// marker is what is looked for; it is in every canary. The canaries have the shapes
// that secrets are written in.
const marker = "hunter2secretpa"

var canaries = []string{
	marker,
	"x-api-key=" + marker,
	"https://admin:" + marker + "@backend.example.com:99999/%zz?key=" + marker,
	"12345678901234567890" + marker,
}

// A value that is put at any place of the configuration, in any form, is in no
// error, warning or printed configuration.
func TestPlaces(t *testing.T) {
	if testing.Short() {
		t.Skip("reads thousands of files on one goroutine; CI runs this without -short too")
	}
	loads, mistakes := 0, 0
	for _, place := range places() {
		for i, canary := range canaries {
			for _, substituted := range []bool{false, true} {
				value, env := canary, []string(nil)
				if substituted {
					value, env = "${CANARY}", []string{"CANARY=" + canary}
				}
				for _, tree := range place.with(value) {
					loads++
					if failed := loadCanary(t, tree, place, env, (loads+i)%2 == 0); failed {
						mistakes++
					}
				}
			}
		}
	}
	if loads < 1000 || mistakes < loads/2 {
		t.Errorf("%d of %d were mistakes: the canaries go nowhere", mistakes, loads)
	}
}

// place is a key of the configuration, below the section.
type place struct {
	path   string
	schema component.Schema
	// around puts a value there, in a section without mistakes.
	around func(value any) map[string]any
	// public tells that a text that is right there is printed: a name.
	public bool
}

// with returns sections with a value at the place: as it is, in a list, in a mapping,
// and as a key.
func (p place) with(value string) []map[string]any {
	forms := []any{value, []any{value}, map[string]any{"name": value}}
	if !strings.HasPrefix(value, "$") {
		forms = append(forms, map[string]any{value: "x"})
	}
	var all []map[string]any
	for _, form := range forms {
		all = append(all, p.around(form))
	}
	return all
}

// places are all that there are.
func places() []place {
	ref := config.Describe(config.App("fluxbase"))
	all := walk("", ref.Section, func(v any) map[string]any {
		s, _ := v.(map[string]any)
		return s
	})
	// The keys of the host are the same in each entry: one of a list has them.
	all = append(all, entryPlaces("samplers", "ratio", slices.Concat(ref.Entry, ref.SamplerKeys))...)
	all = append(all, entryPlaces("exporters", "stdout", slices.Concat(ref.Entry, ref.ExporterKeys))...)
	for _, f := range ref.Samplers {
		all = append(all, entryPlaces("samplers", f.Name(), f.Fields())...)
	}
	for _, f := range ref.Exporters {
		all = append(all, entryPlaces("exporters", f.Name(), f.Fields())...)
	}
	return all
}

func entryPlaces(list, typ string, fields []component.Field) []place {
	return walk(list+"."+typ, fields, func(v any) map[string]any {
		entry := map[string]any{"type": typ}
		maps.Copy(entry, v.(map[string]any))
		return map[string]any{list: []any{entry}}
	})
}

// walk finds the places below fields; around puts a section of these fields where it
// belongs.
func walk(path string, fields []component.Field, around func(any) map[string]any) []place {
	var all []place
	for _, key := range []string{"unknown", "salt_", "tokens"} {
		all = append(all, place{path: path + "." + key, around: func(v any) map[string]any { return around(map[string]any{key: v}) }})
	}
	for _, f := range fields {
		all = append(all, at(path+"."+f.Key, f.Schema, func(v any) map[string]any { return around(map[string]any{f.Key: v}) })...)
	}
	return all
}

func at(path string, s component.Schema, around func(any) map[string]any) []place {
	all := []place{{path: path, schema: s, around: around, public: s.Kind == component.Text && !s.Secret}}
	switch s.Kind {
	case component.Section:
		if path == "exporters.stdout.filter.match" { // which is that of samplers
			return all
		}
		all = append(all, walk(path, s.Fields, around)...)
	case component.List:
		all = append(all, at(path+"[]", *s.Elem, func(v any) map[string]any { return around([]any{v}) })...)
	case component.Map:
		all = append(all, at(path+"{}", *s.Elem, func(v any) map[string]any { return around(map[string]any{"name": v}) })...)
	}
	return all
}

// loadCanary loads a configuration and looks for the marker in what is said about it.
// It reports whether there was a mistake.
func loadCanary(t *testing.T, section map[string]any, p place, env []string, flow bool) (failed bool) {
	t.Helper()
	text := written(t, section, flow)
	spec, err := config.Parse([]byte(text), config.App("fluxbase"), config.File("fluxbase.yaml"), config.Environ(env))
	var said string
	if err != nil {
		said = fmt.Sprintf("%v\n%+v\n%q", err, err, err)
	} else {
		said = spec.Source.Warnings().Error()
		for _, e := range spec.Samplers {
			said += fmt.Sprintf("%v %+v %#v", e, e, e)
		}
		for _, e := range spec.Exporters {
			said += fmt.Sprintf("%v %+v %#v", e, e, e)
		}
		if strings.Count(p.path, ".") > 1 || !p.public && p.schema.Kind != component.Map && p.schema.Kind != component.List {
			said += fmt.Sprintf("%v %+v %#v", spec, spec, spec)
		}
	}
	if at := strings.Index(said, marker[:8]); at >= 0 && (err != nil || !strings.HasSuffix(p.path, ".name")) {
		t.Errorf("%s: it is told: ...%s...\nof\n%s", p.path, said[max(0, at-150):min(len(said), at+60)], text)
	}
	return err != nil
}

// written writes a section as a file, on one line or on many.
func written(t *testing.T, section map[string]any, flow bool) string {
	t.Helper()
	doc := map[string]any{"observability": map[string]any{"tracing": section}}
	write := yaml.Marshal
	if flow {
		write = json.Marshal
	}
	text, err := write(doc)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// A variable of the environment likewise.
func TestPlacesInVariables(t *testing.T) {
	ref := config.Describe(config.App("fluxbase"))
	for _, v := range slices.Concat(ref.Variables, ref.OTelVariables) {
		for _, canary := range canaries {
			t.Setenv(v.Name, canary) // exporters read their own
			spec, err := config.Parse([]byte("observability: {tracing: {enabled: true}}"), config.App("fluxbase"),
				config.File("fluxbase.yaml"), config.Environ([]string{v.Name + "=" + canary}))
			said := fmt.Sprintf("%v %+v", err, err)
			if err == nil {
				said = spec.Source.Warnings().Error()
			}
			if strings.Contains(said, marker[:8]) {
				t.Errorf("%s=%s: %s", v.Name, canary, said)
			}
			t.Setenv(v.Name, "")
		}
	}
}

// The same for what only YAML's parser has seen, and for lines that are quoted for
// what else is on them.
func TestPlacesInText(t *testing.T) {
	for name, text := range map[string]string{
		"an anchor":           "observability: {tracing: {service_name: *" + marker + "}}",
		"a tag":               "observability: {tracing: {service_name: !" + marker + " x}}",
		"broken YAML":         "observability:\n  tracing:\n    pw: " + marker + ": x\n",
		"broken quotes":       "observability:\n  tracing:\n    pw: \"" + marker + "\n",
		"a duplicate key":     "observability:\n  tracing:\n    resource: {" + marker + ": a, " + marker + ": b}\n",
		"beside a mistake":    "observability: {tracing: {exporters: [{type: otlp, headers: {a: " + marker + "}, treshold: 1}]}}",
		"before a mistake":    "observability: {tracing: {resource: {a: " + marker + "}, treshold: 1}}",
		"an unclosed name":    "observability: {tracing: {service_name: \"pa${" + marker + "!\"}}",
		"a name that is none": "observability: {tracing: {service_name: \"pa${" + marker + "!}\"}}",
		"UTF-16":              "\xff\xfe" + marker,
		"not UTF-8":           "observability: {tracing: {service_name: " + marker + "\xff}}",
		"a control character": "observability: {tracing: {service_name: " + marker + "\x01}}",
		"a second document":   "a: b\n--- " + marker + "\n",
		"no mapping":          marker,
	} {
		_, err := config.Parse([]byte(text), config.File("fluxbase.yaml"), config.Environ(nil))
		if err == nil {
			t.Errorf("%s: no error", name)
		} else if strings.Contains(err.Error(), marker[:8]) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
