package cli

import (
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/riffletrace/riffle/cmd/riffle/internal/command"
	"github.com/riffletrace/riffle/cmd/riffle/internal/viewer"
	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/component"
)

// demoView is a viewer that is one more backend of the demo.
type demoView struct {
	on, open bool
	listen   string
	viewer   *viewer.Viewer
}

func (d *demoView) addFlags(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&d.on, "view", false, "show the traces in a browser, until it is interrupted")
	cmd.Flags().BoolVar(&d.open, "open", false, "with --view: open the browser")
	cmd.Flags().StringVar(&d.listen, "listen", viewListen, "with --view: where the page is served, an `ADDRESS` of loopback")
}

// start starts the viewer, if it is wanted, and makes it an exporter of spec.
func (d *demoView) start(cmd *cobra.Command, exporters *component.Registry[sdktrace.SpanExporter], spec *core.Spec) error {
	if !d.on {
		if d.open || cmd.Flags().Changed("listen") {
			return command.Usage(errors.New("--open and --listen want --view"))
		}
		return nil
	}
	v, err := viewer.Start(cmd.Context(), viewer.Options{Listen: d.listen, OTLPHTTP: "127.0.0.1:0", MaxBytes: viewBytes})
	if err != nil {
		return err
	}
	d.viewer = v
	_, endpoint := v.Receivers()
	plan, err := command.OTLP(exporters, "viewer", map[string]any{"endpoint": endpoint, "protocol": "http/protobuf", "compression": "none"})
	if err != nil {
		return err
	}
	spec.Exporters = append(slices.Clip(spec.Exporters), core.ExporterEntry{Plan: plan})
	fmt.Fprintln(cmd.ErrOrStderr(), "viewer: "+v.URL())
	if d.open {
		openBrowser(cmd.Context(), v.URL(), cmd.ErrOrStderr())
	}
	return nil
}

// wait shows what there is until the command is interrupted.
func (d *demoView) wait(cmd *cobra.Command) {
	if d.viewer == nil || cmd.Context().Err() != nil {
		return
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "\nThe kept traces, and what is wrong in them: %s (Ctrl-C ends it)\n", d.viewer.URL())
	<-cmd.Context().Done()
}

func (d *demoView) close() {
	if d.viewer != nil {
		d.viewer.Close()
	}
}
