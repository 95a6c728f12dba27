package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/bench/internal/outside"
	"github.com/riffletrace/riffle/bench/internal/stats"
)

// Dimension is what grows.
type Dimension string

// The dimensions of [Target].Scaling. Everything else stays at its least, but
// that processors and routes are tried by 16 goroutines. Nothing goes beyond
// the processors that there are.
const (
	Goroutines Dimension = "goroutines" // that start and end traces at once
	Processors Dimension = "processors" // GOMAXPROCS
	Routes     Dimension = "routes"     // rules of the sampler route
	Exporters  Dimension = "exporters"
	SpanSize   Dimension = "span size" // KiB of attributes
)

// Dimensions are all of them, in the order of the report.
func Dimensions() []Dimension {
	return []Dimension{Goroutines, Processors, Routes, Exporters, SpanSize}
}

// Scaled is the cost of a trace of two spans at one point of a dimension, in a
// loop that does nothing else.
type Scaled struct {
	Dimension Dimension `json:"dimension"`
	X         int       `json:"x"`
	Variant   string    `json:"variant"`
	// CPU is the nanoseconds of a trace, PerSecond the traces in a second, each
	// by repetition.
	CPU       []float64 `json:"cpu"`
	PerSecond []float64 `json:"per_second"`
	// Dropped is the share of the spans that were kept and found no room.
	Dropped float64 `json:"dropped"`
}

const (
	scaleRepeats  = stats.MinRounds
	scaleDuration = 200 * time.Millisecond
	busy          = 16 // goroutines where another dimension needs some
)

// scaleOrder is one point.
type scaleOrder struct {
	Dimension  Dimension         `json:"dimension"`
	X          int               `json:"x"`
	Variant    Variant           `json:"variant"`
	Outside    outside.Addresses `json:"outside"`
	Scratch    string            `json:"scratch"`
	Goroutines int               `json:"goroutines"`
	Procs      int               `json:"procs"`
	Exporters  int               `json:"exporters"`
	SpanBytes  int               `json:"span_bytes"`
}

type scaleOutcome struct {
	CPU       float64 `json:"cpu"`
	PerSecond float64 `json:"per_second"`
	Counts    Counts  `json:"counts"`
}

// scaleSchedule is every point, for each variant that it says something about.
func scaleSchedule() (all []scaleOrder) {
	tail, full, stock := RiffleAt(0.01, true, HTTP), RiffleAt(1, false, HTTP), StockAt(1, HTTP)
	add := func(o scaleOrder, variants ...Variant) {
		o.Procs, o.Exporters, o.Goroutines = max(o.Procs, 1), max(o.Exporters, 1), max(o.Goroutines, 1)
		for _, v := range variants {
			o.Variant = v
			all = append(all, o)
		}
	}
	cores := runtime.NumCPU()
	for _, n := range []int{1, 2, 4, 8, 16, 32, 64} {
		o := scaleOrder{Dimension: Goroutines, X: n, Goroutines: n, Procs: cores}
		add(o, tail, full, stock)
		if n == 1 { // for the goal of what is decided at the start
			o.Procs = 1
			add(o, RiffleAt(0.01, false, HTTP), StockAt(0.01, HTTP))
		}
	}
	for n := 1; n <= cores; n++ {
		add(scaleOrder{Dimension: Processors, X: n, Procs: n, Goroutines: busy}, tail, full, stock)
	}
	for _, n := range []int{1, 10, 100, 1000, 10_000} {
		routed := tail
		routed.Config = strings.Replace(tail.Config, "    samplers:\n", "    samplers:\n"+routeRules(n), 1)
		add(scaleOrder{Dimension: Routes, X: n, Procs: cores, Goroutines: busy}, routed)
	}
	for n := 1; n <= 4; n++ {
		several := full
		several.Config = withExporters(full.Config, n)
		add(scaleOrder{Dimension: Exporters, X: n, Exporters: n, Procs: cores}, several, stock)
	}
	for _, n := range []int{1, 4, 16, 64} {
		add(scaleOrder{Dimension: SpanSize, X: n, SpanBytes: n << 10, Procs: cores}, full, stock)
	}
	return all
}

// routeRules is a route sampler of n rules, none of which is about the traces.
func routeRules(n int) string {
	var b strings.Builder
	b.WriteString("      - type: route\n        rules:\n")
	for i := range n {
		fmt.Fprintf(&b, "          - {route: \"GET /service-%d/{id}/part-%d\", sample: drop}\n", i%97, i)
	}
	return b.String()
}

// withExporters repeats the exporter of a configuration.
func withExporters(config string, n int) string {
	head, entry, _ := strings.Cut(config, "    exporters:\n")
	var b strings.Builder
	b.WriteString(head + "    exporters:\n")
	for i := range n {
		b.WriteString(strings.Replace(entry, "type: otlp\n", fmt.Sprintf("type: otlp\n        name: otlp-%d\n", i+1), 1))
	}
	return b.String()
}

// scale measures every point, in turn.
func (r *runner) scale(ctx context.Context) error {
	orders := scaleSchedule()
	at, _, err := r.backend(ctx, len(r.Variants)) // one of its own
	if err != nil {
		return err
	}
	points := make([]Scaled, len(orders))
	kept, dropped := make([]uint64, len(orders)), make([]uint64, len(orders))
	for n := range scaleRepeats {
		for i, o := range orders {
			if (n*len(orders)+i)%scaleRepeats == 0 { // a step is as long as one of the others
				r.step()
			}
			o.Outside, o.Scratch = *at, r.scratch
			out, err := r.scalePoint(ctx, o)
			if err != nil {
				return fmt.Errorf("%s: %d, variant %q: %w", o.Dimension, o.X, o.Variant.Name, err)
			}
			p := &points[i]
			p.Dimension, p.X, p.Variant = o.Dimension, o.X, o.Variant.Name
			p.CPU, p.PerSecond = append(p.CPU, out.CPU), append(p.PerSecond, out.PerSecond)
			kept[i] += out.Counts.Kept
			dropped[i] += out.Counts.Dropped
			p.Dropped = float64(dropped[i]) / float64(max(kept[i], 1))
		}
		r.result.Scaling = slices.Clone(points)
	}
	return nil
}

func (*runner) scalePoint(ctx context.Context, o scaleOrder) (*scaleOutcome, error) {
	p, err := start(roleScale, plainEnviron())
	if err != nil {
		return nil, err
	}
	defer p.kill()
	answer, err := p.ask(ctx, request{Scale: &o}, scaleDuration)
	if err != nil {
		return nil, err
	}
	_, err = p.end(ctx)
	return answer.Scale, err
}

// scaleRole is the process that measures a point.
type scaleRole struct{}

func (scaleRole) end(context.Context) (reply, error) { return reply{}, nil }

func (scaleRole) do(ctx context.Context, r request) (reply, error) {
	if r.Scale == nil {
		return reply{}, errors.New("no point is ordered")
	}
	o := r.Scale
	runtime.GOMAXPROCS(o.Procs)
	dir, err := os.MkdirTemp(o.Scratch, "scale")
	if err != nil {
		return reply{}, err
	}
	defer os.RemoveAll(dir)
	o.Variant.copies = o.Exporters
	t, err := newTelemetry(ctx, &o.Variant, o.Outside, dir)
	if err != nil {
		return reply{}, err
	}
	tracer := t.tracers.Tracer("github.com/riffletrace/riffle/bench")
	spin(ctx, tracer, o, scaleDuration/4) // to warm up
	if err := t.flush(ctx); err != nil {
		return reply{}, err
	}
	before, err := resources()
	if err != nil {
		return reply{}, err
	}
	began := time.Now()
	traces := spin(ctx, tracer, o, scaleDuration)
	elapsed := time.Since(began)
	if err := t.flush(ctx); err != nil {
		return reply{}, err
	}
	after, err := resources()
	if err != nil {
		return reply{}, err
	}
	counts, err := t.finish(ctx)
	return reply{Scale: &scaleOutcome{
		CPU:       float64(after.User+after.System-before.User-before.System) / float64(max(traces, 1)),
		PerSecond: float64(traces) / elapsed.Seconds(),
		Counts:    counts,
	}}, err
}

// spin starts and ends traces for a time and returns how many.
func spin(ctx context.Context, tracer trace.Tracer, o *scaleOrder, d time.Duration) int64 {
	var total atomic.Int64
	var wg sync.WaitGroup
	size := strings.Repeat("x", max(o.SpanBytes/8, 8))
	deadline := time.Now().Add(d)
	for range o.Goroutines {
		wg.Go(func() {
			n := int64(0)
			for time.Now().Before(deadline) {
				for range 16 {
					oneTrace(ctx, tracer, size)
				}
				n += 16
			}
			total.Add(n)
		})
	}
	wg.Wait()
	return total.Load()
}

// oneTrace is a server's span and a database client's below it.
func oneTrace(ctx context.Context, tracer trace.Tracer, text string) {
	ctx, server := tracer.Start(ctx, "GET /orders/{id}", trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(
		attribute.String("http.request.method", "GET"),
		attribute.String("url.path", "/orders/17"),
		attribute.String("url.scheme", "https"),
		attribute.String("http.route", "/orders/{id}"),
		attribute.String("server.address", "shop.example"),
		attribute.String("user_agent.original", text),
	))
	_, client := tracer.Start(ctx, "SELECT orders", trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
		attribute.String("db.system.name", "postgresql"),
		attribute.String("db.namespace", "shop"),
		attribute.String("db.operation.name", "SELECT"),
		attribute.String("db.query.text", text),
	))
	for i := range manyKeys {
		if len(text) <= smallText {
			break
		}
		client.SetAttributes(attribute.String(manyKeys[i], text))
		server.SetAttributes(attribute.String(manyKeys[i], text))
	}
	client.End()
	server.SetAttributes(attribute.Int("http.response.status_code", 200))
	server.End()
}

// Large spans have their size in eight attributes.
const smallText = 8

var manyKeys = [...]string{"load.a", "load.b", "load.c", "load.d", "load.e", "load.f", "load.g"}

// microRatio compares a trace that is decided at its start, by riffle and by
// the SDK.
func (r *Result) microRatio() (Estimate, bool) {
	ours, theirs := RiffleAt(0.01, false, HTTP).Name, StockAt(0.01, HTTP).Name
	var a, b []float64
	for _, p := range r.Scaling {
		switch p.Variant {
		case ours:
			a = p.CPU
		case theirs:
			b = p.CPU
		}
	}
	n := min(len(a), len(b))
	if n == 0 {
		return Estimate{}, false
	}
	ratios := make([]float64, n)
	for i := range ratios {
		ratios[i] = a[i] / b[i]
	}
	return stats.MedianOf(ratios), true
}
