package cli

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"text/tabwriter"
	"time"

	"github.com/riffletrace/riffle/cmd/riffle/internal/command"

	"github.com/spf13/cobra"

	"github.com/riffletrace/riffle/config"
	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/sampling"
	"github.com/riffletrace/riffle/internal/untrusted"
)

func (p *program) newExplain() *cobra.Command {
	var (
		file, parent string
		source       = p.source
		span         spanFlags
		traceFile    string
		asJSON       bool
	)
	cmd := &cobra.Command{
		Use:   "explain --config FILE (--span NAME | --trace FILE)",
		Short: "tell what the samplers of a configuration do with a trace",
		Long: `explain plays one trace to the samplers of a configuration, as a service that has
just started would, and tells who was asked, what each answered and why, and what
comes of it: the final threshold, the probability with which such a trace is kept,
and the weight of its spans then.

  ` + p.name + ` explain --config fluxbase.yaml --span 'GET /checkout/7' --status error --duration 3s

The span is the only one of its trace. A name like 'GET /x' stands for a request: a
server span with the method and the path as attributes, unless --kind and --attr say
otherwise.

A trace of several spans is a JSON list of them. Only the name is needed; spans
without a parent are local roots, several of them are the requests that one trace
makes here, and start is after the start of the trace:

  [
    {"id": "checkout", "name": "GET /checkout/7", "duration": "3s"},
    {"parent": "checkout", "name": "charge", "kind": "client", "start": "10ms", "duration": "2s",
     "attributes": {"peer": "bank"}, "late_attributes": {"tries": 3}, "status": "error:declined"}
  ]

--parent says what the local roots start below: nothing, or a span of another service
that was sampled, with the threshold TH (of tracestate) or without one, or was not.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			t, err := span.trace(cmd, traceFile)
			if err != nil {
				return err
			}
			if err := parseParent(parent, t); err != nil {
				return command.Usage(fmt.Errorf("--parent %w", err))
			}
			spec, err := source.Load(file, nil)
			if err != nil {
				return err
			}
			if !spec.Enabled {
				for _, w := range spec.Source.Warnings() {
					if errors.Is(w, config.ErrNothingRead) {
						command.PrintWarnings(cmd.ErrOrStderr(), core.ConfigErrors{w})
					}
				}
				fmt.Fprintln(cmd.ErrOrStderr(), source.TracingOff(file)+". Once that is done:")
			}
			x, err := core.Explain(cmd.Context(), spec, *t, core.Logger(slog.New(slog.DiscardHandler)))
			if err != nil {
				return err
			}
			if asJSON {
				return command.WriteJSON(cmd.OutOrStdout(), x)
			}
			return printExplanation(cmd.OutOrStdout(), x)
		},
	}
	f := cmd.Flags()
	f.StringVar(&file, "config", "", "configuration `FILE`")
	_ = cmd.MarkFlagRequired("config")
	source.AddFlags(cmd)
	span.add(cmd)
	f.StringVar(&traceFile, "trace", "", "JSON `FILE` with the spans of the trace, instead of --span; - is standard input")
	f.StringVar(&parent, "parent", string(core.NoParent), "the `PARENT` of the local roots: none, sampled, sampled:TH or unsampled")
	f.BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

// spanFlags describe a trace of one span.
type spanFlags struct {
	name, kind, status string
	attrs, late        []string
	duration           time.Duration
}

// spanFlagNames are those that --trace replaces.
var spanFlagNames = []string{"span", "kind", "attr", "late-attr", "status", "duration"}

func (s *spanFlags) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&s.name, "span", "", "`NAME` of the span: 'GET /checkout/7'")
	f.StringVar(&s.kind, "kind", "", "`KIND` of the span: server, client, producer, consumer, internal")
	f.StringArrayVar(&s.attrs, "attr", nil, "attribute known at the start, `KEY=VALUE`; may be repeated")
	f.StringArrayVar(&s.late, "late-attr", nil, "attribute set before the end, `KEY=VALUE`; may be repeated")
	f.StringVar(&s.status, "status", "unset", "`STATUS` of the span when it ends: unset, ok, error, or error:DESCRIPTION")
	f.DurationVar(&s.duration, "duration", 0, "how long the span takes, `D`")
}

// trace is the one to explain: that of the file, or that of the flags.
func (s *spanFlags) trace(cmd *cobra.Command, file string) (*core.Trace, error) {
	if cmd.Flags().Changed("trace") {
		for _, name := range spanFlagNames {
			if cmd.Flags().Changed(name) {
				return nil, command.Usage(fmt.Errorf("--trace and --%s: the file says what the spans are", name))
			}
		}
		spans, err := readTrace(cmd, file)
		return &core.Trace{Spans: spans}, err
	}
	c, err := s.span()
	if err != nil {
		return nil, command.Usage(err)
	}
	return &core.Trace{Spans: []core.Case{*c}}, nil
}

// span is the one that the flags describe.
func (s *spanFlags) span() (*core.Case, error) {
	if s.name == "" {
		return nil, errors.New("--span is missing: the name of the span, such as 'GET /checkout/7'")
	}
	c := &core.Case{Name: s.name, Duration: s.duration}
	c.Kind, c.Attributes = likeRequest(s.name)
	var err error
	if s.kind != "" {
		if c.Kind, err = parseKind(s.kind); err != nil {
			return nil, fmt.Errorf("--kind %w", err)
		}
	}
	if c.Status, err = parseStatus(s.status); err != nil {
		return nil, fmt.Errorf("--status %w", err)
	}
	if s.duration < 0 {
		return nil, fmt.Errorf("--duration %s is negative", s.duration)
	}
	for _, text := range s.attrs {
		kv, err := parseAttribute("--attr", text)
		if err != nil {
			return nil, err
		}
		c.Attributes = append(c.Attributes, kv)
	}
	for _, text := range s.late {
		kv, err := parseAttribute("--late-attr", text)
		if err != nil {
			return nil, err
		}
		c.Late = append(c.Late, kv)
	}
	return c, nil
}

func printExplanation(w io.Writer, x *core.Explanation) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, s := range x.Steps {
		answer := s.Answer
		if s.Match != "" {
			answer += ": " + s.Match
		}
		if s.LimitPerSecond > 0 {
			answer += fmt.Sprintf("; limit: %v per second", s.LimitPerSecond)
		}
		answer = untrusted.Text(answer, untrusted.Line)
		if s.Span != "" {
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", s.Stage, untrusted.Text(s.Span, untrusted.Line), untrusted.Text(s.Sampler, untrusted.Line), answer)
		} else {
			fmt.Fprintf(t, "%s\t%s\t%s\n", s.Stage, untrusted.Text(s.Sampler, untrusted.Line), answer)
		}
	}
	if len(x.Steps) > 0 {
		fmt.Fprintln(t)
	}
	for _, s := range x.Spans {
		label := s.Name
		if s.ID != "" {
			label = s.ID
		}
		fmt.Fprintf(t, "%s\t%s\n", untrusted.Text(label, untrusted.Line), summarize(&s.Outcome))
	}
	if len(x.Spans) == 0 {
		fmt.Fprintln(t, summarize(&x.Outcome))
	}
	for _, note := range x.Notes {
		fmt.Fprintln(t, "note: "+untrusted.Text(note, untrusted.Line))
	}
	return t.Flush()
}

// summarize sums up in a sentence what comes of a span.
func summarize(x *core.Outcome) string {
	by := ""
	if x.Sampler != "" {
		by = fmt.Sprintf(" because of %q", x.Sampler)
	}
	switch {
	case x.Dropped:
		return "dropped: no such trace is kept"
	case x.Threshold == sampling.Never.String():
		return "not kept: no sampler selects such a trace"
	case x.Threshold == sampling.Unknown.String() && x.Sampler == "":
		return "kept, as the remote parent is, with a probability that nobody knows; no weight"
	case x.Threshold == sampling.Unknown.String():
		return "kept or not, with a probability that nobody knows" + by + "; no weight"
	case x.Probability == 1:
		return "kept" + by + ": threshold 0, weight 1"
	default:
		s := fmt.Sprintf("kept with probability %.6g%s: threshold %s, weight %.6g", x.Probability, by, x.Threshold, x.AdjustedCount)
		if x.Unweighted {
			s += "; or kept without a weight, nobody knows how often"
		}
		return s
	}
}
