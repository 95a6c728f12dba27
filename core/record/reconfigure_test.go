package record

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"

	"github.com/riffletrace/riffle/core/sampling"
)

// config is one with those samplers, under the names that tests give them.
func configOf(samplers ...sampling.Sampler) Config {
	c := Config{Limits: unlimited}
	for i, s := range samplers {
		c.Samplers.Add(s, Entry{Name: samplerNames[i]})
	}
	return c
}

// A segment ends under the rules that it began with. Those are released when none is
// open any more, and not before.
func TestReconfigure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecorder(t, Config{Resource: resource.NewSchemaless(attribute.String("is", "former"))}, onError, selectNone)
		var released atomic.Bool
		ctx, root := r.tracer.Start(context.Background(), "root")
		next := configOf(selectNone)
		next.Resource = resource.NewSchemaless(attribute.String("is", "new"))
		if !r.Reconfigure(next, func(context.Context) { released.Store(true) }) {
			t.Fatal("it was refused")
		}
		fail(r.start(context.Background(), "failed under the new rules")).End()
		time.Sleep(time.Minute)
		if released.Load() {
			t.Error("the former rules are released while a segment is open")
		}
		fail(r.start(ctx, "child")).End()
		root.End()
		r.checkDelivered(t, "child", "root")
		if got := r.span(t, "root").Resource().String(); got != "is=former" {
			t.Errorf("its resource is %s", got)
		}
		time.Sleep(3 * maxTick)
		synctest.Wait()
		if !released.Load() {
			t.Error("the former rules are not released")
		}
		if n := r.Stats().Started; n != 2 {
			t.Errorf("%d local roots are counted, want 2", n)
		}
	})
}

// What is complete and opened again goes on under the rules in force: an error is kept,
// and nobody who is gone is asked.
func TestReconfigureAndOpenAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var gone atomic.Bool
		former := endFunc(func(sampling.EndParameters) sampling.Answer {
			if gone.Load() {
				t.Error("a sampler is asked that is released")
			}
			return sampling.Abstain()
		})
		r := newRecorder(t, Config{}, former, selectNone)
		ctx, root := r.tracer.Start(context.Background(), "root")
		root.End()
		r.Reconfigure(configOf(onError, selectNone), func(context.Context) { gone.Store(true) })
		time.Sleep(3 * maxTick)
		synctest.Wait()
		if !gone.Load() {
			t.Fatal("the former rules are not released")
		}
		fail(r.start(ctx, "late")).End()
		r.checkDelivered(t, "late")
	})
}

// A goroutine that sleeps while its local root starts must not bring rules back that
// are gone.
func TestReconfigureWhileARootStarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sleeps := startFunc(func(sampling.StartParameters) sampling.Answer {
			time.Sleep(time.Minute)
			return sampling.At(sampling.Always)
		})
		r := newRecorder(t, Config{}, onError, sleeps)
		var released atomic.Bool
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			r.start(context.Background(), "root").End()
		}()
		synctest.Wait()
		r.Reconfigure(configOf(selectNone, onError), func(context.Context) { released.Store(true) })
		time.Sleep(3 * maxTick)
		synctest.Wait()
		if !released.Load() {
			t.Error("a root that is not listed holds the former rules")
		}
		<-ended
		r.checkDelivered(t)
		if s := r.Stats(); s.Started != 1 {
			t.Errorf("%d roots are counted, want 1", s.Started)
		}
	})
}

// A sampler that stays has its limit, its suspension and its counts.
func TestReconfigureKeepsWhatStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const perSecond = 5
		config := Config{Limits: unlimited}
		config.Samplers.Add(onError, Entry{Name: "error", Limit: perSecond})
		config.Samplers.Add(endFunc(func(sampling.EndParameters) sampling.Answer { panic("always") }),
			Entry{Name: "panics", Logger: slog.New(slog.DiscardHandler)})
		config.Samplers.Add(selectNone, Entry{Name: "baseline"})
		r := newRecorder(t, config)
		const seconds = 60
		for range seconds {
			for range 100 {
				fail(r.start(context.Background(), "root")).End()
				next := Config{Limits: unlimited}
				for _, name := range []string{"panics", "error", "baseline"} {
					next.Samplers.AddSame(&config.Samplers, name)
				}
				config = next
				r.Reconfigure(config, func(context.Context) {})
				time.Sleep(10 * time.Millisecond)
			}
		}
		if n := len(r.spans()); n > perSecond*(seconds+10) {
			t.Errorf("a limit of %d a second kept %d in %d s", perSecond, n, seconds)
		}
		if n := r.Stats().Suspensions["panics"]; n != 2 {
			t.Errorf("the sampler that panics was suspended %d times in a minute, want twice", n)
		}
		if n := r.Stats().Kept["error"]; n != uint64(len(r.spans())) {
			t.Errorf("%d are said to be kept, and %d are", n, len(r.spans()))
		}
	})
}

// Rules change under load, many times: every error is kept, once, with all of its
// segment, and all former rules are released.
func TestReconfigureUnderLoad(t *testing.T) {
	const changes = 300
	r := newRecorder(t, Config{}, onError, selectNone)
	var released atomic.Int64
	stop := make(chan struct{})
	var load sync.WaitGroup
	var failed atomic.Int64
	for worker := range 4 {
		load.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(worker)))
			for {
				select {
				case <-stop:
					return
				default:
				}
				ctx, root := r.tracer.Start(context.Background(), "root")
				child := r.start(ctx, "child")
				if random.IntN(4) == 0 {
					fail(child)
					failed.Add(1)
				}
				child.End()
				root.End()
			}
		})
	}
	silent := segmentFunc(func(context.Context, []sampling.Segment, []sampling.Answer) {})
	for i := range changes {
		next := configOf([]sampling.Sampler{onError, selectNone, silent, onSlow}[:2+i%3]...)
		next.Limits.AttributeCountLimit = i
		if !r.Reconfigure(next, func(context.Context) { released.Add(1) }) {
			t.Fatal("it was refused")
		}
	}
	close(stop)
	load.Wait()
	if err := r.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	if n := released.Load(); n != changes {
		t.Errorf("%d of %d former rules are released", n, changes)
	}
	names := map[string]int64{}
	for _, s := range r.spans() {
		names[s.Name()]++
	}
	if n := failed.Load(); names["root"] != n || names["child"] != n {
		t.Errorf("of %d segments with an error, %v is kept", n, fmt.Sprint(names))
	}
	if r.Reconfigure(configOf(), nil) {
		t.Error("rules are changed after Shutdown")
	}
}

var onSlow = endFunc(func(p sampling.EndParameters) sampling.Answer {
	if p.Duration > time.Hour {
		return sampling.At(sampling.Always)
	}
	return sampling.Abstain()
})
