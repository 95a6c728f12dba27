package cli

import (
	"fmt"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/riffletrace/riffle/cmd/riffle/internal/command"
	"github.com/riffletrace/riffle/cmd/riffle/internal/importer"
	"github.com/riffletrace/riffle/internal/trustedfile"
)

// maxImport bounds a file that is imported.
const maxImport = 2 << 20

func (p *program) newImport() *cobra.Command {
	source := p.source
	var from, part string
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "write a configuration from that of another program",
		Long: `import reads how another program samples, and prints riffle's configuration for it:

  collector  a configuration of the OpenTelemetry Collector with the processor
             tail_sampling, or that section alone
  refinery   rules of Refinery
  env        a file of NAME=VALUE lines with DD_TRACE_SAMPLING_RULES and other
             variables DD_*, or with OTEL_TRACES_SAMPLER and other OTEL_*

It finds out which it is; --from says it. - is standard input. What riffle cannot say
is a comment in the result, with the reason. A rule that keeps traces is then kept
without such a condition, so that nothing is lost, and one that drops them is left
out. The result is one that validate accepts; what it does with a trace, explain says.

--part takes one of several: the processor tail_sampling/NAME of a Collector, or an
environment of Refinery.

The exit code is 0 if there is a result, 1 if there is nothing to import, 2 for a
mistake in the command line.`,
		Example: "  " + p.name + " import otelcol.yaml > fluxbase.yaml\n" +
			"  " + p.name + " import --part production rules.yaml\n" +
			"  env | " + p.name + " import --from env -",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if from != "" && !slices.Contains(importer.Formats(), importer.Format(from)) {
				return command.Usage(fmt.Errorf("--from %q: want collector, refinery or env", from))
			}
			data, name, err := readImport(cmd, args[0])
			if err != nil {
				return err
			}
			out, err := importer.Import(data, importer.Options{
				Format: importer.Format(from), Part: part, Section: source.Section, File: name,
			})
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			_, err = cmd.OutOrStdout().Write(out)
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&from, "from", "", "`FORMAT` of the file: collector, refinery or env")
	f.StringVar(&part, "part", "", "`NAME` of the processor or the environment to take")
	source.AddSection(cmd, "`PATH` of the section in the result, keys joined by dots; '' if the result is the section as a whole")
	return cmd
}

// readImport returns the file and what it is called.
func readImport(cmd *cobra.Command, file string) (data []byte, name string, err error) {
	if file == "-" {
		data, err = trustedfile.ReadAll(cmd.InOrStdin(), "stdin", maxImport)
		return data, "stdin", err
	}
	data, err = command.ReadBounded(file, maxImport)
	return data, filepath.Base(file), err
}
