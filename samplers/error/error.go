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
}

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
	s := &sampler{exceptions: c.Exceptions}
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
	return s, nil
}

type sampler struct {
	exceptions  bool
	http        []httpRule
	ignore      []match.Glob
	description string
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

func (s *sampler) Traits() sampling.Traits { return sampling.Traits{Description: s.description} }

// SampleEnd answers about the first thing that it finds wrong.
func (s *sampler) SampleEnd(p sampling.EndParameters) sampling.Answer {
	if status := p.Span.Status(); status.Code == codes.Error && !s.ignored(status.Description) {
		return failed
	}
	// An open span has not been ended by a panic, and copies its events.
	if !p.Open || s.exceptions {
		if a := s.exception(p); !a.IsAbstain() {
			return a
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

// exception looks for exceptions among the events. The SDK's End, when
// deferred, records a panic after it took the end time, and as the last event; so
// does nothing else, but for a span that was ended with an earlier time of the
// caller's: there an exception of the time between counts as a panic. With a later
// time of the caller's, a panic is not told from other exceptions.
func (s *sampler) exception(p sampling.EndParameters) sampling.Answer {
	events := p.Span.Events()
	if n := len(events); n > 0 && !p.Open {
		last := &events[n-1]
		if isException(last) && !last.Time.Before(p.Span.EndTime()) && !s.ignored(message(last)) {
			return panicked
		}
	}
	if s.exceptions {
		for i := range events {
			if isException(&events[i]) && !s.ignored(message(&events[i])) {
				return exception
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

func statusCode(attrs []attribute.KeyValue) (code int, ok bool) {
	for i := range attrs {
		switch attrs[i].Key {
		case "http.response.status_code", "http.status_code":
			return int(attrs[i].Value.AsInt64()), true
		}
	}
	return 0, false
}

func (s *sampler) ignored(text string) bool {
	return slices.ContainsFunc(s.ignore, func(g match.Glob) bool { return g.Match(text) })
}

// Interface guards.
var _ sampling.EndSampler = (*sampler)(nil)
