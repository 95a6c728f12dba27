package cli

import (
	"github.com/spf13/cobra"

	"github.com/riffletrace/riffle/cmd/riffle/internal/command"
	"github.com/riffletrace/riffle/config"
)

func (p *program) newSchema() *cobra.Command {
	source := p.source
	cmd := &cobra.Command{
		Use:   "schema",
		Short: "print the JSON Schema of configuration files",
		Long: `schema prints the JSON Schema of configuration files, with which an editor
completes keys, explains them and marks mistakes. It describes the samplers and
exporters of this program. In a file of YAML, a first line names it:

  # yaml-language-server: $schema=riffle.schema.json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			schema, err := config.Schema(source.Options()...)
			if err != nil {
				return command.Usage(err)
			}
			_, err = cmd.OutOrStdout().Write(schema)
			return err
		},
	}
	source.AddFlags(cmd)
	return cmd
}
