// Package file is the exporter that writes spans to a file as lines of JSON,
// with rotation by size and time. The Collector and other tools read such files.
package file

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/exporters/internal/lines"
	"github.com/riffletrace/riffle/internal/trustedfile"
)

// The values of format.
const (
	JSON     = lines.JSON
	OTLPJSON = lines.OTLPJSON
)

// Config is what users set.
type Config struct {
	_        struct{}           `doc:"writes spans to a file as lines of JSON"`
	Path     string             `yaml:"path" doc:"the file; its directory must exist; it is created for its owner alone (0600) and appended to"`
	Format   string             `yaml:"format" enum:"otlp_json,json" doc:"otlp_json (OTLP, a batch per line) or json (the SDK's, a span per line)"`
	MaxSize  component.Size     `yaml:"max_size" doc:"a file that would grow past this is put aside and a new one begun; 0 is no limit"`
	MaxAge   component.Duration `yaml:"max_age" doc:"a new file is begun at each multiple of this time, UTC: 24h is midnight; 0 is never"`
	MaxFiles int                `yaml:"max_files" doc:"files kept that were put aside; the oldest beyond are deleted; 0 keeps all"`
}

// Validate checks the values, and that the file can be where it shall be.
func (c *Config) Validate() error {
	var errs []error
	fail := func(path string, err error) {
		errs = append(errs, &component.FieldError{Path: path, Err: err})
	}
	if err := checkPath(c.Path); err != nil {
		fail("path", err)
	}
	if err := lines.CheckFormat(c.Format, OTLPJSON, JSON); err != nil {
		fail("format", err)
	}
	if c.MaxSize < 0 {
		fail("max_size", fmt.Errorf("%d is negative", int64(c.MaxSize)))
	}
	if c.MaxAge < 0 || (c.MaxAge > 0 && c.MaxAge < component.Duration(time.Second)) {
		fail("max_age", fmt.Errorf("%v is too short: want at least 1s", c.MaxAge))
	}
	if c.MaxFiles < 0 {
		fail("max_files", fmt.Errorf("%d is negative", c.MaxFiles))
	}
	return errors.Join(errs...)
}

func checkPath(path string) error {
	if path == "" {
		return errors.New("missing: want the file to write to")
	}
	dir := filepath.Dir(path)
	switch info, err := os.Stat(dir); {
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("directory %s does not exist: create it", dir)
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("%s is not a directory", dir)
	}
	return checkRegular(path)
}

// checkRegular refuses what rotation would break or an attacker could have
// laid out: links, devices, directories. Nothing there is fine.
func checkRegular(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode()&os.ModeSymlink != 0:
		return fmt.Errorf("%s is a symbolic link: name the file itself", path)
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is not a regular file", path)
	}
	if err := checkOurs(info); err != nil {
		return fmt.Errorf("%s %w", path, err)
	}
	return nil
}

// checkOurs refuses a file that somebody else has laid out, or can write: what is in
// spans would be theirs to read, and what they write would be taken for spans.
func checkOurs(info os.FileInfo) error {
	if err := trustedfile.Check(info, trustedfile.OwnGroup); err != nil {
		return err
	}
	if n := trustedfile.Links(info); n > 1 {
		return fmt.Errorf("has %d names (hard links): it may be another file than it seems", n)
	}
	return nil
}

// Factory makes the exporter; it is registered as "file".
var Factory = component.NewFactory("file", Config{
	Format:   OTLPJSON,
	MaxSize:  100 << 20,
	MaxFiles: 5,
}, New)

func init() { component.Exporters.MustAdd(Factory) }

// New builds the exporter and opens its file.
func New(_ context.Context, s component.Settings, c Config) (sdktrace.SpanExporter, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	encode, err := lines.NewEncoder(c.Format)
	if err != nil {
		return nil, err
	}
	e := &exporter{encode: encode, logger: s.Logger, file: rotated{
		path:     c.Path,
		maxSize:  int64(c.MaxSize),
		period:   time.Duration(c.MaxAge),
		maxFiles: c.MaxFiles,
		now:      time.Now,
	}}
	if err := e.file.open(); err != nil {
		return nil, &component.FieldError{Path: "path", Err: err}
	}
	return e, nil
}

type exporter struct {
	encode lines.Encoder
	logger *slog.Logger

	mu     sync.Mutex
	file   rotated
	stuck  bool // rotation fails, and it has been said
	closed bool
}

// ExportSpans appends the spans. They are in the file as a whole or, if it
// returns an error, not at all.
func (e *exporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return lines.ErrShutdown
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	text, err := e.encode(ctx, spans)
	if err != nil || len(text) == 0 {
		return err
	}
	// A file that cannot be put aside is no reason to lose spans.
	err = e.file.rotate(int64(len(text)))
	if err != nil && !e.stuck {
		e.logger.Warn("file is not rotated and grows", "path", e.file.path, "error", err)
	}
	e.stuck = err != nil
	if err := e.file.append(text); err != nil {
		return fmt.Errorf("writing spans: %w", err)
	}
	return nil
}

// Shutdown closes the file.
func (e *exporter) Shutdown(context.Context) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil
	}
	e.closed = true
	return e.file.close()
}

// Traits tell which file it is.
func (e *exporter) Traits() delivery.Traits { return delivery.Traits{Endpoint: e.file.path} }

// Interface guard.
var _ delivery.Exporter = (*exporter)(nil)
