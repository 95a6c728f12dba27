package observability_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.uber.org/goleak"

	"github.com/riffletrace/riffle/core/observability/internal/functiontest"
)

func TestMain(m *testing.M) {
	if callback := os.Getenv(functiontest.Callback); callback != "" {
		os.Exit(functiontest.Play(callback))
	}
	goleak.VerifyTestMain(m)
}

// show prints each span that ends while f runs.
func show(f func(context.Context)) { printTo(printer{}, f) }

// printNames prints their names only.
func printNames(f func(context.Context)) { printTo(printer{names: true}, f) }

func printTo(p printer, f func(context.Context)) {
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(p))
	tp, prop := otel.GetTracerProvider(), otel.GetTextMapPropagator()
	otel.SetTracerProvider(provider)
	otel.SetTextMapPropagator(propagation.TraceContext{})
	defer func() {
		otel.SetTracerProvider(tp)
		otel.SetTextMapPropagator(prop)
	}()
	f(context.Background())
}

type printer struct{ names bool }

func (p printer) ExportSpans(_ context.Context, spans []sdktrace.ReadOnlySpan) error {
	for _, s := range spans {
		fmt.Printf("%s (%s)\n", s.Name(), s.SpanKind())
		if p.names {
			continue
		}
		printAttributes("  ", s.Attributes())
		for _, e := range s.Events() {
			fmt.Printf("  event %s\n", e.Name)
			printAttributes("    ", e.Attributes)
		}
		if s.Status().Code != codes.Unset {
			fmt.Printf("  status %s: %s\n", s.Status().Code, s.Status().Description)
		}
	}
	return nil
}

func (printer) Shutdown(context.Context) error { return nil }

func printAttributes(indent string, attrs []attribute.KeyValue) {
	attrs = slices.Clone(attrs)
	slices.SortFunc(attrs, func(a, b attribute.KeyValue) int { return strings.Compare(string(a.Key), string(b.Key)) })
	for _, kv := range attrs {
		fmt.Printf("%s%s = %s\n", indent, kv.Key, kv.Value.String())
	}
}
