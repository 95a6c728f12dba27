package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/riffletrace/riffle/config"
	"github.com/riffletrace/riffle/core"
)

func newValidate() *cobra.Command {
	var app string
	cmd := &cobra.Command{
		Use:   "validate FILE...",
		Short: "check configuration files",
		Long: `validate checks configuration files as the application that reads them would,
together with the environment: every mistake, with its position. It builds the
samplers, but neither starts tracing nor connects to anything.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, files []string) error {
			var failed error
			for _, file := range files {
				summary, err := validate(cmd.Context(), file, cmd.ErrOrStderr(), config.App(app))
				if err != nil {
					failed = errReported
					printError(cmd.ErrOrStderr(), err)
					continue
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s: ok: %s\n", file, summary)
			}
			return failed
		},
	}
	addApp(cmd, &app)
	return cmd
}

// addApp adds the flag that names the application.
func addApp(cmd *cobra.Command, app *string) {
	cmd.Flags().StringVar(app, "app", "fluxbase", "name of the application: its variables are NAME_OBSERVABILITY_TRACING_*")
}

// validate checks a file and sums it up in a few words.
func validate(ctx context.Context, file string, warnings io.Writer, opts ...config.Option) (summary string, err error) {
	spec, err := config.Load(file, opts...)
	if err != nil {
		return "", err
	}
	for _, w := range spec.Warnings {
		fmt.Fprintf(warnings, "warning: %v\n", w)
	}
	samplers, err := checkSamplers(ctx, spec)
	if err != nil {
		return "", err
	}
	state := "tracing is off"
	if spec.Enabled {
		state = fmt.Sprintf("tracing is on, service %q", spec.ServiceName)
	}
	exporters := make([]string, len(spec.Exporters))
	for i, e := range spec.Exporters {
		exporters[i] = e.ID()
	}
	return fmt.Sprintf("%s; samplers: %s; exporters: %s", state, listOr(samplers, "none, every trace is kept"), listOr(exporters, "none")), nil
}

// checkSamplers builds the samplers of a spec, which finds the mistakes that
// only show then, and describes them. Exporters are left alone: they may open
// files.
func checkSamplers(ctx context.Context, spec core.Spec) (descriptions []string, err error) {
	spec.Enabled, spec.Exporters = true, nil
	p, err := core.New(ctx, spec, core.WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		return nil, err
	}
	for _, s := range p.Stats().Samplers {
		descriptions = append(descriptions, s.Description)
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return descriptions, p.Shutdown(ctx)
}

func listOr(all []string, none string) string {
	if len(all) == 0 {
		return none
	}
	return strings.Join(all, ", ")
}
