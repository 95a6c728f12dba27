package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/riffletrace/riffle/config"
	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/internal/untrusted"
	"github.com/riffletrace/riffle/plugins/host"
)

func (p *program) newValidate() *cobra.Command {
	source := p.source
	cmd := &cobra.Command{
		Use:   "validate FILE...",
		Short: "check configuration files",
		Long: `validate checks configuration files as the application that reads them would,
together with the environment: every mistake, with its position. It builds the
samplers, and starts plugins, pinned ones, for as long as they look at their
configurations; it neither starts tracing nor connects to anything.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, files []string) error {
			var failed error
			for _, file := range files {
				summary, err := validate(cmd.Context(), file, cmd.ErrOrStderr(), source.Options()...)
				if err != nil {
					failed = errReported
					p.printError(cmd.ErrOrStderr(), err)
					continue
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s: ok: %s\n", file, untrusted.Text(summary, untrusted.Attribute))
			}
			return failed
		},
	}
	source.AddFlags(cmd)
	return cmd
}

// validate checks a file and sums it up in a few words.
func validate(ctx context.Context, file string, warnings io.Writer, opts ...config.Option) (summary string, err error) {
	spec, err := config.Load(file, opts...)
	if err != nil {
		return "", err
	}
	for _, w := range spec.Source.Warnings() {
		fmt.Fprintf(warnings, "warning: %v\n", w)
	}
	samplers, err := build(ctx, spec)
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

// build builds the samplers of a spec and the exporters that are plugins, which
// finds the mistakes that only show then, and describes the samplers. Other
// exporters are left alone: they may open files.
func build(ctx context.Context, spec core.Spec) (descriptions []string, err error) {
	spec.Enabled = true
	samplers, exporters := spec, spec
	samplers.Exporters = nil
	descriptions, err = startAndStop(ctx, samplers)
	exporters.Samplers, exporters.Exporters = nil, slices.Clone(spec.Exporters)
	for i, c := range spec.Exporters {
		if c.Type() != host.ExporterFactory.Name() {
			c = core.UseExporter(unbuilt, c.ID(), struct{}{}) // so that the others keep their place
		}
		exporters.Exporters[i] = c.WithDelivery(delivery.Defaults()) // no queue on the disk
	}
	_, failed := startAndStop(ctx, exporters)
	var all, more core.ConfigErrors
	if errors.As(err, &all) && errors.As(failed, &more) {
		return nil, slices.Concat(all, more).Sorted()
	}
	return descriptions, errors.Join(err, failed)
}

// startAndStop starts what a spec says, and ends it.
func startAndStop(ctx context.Context, spec core.Spec) (descriptions []string, err error) {
	p, err := core.New(ctx, spec, core.Logger(slog.New(slog.DiscardHandler)))
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

// unbuilt stands for the exporters that are not built.
var unbuilt = component.NewFactory("unbuilt", struct{}{}, func(context.Context, component.Settings, struct{}) (sdktrace.SpanExporter, error) {
	return tracetest.NewNoopExporter(), nil
})

func listOr(all []string, none string) string {
	if len(all) == 0 {
		return none
	}
	return strings.Join(all, ", ")
}
