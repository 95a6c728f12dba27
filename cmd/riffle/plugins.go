package main

import (
	"errors"

	"github.com/spf13/cobra"
)

func newPlugins() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "plugins",
		Short: "exporters and samplers that are programs of their own",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return &usageError{errors.New("want a command: test")}
		},
	}
	cmd.AddCommand(newPluginsTest())
	return cmd
}
