package cli

import (
	_ "embed"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/riffletrace/riffle/cmd/riffle/internal/command"

	"github.com/spf13/cobra"
	"go.opentelemetry.io/otel"
	"golang.org/x/term"

	"github.com/riffletrace/riffle/cmd/riffle/internal/demo"
	"github.com/riffletrace/riffle/config"
	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/exporters/stdout/tree"
)

//go:embed demo.yaml
var demoConfig []byte

// What the flags can say at most, and how many requests are under way at once. Where
// memory is to be short there are more: few would not fill the least that can be set.
const (
	maxRequests    = 1_000_000
	maxConcurrency = 1024
	concurrency    = 64
	crowded        = 512
)

func (p *program) newDemo() *cobra.Command {
	var (
		file     string
		source   = p.source
		maxBytes sizeFlag
		requests int
		parallel int
		seed     uint64
		asJSON   bool
		show     demoView
	)
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "trace a small HTTP service under load, and show what was kept",
		Long: `demo runs a small HTTP service on loopback, sends it requests, and shows which of
their traces riffle kept: a few of them as trees, and a table of what the load
driver saw, what riffle's span metrics counted, and what a backend received and
its weights say, joined on trace IDs. If the metrics do not count exactly what
the two services answered, it says so and exits with 1.

A tenth of the requests are health checks, 3 % fail, and 1 % are slow: they take
at least 400 ms, the others at most 50 ms, and "slow" means 250 ms or more in the
service. The seed fixes which, and their trace IDs. Interrupt it to see what there
is so far.

Without --config it drops health checks, keeps every error and every slow
request, and one in a hundred of the rest:

  ` + strings.ReplaceAll(strings.TrimSpace(string(demoConfig)), "\n", "\n  ") + `

With --config, the file and the environment say what to keep and where to send
it; the demo adds an exporter to a backend of its own. It reads span_metrics
itself, switched on, with the dimensions of the file and one bucket up to 250 ms;
none of its metrics goes elsewhere.

--max-bytes sets max_bytes. Where it does not hold the traces of all requests that
are under way, as 1MiB seldom does with 512 of them, some are let go and the weights
of others rise.

--view shows the traces that are kept in a browser, as riffle view does, until it is
interrupted. Under findings are, among others, the authors of reviews that are read
one by one (n_plus_one), a search that waits for a cache without need
(sequential_calls), and payments that are refused (error_origin).

--json prints one object. Counted from the responses:
  requests                 all that were answered, health checks included
  requests_error           answered with a status of 500 or more
  requests_slow            planned to be slow, and were
  requests_slow_unplanned  measured as slow without being planned to
  requests_health          health checks
Counted by riffle's metrics, whether or not the traces are kept; calls,
requests_dropped and requests_unrecorded are together requests:
  calls, calls_error, calls_slow (spans of 250 ms or more)
  requests_dropped         left out by a rule that drops
  requests_unrecorded      not recorded for lack of memory
Counted from the bytes that the backend received:
  traces_kept, traces_kept_error, traces_kept_slow (planned ones)
  traces_kept_sampled      those that stand for others too
  spans_exported
  weighted_requests        sum of the adjusted counts of the kept server roots:
                           an estimate of requests less requests_dropped
  weighted_error, weighted_slow
                           the same, of roots that failed or took 250 ms or more
  weighted_requests_standard_error, ..._error_..., ..._slow_...
                           how far off that estimate usually is; null if the
                           traces do not tell: none or too few of those that
                           are sampled were kept
Counted by riffle:
  exporters                of each: name, spans sent, spans failed`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if requests < 1 || requests > maxRequests {
				return command.Usage(fmt.Errorf("--requests %d: want 1 to %d", requests, maxRequests))
			}
			if maxBytes > 0 && !cmd.Flags().Changed("concurrency") {
				parallel = crowded
			}
			if parallel < 1 || parallel > maxConcurrency {
				return command.Usage(fmt.Errorf("--concurrency %d: want 1 to %d", parallel, maxConcurrency))
			}
			stdout := cmd.OutOrStdout()
			if asJSON && os.Stdout == stdout {
				// What exporters of --config print must not get into the object.
				os.Stdout = os.Stderr
			}
			spec, logger, err := demoSpec(file, &source, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			if maxBytes > 0 {
				spec.MaxBytes = component.Size(maxBytes)
			}
			if err := show.start(cmd, source.Exporters, &spec); err != nil {
				return err
			}
			defer show.close()
			bar := command.NewProgress(cmd.ErrOrStderr(), requests)
			result, err := demo.Run(cmd.Context(), demo.Options{
				Spec:        spec,
				Exporters:   source.Exporters,
				Requests:    requests,
				Concurrency: parallel,
				Seed:        seed,
				Logger:      logger,
				Progress:    bar.Step,
			})
			bar.Clear()
			if err != nil {
				return err
			}
			if asJSON {
				err = command.WriteJSON(stdout, result)
			} else {
				err = result.Print(stdout, treeOptions(stdout))
			}
			show.wait(cmd)
			return err
		},
	}
	cmd.Flags().StringVar(&file, "config", "", "configuration `FILE` that says what to keep (default: as above)")
	source.AddFlags(cmd)
	cmd.Flags().IntVar(&requests, "requests", 1000, "how many requests to send, `N`")
	cmd.Flags().IntVar(&parallel, "concurrency", concurrency, fmt.Sprintf("how many of them are under way at once, `N`; with --max-bytes %d, unless you say so", crowded))
	cmd.Flags().Var(&maxBytes, "max-bytes", "`SIZE` of the memory for traces that wait for their decision, 1MiB or more (default: as the configuration says)")
	cmd.Flags().Uint64Var(&seed, "seed", 42, "what fixes the requests and their trace IDs, `S`")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	show.addFlags(cmd)
	return cmd
}

// sizeFlag is a size; 0 is none.
type sizeFlag component.Size

func (f *sizeFlag) String() string {
	if *f == 0 {
		return ""
	}
	return component.Size(*f).String()
}

func (*sizeFlag) Type() string { return "size" }

func (f *sizeFlag) Set(text string) error {
	var size component.Size
	if err := size.UnmarshalText([]byte(text)); err != nil {
		return err
	}
	spec := core.DefaultSpec()
	spec.MaxBytes = size
	*f = sizeFlag(size)
	return spec.Check()
}

// demoSpec says what the demo shows. Without a file, it is nothing that the
// environment says, and nobody but the demo prints.
func demoSpec(file string, source *command.Source, stderr io.Writer) (core.Spec, *slog.Logger, error) {
	if file == "" {
		for _, v := range os.Environ() {
			if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, "OTEL_") {
				if err := os.Unsetenv(name); err != nil {
					return core.Spec{}, nil, err
				}
			}
		}
		logger := slog.New(slog.DiscardHandler)
		logThrough(logger)
		spec, err := config.Parse(demoConfig, append(source.Options(), config.App(""), config.Section(config.DefaultSection), config.Environ(nil))...)
		spec.Exporters = nil
		return spec, logger, err
	}
	logger := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	logThrough(logger)
	spec, err := source.Load(file, stderr)
	if err != nil {
		return spec, nil, err
	}
	if !spec.Enabled {
		return spec, nil, errors.New(source.TracingOff(file))
	}
	return spec, logger, nil
}

// logThrough makes the SDK's own errors go to the logger.
func logThrough(l *slog.Logger) {
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { l.Warn("OpenTelemetry", "error", err) }))
}

// treeOptions are those of the terminal that w is, if it is one.
func treeOptions(w io.Writer) tree.Options {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return tree.Options{}
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		width = 0 // the tree's own
	}
	return tree.Options{Color: os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb", Width: width}
}
