package cli

import (
	"context"
	"io"

	_ "github.com/riffletrace/riffle/exporters/standard"
	_ "github.com/riffletrace/riffle/metrics"
	_ "github.com/riffletrace/riffle/samplers/standard"
)

// Run executes one command line and returns the exit code.
func Run(ctx context.Context, args []string, stdout, stderr io.Writer, opts ...Option) int {
	return newProgram(opts).run(ctx, args, stdout, stderr)
}
