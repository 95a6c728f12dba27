// Package exportertest is the conformance suite for exporters. An author runs
// it from a test of the exporter's package, under -race too:
//
//	func TestConformance(t *testing.T) {
//		exportertest.Run(t, exportertest.Plan(component.Use(file.Factory, "", file.Config{Path: path})))
//	}
//
// Each failure names the rule that was broken and why there is such a rule. The
// suite asks for no success: a backend that works, one that refuses and one that
// never answers are all worth a run. Start backends before Run, not in what it
// calls, and run no other test in parallel: the suite counts goroutines.
package exportertest

import (
	"context"
	"fmt"
	"iter"
	"runtime/debug"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/riffletrace/riffle/core/component"
)

// maxWait is how long what must be prompt may take, on a busy machine.
var maxWait = 2 * time.Second

// attempt is the deadline of a call that need not succeed.
const attempt = 300 * time.Millisecond

// Run checks the exporters that newExporter makes, a new one at each call, with
// the same settings.
func Run(t *testing.T, newExporter func(testing.TB) sdktrace.SpanExporter) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			c.run(t, newExporter)
		})
	}
}

// Cases are the parts of [Run] by name, for those who run them one by one, or
// with a [testing.TB] of their own.
func Cases() iter.Seq2[string, func(testing.TB, func(testing.TB) sdktrace.SpanExporter)] {
	return func(yield func(string, func(testing.TB, func(testing.TB) sdktrace.SpanExporter)) bool) {
		for _, c := range cases {
			if !yield(c.name, func(tb testing.TB, newExporter func(testing.TB) sdktrace.SpanExporter) { c.run(tb, newExporter) }) {
				return
			}
		}
	}
}

// Plan makes the exporters of [Run] from a plan: component.Use(Factory, "",
// Config{...}).
func Plan(p component.Plan[sdktrace.SpanExporter]) func(testing.TB) sdktrace.SpanExporter {
	return func(tb testing.TB) sdktrace.SpanExporter {
		tb.Helper()
		e, err := p.Build(tb.Context(), component.Settings{})
		if err != nil {
			tb.Fatalf("building exporter %q: %v", p.ID(), err)
		}
		return e
	}
}

// testCase checks one rule.
type testCase struct {
	name string
	rule string
	// check reports what breaks the rule.
	check func(*suite)
}

func (c testCase) run(tb testing.TB, newExporter func(testing.TB) sdktrace.SpanExporter) {
	tb.Helper()
	c.check(&suite{TB: tb, rule: c.rule, newExporter: newExporter})
}

// suite is what a case works with.
type suite struct {
	testing.TB
	rule        string
	newExporter func(testing.TB) sdktrace.SpanExporter
}

// exporter makes an exporter that is shut down when the case is over.
func (s *suite) exporter() sdktrace.SpanExporter {
	s.Helper()
	e := s.newExporter(s.TB)
	if e == nil {
		s.Fatalf("newExporter returned nil")
	}
	s.Cleanup(func() {
		s.prompt("Shutdown", attempt, func(ctx context.Context) { _ = e.Shutdown(ctx) })
	})
	return e
}

// violated fails the case and says why there is such a rule.
func (s *suite) violated(format string, args ...any) {
	s.Helper()
	s.Errorf("%s\nrule: %s", fmt.Sprintf(format, args...), s.rule)
}

// prompt calls f with a context of that deadline and reports whether it
// returned soon after it, without a panic.
func (s *suite) prompt(what string, deadline time.Duration, f func(context.Context)) bool {
	s.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	return s.within(what, deadline+maxWait, func() { f(ctx) })
}

// within calls f and reports whether it returned in time, without a panic.
func (s *suite) within(what string, limit time.Duration, f func()) bool {
	s.Helper()
	panicked := make(chan string, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				panicked <- fmt.Sprintf("%v\n%s", p, debug.Stack())
			}
			close(panicked)
		}()
		f()
	}()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case p, ok := <-panicked:
		if ok {
			s.violated("%s panicked: %s", what, p)
		}
		return !ok
	case <-timer.C:
		s.violated("%s did not return within %v", what, limit)
		return false
	}
}
