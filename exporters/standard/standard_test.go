package standard_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/riffletrace/riffle/core/component"
	_ "github.com/riffletrace/riffle/exporters/standard"
)

func TestNames(t *testing.T) {
	want := []string{"file", "otlp", "otlptracegrpc", "otlptracehttp", "stdout"}
	if diff := cmp.Diff(want, component.Exporters.Names()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// Every key is documented.
func TestDocumented(t *testing.T) {
	var check func(path string, fields []component.Field)
	check = func(path string, fields []component.Field) {
		for _, f := range fields {
			if f.Doc == "" {
				t.Errorf("%s.%s has no doc", path, f.Key)
			}
			check(path+"."+f.Key, f.Fields())
		}
	}
	for _, name := range component.Exporters.Names() {
		f, _ := component.Exporters.Lookup(name)
		if f.Doc() == "" {
			t.Errorf("%s has no doc", name)
		}
		check(name, f.Fields())
	}
}
