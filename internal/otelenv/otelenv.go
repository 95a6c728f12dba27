// Package otelenv reads the values of OpenTelemetry's variables as its specification
// says. An error is what a warning tells: a value that cannot be read counts as not
// set, and never keeps anything from starting.
//
// Sources: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
// and https://opentelemetry.io/docs/specs/otel/configuration/common/
package otelenv

import (
	"errors"
	"fmt"
	"math"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/riffletrace/riffle/core/component"
)

// NoLimit is a timeout that never ends: the longest that the specification asks for.
const NoLimit = math.MaxInt32 * time.Millisecond

// Reader reads variables and collects the warnings about them.
type Reader struct {
	// Getenv is [os.Getenv], or that of another environment.
	Getenv func(name string) string
	// Warnings have the name of a variable for a path.
	Warnings []*component.FieldError
}

// Process reads the environment of the process.
func Process() *Reader { return &Reader{Getenv: os.Getenv} }

// Get returns the value of a variable without the space around it. An empty one counts
// as not set.
func (r *Reader) Get(name string) string { return strings.TrimSpace(r.Getenv(name)) }

// Warn adds a warning about a variable.
func (r *Reader) Warn(name string, err error) {
	r.Warnings = append(r.Warnings, &component.FieldError{Path: name, Err: err})
}

// Read reads the first of several names for one thing that is set and that read can
// make sense of. It reports whether there is one, and warns about each other.
func (r *Reader) Read(read func(value string) error, names ...string) bool {
	for _, name := range names {
		value := r.Get(name)
		if value == "" {
			continue
		}
		err := read(value)
		if err == nil {
			return true
		}
		r.Warn(name, Ignored(err))
	}
	return false
}

// Ignored says what becomes of a value that is wrong.
func Ignored(err error) error { return fmt.Errorf("%w: ignored", err) }

// Bool reads a boolean. Nothing but true is true, by no case; what is neither true nor
// false is false with an error.
func Bool(value string) (bool, error) {
	is := strings.EqualFold(value, "true")
	if !is && !strings.EqualFold(value, "false") {
		return false, fmt.Errorf("%s is neither true nor false", component.Shown(value))
	}
	return is, nil
}

// Integer reads a number of the range that the specification asks for, down to least.
func Integer(value string, least int) (int, error) {
	n, err := strconv.ParseInt(value, 10, 32)
	if err != nil || int(n) < least {
		return 0, fmt.Errorf("%s is not a whole number from %d to %d", component.Shown(value), least, math.MaxInt32)
	}
	return int(n), nil
}

// Duration reads milliseconds.
func Duration(value string) (time.Duration, error) {
	n, err := Integer(value, 0)
	if err == nil {
		return time.Duration(n) * time.Millisecond, nil
	}
	err = fmt.Errorf("%s is not a number of milliseconds from 0 to %d", component.Shown(value), math.MaxInt32)
	if d, bad := time.ParseDuration(value); bad == nil && d >= time.Millisecond && d <= NoLimit {
		err = fmt.Errorf("%w (did you mean %d?)", err, d.Milliseconds())
	}
	return 0, err
}

// Timeout reads milliseconds, of which 0 is no limit.
func Timeout(value string) (time.Duration, error) {
	d, err := Duration(value)
	if err == nil && d == 0 {
		d = NoLimit
	}
	return d, err
}

// Pair is an entry of a list of key=value.
type Pair struct {
	Entry      int // which one it is, from 1
	Key, Value string
}

// Pairs reads key=value,key2=value2, percent-encoded. It returns what can be read, and
// an error that names the entries that cannot and shows nothing of them.
func Pairs(list string) (pairs []Pair, _ error) {
	var errs []error
	i := 0
	for text := range strings.SplitSeq(list, ",") {
		i++
		key, value, ok := strings.Cut(text, "=")
		key, badKey := url.PathUnescape(strings.TrimSpace(key))
		value, badValue := url.PathUnescape(strings.TrimSpace(value))
		switch {
		case strings.TrimSpace(text) == "":
			errs = append(errs, fmt.Errorf("entry %d is empty", i))
		case badKey != nil || badValue != nil:
			errs = append(errs, fmt.Errorf("entry %d is not percent-encoded (a %% is written %%25)", i))
		case !ok || key == "":
			errs = append(errs, fmt.Errorf("entry %d is not key=value", i))
		default:
			pairs = append(pairs, Pair{i, key, value})
		}
	}
	return pairs, Join(errs)
}

// maxNamed bounds how many mistakes one warning names.
const maxNamed = 5

// Join makes one error of several, on one line; nil of none.
func Join(errs []error) error {
	if len(errs) == 0 {
		return nil
	}
	var texts []string
	for i, err := range errs {
		if i == maxNamed {
			texts = append(texts, fmt.Sprintf("and %d more", len(errs)-i))
			break
		}
		texts = append(texts, err.Error())
	}
	return errors.New(strings.Join(texts, ", "))
}

// Variables that more than one package names.
const (
	ServiceName        = "OTEL_SERVICE_NAME"
	ResourceAttributes = "OTEL_RESOURCE_ATTRIBUTES"
	MaxQueueSize       = "OTEL_BSP_MAX_QUEUE_SIZE"
)

// Attributes reads the value of OTEL_RESOURCE_ATTRIBUTES. It returns what can be read,
// where the specification would have nothing be taken of a value with a mistake in it.
// Source: https://opentelemetry.io/docs/specs/otel/resource/sdk/#specifying-resource-information-via-an-environment-variable
func Attributes(value string) (map[string]string, error) {
	pairs, err := Pairs(value)
	attributes := map[string]string{}
	for _, p := range pairs {
		attributes[p.Key] = p.Value
	}
	return attributes, err
}

// Resource reads the attributes of the resource, that of the service's name too.
func (r *Reader) Resource() map[string]string {
	attributes := map[string]string{}
	if value := r.Get(ResourceAttributes); value != "" {
		var err error
		if attributes, err = Attributes(value); err != nil {
			r.Warn(ResourceAttributes, Ignored(err))
		}
	}
	if name := r.Get(ServiceName); name != "" {
		attributes["service.name"] = name
	}
	return attributes
}

// Limit is one of what a span can hold: its key below limits, and its variables, of
// which the first that is set wins.
type Limit struct {
	Key       string
	Variables []string
}

// Limits are all of them.
// Source: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/#attribute-limits
var Limits = []Limit{
	{"attribute_count", []string{"OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "OTEL_ATTRIBUTE_COUNT_LIMIT"}},
	{"attribute_value_length", []string{"OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT"}},
	{"event_count", []string{"OTEL_SPAN_EVENT_COUNT_LIMIT"}},
	{"link_count", []string{"OTEL_SPAN_LINK_COUNT_LIMIT"}},
	{"event_attribute_count", []string{"OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT"}},
	{"link_attribute_count", []string{"OTEL_LINK_ATTRIBUTE_COUNT_LIMIT"}},
}

// Limits reads those of [Limits] that are set, by key.
func (r *Reader) Limits() map[string]int {
	limits := map[string]int{}
	for _, l := range Limits {
		r.Read(func(value string) error {
			n, err := Integer(value, 0)
			if err == nil {
				limits[l.Key] = n
			}
			return err
		}, l.Variables...)
	}
	return limits
}

// Once returns warnings without those that say the same.
func Once(warnings []*component.FieldError) []*component.FieldError {
	said := map[string]bool{}
	return slices.DeleteFunc(slices.Clone(warnings), func(w *component.FieldError) bool {
		text := w.Error()
		defer func() { said[text] = true }()
		return said[text]
	})
}
