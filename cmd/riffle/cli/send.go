package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/spf13/cobra"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/cmd/riffle/internal/command"
	"github.com/riffletrace/riffle/cmd/riffle/internal/doctor"
	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/delivery"
)

func (p *program) newSend() *cobra.Command {
	var (
		file     string
		source   = p.source
		to       endpointFlags
		exporter string
		timeout  time.Duration
	)
	cmd := &cobra.Command{
		Use:   "send (--config FILE | --to ENDPOINT)",
		Short: "send one trace, and print its ID",
		Long: `send sends one trace of three spans through the exporters of a configuration, or to the
OTLP endpoint that the flags name, and prints its trace ID, to be looked up in the
backend. Samplers, filters and queues are not asked: each exporter makes one attempt,
and what it sends is redacted as the configuration says.

The exit code is 0 if every exporter had all of it accepted.`,
		Example: "  " + p.name + " send --config fluxbase.yaml\n" +
			"  " + p.name + " send --to localhost:4318 --protocol http/protobuf",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case (file == "") == (to.endpoint == ""):
				return command.Usage(errors.New("want --config FILE or --to ENDPOINT"))
			case timeout <= 0:
				return command.Usage(fmt.Errorf("--timeout %s: want more than 0s", timeout))
			}
			var spec core.Spec
			var err error
			if file != "" {
				spec, err = source.Load(file, cmd.ErrOrStderr())
			} else {
				spec, err = to.spec(cmd, &source)
			}
			if err != nil {
				return err
			}
			return sendTrace(cmd.Context(), cmd.OutOrStdout(), spec, exporter, timeout)
		},
	}
	source.AddFlags(cmd)
	cmd.Flags().StringVar(&file, "config", "", "configuration `FILE`")
	cmd.Flags().StringVar(&exporter, "exporter", "", "only by the exporter called `NAME`")
	to.add(cmd)
	cmd.Flags().DurationVar(&timeout, "timeout", 30*time.Second, "give an exporter up after `TIME`")
	return cmd
}

// spec is a configuration of one exporter.
func (e *endpointFlags) spec(cmd *cobra.Command, source *command.Source) (core.Spec, error) {
	plan, err := e.plan(cmd, source)
	if err != nil {
		return core.Spec{}, err
	}
	return core.Spec{ServiceName: "riffle-send", Exporters: []core.ExporterEntry{{Plan: plan}}}, nil
}

// sendTrace sends a trace by the exporters of a spec, one after the other.
func sendTrace(ctx context.Context, w io.Writer, spec core.Spec, only string, timeout time.Duration) error {
	spans, err := doctor.Spans(ctx, spec, nil, sampleTrace)
	if err != nil {
		return err
	}
	fmt.Fprintln(w, spans[0].SpanContext().TraceID())
	var failures []error
	asked := 0
	for i := range spec.Exporters {
		e := &spec.Exporters[i]
		if only != "" && only != e.ID() {
			continue
		}
		asked++
		began := time.Now()
		where, err := sendBy(ctx, e, spans, timeout)
		if err != nil {
			failures = append(failures, fmt.Errorf("exporter %q: %w", e.ID(), err))
			continue
		}
		fmt.Fprintf(w, "%s: %d spans accepted by %s in %s\n", fit(e.ID()), len(spans), fit(where), time.Since(began).Round(time.Millisecond))
	}
	if asked == 0 {
		failures = append(failures, errors.New("nothing was sent: there is no such exporter"))
	}
	return errors.Join(failures...)
}

// sendBy has an exporter make one attempt, as its line would.
func sendBy(ctx context.Context, e *core.ExporterEntry, spans []sdktrace.ReadOnlySpan, timeout time.Duration) (where string, err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	exporter, err := e.Build(ctx, component.Settings{ID: e.ID(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return "", err
	}
	where = e.Type()
	if about, ok := exporter.(delivery.Exporter); ok {
		where = cmp.Or(about.Traits().Endpoint, where)
	}
	config := delivery.Defaults()
	config.Send.MaxElapsed = 1 // what fails is not tried again
	config.Send.Timeout = component.Duration(timeout)
	if e.Delivery != nil {
		config.Redact = e.Delivery.Redact
	}
	var lines delivery.Lines
	line := lines.Add(exporter, config, delivery.Settings{Name: e.ID(), Type: e.Type(), Logger: slog.New(slog.DiscardHandler)})
	lines.HandOver(spans...)
	err = line.ForceFlush(ctx)
	sent := line.Stats().Sent
	if failed := line.Shutdown(ctx); err == nil {
		err = failed
	}
	if err == nil && sent != uint64(len(spans)) {
		err = fmt.Errorf("%d of %d spans were accepted", sent, len(spans))
	}
	return where, err
}

// sampleTrace is what send sends.
func sampleTrace(ctx context.Context, t trace.Tracer) {
	ctx, root := t.Start(ctx, "riffle send", trace.WithSpanKind(trace.SpanKindServer))
	defer root.End()
	ctx, step := t.Start(ctx, "step")
	defer step.End()
	_, call := t.Start(ctx, "call", trace.WithSpanKind(trace.SpanKindClient))
	call.End()
}
