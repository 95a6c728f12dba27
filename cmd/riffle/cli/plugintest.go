package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/riffletrace/riffle/cmd/riffle/internal/command"

	"github.com/spf13/cobra"

	"github.com/riffletrace/riffle/internal/untrusted"
	"github.com/riffletrace/riffle/plugins/plugintest"
)

func newPluginsTest() *cobra.Command {
	var configs []string
	cmd := &cobra.Command{
		Use:   "test PATH",
		Short: "check that a program keeps the rules for plugins",
		Long: `test starts the program again and again, as a host does, and checks what it says
and does, rule by rule: that it begins and ends as it should, what it answers
about its components and their configurations, and what the components do. It
works for plugins in every language, pinned or not, and trusts none.

A component gets the configuration that --config gives, in JSON, or none. The
spans and keys that it is sent are made up: give an exporter a backend that is
there for tests, or none.`,
		Example: `  riffle plugins test ./riffle-plugin-tiers --config 'tiers={"file": "tiers.yaml"}'`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			path, err := filepath.Abs(args[0])
			if err == nil {
				_, err = os.Stat(path)
			}
			if err != nil {
				return err
			}
			var opts []plugintest.Option
			for _, c := range configs {
				name, text, ok := strings.Cut(c, "=")
				if !ok || name == "" || !json.Valid([]byte(text)) {
					return command.Usage(fmt.Errorf("--config %s: want the name of a component, = and its configuration in JSON", c))
				}
				opts = append(opts, plugintest.Config(name, text))
			}
			w := cmd.OutOrStdout()
			rules, broken := 0, 0
			for r := range plugintest.Check(cmd.Context(), path, opts...) {
				if r.Skipped {
					continue
				}
				rules++
				if len(r.Failures) == 0 {
					fmt.Fprintf(w, "ok      %s\n", r.Name)
					continue
				}
				broken++
				fmt.Fprintf(w, "BROKEN  %s\n", r.Name)
				for _, f := range r.Failures {
					fmt.Fprintf(w, "        %s\n", strings.ReplaceAll(untrusted.Lines(f, mostSaid), "\n", "\n        "))
				}
			}
			if err := cmd.Context().Err(); err != nil {
				return errors.New("interrupted")
			}
			if broken > 0 {
				fmt.Fprintf(w, "\n%s: %d of %d rules are broken\n", args[0], broken, rules)
				return errReported
			}
			fmt.Fprintf(w, "\n%s: keeps all %d rules\n", args[0], rules)
			return nil
		},
	}
	// Not a slice of pflag's, which would take commas apart.
	cmd.Flags().StringArrayVar(&configs, "config", nil, "configuration `NAME=JSON` of a component; may be repeated")
	return cmd
}
