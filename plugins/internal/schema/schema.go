// Package schema checks the schemas of configurations.
package schema

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// Check finds what is no JSON Schema of an object, as far as tools for editing
// need it: the keywords about structure.
func Check(text []byte) error {
	var s map[string]json.RawMessage
	if err := json.Unmarshal(text, &s); err != nil {
		return fmt.Errorf("no JSON object: %w", err)
	}
	var kind string
	if json.Unmarshal(s["type"], &kind) != nil || kind != "object" {
		return fmt.Errorf("type is %s, want \"object\"", s["type"])
	}
	return checkPart("", text)
}

var allTypes = []string{"null", "boolean", "object", "array", "number", "string", "integer"}

func checkPart(path string, text json.RawMessage) error {
	if string(text) == "true" || string(text) == "false" {
		return nil // which take anything, and nothing
	}
	var s struct {
		Type                 json.RawMessage            `json:"type"`
		Properties           map[string]json.RawMessage `json:"properties"`
		AdditionalProperties json.RawMessage            `json:"additionalProperties"`
		Items                json.RawMessage            `json:"items"`
		Required             []string                   `json:"required"`
		Description          string                     `json:"description"`
		Enum                 []json.RawMessage          `json:"enum"`
		Defs                 map[string]json.RawMessage `json:"$defs"`
		Ref                  string                     `json:"$ref"`
	}
	if err := json.Unmarshal(text, &s); err != nil {
		return fmt.Errorf("%s: %w", at(path), err)
	}
	if s.Type != nil {
		var types []string
		if one := ""; json.Unmarshal(s.Type, &one) == nil {
			types = []string{one}
		} else if json.Unmarshal(s.Type, &types) != nil {
			return fmt.Errorf("%s: type is %s", at(path), s.Type)
		}
		for _, t := range types {
			if !slices.Contains(allTypes, t) {
				return fmt.Errorf("%s: %q is no type", at(path), t)
			}
		}
	}
	var errs []error
	for name, property := range s.Properties {
		errs = append(errs, checkPart(path+"/properties/"+name, property))
	}
	for name, def := range s.Defs {
		errs = append(errs, checkPart(path+"/$defs/"+name, def))
	}
	if s.Items != nil {
		errs = append(errs, checkPart(path+"/items", s.Items))
	}
	if s.AdditionalProperties != nil {
		errs = append(errs, checkPart(path+"/additionalProperties", s.AdditionalProperties))
	}
	return errors.Join(errs...)
}

func at(path string) string { return "#" + path }
