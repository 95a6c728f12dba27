package plugintest

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
)

// record runs a check outside of go test and returns what it reported.
func record(ctx context.Context, name string, check func(testing.TB)) (failures []string, skipped bool) {
	r := &recorder{name: name}
	var cancel context.CancelFunc
	r.ctx, cancel = context.WithCancel(ctx)
	r.run(func() { check(r) })
	cancel()
	for {
		r.mu.Lock()
		n := len(r.cleanups)
		if n == 0 {
			r.mu.Unlock()
			return r.failures, r.skipped
		}
		f := r.cleanups[n-1]
		r.cleanups = r.cleanups[:n-1]
		r.mu.Unlock()
		r.run(f)
	}
}

// recorder is a [testing.TB] for what the suites use of it.
type recorder struct {
	testing.TB // for the method that only package testing can have

	name string
	ctx  context.Context //nolint:containedctx // as in package testing

	mu       sync.Mutex
	failures []string
	skipped  bool
	cleanups []func()
}

// run runs f on a goroutine of its own, which FailNow can end.
func (r *recorder) run(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			if p := recover(); p != nil {
				r.fail(fmt.Sprintf("panic: %v\n%s", p, debug.Stack()))
			}
		}()
		f()
	}()
	<-done
}

func (r *recorder) fail(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures = append(r.failures, strings.TrimRight(text, "\n"))
}

func (r *recorder) Name() string             { return r.name }
func (r *recorder) Context() context.Context { return r.ctx }
func (*recorder) Helper()                    {}
func (*recorder) Log(...any)                 {}
func (*recorder) Logf(string, ...any)        {}

func (r *recorder) Error(args ...any)                 { r.fail(fmt.Sprintln(args...)) }
func (r *recorder) Errorf(format string, args ...any) { r.fail(fmt.Sprintf(format, args...)) }
func (r *recorder) Fail()                             { r.fail("it failed") }
func (*recorder) FailNow()                            { runtime.Goexit() }

func (r *recorder) Fatal(args ...any) {
	r.Error(args...)
	r.FailNow()
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	r.FailNow()
}

func (r *recorder) Skipf(string, ...any) {
	r.mu.Lock()
	r.skipped = true
	r.mu.Unlock()
	r.FailNow()
}

func (r *recorder) Failed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.failures) > 0
}

func (r *recorder) Cleanup(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cleanups = append(r.cleanups, f)
}

// Interface guards.
var _ testing.TB = (*recorder)(nil)
