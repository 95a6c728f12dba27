// Package cli is the command line of riffle, for the components that a program has.
// It links none itself: what a service imports, the service's own command line
// imports too, and then it checks, explains and lists just that:
//
//	func main() { os.Exit(cli.Main(cli.Name("fluxbase-tracing"), cli.App("fluxbase"))) }
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/riffletrace/riffle/cmd/riffle/internal/command"
	"github.com/riffletrace/riffle/config"
	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/sampling"
	"github.com/riffletrace/riffle/internal/untrusted"
)

// The exit codes.
const (
	exitFine   = 0
	exitFailed = 1 // the configuration or the work
	exitUsage  = 2
)

// Option changes what a command line is about.
type Option func(*program)

// program is a command line.
type program struct {
	name     string
	source   command.Source // the defaults of the flags
	commands []func(command.Source) *cobra.Command
	list     func(ctx context.Context, path string) (Served, error) // nil: without plugins list
}

// Name is what the program is called; riffle by default.
func Name(name string) Option { return func(p *program) { p.name = name } }

// App is the default of the flag --app: the name of the application, as
// [config.App] has it.
func App(name string) Option { return func(p *program) { p.source.App = name } }

// Section is the default of the flag --section, as [config.Section] has it.
func Section(path string) Option { return func(p *program) { p.source.Section = path } }

// Samplers takes sampler types from r instead of [sampling.Samplers].
func Samplers(r *component.Registry[sampling.Sampler]) Option {
	return func(p *program) { p.source.Samplers = r }
}

// Exporters takes exporter types from r instead of [component.Exporters].
func Exporters(r *component.Registry[sdktrace.SpanExporter]) Option {
	return func(p *program) { p.source.Exporters = r }
}

// MeterProviders takes what the metrics section can name from r instead of
// [component.MeterProviders].
func MeterProviders(r *component.Registry[component.MeterProvider]) Option {
	return func(p *program) { p.source.MeterProviders = r }
}

// Command adds a command of this module, which brings what no other needs: that of
// package benchmark.
func Command(build func(command.Source) *cobra.Command) Option {
	return func(p *program) { p.commands = append(p.commands, build) }
}

// Main runs the command line of this process, and returns its exit code: 0 if all is
// fine, 1 if the configuration has a mistake or the work failed, 2 for a mistake in
// the command line.
func Main(opts ...Option) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal kills
	return newProgram(opts).run(ctx, os.Args[1:], os.Stdout, os.Stderr)
}

func newProgram(opts []Option) *program {
	p := &program{name: "riffle", source: command.Source{
		Section: config.DefaultSection, Samplers: sampling.Samplers, Exporters: component.Exporters, MeterProviders: component.MeterProviders,
	}}
	for _, opt := range opts {
		opt(p)
	}
	return p
}

// run executes one command line and returns the exit code.
func (p *program) run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := &cobra.Command{
		Use:           p.name,
		Short:         "decides which traces of a Go service to keep, and delivers them",
		Long:          "riffle decides which traces of a Go service to keep, and delivers them.\nStart with: " + p.name + " demo",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	// What fails before a command has begun is wrong usage.
	begun := false
	root.AddCommand(
		p.newDemo(), newView(), p.newFindings(), p.newDoctor(), p.newSend(), p.newValidate(), p.newExplain(), p.newImport(),
		p.newComponents(), p.newSchema(), p.newQueue(), p.newPlugins(), newVersion(),
	)
	for _, build := range p.commands {
		root.AddCommand(build(p.source))
	}
	root.SetHelpCommand(newHelp(root))
	root.InitDefaultCompletionCmd(args...)
	for _, c := range root.Commands() {
		if c.Name() == "completion" { // by itself it is a mistake, as queue is
			c.RunE = wantCommand
		}
	}
	whenBegun(root, func() { begun = true })
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)

	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitFine
	}
	if _, wrong := errors.AsType[*command.UsageError](err); wrong || !begun {
		fmt.Fprintf(stderr, "%s: %v\nRun '%s --help' for usage.\n", p.name, err, cmd.CommandPath())
		return exitUsage
	}
	p.printError(stderr, err)
	return exitFailed
}

// wantCommand is the mistake of a command that does nothing by itself.
func wantCommand(cmd *cobra.Command, _ []string) error {
	var names []string
	for _, c := range cmd.Commands() {
		names = append(names, c.Name())
	}
	last := len(names) - 1
	return command.Usage(fmt.Errorf("want a command: %s or %s", strings.Join(names[:last], ", "), names[last]))
}

// newHelp is cobra's command, for which one that is not there is a mistake.
func newHelp(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:               "help [command]",
		Short:             "print the help of a command",
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(_ *cobra.Command, args []string) error {
			cmd, rest, err := root.Find(args)
			switch {
			case err != nil:
				return command.Usage(err)
			case len(rest) > 0:
				return command.Usage(fmt.Errorf("unknown command %q for %q", rest[0], cmd.CommandPath()))
			}
			cmd.InitDefaultHelpFlag()
			return cmd.Help()
		},
	}
}

// whenBegun calls f when one of the commands begins its work: its flags are right then.
func whenBegun(cmd *cobra.Command, f func()) {
	if run := cmd.RunE; run != nil {
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			f()
			return run(cmd, args)
		}
	}
	for _, c := range cmd.Commands() {
		whenBegun(c, f)
	}
}

// errReported is returned by a command that has printed its errors.
var errReported = errors.New("reported")

// mostSaid is how much is printed of what others may have said.
const mostSaid = 16 << 10

// mostMistakes is how many are printed: a file that somebody made may have millions.
const mostMistakes = 1000

// printError prints an error; mistakes in a configuration lead with their
// position, so that editors find them.
func (p *program) printError(w io.Writer, err error) {
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
	fmt.Fprintf(w, "%s: %s\n", p.name, untrusted.Lines(err.Error(), mostSaid))
}
