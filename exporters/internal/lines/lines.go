// Package lines writes spans as lines of JSON, for stdout and files.
package lines

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.opentelemetry.io/otel/exporters/stdout/stdouttrace"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/riffletrace/riffle/core/otlp"
)

// Formats of lines.
const (
	// JSON is the SDK's: one span per line.
	JSON = "json"
	// OTLPJSON is that of OpenTelemetry's file exporter: one TracesData per line.
	OTLPJSON = "otlp_json"
)

// ErrShutdown is what an export returns after Shutdown.
var ErrShutdown = errors.New("the exporter is shut down")

// CheckFormat refuses a format that is not one of the known.
func CheckFormat(format string, known ...string) error {
	if slices.Contains(known, format) {
		return nil
	}
	return fmt.Errorf("unknown format %q: known are %s", format, strings.Join(known, ", "))
}

// An Encoder returns spans as whole lines, each with its line break. The bytes are
// valid until the next call; calls must not overlap.
type Encoder func(context.Context, []sdktrace.ReadOnlySpan) ([]byte, error)

// NewEncoder returns the encoder of a format.
func NewEncoder(format string) (Encoder, error) {
	switch format {
	case JSON:
		return newJSON()
	case OTLPJSON:
		return newOTLPJSON(), nil
	default:
		return nil, CheckFormat(format, JSON, OTLPJSON)
	}
}

func newJSON() (Encoder, error) {
	var buf bytes.Buffer
	e, err := stdouttrace.New(stdouttrace.WithWriter(&buf))
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, spans []sdktrace.ReadOnlySpan) ([]byte, error) {
		buf.Reset()
		err := e.ExportSpans(ctx, spans)
		return buf.Bytes(), err
	}, nil
}

func newOTLPJSON() Encoder {
	var line []byte
	return func(_ context.Context, spans []sdktrace.ReadOnlySpan) ([]byte, error) {
		if len(spans) == 0 {
			return nil, nil
		}
		line = append(otlp.AppendJSON(line[:0], spans), '\n')
		return line, nil
	}
}
