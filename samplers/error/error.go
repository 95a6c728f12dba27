// Package errored is the sampler that keeps every trace with an error in it,
// whatever its other samplers say. Its directory bears the name of its type in
// configurations, which in Go is taken.
package errored

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/match"
	"github.com/riffletrace/riffle/core/sampling"
)

// Config is what users set.
type Config struct {
	_          struct{} `doc:"keeps every trace that has a span with status Error, or one that a panic ended"`
	Exceptions bool     `yaml:"exceptions" doc:"also traces with a recorded exception, whatever the status"`
	HTTPStatus []Codes  `yaml:"http_status" doc:"also traces with a span, of a server or a client, that has such an HTTP status: [500-599, 429]"`
	Ignore     []string `yaml:"ignore" doc:"errors that do not count, by the description of the status or the message of the exception or panic; * stands for any text, ? for one character"`

	IgnoreCanceled bool `yaml:"ignore_canceled" doc:"what fails because the request was canceled does not count, such as of a client that goes away; a panic and a deadline that is exceeded do"`
}

// LeavesNothingOut implements [component.LeavesNothingOut].
func (*Config) LeavesNothingOut() bool { return true }

// Validate checks the ranges and the patterns.
func (c *Config) Validate() error {
	var errs []error
	for i, r := range c.HTTPStatus {
		if err := r.validate(); err != nil {
			errs = append(errs, &component.FieldError{Path: fmt.Sprintf("http_status[%d]", i), Err: err})
		}
	}
	for i, pattern := range c.Ignore {
		if pattern == "" {
			errs = append(errs, &component.FieldError{Path: fmt.Sprintf("ignore[%d]", i), Err: errors.New("empty: would ignore every error without a description")})
		}
	}
	return errors.Join(errs...)
}

// Codes is a range of HTTP status codes, both ends included: "500-599", or
// "429" for one.
type Codes struct{ First, Last int }

// UnmarshalText parses a code, or two with a hyphen.
func (r *Codes) UnmarshalText(text []byte) error {
	first, last, isRange := strings.Cut(string(text), "-")
	if !isRange {
		last = first
	}
	var errFirst, errLast error
	r.First, errFirst = strconv.Atoi(strings.TrimSpace(first))
	r.Last, errLast = strconv.Atoi(strings.TrimSpace(last))
	if errFirst != nil || errLast != nil {
		return fmt.Errorf("%q is no status code: want one such as 503, or a range such as 500-599", text)
	}
	return r.validate()
}

// MarshalText writes what UnmarshalText parses.
func (r Codes) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// String is "500-599", or "429".
func (r Codes) String() string {
	if r.First == r.Last {
		return strconv.Itoa(r.First)
	}
	return strconv.Itoa(r.First) + "-" + strconv.Itoa(r.Last)
}

// ConfigSchema is a text with a name of its own.
func (Codes) ConfigSchema() component.Schema { return component.Schema{Name: "status codes"} }

func (r Codes) validate() error {
	if r.First < 100 || r.Last > 999 || r.First > r.Last {
		return fmt.Errorf("%v holds no status codes: want one from 100 to 999, or a range from the lower to the higher", r)
	}
	return nil
}

// Factory makes the sampler; it is registered as "error".
var Factory = component.NewFactory("error", Config{}, New)

func init() { sampling.Samplers.MustAdd(Factory) }

// New builds the sampler.
func New(_ context.Context, _ component.Settings, c Config) (sampling.Sampler, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	s := &sampler{exceptions: c.Exceptions, ignoreCanceled: c.IgnoreCanceled}
	for _, pattern := range c.Ignore {
		s.ignore = append(s.ignore, match.Glob(pattern))
	}
	what := []string{"error"}
	if c.Exceptions {
		what = append(what, "exceptions")
	}
	for _, r := range c.HTTPStatus {
		reason := "http status " + r.String()
		what = append(what, reason)
		s.http = append(s.http, httpRule{r, sampling.At(sampling.Always).Because(reason)})
	}
	s.description = strings.Join(what, ", ")
	if len(c.Ignore) > 0 {
		s.description += fmt.Sprintf(", but not %q", c.Ignore)
	}
	if c.IgnoreCanceled {
		s.description += ", ignoring what was canceled"
	}
	return s, nil
}

type sampler struct {
	exceptions     bool
	ignoreCanceled bool
	http           []httpRule
	ignore         []match.Glob
	description    string
}

type httpRule struct {
	codes  Codes
	answer sampling.Answer
}

var (
	failed    = sampling.At(sampling.Always).Because("status Error")
	panicked  = sampling.At(sampling.Always).Because("panic")
	exception = sampling.At(sampling.Always).Because("exception")
)

func (s *sampler) Traits() sampling.Traits {
	return sampling.Traits{Description: s.description, SeesCancellation: s.ignoreCanceled}
}

// SampleEnd answers about the first thing that it finds wrong.
func (s *sampler) SampleEnd(p sampling.EndParameters) sampling.Answer {
	if p.Panicked && !s.ignored(lastMessage(p.Span.Events())) {
		return panicked
	}
	a := s.failure(&p)
	if s.ignoreCanceled && !a.IsAbstain() && isCanceled(&p) {
		return sampling.Abstain()
	}
	return a
}

// failure answers about what is wrong with a span, canceled or not.
func (s *sampler) failure(p *sampling.EndParameters) sampling.Answer {
	status := p.Span.Status()
	if status.Code == codes.Error && !s.ignored(status.Description) && !s.ignored(strings.TrimPrefix(status.Description, caught)) {
		return failed
	}
	if s.exceptions {
		for _, e := range p.Span.Events() {
			if isException(&e) && !s.ignored(message(&e)) {
				return exception
			}
		}
	}
	if len(s.http) > 0 {
		if code, ok := statusCode(p.Span.Attributes()); ok {
			for _, r := range s.http {
				if r.codes.First <= code && code <= r.codes.Last {
					return r.answer
				}
			}
		}
	}
	return sampling.Abstain()
}

// The names are those of OpenTelemetry's semantic conventions, the older ones
// too.
func isException(e *sdktrace.Event) bool { return e.Name == "exception" }

func message(e *sdktrace.Event) string {
	for i := range e.Attributes {
		if e.Attributes[i].Key == "exception.message" {
			return e.Attributes[i].Value.AsString()
		}
	}
	return ""
}

// lastMessage is that of the last exception.
func lastMessage(events []sdktrace.Event) string {
	for i := range slices.Backward(events) {
		if isException(&events[i]) {
			return message(&events[i])
		}
	}
	return ""
}

func statusCode(attrs []attribute.KeyValue) (code int, ok bool) {
	for i := range attrs {
		switch attrs[i].Key {
		case "http.response.status_code", "http.status_code":
			if code, ok = number(attrs[i].Value); ok {
				return code, true
			}
		}
	}
	return 0, false
}

// maxNumber is the longest text that is read as a number: a code has no more digits.
const maxNumber = 8

// number is a number, or one in a text.
func number(v attribute.Value) (n int, ok bool) {
	switch v.Type() {
	case attribute.INT64:
		return int(v.AsInt64()), true
	case attribute.FLOAT64:
		f := v.AsFloat64()
		return int(f), f == float64(int(f))
	case attribute.STRING:
		if text := v.AsString(); len(text) <= maxNumber {
			n, err := strconv.Atoi(text)
			return n, err == nil
		}
	}
	return 0, false
}

func (s *sampler) ignored(text string) bool {
	return slices.ContainsFunc(s.ignore, func(g match.Glob) bool { return g.Match(text) })
}

// Interface guards.
var (
	_ sampling.EndSampler        = (*sampler)(nil)
	_ component.LeavesNothingOut = (*Config)(nil)
)
