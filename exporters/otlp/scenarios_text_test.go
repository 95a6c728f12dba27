package otlp_test

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"go.opentelemetry.io/otel/attribute"
	otelcodes "go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/exporters/file"
	"github.com/riffletrace/riffle/exporters/otlp"
	"github.com/riffletrace/riffle/exporters/sdk"
	"github.com/riffletrace/riffle/exporters/stdout"
)

// badText is no UTF-8, which OTLP and JSON do not carry.
const badText = "bad\xfftext"

// badSpans are spans that have, each in another place, what their encodings cannot
// carry: text that is no UTF-8, and numbers that are none. The first has neither.
func badSpans() map[string]sdktrace.ReadOnlySpan {
	sc := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{0: 1}, SpanID: trace.SpanID{7: 1}, TraceFlags: trace.FlagsSampled})
	values := map[string]attribute.Value{
		"text":  attribute.StringValue(badText),
		"texts": attribute.StringSliceValue([]string{"good", badText}),
		"nan":   attribute.Float64Value(math.NaN()),
		"+inf":  attribute.Float64Value(math.Inf(1)),
		"-inf":  attribute.Float64Value(math.Inf(-1)),
		"nans":  attribute.Float64SliceValue([]float64{1, math.NaN(), math.Inf(1), math.Inf(-1)}),
	}
	spans := make(map[string]sdktrace.ReadOnlySpan)
	add := func(name string, change func(*tracetest.SpanStub)) {
		stub := tracetest.SpanStub{
			Name: name, SpanContext: sc, StartTime: time.Unix(1, 0), EndTime: time.Unix(2, 0),
			Resource: resource.NewSchemaless(attribute.String("service.name", "test")),
		}
		change(&stub)
		spans[name] = stub.Snapshot()
	}
	add("good", func(*tracetest.SpanStub) {})
	for kind, value := range values {
		set := []attribute.KeyValue{{Key: "bad", Value: value}}
		add(kind+" in an attribute", func(s *tracetest.SpanStub) { s.Attributes = set })
		add(kind+" in an event", func(s *tracetest.SpanStub) {
			s.Events = []sdktrace.Event{{Name: "event", Attributes: set, Time: time.Unix(1, 0)}}
		})
		add(kind+" in a link", func(s *tracetest.SpanStub) { s.Links = []sdktrace.Link{{SpanContext: sc, Attributes: set}} })
		add(kind+" in the resource", func(s *tracetest.SpanStub) { s.Resource = resource.NewSchemaless(set...) })
		add(kind+" in the scope", func(s *tracetest.SpanStub) {
			s.InstrumentationScope = instrumentation.Scope{Name: "scope", Attributes: attribute.NewSet(set...)}
		})
	}
	add("text in a key", func(s *tracetest.SpanStub) { s.Attributes = []attribute.KeyValue{attribute.Int(badText, 1)} })
	add("text in the name", func(s *tracetest.SpanStub) { s.Name = "text in the name: " + badText })
	add("text in an event's name", func(s *tracetest.SpanStub) {
		s.Events = []sdktrace.Event{{Name: badText, Time: time.Unix(1, 0)}}
	})
	add("text in the status", func(s *tracetest.SpanStub) {
		s.Status = sdktrace.Status{Code: otelcodes.Error, Description: badText}
	})
	add("text in the scope's name", func(s *tracetest.SpanStub) {
		s.InstrumentationScope = instrumentation.Scope{Name: badText, Version: badText}
	})
	return spans
}

// What an encoding cannot carry costs nothing but the value: neither its span nor
// the batch. A tracestate cannot be bad: the API refuses to make one.
func TestBadValues(t *testing.T) {
	overOTLP := func(protocol otlp.Protocol, plan func(address string) component.Plan[sdktrace.SpanExporter]) func(t *testing.T) target {
		return func(t *testing.T) target {
			r := startReceiver(t, protocol, nil)
			r.keep = true
			return target{planned(t, plan(r.address)), func() []byte { return messagesOf(t, r) }}
		}
	}
	tests := []struct {
		name  string
		start func(t *testing.T) target
	}{
		{"otlp over http", overOTLP(otlp.HTTP, func(a string) component.Plan[sdktrace.SpanExporter] {
			return component.Use(otlp.Factory, "", otlp.Config{Endpoint: a, Protocol: otlp.HTTP})
		})},
		{"otlp over grpc", overOTLP(otlp.GRPC, func(a string) component.Plan[sdktrace.SpanExporter] {
			return component.Use(otlp.Factory, "", otlp.Config{Endpoint: a, Protocol: otlp.GRPC})
		})},
		{"otlptracehttp", overOTLP(otlp.HTTP, func(a string) component.Plan[sdktrace.SpanExporter] {
			return component.Use(sdk.HTTP, "", sdk.HTTPConfig{Endpoint: a})
		})},
		{"otlptracegrpc", overOTLP(otlp.GRPC, func(a string) component.Plan[sdktrace.SpanExporter] {
			return component.Use(sdk.GRPC, "", sdk.GRPCConfig{Endpoint: a})
		})},
		{"stdout json", func(t *testing.T) target { return onStdout(t, stdout.JSON) }},
		{"stdout otlp_json", func(t *testing.T) target { return onStdout(t, stdout.OTLPJSON) }},
		{"stdout tree", func(t *testing.T) target { return onStdout(t, stdout.Tree) }},
		{"file json", func(t *testing.T) target { return inFile(t, file.JSON) }},
		{"file otlp_json", func(t *testing.T) target { return inFile(t, file.OTLPJSON) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			to := tt.start(t)
			bad := badSpans()
			l := startLine(t, to.exporter, func(c *delivery.Config) { c.Batch.MaxAge = component.Duration(time.Minute) })
			for _, s := range bad {
				l.lines.HandOver(s)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			if err := l.Shutdown(ctx); err != nil {
				t.Errorf("Shutdown: %v", err)
			}
			s := l.Stats()
			checkCounters(t, s, len(bad))
			if s.Sent != uint64(len(bad)) {
				t.Errorf("%d of %d spans are sent", s.Sent, len(bad))
			}
			text := to.text()
			if !utf8.Valid(text) {
				t.Error("what arrived is no UTF-8")
			}
			var missing []string
			for name := range bad {
				if !bytes.Contains(text, []byte(name)) {
					missing = append(missing, name)
				}
			}
			if slices.Sort(missing); len(missing) > 0 {
				t.Errorf("%d of %d spans did not arrive: %s", len(missing), len(bad), strings.Join(missing, ", "))
			}
			if tt.name == "stdout tree" {
				return // it does not show them all
			}
			for _, value := range []string{`"NaN"`, `Inf`, `-Inf`} {
				if !bytes.Contains(text, []byte(value)) {
					t.Errorf("%s did not arrive", value)
				}
			}
			for line := range bytes.Lines(text) {
				if !json.Valid(line) {
					t.Errorf("no JSON: %.200s", line)
				}
			}
		})
	}
}

// target is an exporter and what arrived where it sends to, as lines of JSON.
type target struct {
	exporter sdktrace.SpanExporter
	text     func() []byte
}

// messagesOf are what a receiver accepted.
func messagesOf(t testing.TB, r *receiver) []byte {
	t.Helper()
	var text []byte
	for _, m := range r.received() {
		line, err := protojson.Marshal(m)
		if err != nil {
			t.Error(err)
		}
		text = append(append(text, line...), '\n')
	}
	return text
}

func onStdout(t testing.TB, format string) target {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "stdout"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	before := os.Stdout
	os.Stdout = f // the exporter takes it when it is built
	defer func() { os.Stdout = before }()
	e := planned(t, component.Use(stdout.Factory, "", stdout.Config{Format: format, Output: stdout.Stdout}))
	return target{e, func() []byte { return contents(t, f.Name()) }}
}

func inFile(t testing.TB, format string) target {
	t.Helper()
	path := filepath.Join(t.TempDir(), "spans")
	e := planned(t, component.Use(file.Factory, "", file.Config{Path: path, Format: format}))
	return target{e, func() []byte { return contents(t, path) }}
}

func contents(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Error(err)
	}
	return b
}

func planned(t testing.TB, p component.Plan[sdktrace.SpanExporter]) sdktrace.SpanExporter {
	t.Helper()
	e, err := p.Build(t.Context(), component.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	return e
}
