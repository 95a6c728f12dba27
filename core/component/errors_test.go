package component_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/match"
)

func TestFieldErrors(t *testing.T) {
	err := errors.Join(
		&component.FieldError{Path: "rate", Err: errors.New("no number")},
		errors.Join(&component.FieldError{Path: "any[1].kind", Err: errors.New("unknown")}),
		fmt.Errorf("of the %w", errors.New("whole")),
	)
	var got []string
	for _, fe := range component.FieldErrors(err) {
		got = append(got, fe.Path+": "+fe.Err.Error())
	}
	if diff := cmp.Diff([]string{"rate: no number", "any[1].kind: unknown", ": of the whole"}, got); diff != "" {
		t.Error(diff)
	}
}

// A struct that holds itself must not be described without end.
func TestFieldsOfItself(t *testing.T) {
	fields, _ := component.FieldsOf(match.Config{})
	for _, f := range fields {
		if f.Key == "not" || f.Key == "all" {
			if f.Fields() != nil {
				t.Errorf("%s: %v", f.Key, f.Fields())
			}
		}
	}
}
