// Package stdout is the exporter that prints spans: as trees for people, or
// as lines of JSON for programs.
package stdout

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"golang.org/x/term"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/exporters/internal/lines"
	"github.com/riffletrace/riffle/exporters/stdout/tree"
)

// The values of format.
const (
	Tree     = "tree"
	JSON     = lines.JSON
	OTLPJSON = lines.OTLPJSON
)

// The values of output.
const (
	Stdout = "stdout"
	Stderr = "stderr"
)

// Config is what users set.
type Config struct {
	_      struct{} `doc:"prints spans, for development; colour only on a terminal without NO_COLOR"`
	Format string   `yaml:"format" enum:"tree,json,otlp_json" doc:"tree (a trace as a waterfall), json (the SDK's, a span per line) or otlp_json (OTLP, a batch per line)"`
	Output string   `yaml:"output" enum:"stdout,stderr" doc:"stdout or stderr"`
}

// Validate checks the names.
func (c *Config) Validate() error {
	if err := lines.CheckFormat(c.Format, Tree, JSON, OTLPJSON); err != nil {
		return &component.FieldError{Path: "format", Err: err}
	}
	if c.Output != Stdout && c.Output != Stderr {
		return &component.FieldError{Path: "output", Err: fmt.Errorf("%s is not one of %s, %s", component.Shown(c.Output), Stdout, Stderr)}
	}
	return nil
}

// Factory makes the exporter; it is registered as "stdout".
var Factory = component.NewFactory("stdout", Config{Format: Tree, Output: Stdout}, New)

func init() { component.Exporters.MustAdd(Factory) }

// New builds the exporter.
func New(_ context.Context, _ component.Settings, c Config) (sdktrace.SpanExporter, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	f := os.Stdout
	if c.Output == Stderr {
		f = os.Stderr
	}
	e := &exporter{w: f, endpoint: c.Output}
	if c.Format == Tree {
		e.encode = newTrees(func() tree.Options { return treeOptions(f) })
		return e, nil
	}
	lines, err := lines.NewEncoder(c.Format)
	if err != nil {
		return nil, err
	}
	e.encode = lineEncoder{lines}
	return e, nil
}

// treeOptions asks the terminal, whose width may change.
func treeOptions(f *os.File) tree.Options {
	fd := int(f.Fd())
	if !term.IsTerminal(fd) {
		return tree.Options{}
	}
	o := tree.Options{Color: os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
	if width, _, err := term.GetSize(fd); err == nil {
		o.Width = width
	}
	return o
}

// encoder makes text of spans. It may hold spans back until rest.
type encoder interface {
	text(ctx context.Context, spans []sdktrace.ReadOnlySpan) ([]byte, error)
	rest() []byte
}

type lineEncoder struct{ lines.Encoder }

func (e lineEncoder) text(ctx context.Context, spans []sdktrace.ReadOnlySpan) ([]byte, error) {
	return e.Encoder(ctx, spans)
}

func (lineEncoder) rest() []byte { return nil }

type exporter struct {
	w        io.Writer
	endpoint string

	mu     sync.Mutex
	encode encoder
	closed bool
}

// ExportSpans prints the spans, or holds them until their trace is complete.
func (e *exporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return lines.ErrShutdown
	}
	text, err := e.encode.text(ctx, spans)
	if err != nil {
		return err
	}
	return e.print(text)
}

// Shutdown prints what is held.
func (e *exporter) Shutdown(context.Context) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil
	}
	e.closed = true
	return e.print(e.encode.rest())
}

// print writes at once, so that the lines of others do not come between.
func (e *exporter) print(text []byte) error {
	if len(text) == 0 {
		return nil
	}
	if _, err := e.w.Write(text); err != nil {
		return fmt.Errorf("writing spans: %w", err)
	}
	return nil
}

// Traits tell where the spans go.
func (e *exporter) Traits() delivery.Traits { return delivery.Traits{Endpoint: e.endpoint} }

// Interface guard.
var _ delivery.Exporter = (*exporter)(nil)
