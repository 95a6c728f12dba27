// Package cli is the command line of riffle. A program that calls [Main] after it has
// imported components of its own has a riffle that knows them:
//
//	func main() { os.Exit(cli.Main()) }
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/riffletrace/riffle/bench"
	"github.com/riffletrace/riffle/core"
	_ "github.com/riffletrace/riffle/exporters/standard"
	"github.com/riffletrace/riffle/internal/untrusted"
	_ "github.com/riffletrace/riffle/plugins/host"
	_ "github.com/riffletrace/riffle/samplers/standard"
)

// The exit codes.
const (
	exitFine   = 0
	exitFailed = 1 // the configuration or the work
	exitUsage  = 2
)

// Main runs the command line of this process, and returns its exit code.
func Main() int {
	return bench.Main(main, bench.Shop()) // which may have started this process
}

func main() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal kills
	return run(ctx, os.Args[1:], os.Stdout, os.Stderr)
}

const tracingOff = "tracing is off: set observability.tracing.enabled to true"

// run executes one command line and returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := &cobra.Command{
		Use:           "riffle",
		Short:         "decides which traces of a Go service to keep, and delivers them",
		Long:          "riffle decides which traces of a Go service to keep, and delivers them.\nStart with: riffle demo",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	// What fails before a command has begun is wrong usage.
	begun := false
	root.PersistentPreRun = func(*cobra.Command, []string) { begun = true }
	root.AddCommand(newDemo(), newValidate(), newExplain(), newComponents(), newSchema(), newQueue(), newPlugins(), newBench(), newVersion())
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)

	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitFine
	}
	if _, wrong := errors.AsType[*usageError](err); wrong || !begun {
		fmt.Fprintf(stderr, "riffle: %v\nRun '%s --help' for usage.\n", err, cmd.CommandPath())
		return exitUsage
	}
	printError(stderr, err)
	return exitFailed
}

// usageError is a mistake in the command line.
type usageError struct{ error }

// errReported is returned by a command that has printed its errors.
var errReported = errors.New("reported")

// mostSaid is how much is printed of what others may have said.
const mostSaid = 16 << 10

// mostMistakes is how many are printed: a file that somebody made may have millions.
const mostMistakes = 1000

// printError prints an error; mistakes in a configuration lead with their
// position, so that editors find them.
func printError(w io.Writer, err error) {
	if errors.Is(err, errReported) {
		return
	}
	if mistakes, ok := errors.AsType[core.ConfigErrors](err); ok {
		for i, m := range mistakes {
			if i == mostMistakes {
				fmt.Fprintf(w, "... and %d more\n", len(mistakes)-i)
				break
			}
			fit := core.ConfigError{
				Position: untrusted.Text(m.Position, untrusted.Line), Path: untrusted.Text(m.Path, untrusted.Line),
				Err: untrusted.Error(m.Err, untrusted.Attribute), Snippet: untrusted.Lines(m.Snippet, untrusted.Attribute),
			}
			fmt.Fprintln(w, &fit)
		}
		return
	}
	fmt.Fprintf(w, "riffle: %s\n", untrusted.Lines(err.Error(), mostSaid))
}
