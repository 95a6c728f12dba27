package cli

import (
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/config"
	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/sampling"
)

func newExplain() *cobra.Command {
	var (
		file, app    string
		span, status string
		kind         string
		attrs, late  []string
		duration     time.Duration
		asJSON       bool
	)
	cmd := &cobra.Command{
		Use:   "explain --config FILE --span NAME",
		Short: "tell what the samplers of a configuration do with a trace",
		Long: `explain asks the samplers of a configuration about one trace, as a service would,
and tells who was asked, what each answered and why, and what comes of it: the
final threshold, the probability with which such a trace is kept, and the weight
of its spans then.

  riffle explain --config fluxbase.yaml --span 'GET /checkout/7' --status error --duration 3s

The span is the only one of its trace and has no parent. A name like 'GET /x'
stands for a request: a server span with the method and the path as attributes,
unless --kind and --attr say otherwise.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if span == "" {
				return &usageError{fmt.Errorf("--span is missing: the name of the span, such as 'GET /checkout/7'")}
			}
			c, err := explainCase(span, kind, status, attrs, late)
			if err != nil {
				return &usageError{err}
			}
			c.Duration = duration
			spec, err := config.Load(file, config.App(app))
			if err != nil {
				return err
			}
			if !spec.Enabled {
				fmt.Fprintln(cmd.ErrOrStderr(), file+": "+tracingOff+". Once that is done:")
			}
			x, err := core.Explain(cmd.Context(), spec, c, core.Logger(slog.New(slog.DiscardHandler)))
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(cmd.OutOrStdout(), x)
			}
			return printExplanation(cmd.OutOrStdout(), x)
		},
	}
	f := cmd.Flags()
	f.StringVar(&file, "config", "", "configuration `FILE`")
	_ = cmd.MarkFlagRequired("config")
	addApp(cmd, &app)
	f.StringVar(&span, "span", "", "`NAME` of the span: 'GET /checkout/7'")
	f.StringVar(&kind, "kind", "", "`KIND` of the span: server, client, producer, consumer, internal")
	f.StringArrayVar(&attrs, "attr", nil, "attribute known at the start, `KEY=VALUE`; may be repeated")
	f.StringArrayVar(&late, "late-attr", nil, "attribute set before the end, `KEY=VALUE`; may be repeated")
	f.StringVar(&status, "status", "unset", "`STATUS` of the span when it ends: unset, ok, error, or error:DESCRIPTION")
	f.DurationVar(&duration, "duration", 0, "how long the span takes, `D`")
	f.BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

// explainCase makes the case that the flags describe.
func explainCase(span, kind, status string, attrs, late []string) (core.Case, error) {
	c := core.Case{Name: span, Kind: trace.SpanKindInternal}
	if method, path, ok := strings.Cut(span, " "); ok && strings.HasPrefix(path, "/") {
		c.Kind = trace.SpanKindServer
		c.Attributes = append(c.Attributes, attribute.String("http.request.method", method), attribute.String("url.path", path))
	}
	kinds := map[string]trace.SpanKind{
		"server": trace.SpanKindServer, "client": trace.SpanKindClient, "producer": trace.SpanKindProducer,
		"consumer": trace.SpanKindConsumer, "internal": trace.SpanKindInternal, "": c.Kind,
	}
	k, ok := kinds[kind]
	if !ok {
		return c, fmt.Errorf("--kind %q: want server, client, producer, consumer or internal", kind)
	}
	c.Kind = k
	word, description, _ := strings.Cut(status, ":")
	switch word {
	case "unset":
	case "ok":
		c.Status.Code = codes.Ok
	case "error":
		c.Status.Code, c.Status.Description = codes.Error, description
	default:
		return c, fmt.Errorf("--status %q: want unset, ok, error or error:DESCRIPTION", status)
	}
	for _, s := range attrs {
		kv, err := parseAttribute("--attr", s)
		if err != nil {
			return c, err
		}
		c.Attributes = append(c.Attributes, kv)
	}
	for _, s := range late {
		kv, err := parseAttribute("--late-attr", s)
		if err != nil {
			return c, err
		}
		c.Late = append(c.Late, kv)
	}
	return c, nil
}

// parseAttribute reads KEY=VALUE; a value that is a number or a boolean
// becomes one.
func parseAttribute(flag, s string) (attribute.KeyValue, error) {
	key, value, ok := strings.Cut(s, "=")
	if !ok || key == "" {
		return attribute.KeyValue{}, fmt.Errorf("%s %q: want KEY=VALUE", flag, s)
	}
	if n, err := strconv.ParseInt(value, 10, 64); err == nil {
		return attribute.Int64(key, n), nil
	}
	if n, err := strconv.ParseFloat(value, 64); err == nil {
		return attribute.Float64(key, n), nil
	}
	if b, err := strconv.ParseBool(value); err == nil {
		return attribute.Bool(key, b), nil
	}
	return attribute.String(key, value), nil
}

func printExplanation(w io.Writer, x *core.Explanation) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, s := range x.Steps {
		fmt.Fprintf(t, "%s\t%s\t%s\n", s.Stage, s.Sampler, s.Answer)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if len(x.Steps) > 0 {
		fmt.Fprintln(w)
	}
	_, err := fmt.Fprintln(w, summarize(x))
	return err
}

// summarize sums an explanation up in a sentence.
func summarize(x *core.Explanation) string {
	by := ""
	if x.Sampler != "" {
		by = fmt.Sprintf(" because of %q", x.Sampler)
	}
	switch {
	case x.Dropped:
		return "dropped: no such trace is kept"
	case x.Threshold == sampling.Never.String():
		return "not kept: no sampler selects such a trace"
	case x.Threshold == sampling.Unknown.String():
		return "kept or not, with a probability that nobody knows" + by + "; no weight"
	case x.Probability == 1:
		return "kept" + by + ": threshold 0, weight 1"
	default:
		return fmt.Sprintf("kept with probability %.6g%s: threshold %s, weight %.6g", x.Probability, by, x.Threshold, x.AdjustedCount)
	}
}
