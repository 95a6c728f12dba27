package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/riffletrace/riffle/cmd/riffle/internal/command"
	"github.com/riffletrace/riffle/config"
	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/internal/trustedfile"
	"github.com/riffletrace/riffle/internal/untrusted"
)

// maxConfig bounds a configuration from standard input: what is larger, config refuses.
const maxConfig = 2 << 20

func (p *program) newValidate() *cobra.Command {
	v := validation{program: p, source: p.source}
	cmd := &cobra.Command{
		Use:   "validate FILE...",
		Short: "check configuration files, and show what would run",
		Long: `validate checks configuration files as the application that reads them would,
together with the environment: every mistake, with its position, and then what is
hardly meant as it is written. It builds the samplers, and starts plugins, pinned
ones, for as long as they look at their configurations; it neither starts tracing
nor connects to anything. - is standard input.

Of a file that is fine it prints what would run: exporters with where they send and
how, the names of headers and never their values, samplers in their order, and what
else decides. --effective prints instead the configuration that the file, the
environment and the defaults make together, as a file, each value with its origin.

A file in which there is nothing to read is a mistake: validate says what it looks
like. --section reads another section than observability.tracing.

--env-file reads variables from a file of NAME=VALUE lines, as Docker and Compose
have them; they win over those of this process, so that what is checked is what the
application will see. --no-secrets is for where the secrets are not: a variable that
is not set is taken for one with a value that is right, and so is a file of a key
such as tls.key_file that cannot be read.

The exit code is 0 if every file is fine, 1 if one has a mistake or cannot be read,
2 for a mistake in the command line.`,
		Example: "  " + p.name + " validate fluxbase.yaml --app fluxbase\n" +
			"  " + p.name + " validate --section tracing --env-file prod.env --no-secrets fluxbase.yaml\n" +
			"  helm template . | yq '.data.[\"fluxbase.yaml\"]' | " + p.name + " validate -",
		Args: cobra.MinimumNArgs(1),
		RunE: v.run,
	}
	v.source.AddFlags(cmd)
	f := cmd.Flags()
	f.StringVar(&v.envFile, "env-file", "", "read variables from `FILE`, which win over those of this process")
	f.BoolVar(&v.noSecrets, "no-secrets", false, "take variables that are not set, and files of secrets that are not there, as right")
	f.BoolVar(&v.effective, "effective", false, "print the configuration that all sources make together")
	f.BoolVar(&v.json, "json", false, "print one JSON object")
	return cmd
}

// validation is one run of validate.
type validation struct {
	program                    *program
	source                     command.Source
	envFile                    string
	noSecrets, effective, json bool
}

func (v *validation) run(cmd *cobra.Command, files []string) error {
	switch {
	case v.effective && v.json:
		return command.Usage(errors.New("--effective and --json: want one of them"))
	case v.effective && len(files) > 1:
		return command.Usage(errors.New("--effective: want one FILE"))
	case slices.Index(files, "-") != lastIndex(files, "-"):
		return command.Usage(errors.New("-: standard input can be read once"))
	}
	options, err := v.options()
	if err != nil {
		return err
	}
	all := report{Files: []checked{}}
	var failed error
	for _, file := range files {
		c := v.check(cmd.Context(), cmd.InOrStdin(), file, options)
		if len(c.mistakes) > 0 {
			failed = errReported
		}
		if all.Files = append(all.Files, c); v.json {
			continue
		}
		if err := v.print(cmd.OutOrStdout(), cmd.ErrOrStderr(), &c); err != nil {
			return err
		}
	}
	if v.json {
		if err := command.WriteJSON(cmd.OutOrStdout(), all); err != nil {
			return err
		}
	}
	return failed
}

func lastIndex(all []string, s string) int {
	for i, x := range slices.Backward(all) {
		if x == s {
			return i
		}
	}
	return -1
}

func (v *validation) options() ([]config.Option, error) {
	options := v.source.Options()
	if v.noSecrets {
		options = append(options, config.WithoutSecrets())
	}
	if v.envFile == "" {
		return options, nil
	}
	env, err := command.ReadEnvFile(v.envFile)
	if err != nil {
		return nil, err
	}
	for _, kv := range env { // components look there too
		name, value, _ := strings.Cut(kv, "=")
		if err := os.Setenv(name, value); err != nil {
			return nil, err
		}
	}
	return append(options, config.Environ(os.Environ())), nil
}

// check checks one file.
func (v *validation) check(ctx context.Context, stdin io.Reader, file string, options []config.Option) checked {
	in, err := inspect(stdin, file, options)
	if file == "-" {
		file = "stdin"
	}
	c := checked{File: file}
	if err != nil {
		return c.failed(err)
	}
	trial, err := core.Try(ctx, in.Spec, core.Logger(slog.New(slog.DiscardHandler)))
	var found core.ConfigErrors
	if err != nil && !errors.As(err, &found) {
		found = core.ConfigErrors{{Position: file, Err: err}}
	}
	for _, w := range slices.Concat(in.Warnings(), trial.Warnings).Sorted() {
		if errors.Is(w, config.ErrNothingRead) {
			found = append(found, w)
		} else {
			c.warnings = append(c.warnings, w)
		}
	}
	if c.mistakes = in.With(found); len(c.mistakes) > 0 {
		return c.done()
	}
	c.Summary = summaryOf(&in.Spec, trial.Samplers)
	if v.effective {
		c.effective = in.Effective()
	}
	return c.done()
}

func inspect(stdin io.Reader, file string, options []config.Option) (*config.Inspection, error) {
	if file != "-" {
		return config.InspectFile(file, options...)
	}
	data, err := trustedfile.ReadAll(stdin, "stdin", maxConfig)
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	return config.Inspect(data, append([]config.Option{config.File("stdin")}, options...)...)
}

// print prints what was found out about a file. Its error is that of stdout.
func (v *validation) print(stdout, stderr io.Writer, c *checked) (err error) {
	for _, w := range c.warnings {
		fmt.Fprint(stderr, "warning: ")
		v.program.printError(stderr, core.ConfigErrors{w})
	}
	switch {
	case c.err != nil:
		v.program.printError(stderr, c.err)
	case len(c.mistakes) > 0:
		v.program.printError(stderr, c.mistakes)
	case v.effective:
		_, err = stdout.Write(c.effective)
	default:
		fmt.Fprintf(stdout, "%s: ok: %s\n", c.File, untrusted.Text(c.Summary.line(), untrusted.Attribute))
		err = c.Summary.print(stdout)
	}
	return err
}
