// Package spanfile reads spans from files and directories, whatever wrote them: OTLP as
// protobuf, as JSON and as JSON lines (riffle's exporter "file" and the Collector's
// write such), Jaeger's JSON, and riffle's queue directories and their batches. Any of
// them may be compressed with gzip or zstd. What they hold is not trusted.
package spanfile

import (
	"context"
	"io"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// Read reads spans from name, a file or a directory, or "-" for stdin, and calls take
// with some at a time, in the order of the file; a directory is a queue directory, or
// its files are read in the order of their names. take owns what it gets. An error
// names the file and, where there is one, the line; what was read before it was taken.
// A file in which there is nothing to read is an error.
func Read(ctx context.Context, name string, stdin io.Reader, take func([]sdktrace.ReadOnlySpan) error) error {
	panic("spanfile: to be built")
}
