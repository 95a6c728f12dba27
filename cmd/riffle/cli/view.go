package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"

	"github.com/spf13/cobra"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/riffletrace/riffle/cmd/riffle/internal/command"
	"github.com/riffletrace/riffle/cmd/riffle/internal/spanfile"
	"github.com/riffletrace/riffle/cmd/riffle/internal/viewer"
	"github.com/riffletrace/riffle/internal/untrusted"
)

// viewBytes is how much is held unless somebody says otherwise: a million spans or two.
const viewBytes = 512 << 20

// viewListen is where the page is, likewise.
const viewListen = "127.0.0.1:16687"

func newView() *cobra.Command {
	maxBytes := sizeFlag(viewBytes)
	var opts viewer.Options
	var show bool
	cmd := &cobra.Command{
		Use:   "view [FILE|DIR|-]...",
		Short: "show traces in a browser, and what is wrong in them",
		Long: `view receives spans by OTLP, reads those of files, and serves a page on loopback
that shows what is wrong in them, searches them, and draws traces. It needs no
network and no other program, and keeps nothing when it ends: interrupt it.

A FILE is OTLP as JSON, JSON lines or protobuf, Jaeger's JSON, or what the exporter
file writes, compressed with gzip or zstd or not; a DIR is a queue directory of riffle
or has such files; - is standard input. A service sends spans with an exporter to 127.0.0.1:4317 (gRPC) or
http://127.0.0.1:4318 (HTTP), where most send them if nobody says otherwise.

Spans are in memory only. When they need more than --max-bytes, the traces to which
nothing was added for the longest time go. All addresses are of this machine:
nobody else can connect, and no other web page can read or send spans.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 && opts.OTLPGRPC == "" && opts.OTLPHTTP == "" {
				return command.Usage(errors.New("nothing to show: want a FILE, or one of --otlp-grpc and --otlp-http"))
			}
			if first := slices.Index(args, "-"); first >= 0 && slices.Contains(args[first+1:], "-") {
				return command.Usage(errors.New("- is there twice: standard input can be read once"))
			}
			opts.MaxBytes = int64(maxBytes)
			sources, err := viewSources(args, cmd.InOrStdin())
			if err != nil {
				return untrusted.Error(err, untrusted.Attribute)
			}
			opts.Sources = sources
			opts.Warn = func(err error) {
				fmt.Fprintf(cmd.ErrOrStderr(), "warning: %v\n", untrusted.Error(err, untrusted.Attribute))
			}
			return view(cmd.Context(), opts, show, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	cmd.Flags().StringVar(&opts.OTLPGRPC, "otlp-grpc", "127.0.0.1:4317", "receive OTLP over gRPC at `ADDRESS`; '' is nowhere")
	cmd.Flags().StringVar(&opts.OTLPHTTP, "otlp-http", "127.0.0.1:4318", "receive OTLP over HTTP at `ADDRESS`; '' is nowhere")
	cmd.Flags().StringVar(&opts.Listen, "listen", viewListen, "serve the page at `ADDRESS`; port 0 is a free one")
	cmd.Flags().Var(&maxBytes, "max-bytes", "`SIZE` of the memory for spans, 1MiB or more")
	cmd.Flags().BoolVar(&show, "open", false, "open the page in a browser")
	return cmd
}

// viewSources are the files, which must be there: a name that is wrong is better told
// before a page without them is looked at.
func viewSources(names []string, stdin io.Reader) ([]viewer.Source, error) {
	var sources []viewer.Source
	for _, name := range names {
		shown := name
		if name == "-" {
			shown = "stdin"
		} else if _, err := os.Stat(name); err != nil {
			return nil, err
		}
		sources = append(sources, viewer.Source{Name: shown, Read: func(ctx context.Context, take func([]sdktrace.ReadOnlySpan) error) error {
			return spanfile.Read(ctx, name, stdin, take)
		}})
	}
	return sources, nil
}

// view runs a viewer until ctx is done.
func view(ctx context.Context, opts viewer.Options, show bool, stdout, stderr io.Writer) error {
	v, err := viewer.Start(ctx, opts)
	if err != nil {
		return err
	}
	defer v.Close()
	fmt.Fprintf(stdout, "page       %s\n", v.URL())
	grpc, http := v.Receivers()
	if grpc != "" {
		fmt.Fprintf(stdout, "OTLP/gRPC  %s\n", grpc)
	}
	if http != "" {
		fmt.Fprintf(stdout, "OTLP/HTTP  %s\n", http)
	}
	fmt.Fprintln(stdout, "Interrupt it to end.")
	if show {
		openBrowser(ctx, v.URL(), stderr)
	}
	<-ctx.Done()
	return nil
}

// openBrowser starts what shows a page here, and does not wait for it.
func openBrowser(ctx context.Context, url string, stderr io.Writer) {
	args := []string{"xdg-open", url}
	switch runtime.GOOS {
	case "darwin":
		args[0] = "open"
	case "windows":
		args = []string{"rundll32", "url.dll,FileProtocolHandler", url}
	}
	// The browser may live longer than this process.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), args[0], args[1:]...) //nolint:gosec // the URL is our own
	if err := cmd.Start(); err != nil {
		fmt.Fprintf(stderr, "warning: opening a browser: %v\n", err)
		return
	}
	go func() { _ = cmd.Wait() }() // else it stays a zombie
}
