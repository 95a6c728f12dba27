package doctor

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/cmd/riffle/internal/demo/load"
	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/sampling"
)

// requests is how many of the demo's are played to the samplers.
const requests = 1000

// class are the requests of the demo's plan that no sampler should tell apart.
type class struct {
	load.Request
	count int
}

// classes sorts the demo's plan.
func classes() []class {
	var all []class
	for _, r := range load.Plan(requests, 1) {
		i := slices.IndexFunc(all, func(c class) bool { return c.Route == r.Route && c.Fail == r.Fail && c.Slow == r.Slow })
		if i < 0 {
			all = append(all, class{Request: r, count: 1})
			continue
		}
		all[i].count++
	}
	return all
}

// trace is what a request becomes, as the demo's service makes it.
func (c *class) trace(parent core.Parent) core.Trace {
	work := max(c.Work, time.Millisecond)
	status := http.StatusOK
	if c.Fail {
		status = http.StatusInternalServerError
	}
	root := core.Case{
		ID: "root", Name: c.Route, Kind: trace.SpanKindServer, Duration: work,
		Attributes: []attribute.KeyValue{
			attribute.String("http.request.method", c.Method), attribute.String("url.path", c.Path), attribute.String("url.scheme", "http"),
			attribute.String("http.route", c.Route[strings.IndexByte(c.Route, '/'):]),
			attribute.String("tenant.id", "acme"), attribute.String("tenant.plan", "enterprise"),
		},
		Late: []attribute.KeyValue{attribute.Int("http.response.status_code", status)},
	}
	t := core.Trace{Parent: parent}
	if c.Fail {
		root.Status = sdktrace.Status{Code: codes.Error}
	}
	if t.Spans = append(t.Spans, root); c.Health {
		return t
	}
	query := core.Case{
		ID: "query", Parent: "root", Name: "SELECT product", Kind: trace.SpanKindClient, Start: work / 10, Duration: work / 2,
		Attributes: []attribute.KeyValue{attribute.String("db.system.name", "postgresql"), attribute.String("db.query.summary", "SELECT product")},
	}
	if c.Fail {
		query.Status = sdktrace.Status{Code: codes.Error, Description: "connection reset by the database"}
	}
	t.Spans = append(t.Spans, core.Case{ID: "authenticate", Parent: "root", Name: "authenticate", Kind: trace.SpanKindInternal, Duration: work / 10}, query)
	return t
}

// kept is what becomes of the requests.
type kept struct {
	all, dropped, unknown int
	expected              float64
	failed, slow, rest    share
	by                    map[string]int // of those that were dropped
}

// share is how much is kept of a kind.
type share struct {
	all      int
	expected float64
}

func (s *share) add(n int, p float64) { s.all, s.expected = s.all+n, s.expected+float64(n)*p }

// checkSampling plays the demo's requests to the samplers, without the network and
// without their time.
func (x *examination) checkSampling(ctx context.Context) []Result {
	r := Result{Check: "sampling", Status: OK}
	if x.broken || len(x.unfit) > 0 {
		r.Status, r.Found = Skipped, "the configuration has mistakes"
		return []Result{r}
	}
	spec := x.spec
	spec.Enabled = true
	k := kept{by: map[string]int{}}
	for _, c := range classes() {
		if err := k.play(ctx, spec, &c); err != nil {
			r.Status, r.Found, r.Do = Fault, err.Error(), "correct the samplers"
			if ctx.Err() != nil {
				r.Status, r.Found, r.Do = Skipped, "the samplers did not answer in time", ""
			}
			return []Result{r}
		}
	}
	if x.judge(&r, &k); r.Status == OK {
		if below := x.belowUnsampled(ctx, spec); below != "" {
			r.Details = append(r.Details, below)
		}
	}
	return []Result{r}
}

func (k *kept) play(ctx context.Context, spec core.Spec, c *class) error {
	explained, err := core.Explain(ctx, spec, c.trace(core.NoParent), core.Logger(slog.New(slog.DiscardHandler)))
	if err != nil {
		return err
	}
	out := explained.Outcome
	for _, s := range explained.Spans {
		if s.ID == "root" {
			out = s.Outcome
		}
	}
	k.all += c.count
	switch {
	case out.Dropped:
		k.dropped += c.count
		k.by[droppedBy(explained)] += c.count
	case out.Threshold == sampling.Unknown.String():
		k.unknown += c.count
	}
	k.expected += float64(c.count) * out.Probability
	switch {
	case c.Fail:
		k.failed.add(c.count, out.Probability)
	case c.Slow:
		k.slow.add(c.count, out.Probability)
	case !c.Health:
		k.rest.add(c.count, out.Probability)
	}
	return nil
}

// droppedBy names the sampler that dropped a trace, with its rule.
func droppedBy(x *core.Explanation) string {
	for _, s := range x.Steps {
		if s.Asked && (strings.HasPrefix(s.Answer, "drop") || strings.HasPrefix(s.Answer, "discard")) {
			_, why, _ := strings.Cut(s.Answer, ": ")
			if why == "" {
				return fmt.Sprintf("sampler %q", s.Sampler)
			}
			return fmt.Sprintf("sampler %q (%s)", s.Sampler, why)
		}
	}
	return "a rule"
}

func (x *examination) judge(r *Result, k *kept) {
	var droppers []string
	for by, n := range k.by {
		droppers = append(droppers, fmt.Sprintf("%d by %s", n, by))
	}
	slices.Sort(droppers)
	if len(droppers) > 0 && k.dropped < k.all {
		r.Details = []string{"dropped: " + strings.Join(droppers, ", ")}
	}
	switch {
	case k.unknown > 0:
		r.Found = fmt.Sprintf("of %d requests like the demo's, how many are kept is known to nobody: a sampler does not say", k.all)
	case k.expected == 0 && k.dropped == k.all:
		r.Status, r.Found = Fault, fmt.Sprintf("keeps 0 of %d requests like the demo's: all are dropped: %s", k.all, strings.Join(droppers, ", "))
		r.Do = "narrow the rule, or take it out; " + x.Program + " explain tells of one request who is asked and what they answer"
	case k.expected == 0:
		r.Status, r.Found = Fault, fmt.Sprintf("keeps 0 of %d requests like the demo's: no sampler selects any", k.all)
		r.Do = x.raise()
	case k.expected < 1:
		r.Status, r.Found = Warning, fmt.Sprintf("keeps about 1 of %.0f requests like the demo's", float64(k.all)/k.expected)
		r.Do = x.raise()
	default:
		r.Found = fmt.Sprintf("keeps about %.0f of %d requests like the demo's: %s of errors, %s of slow ones, %s of the rest",
			k.expected, k.all, k.failed, k.slow, k.rest)
	}
	if k.failed.expected < float64(k.failed.all) && k.unknown == 0 && k.expected > 0 {
		r.Details = append(r.Details, fmt.Sprintf("only %s of errors: {type: error} in samplers keeps them all", k.failed))
	}
}

func (s share) String() string {
	if s.all == 0 {
		return "none"
	}
	return fmt.Sprintf("%.3g%%", 100*s.expected/float64(s.all))
}

// raise says where the rate is set.
func (x *examination) raise() string {
	by := x.inspection.SetBy("sample_rate")
	switch by {
	case "OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG":
		return fmt.Sprintf("correct %s, or write sample_rate: 1 in the section, which wins over it and keeps everything", by)
	case "":
	default:
		return fmt.Sprintf("raise sample_rate (%s): 1 keeps everything", by)
	}
	for i := range x.spec.Samplers {
		if e := x.spec.Source.Place(pathOf("samplers", i), errPlace); e != nil && x.spec.Samplers[i].Type() == "ratio" {
			return fmt.Sprintf("raise the rate of sampler %q (%s): 1 keeps everything", x.spec.Samplers[i].ID(), e.Position)
		}
	}
	return "add a sampler that selects something: {type: ratio, rate: 1} keeps everything"
}

// belowUnsampled tells if nothing is kept of what a caller that samples did not.
func (*examination) belowUnsampled(ctx context.Context, spec core.Spec) string {
	for _, c := range classes() {
		if c.Health {
			continue
		}
		explained, err := core.Explain(ctx, spec, c.trace(core.UnsampledParent), core.Logger(slog.New(slog.DiscardHandler)))
		if err != nil || !explained.Dropped && explained.Threshold != sampling.Never.String() {
			return ""
		}
	}
	return fmt.Sprintf("below a caller that has not sampled the trace, such as a gateway, nothing is kept (remote_parent: %s)", cmp.Or(string(spec.RemoteParent), "watch"))
}
