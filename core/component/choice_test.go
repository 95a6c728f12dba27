package component_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/riffletrace/riffle/core/component"
)

// tree is a choice that holds itself.
type tree struct {
	_    struct{}  `doc:"a tree"`
	Leaf *struct{} `yaml:"leaf" doc:"a leaf"`
	Both *struct {
		Left  *tree  `yaml:"left" doc:"one side"`
		Right []tree `yaml:"right" doc:"the others"`
	} `yaml:"both" doc:"two sides"`
	none *struct{}
}

func (*tree) ConfigChoice() {}

func TestChosen(t *testing.T) {
	none := &tree{none: &struct{}{}}
	leaf := &tree{Leaf: &struct{}{}}
	both := &tree{Leaf: leaf.Leaf}
	both.Both = &struct {
		Left  *tree  `yaml:"left" doc:"one side"`
		Right []tree `yaml:"right" doc:"the others"`
	}{Left: leaf}
	for want, c := range map[string]component.Choice{
		` missing: want one of leaf, both`:          none,
		`leaf <nil>`:                                leaf,
		` has leaf and both, and wants one of them`: both,
	} {
		key, err := component.Chosen(c)
		if got := fmt.Sprint(key, " ", err); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// What holds itself is described once.
func TestFieldsOfATree(t *testing.T) {
	fields, doc := component.FieldsOf(struct {
		Tree tree `yaml:"tree" doc:"of trees"`
	}{})
	var got []string
	var list func([]component.Field, string)
	list = func(fields []component.Field, path string) {
		for _, f := range fields {
			got = append(got, path+f.Key)
			list(f.Fields(), path+f.Key+".")
		}
	}
	list(fields, "")
	if diff := cmp.Diff([]string{"tree", "tree.leaf", "tree.both", "tree.both.left", "tree.both.right"}, got); diff != "" || doc != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if text := component.JSONSchema(fields, doc); len(text) == 0 {
		t.Error("there is no JSON Schema of it")
	}
}
