package otelenv_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/riffletrace/riffle/internal/otelenv"
)

func reader(env map[string]string) *otelenv.Reader {
	return &otelenv.Reader{Getenv: func(name string) string { return env[name] }}
}

// What is there wins over the attributes, and what is wrong is told.
func TestResource(t *testing.T) {
	r := reader(map[string]string{"OTEL_SERVICE_NAME": " shop ", "OTEL_RESOURCE_ATTRIBUTES": "service.name=other, a%3D = b%2C , =x,team=,"})
	if diff := cmp.Diff(map[string]string{"service.name": "shop", "a=": "b,", "team": ""}, r.Resource()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if len(r.Warnings) != 1 || r.Warnings[0].Error() != "OTEL_RESOURCE_ATTRIBUTES: entry 3 is not key=value, entry 5 is empty: ignored" {
		t.Errorf("got %v", r.Warnings)
	}
}

// The limit for spans is looked at first, and the next one where it is none.
func TestLimits(t *testing.T) {
	r := reader(map[string]string{
		"OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "0", "OTEL_ATTRIBUTE_COUNT_LIMIT": "-1",
		"OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT": "-1", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "7",
	})
	if diff := cmp.Diff(map[string]int{"attribute_count": 0, "attribute_value_length": 7}, r.Limits()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if len(r.Warnings) != 1 || r.Warnings[0].Path != "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT" {
		t.Errorf("got %v", r.Warnings)
	}
}

// FuzzPairs: of every list, what is returned was in it, and the error shows no value.
func FuzzPairs(f *testing.F) {
	for _, s := range []string{"", ",", "a=b", "a=%20b,c", "=x", "a=%zz", "a==", "%2C=%3D"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, list string) {
		entries := strings.Count(list, ",") + 1
		pairs, err := otelenv.Pairs(list)
		if err == nil && len(pairs) != entries || len(pairs) > entries {
			t.Errorf("%q: %d of %d entries, %v", list, len(pairs), entries, err)
		}
		for _, p := range pairs {
			if p.Key == "" || p.Entry < 1 || p.Entry > entries {
				t.Errorf("%q: %+v", list, p)
			}
		}
		if err != nil && len(err.Error()) > 400 {
			t.Errorf("%q: %v", list, err)
		}
	})
}
