package all_test

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"github.com/riffletrace/riffle/config"
)

// A value that is put at any place of an OpenTelemetry file, a key too, is in no error
// or warning about it, but for names of the service.
func TestOpenTelemetryPlaces(t *testing.T) {
	data, err := os.ReadFile("../config/testdata/good/opentelemetry.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	loads, mistakes := 0, 0
	var scalars []*yaml.Node
	var find func(n *yaml.Node)
	find = func(n *yaml.Node) {
		if n.Kind == yaml.ScalarNode {
			scalars = append(scalars, n)
		}
		for _, c := range n.Content {
			find(c)
		}
	}
	find(&doc)
	for _, n := range scalars {
		for _, canary := range canaries {
			for _, substituted := range []bool{false, true} {
				before := *n
				value, env := canary, []string(nil)
				if substituted {
					value, env = "${CANARY}", []string{"CANARY=" + canary}
				}
				*n = yaml.Node{Kind: yaml.ScalarNode, Value: value}
				var text bytes.Buffer
				if err := yaml.NewEncoder(&text).Encode(&doc); err != nil {
					t.Fatal(err)
				}
				line := fmt.Sprintf("line %d", before.Line)
				*n = before
				loads++
				spec, err := config.Parse(text.Bytes(), config.File("otel.yaml"), config.Environ(env))
				var said string
				if err != nil {
					mistakes++
					said = err.Error()
				} else {
					said = spec.Source.Warnings().Error() + fmt.Sprintf("%v %+v", spec.Samplers, spec.Exporters)
				}
				if strings.Contains(said, marker) {
					t.Errorf("%s, %s, substituted %v:\n%s", line, before.Value, substituted, said)
				}
			}
		}
	}
	if loads < 400 || mistakes < loads/3 {
		t.Errorf("%d of %d were mistakes: the canaries go nowhere", mistakes, loads)
	}
}
