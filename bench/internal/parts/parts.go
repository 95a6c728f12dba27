// Package parts tells from a CPU profile what a service spends on the parts of
// tracing. Whoever makes the spans, the same rules say what is what.
package parts

import (
	"io"
	"runtime/pprof"
	"slices"
	"strings"

	"github.com/google/pprof/profile"
)

// The parts.
const (
	Record   = "record"   // start, describe and end spans
	Sample   = "sample"   // decide, and hold what is not decided
	Queue    = "queue"    // batches, and waiting
	Encode   = "encode"   // OTLP
	Compress = "compress" // gzip
	Send     = "send"     // requests and answers
	GC       = "gc"       // the garbage collector's own goroutines, whoever made the garbage
	Service  = "service"  // everything else: the service's own work
)

// All are the parts, in the order of a span's life.
var All = []string{Record, Sample, Queue, Encode, Compress, Send, GC, Service}

const label = "riffle_bench"

// Delivery labels the goroutines that deliver. What is on them, and is none of
// the parts that code tells, is sending.
var Delivery = pprof.Labels(label, "delivery")

// Split adds the CPU time of a profile, in nanoseconds by part, to into.
func Split(r io.Reader, into map[string]int64) error {
	p, err := profile.Parse(r)
	if err != nil {
		return err
	}
	value := len(p.SampleType) - 1 // the last is CPU time
	for _, s := range p.Sample {
		into[partOf(s)] += s.Value[value]
	}
	return nil
}

// rule says what code is a part of.
type rule struct{ prefix, part string }

const (
	riffle = "github.com/riffletrace/riffle/"
	otel   = "go.opentelemetry.io/otel/"
)

// anywhere is code that is a part wherever it is called from; the innermost
// that matches counts.
var anywhere = []rule{
	{"runtime.gcBgMarkWorker", GC},
	{"runtime.bgsweep", GC},
	{"runtime.bgscavenge", GC},
	{riffle + "core/otlp.", Encode},
	{otel + "exporters/otlp/otlptrace/internal/tracetransform.", Encode},
	{riffle + "samplers/", Sample},
	{riffle + "plugins/host.(*startClient)", Sample},
	{riffle + "plugins/internal/lease.", Sample},
	{riffle + "core/record.(*segment)", Sample},
	{riffle + "core/record.(*live)", Sample},
	{riffle + "core/record.(*memory)", Sample},
	{riffle + "core/record.(*startRules)", Sample},
	{riffle + "core/record.(*StartEntry)", Sample},
	{riffle + "core/record.(*EndEntry)", Sample},
	{riffle + "core/record.firstAnswer", Sample},
	{riffle + "core/record.(*asker)", Sample},
	{otel + "sdk/trace.parentBased", Sample},
	{otel + "sdk/trace.traceIDRatioSampler", Sample},
	{riffle + "bench.recordOnly", Sample},
	{riffle + "core/delivery.(*batcher).handOver", Queue},
	{riffle + "core/delivery.(*Lines)", Queue},
	{otel + "sdk/trace.(*batchSpanProcessor).OnEnd", Queue},
	{riffle + "core/record.", Record},
	{otel + "sdk/trace.", Record},
	{otel + "trace.", Record},
	{otel + "attribute.", Record},
}

// delivering is code that is a part on the goroutines that deliver.
var delivering = []rule{
	{"github.com/klauspost/compress/", Compress},
	{"compress/", Compress},
	{riffle + "core/otlp.", Encode},
	{otel + "exporters/otlp/otlptrace/internal/tracetransform.", Encode},
	{"google.golang.org/protobuf/", Encode},
	{riffle + "plugins/host.(*startClient)", Sample},
	{riffle + "plugins/internal/lease.", Sample},
	{riffle + "exporters/", Send},
	{otel + "exporters/", Send},
	{"net/http.", Send},
	{"google.golang.org/grpc", Send},
	{riffle + "core/delivery.(*Line).attempt", Send},
	{riffle + "core/record.(*live)", Sample},
	{riffle + "core/record.(*segment)", Sample},
	{riffle + "core/record.(*asker)", Sample},
	{riffle + "core/record.", Record},
	{riffle + "core/delivery", Queue},
	{otel + "sdk/trace.", Queue},
}

// Code are the prefixes of functions that the rules name, for a test that there
// is such code.
func Code() (prefixes []string) {
	for _, r := range slices.Concat(anywhere, delivering) {
		prefixes = append(prefixes, r.prefix)
	}
	return prefixes
}

func partOf(s *profile.Sample) string {
	if len(s.Label[label]) == 0 {
		return match(s, anywhere, Service)
	}
	if part := match(s, anywhere[:3], ""); part != "" {
		return part // a collector's goroutine has whatever label it was started with
	}
	return match(s, delivering, Send)
}

// match looks from the innermost frame outwards.
func match(s *profile.Sample, rules []rule, otherwise string) string {
	for _, location := range s.Location {
		for _, line := range location.Line {
			if line.Function == nil {
				continue
			}
			for _, r := range rules {
				if strings.HasPrefix(line.Function.Name, r.prefix) {
					return r.part
				}
			}
		}
	}
	return otherwise
}
