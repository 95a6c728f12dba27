package exportertest

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/core/otlp"
)

var cases = []testCase{
	{
		name: "empty batch",
		rule: "exporting no spans does nothing and succeeds, because there is nothing that could fail",
		check: func(s *suite) {
			e := s.exporter()
			for _, spans := range [][]sdktrace.ReadOnlySpan{nil, {}} {
				s.prompt("ExportSpans without spans", 5*time.Second, func(ctx context.Context) {
					if err := e.ExportSpans(ctx, spans); err != nil {
						s.violated("ExportSpans(%d spans, nil slice: %t) = %v", len(spans), spans == nil, err)
					}
				})
			}
		},
	},
	{
		name: "cancelled context",
		rule: "an export returns promptly when its context is done, because a shutdown waits for it",
		check: func(s *suite) {
			e := s.exporter()
			for _, deadline := range []time.Duration{0, 100 * time.Millisecond} {
				s.attempts(e, fmt.Sprintf("with a context that ends after %v", deadline), deadline)
			}
		},
	},
	{
		name: "spans are read only",
		rule: "an exporter changes neither the slice nor what the spans hold, because other exporters have the same spans",
		check: func(s *suite) {
			e := s.exporter()
			spans := samples()
			before, encoded := slices.Clone(spans), otlp.AppendRequest(nil, spans)
			s.prompt("ExportSpans", attempt, func(ctx context.Context) {
				_ = e.ExportSpans(ctx, spans[:len(spans)-1])
				if !slices.Equal(before, spans) {
					s.violated("the slice is another after ExportSpans")
				} else if !bytes.Equal(encoded, otlp.AppendRequest(nil, spans)) {
					s.violated("the spans are others after ExportSpans")
				}
			})
		},
	},
	{
		name: "slice is not retained",
		rule: "an exporter is done with the slice when ExportSpans returns, because its owner puts other spans into it",
		check: func(s *suite) {
			e := s.newExporter(s.TB)
			var mu sync.Mutex
			var touched string
			spans := samples()
			s.prompt("ExportSpans", attempt, func(ctx context.Context) { _ = e.ExportSpans(ctx, spans) })
			for i := range spans {
				spans[i] = newGuardedSpan(func() {
					mu.Lock()
					defer mu.Unlock()
					if touched == "" {
						touched = stackOf()
					}
				})
			}
			time.Sleep(20 * time.Millisecond) // for those that read it in the background
			s.prompt("Shutdown", attempt, func(ctx context.Context) { _ = e.Shutdown(ctx) })
			mu.Lock()
			defer mu.Unlock()
			if touched != "" {
				s.violated("a span that was put into the slice later was read:\n%s", touched)
			}
		},
	},
	{
		name: "any span",
		rule: "an exporter takes every span that the SDK can make, because a batch that cannot be sent takes others with it",
		check: func(s *suite) {
			e := s.exporter()
			for _, span := range samples() {
				s.prompt(fmt.Sprintf("ExportSpans(%.40q)", span.Name()), attempt, func(ctx context.Context) {
					_ = e.ExportSpans(ctx, []sdktrace.ReadOnlySpan{span})
				})
			}
		},
	},
	{
		name: "after Shutdown",
		rule: "after Shutdown an export fails without doing harm, because the host must learn that its spans went nowhere",
		check: func(s *suite) {
			e := s.newExporter(s.TB)
			s.prompt("Shutdown", attempt, func(ctx context.Context) { _ = e.Shutdown(ctx) })
			s.prompt("ExportSpans after Shutdown", attempt, func(ctx context.Context) {
				if err := e.ExportSpans(ctx, samples()); err == nil {
					s.violated("ExportSpans after Shutdown = nil")
				}
			})
			r, ok := e.(delivery.RequestExporter)
			if !ok {
				return
			}
			s.prompt("ExportRequest after Shutdown", attempt, func(ctx context.Context) {
				if _, err := r.ExportRequest(ctx, request(r, samples())); err == nil {
					s.violated("ExportRequest after Shutdown = nil")
				}
			})
		},
	},
	{
		name: "Shutdown",
		rule: "Shutdown can be called first, twice, at once and with a context that is done, because those who end a program do not talk to each other",
		check: func(s *suite) {
			e := s.exporter()
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() { s.prompt("Shutdown", attempt, func(ctx context.Context) { _ = e.Shutdown(ctx) }) })
			}
			wg.Wait()
			s.prompt("Shutdown with a context that is done", 0, func(ctx context.Context) { _ = e.Shutdown(ctx) })
			other := s.exporter()
			s.prompt("a first Shutdown with a context that is done", 0, func(ctx context.Context) { _ = other.Shutdown(ctx) })
		},
	},
	{
		name: "Shutdown during export",
		rule: "Shutdown can come during an export, and both return when their contexts are done, because a line has a deadline for both",
		check: func(s *suite) {
			e := s.exporter()
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() {
					for range 10 {
						if !s.attempts(e, "during Shutdown", 200*time.Millisecond) {
							return
						}
					}
				})
			}
			time.Sleep(10 * time.Millisecond)
			s.prompt("Shutdown during exports", 100*time.Millisecond, func(ctx context.Context) { _ = e.Shutdown(ctx) })
			wg.Wait()
		},
	},
	{
		name: "goroutines",
		rule: "no goroutine is left after Shutdown, because a configuration may be loaded again and again",
		check: func(s *suite) {
			before := goroutines()
			e := s.newExporter(s.TB)
			s.attempts(e, "", attempt)
			s.prompt("Shutdown", attempt, func(ctx context.Context) { _ = e.Shutdown(ctx) })
			var left []string
			for end := time.Now().Add(maxWait); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
				left = left[:0]
				for id, stack := range goroutines() {
					if _, ok := before[id]; !ok {
						left = append(left, stack)
					}
				}
				if len(left) == 0 {
					return
				}
			}
			s.violated("%d goroutines are left:\n%s", len(left), strings.Join(left, "\n\n"))
		},
	},
	{
		name: "requests",
		rule: "an exporter of requests takes several at once and leaves their bodies alone, because a line sends in parallel what other lines send too",
		check: func(s *suite) {
			r, ok := s.exporter().(delivery.RequestExporter)
			if !ok {
				return
			}
			traits := r.Traits()
			if err := traits.Compression.Valid(); err != nil {
				s.violated("Traits: compression: %v", err)
				return
			}
			req := request(r, samples())
			before := bytes.Clone(req.Body)
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() {
					s.prompt("ExportRequest", attempt, func(ctx context.Context) {
						resp, err := r.ExportRequest(ctx, req)
						if err != nil && resp != (delivery.Response{}) {
							s.violated("ExportRequest = %+v and an error (%v)", resp, err)
						}
					})
				})
			}
			wg.Wait()
			if !bytes.Equal(before, req.Body) {
				s.violated("the body is another after ExportRequest")
			}
			if now := r.Traits(); now != traits {
				s.violated("Traits were %+v and are %+v after a few requests", traits, now)
			}
		},
	},
}

// attempts exports in each way that the exporter has.
func (s *suite) attempts(e sdktrace.SpanExporter, how string, deadline time.Duration) bool {
	s.Helper()
	ok := s.prompt("ExportSpans "+how, deadline, func(ctx context.Context) { _ = e.ExportSpans(ctx, samples()) })
	if r, is := e.(delivery.RequestExporter); is {
		req := request(r, samples())
		ok = s.prompt("ExportRequest "+how, deadline, func(ctx context.Context) { _, _ = r.ExportRequest(ctx, req) }) && ok
	}
	return ok
}

func request(r delivery.RequestExporter, spans []sdktrace.ReadOnlySpan) delivery.Request {
	return delivery.Request{Body: r.Traits().Compression.Compress(otlp.AppendRequest(nil, spans)), Spans: len(spans)}
}

// goroutines are the stacks of all by their IDs, without those of the tests.
func goroutines() map[string]string {
	buf := make([]byte, 1<<20)
	buf = buf[:runtime.Stack(buf, true)]
	all := make(map[string]string)
	for stack := range strings.SplitSeq(string(buf), "\n\n") {
		id, _, _ := strings.Cut(strings.TrimPrefix(stack, "goroutine "), " ")
		if !strings.Contains(stack, "testing.tRunner") {
			all[id] = stack
		}
	}
	return all
}

func stackOf() string {
	buf := make([]byte, 16<<10)
	return string(buf[:runtime.Stack(buf, false)])
}
