package host

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/core/otlp"
	otlpexporter "github.com/riffletrace/riffle/exporters/otlp"
	"github.com/riffletrace/riffle/plugins/internal/wire"
	"github.com/riffletrace/riffle/samplers/ratio"
)

// keyed is what spans of the benchmarks start with: two keys and one more.
func keyed(tenant string) trace.SpanStartOption {
	return trace.WithAttributes(
		attribute.String("http.request.method", "GET"), attribute.String("tenant", tenant), attribute.String("plan", "pro"))
}

// provider has the entries and then, if they abstain, none of the traces.
func provider(b *testing.B, samplers ...core.SamplerEntry) *core.Provider {
	b.Helper()
	spec := core.Spec{Enabled: true, ServiceName: "bench", Samplers: samplers}
	p, err := core.New(b.Context(), spec, core.Logger(slog.New(slog.DiscardHandler)))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := p.Shutdown(context.Background()); err != nil {
			b.Error(err)
		}
	})
	return p
}

func tierOf(dir, rate string) core.SamplerEntry {
	c := SamplerConfig{Config: startDefaults, MaxLeases: defaultMaxLeases}
	c.Dir, c.AllowUnpinned = dir, true
	c.Plugin, c.Component, c.Config.Config = "bench", "tier", component.JSON(`{"rate": `+rate+`}`)
	return core.UseSampler(SamplerFactory, "tier", c)
}

// The start and end of a root that is dropped. The goal: with leases of a
// plugin, 1.25 times what the ratio sampler takes.
func BenchmarkDroppedRoot(b *testing.B) {
	dir := program(b, "bench", "good")
	none := core.UseSampler(ratio.Factory, "", ratio.Config{})
	for _, bb := range []struct {
		name     string
		samplers []core.SamplerEntry
	}{
		{"sampler=ratio", []core.SamplerEntry{none}},
		{"sampler=plugin", []core.SamplerEntry{tierOf(dir, "0"), none}},
	} {
		b.Run(bb.name, func(b *testing.B) {
			p := provider(b, bb.samplers...)
			tracer := p.TracerProvider().Tracer("bench")
			if len(bb.samplers) > 1 {
				leased(b, tracer, "other")
			}
			b.ReportAllocs()
			for b.Loop() {
				_, span := tracer.Start(context.Background(), "GET /checkout", keyed("other"))
				span.End()
			}
		})
	}
}

// leased starts spans until a lease decides about them.
func leased(b *testing.B, tracer trace.Tracer, tenant string) {
	b.Helper()
	eventually(b, "a lease", func() bool {
		_, span := tracer.Start(context.Background(), "GET /checkout", keyed(tenant))
		span.End()
		return Stats()[0].Leases.Hits > 0
	})
}

// How long starts take at worst while 10,000 keys are new at once, and how
// many questions that makes, against the same starts when the keys are known. The
// goals: the same p99, 50 batches.
func BenchmarkNewKeys(b *testing.B) {
	const keys = 10_000
	dir := program(b, "bench", "good")
	options := make([]trace.SpanStartOption, keys)
	for i := range options {
		options[i] = keyed(fmt.Sprint("tenant ", i))
	}
	var fresh, known []time.Duration
	var batches uint64
	for b.Loop() {
		p := provider(b, tierOf(dir, "0"), core.UseSampler(ratio.Factory, "", ratio.Config{}))
		tracer := p.TracerProvider().Tracer("bench")
		fresh = starts(tracer, options, fresh)
		eventually(b, "all keys are leased", func() bool { s := Stats()[0].Leases; return s.Answers+s.Skipped >= keys })
		batches += Stats()[0].Leases.Batches
		known = starts(tracer, options, known)
		if err := p.Shutdown(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
	for name, took := range map[string][]time.Duration{"new": fresh, "known": known} {
		slices.Sort(took)
		b.ReportMetric(float64(took[len(took)/2]), name+"-p50-ns")
		b.ReportMetric(float64(took[len(took)*99/100]), name+"-p99-ns")
	}
	b.ReportMetric(float64(batches)/float64(b.N), "batches")
	b.ReportMetric(0, "ns/op") // of starting a plugin: no figure
}

// starts has a span start with each of the options, and appends how long that took.
func starts(tracer trace.Tracer, options []trace.SpanStartOption, took []time.Duration) []time.Duration {
	warm()
	for _, option := range options {
		before := time.Now()
		_, span := tracer.Start(context.Background(), "GET /checkout", option)
		took = append(took, time.Since(before))
		span.End()
	}
	return took
}

// discard is a receiver of OTLP that accepts all.
type discard struct{}

func (discard) ExportRequest(context.Context, wire.RawMessage) (*coltracepb.ExportTraceServiceResponse, error) {
	return &coltracepb.ExportTraceServiceResponse{}, nil
}

// warm has the heap hold memory that is free, as that of a service does which has
// run for a while: it would be the kernel that is measured, finding some.
func warm() {
	all := make([][]byte, 4096)
	for i := range all {
		all[i] = make([]byte, 8<<10)
		all[i][0], all[i][4<<10] = 1, 1
	}
	runtime.KeepAlive(all)
	runtime.GC()
}

// receive starts receivers of OTLP over gRPC and HTTP.
func receive(b *testing.B) (grpcAddress, httpAddress string) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	g := grpc.NewServer(wire.ServerOptions()...)
	g.RegisterService(&wire.TraceService, discard{})
	go g.Serve(lis) //nolint:errcheck // it ends with the test
	b.Cleanup(g.Stop)
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	b.Cleanup(h.Close)
	return lis.Addr().String(), h.URL
}

// Batches of 512 spans to one receiver, straight and by way of a plugin that serves
// the same exporter with the same configuration, by turns, as a line does it: one
// goroutine encodes and compresses, and as many workers send as a line has unless
// told otherwise. The receiver shares the host's processors, and so does the
// plugin, which sends every batch once more. The goal: 60 % of the throughput.
func BenchmarkExport(b *testing.B) {
	const (
		size    = 512
		workers = 4
		batches = 400 // before it is the other exporter's turn
	)
	spans := serviceSpans(size)
	dir := program(b, "bench", "otlp")
	grpcAddress, httpAddress := receive(b)
	for name, straight := range map[string]otlpexporter.Config{
		"grpc":      {Endpoint: grpcAddress},
		"http,gzip": {Endpoint: httpAddress, Protocol: "http/protobuf"},
	} {
		served := ExporterConfig{Config: startDefaults, Timeout: defaultTimeout}
		served.Dir, served.AllowUnpinned = dir, true
		served.Plugin, served.Config.Config = "bench", component.JSON(fmt.Sprintf(`{"endpoint": %q, "protocol": %q}`, straight.Endpoint, cmp.Or(straight.Protocol, "grpc")))
		names := []string{"otlp", "plugin"}
		exporters := make([]delivery.RequestExporter, len(names))
		for i, entry := range []core.ExporterEntry{core.UseExporter(otlpexporter.Factory, "", straight), core.UseExporter(ExporterFactory, "", served)} {
			s := component.Settings{ID: "bench", Logger: slog.New(slog.DiscardHandler)}
			e, err := entry.Build(b.Context(), s)
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { _ = e.Shutdown(context.Background()) })
			exporters[i] = e.(delivery.RequestExporter)
		}
		export := func(e delivery.RequestExporter) {
			queue := make(chan []byte, workers)
			var wg sync.WaitGroup
			for range workers {
				wg.Go(func() {
					for body := range queue {
						if _, err := e.ExportRequest(context.Background(), delivery.Request{Body: body, Spans: size}); err != nil {
							b.Error(err)
						}
					}
				})
			}
			var raw []byte
			for range batches {
				raw = otlp.AppendRequest(raw[:0], spans)
				queue <- e.Traits().Compression.Compress(raw)
			}
			close(queue)
			wg.Wait()
		}
		b.Run("over="+name, func(b *testing.B) {
			rates := make([][]float64, len(exporters))
			var ratios []float64
			for turn := 0; b.Loop(); turn++ {
				for _, i := range rand.Perm(len(exporters)) {
					began := time.Now()
					export(exporters[i])
					rates[i] = append(rates[i], size*batches/time.Since(began).Seconds())
				}
				ratios = append(ratios, rates[1][turn]/rates[0][turn])
			}
			for i, name := range names {
				b.ReportMetric(median(rates[i]), name+"-spans/s")
			}
			b.ReportMetric(median(ratios), "plugin/otlp")
			b.ReportMetric(0, "ns/op") // of both together: no figure
		})
	}
}

func median(all []float64) float64 {
	slices.Sort(all)
	return all[len(all)/2]
}
