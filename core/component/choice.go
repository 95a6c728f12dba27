package component

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
)

// Choice is a configuration struct of which exactly one key is set. Its fields with a
// key are pointers to structs. A key without a value is set too: "always_on:".
type Choice interface {
	// ConfigChoice does nothing: it marks the type.
	ConfigChoice()
}

// Chosen is the key of a choice that is set, c being a pointer to its struct. It is an
// error if there are none or several.
func Chosen(c Choice) (key string, err error) {
	v := reflect.ValueOf(c).Elem()
	var known, set []string
	for i := range v.NumField() {
		key, _ := FieldKey(v.Type().Field(i))
		if key == "" {
			continue
		}
		known = append(known, key)
		if !v.Field(i).IsNil() {
			set = append(set, key)
		}
	}
	switch len(set) {
	case 1:
		return set[0], nil
	case 0:
		return "", errors.New("missing: want one of " + strings.Join(known, ", "))
	default:
		return "", fmt.Errorf("has %s, and wants one of them", strings.Join(set, " and "))
	}
}
