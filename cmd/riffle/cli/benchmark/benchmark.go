// Package benchmark is the command bench, for command lines of package cli. It links the
// standard samplers and exporters and the host of plugins, with which it compares. Its
// rounds run in processes of the same program, which is why main calls
// [bench.Main] first:
//
//	bench.Main(func() int { return cli.Main(benchmark.Command()) }, bench.Shop())
package benchmark

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/riffletrace/riffle/cmd/riffle/cli"
	"github.com/riffletrace/riffle/cmd/riffle/internal/command"

	"github.com/spf13/cobra"

	"github.com/riffletrace/riffle/bench"
	"github.com/riffletrace/riffle/bench/report"
	"github.com/riffletrace/riffle/config"
	"github.com/riffletrace/riffle/internal/untrusted"
)

// The bounds of what is asked for.
const (
	maxRounds   = 1000
	minDuration = 50 * time.Millisecond
	maxDuration = time.Minute
)

// benchFlags are the command line of bench.
type benchFlags struct {
	full, scaling          bool
	rates                  string
	config                 string
	source                 command.Source
	postgres               string
	rounds                 int
	duration               time.Duration
	from, compare          string
	json, html, mark, tiny string
	profile                string
}

// Command adds the command.
func Command() cli.Option { return cli.Command(newBench) }

func newBench(source command.Source) *cobra.Command {
	o := benchFlags{source: source}
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "measure what tracing costs, on this machine",
		Long: `bench measures what tracing costs a small service: JSON in and out, two queries of
PostgreSQL, one outgoing HTTP call, six spans a request. It compares riffle with
the OpenTelemetry SDK, with the floor (record everything, send nothing) and with no
tracing at all. In each round all of them are there at once, in fresh processes that
are warm, and are asked in short turns; load and backend are processes of their own.

The report begins with what it has found, and with what carries over to other
machines: bytes allocated and page faults of a request, and CPU time as a share of
what the SDK takes to send everything. Figures are medians with 95 % intervals, of 6
rounds or more; fewer have no interval. What the noise of the machine does not
resolve is printed as such. Latency and throughput come from rounds of their own.
Spans are counted at the backend.

Without flags it takes about six minutes on two cores. --full adds sampling
rates, gRPC, the disk queue, a plugin, span metrics, callers that are not believed
(remote_parent: ignore) and --scaling, and takes up to an hour; --rounds and
--duration make it shorter. Do nothing else on the machine meanwhile. Interrupt it to
see what there is.

--config measures a configuration of yours besides, with your environment: the
variables of --app and OTEL_*, which the other variants do not see. Its spans go
where it says;
` + "${RIFFLE_BENCH_HTTP} and ${RIFFLE_BENCH_GRPC}" + ` in it are host:port of the bench's backend.

--from reads what an earlier run wrote with --json instead of measuring, and
makes reports of it. --compare tells which figures are worse than those of such
a file by more than the noise, and then fails.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	f := cmd.Flags()
	f.BoolVar(&o.full, "full", false, "measure everything there is")
	f.BoolVar(&o.scaling, "scaling", false, "measure also how costs grow with goroutines, processors, routes, exporters and span size")
	f.StringVar(&o.rates, "rates", "", "sampling rates to compare riffle and the SDK at, `R,R,...`, each 0 to 1")
	f.StringVar(&o.config, "config", "", "measure the samplers and exporters of this configuration `FILE` too")
	o.source.AddFlags(cmd)
	f.StringVar(&o.postgres, "postgres", "", "`URL` of a PostgreSQL server to use; bench makes, and removes, a schema riffle_bench (default: one that it starts, if it is installed)")
	f.IntVar(&o.rounds, "rounds", 9, "rounds of CPU time of each variant, `N`")
	f.DurationVar(&o.duration, "duration", time.Second, "about how long a round measures, `D`")
	f.StringVar(&o.json, "json", "", "write everything that was measured to `FILE`, - is standard output")
	f.StringVar(&o.html, "html", "", "write a page to `FILE`")
	f.StringVar(&o.mark, "markdown", "", "write a page in Markdown to `FILE`, - is standard output")
	f.StringVar(&o.tiny, "summary", "", "write a short table of what each variant costs, in Markdown, to `FILE`, - is standard output")
	f.StringVar(&o.profile, "profile", "", "keep CPU and heap profiles of each variant in `DIR`")
	f.StringVar(&o.from, "from", "", "measure nothing, read `FILE`")
	f.StringVar(&o.compare, "compare", "", "compare with the run in `FILE`")
	return cmd
}

func (o *benchFlags) run(cmd *cobra.Command) error {
	if err := o.check(); err != nil {
		return command.Usage(err)
	}
	var baseline *bench.Result
	var err error
	if o.compare != "" { // a mistake is better known before the measurement
		if baseline, err = readResult(o.compare); err != nil {
			return err
		}
	}
	var result *bench.Result
	if o.from != "" {
		result, err = readResult(o.from)
	} else {
		result, err = o.measure(cmd.Context(), cmd.ErrOrStderr())
	}
	if err != nil {
		return err
	}
	if err := o.write(cmd.OutOrStdout(), result); err != nil {
		return err
	}
	if baseline == nil {
		return nil
	}
	return compare(cmd.OutOrStdout(), baseline, result)
}

func (o *benchFlags) check() error {
	var errs []error
	if o.rounds < 1 || o.rounds > maxRounds {
		errs = append(errs, fmt.Errorf("--rounds %d: want 1 to %d", o.rounds, maxRounds))
	}
	if o.duration < minDuration || o.duration > maxDuration {
		errs = append(errs, fmt.Errorf("--duration %v: want %v to %v", o.duration, minDuration, maxDuration))
	}
	if _, err := parseRates(o.rates); err != nil {
		errs = append(errs, err)
	}
	if o.from != "" && (o.full || o.scaling || o.rates != "" || o.config != "" || o.profile != "") {
		errs = append(errs, errors.New("--from measures nothing: leave out --full, --scaling, --rates, --config and --profile"))
	}
	return errors.Join(errs...)
}

func parseRates(s string) (rates []float64, err error) {
	if s == "" {
		return nil, nil
	}
	for word := range strings.SplitSeq(s, ",") {
		rate, err := strconv.ParseFloat(strings.TrimSpace(word), 64)
		if err != nil || !(rate >= 0 && rate <= 1) {
			return nil, fmt.Errorf("--rates %q: %q: want numbers from 0 to 1, such as 0.01,0.1,1", s, word)
		}
		if !slices.Contains(rates, rate) {
			rates = append(rates, rate)
		}
	}
	return rates, nil
}

// variants are what the flags say to measure.
func (o *benchFlags) variants() ([]bench.Variant, error) {
	rates, _ := parseRates(o.rates) // it was checked
	var all []bench.Variant
	switch {
	case o.full && rates != nil:
		all = bench.FullVariants(rates)
	case o.full:
		all = bench.FullVariants(bench.FullRates())
	case rates != nil:
		all = bench.RateVariants(rates)
	default:
		all = bench.DefaultVariants()
	}
	if o.config == "" {
		return all, nil
	}
	// Its mistakes are better known now than from a service that does not start.
	environ := append(os.Environ(), "RIFFLE_BENCH_HTTP=127.0.0.1:4318", "RIFFLE_BENCH_GRPC=127.0.0.1:4317", "RIFFLE_BENCH_DIR="+os.TempDir(), "RIFFLE_BENCH_PLUGIN=riffle-plugin-bench")
	spec, err := o.source.Load(o.config, nil, config.Environ(environ))
	if err != nil {
		return nil, err
	}
	if !spec.Enabled {
		return nil, errors.New(o.source.TracingOff(o.config))
	}
	data, err := command.ReadBounded(o.config, maxBench)
	if err != nil {
		return nil, err
	}
	return append(all, bench.RiffleConfigured(filepath.Base(o.config), o.source.App, o.source.Section, string(data))), nil
}

func (o *benchFlags) measure(ctx context.Context, stderr io.Writer) (_ *bench.Result, err error) {
	variants, err := o.variants()
	if err != nil {
		return nil, err
	}
	target, closeStore, err := bench.OpenShop(ctx, o.postgres)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, closeStore()) }()
	bar := command.NewProgress(stderr, 1)
	target.Variants, target.Rounds, target.Duration = variants, o.rounds, o.duration
	target.Scaling, target.ProfileDir = o.scaling || o.full, o.profile
	target.Progress = bar.Timed(time.Now())
	result, err := bench.Run(ctx, target)
	bar.Clear()
	return result, err
}

// write writes every report that is asked for, and a text if none of them goes
// to standard output.
func (o *benchFlags) write(stdout io.Writer, r *bench.Result) error {
	said := false
	for _, to := range []struct {
		file  string
		write func(io.Writer, *bench.Result) error
	}{
		{o.json, func(w io.Writer, r *bench.Result) error { return command.WriteJSON(w, r) }},
		{o.mark, report.Markdown},
		{o.tiny, report.README},
		{o.html, report.HTML},
	} {
		switch to.file {
		case "":
		case "-":
			said = true
			if err := to.write(stdout, r); err != nil {
				return err
			}
		default:
			if err := writeReport(to.file, r, to.write); err != nil {
				return err
			}
		}
	}
	if said {
		return nil
	}
	return report.Text(stdout, r)
}

func writeReport(file string, r *bench.Result, write func(io.Writer, *bench.Result) error) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	return errors.Join(write(f, r), f.Close())
}

// maxBench bounds the files of a benchmark.
const maxBench = 64 << 20

func readResult(file string) (*bench.Result, error) {
	data, err := command.ReadBounded(file, maxBench)
	if err != nil {
		return nil, err
	}
	r := new(bench.Result)
	if err := json.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("%s: %w; want a file that riffle bench --json has written", file, err)
	}
	fitResult(r)
	return r, r.Check(file)
}

// fitResult makes fit to be shown what reports show of a file that others may have
// written.
func fitResult(r *bench.Result) {
	texts := []*string{&r.Target, &r.Machine.CPU, &r.Machine.OS, &r.Machine.Go}
	for i := range r.Notes {
		texts = append(texts, &r.Notes[i])
	}
	for i := range r.Machine.Variables {
		texts = append(texts, &r.Machine.Variables[i])
	}
	for i := range r.Variants {
		texts = append(texts, &r.Variants[i].Name, &r.Variants[i].App, (*string)(&r.Variants[i].Kind), (*string)(&r.Variants[i].Protocol))
		r.Variants[i].Parts = fitKeys(r.Variants[i].Parts, func(n int64) int64 { return n })
	}
	for i := range r.Scaling {
		texts = append(texts, &r.Scaling[i].Variant, (*string)(&r.Scaling[i].Dimension))
	}
	for _, s := range texts {
		*s = untrusted.Text(*s, untrusted.Line)
	}
	r.Versions = fitKeys(r.Versions, func(s string) string { return untrusted.Text(s, untrusted.Line) })
}

func fitKeys[V any](m map[string]V, fit func(V) V) map[string]V {
	out := make(map[string]V, len(m))
	for k, v := range m {
		out[untrusted.Text(k, untrusted.Line)] = fit(v)
	}
	return out
}

// errWorse is what --compare ends with.
var errWorse = errors.New("worse than the baseline by more than the noise")

func compare(w io.Writer, baseline, now *bench.Result) error {
	worse, err := report.Comparison(w, baseline, now)
	if err != nil {
		return err
	}
	if worse {
		return errWorse
	}
	return nil
}
