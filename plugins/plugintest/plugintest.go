// Package plugintest is the conformance suite for plugins in any language. It
// starts a program as a host does, checks what it says and does on the wire, and
// then runs the suites for exporters and samplers against what it serves. A Go
// author runs it from a test of the plugin:
//
//	func TestPlugin(t *testing.T) {
//		plugintest.Run(t, "bin/riffle-plugin-zipkin", plugintest.Config("zipkin", `{"endpoint": "http://localhost:1"}`))
//	}
//
// and anybody else with: riffle plugins test PATH. Each failure names the rule
// that was broken and why there is such a rule. The suite asks for no success:
// a backend need not be there.
package plugintest

import (
	"context"
	"iter"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/riffletrace/riffle/plugins"
)

// Option changes what the suite does.
type Option func(*options)

type options struct {
	configs map[string]string
}

// Config is the configuration, in JSON, that the instances of a component get.
// Without it they get none.
func Config(component, text string) Option {
	return func(o *options) { o.configs[component] = text }
}

// Run checks the program at path.
func Run(t *testing.T, path string, opts ...Option) {
	t.Helper()
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	run(t, target{path: path}, opts)
}

// RunComponents checks what a program would hand to [plugins.Main], with both ends
// in this process: its faults can be debugged there, and -race sees them.
func RunComponents(t *testing.T, components []plugins.Component, opts ...Option) {
	t.Helper()
	run(t, target{components: components}, opts)
}

func run(t *testing.T, on target, opts []Option) {
	t.Helper()
	o := makeOptions(opts)
	for _, c := range cases() {
		if c.program && on.path == "" {
			continue
		}
		if !t.Run(c.name, func(t *testing.T) { c.run(t, on, o) }) && c.first {
			return
		}
	}
}

// Result is what one rule came to.
type Result struct {
	Name     string
	Failures []string // each with the rule; none: it is kept
	Skipped  bool     // the plugin has nothing that the rule is about
	Took     time.Duration
}

// Check checks the program at an absolute path without package testing's runner, rule by rule, until
// ctx is done. A program that does not start is asked no further.
func Check(ctx context.Context, path string, opts ...Option) iter.Seq[Result] {
	o := makeOptions(opts)
	return func(yield func(Result) bool) {
		for _, c := range cases() {
			if ctx.Err() != nil {
				return
			}
			begin := time.Now()
			failures, skipped := record(ctx, c.name, func(tb testing.TB) { c.run(tb, target{path: path}, o) })
			if !yield(Result{c.name, failures, skipped, time.Since(begin)}) || c.first && len(failures) > 0 {
				return
			}
		}
	}
}

func makeOptions(opts []Option) options {
	o := options{configs: make(map[string]string)}
	for _, opt := range opts {
		opt(&o)
	}
	return o
}

func cases() []testCase {
	return slices.Concat(processCases, describeCases, instanceCases, componentCases())
}
