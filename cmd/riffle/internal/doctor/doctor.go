package doctor

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/riffletrace/riffle/cmd/riffle/internal/command"
	"github.com/riffletrace/riffle/config"
	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/internal/untrusted"
)

// Status is how a step went.
type Status string

// The statuses.
const (
	OK      Status = "ok"
	Warning Status = "warning"
	Fault   Status = "fault"
	Skipped Status = "skipped"
)

// Result is what one step has found.
type Result struct {
	// Check is the name of the step, Subject what it is about if there are several: the
	// name of an exporter, or of a sampler.
	Check   string `json:"check"`
	Subject string `json:"subject,omitempty"`
	Status  Status `json:"status"`
	Found   string `json:"found"`
	// Do is what to do about a warning or a fault.
	Do string `json:"do,omitempty"`
	// Details are for who wants to know more, a line each.
	Details []string `json:"details,omitempty"`
	// Milliseconds is how long it took, of what goes over the network.
	Milliseconds float64 `json:"ms,omitempty"`
}

// Report is what all steps have found, in their order.
type Report struct {
	OK       bool     `json:"ok"` // all was done, and there is no fault
	Faults   int      `json:"faults"`
	Warnings int      `json:"warnings"`
	Checks   []Result `json:"checks"`
}

// Options say what to look at.
type Options struct {
	Source command.Source
	// File is the configuration; "" is the environment alone.
	File string
	// Program is what the command line is called in what to do.
	Program string
	// Live sends spans.
	Live bool
	// Timeout bounds each step, and each request of one; it is positive.
	Timeout time.Duration

	// Tests have their own. Nil and "" are those of the machine.
	lookup func(ctx context.Context, host string) ([]netip.Addr, error)
	system string // where /sys and /proc are
}

// examination is one run.
type examination struct {
	Options
	inspection *config.Inspection // nil if the configuration cannot be read
	spec       core.Spec
	broken     bool            // the configuration has mistakes
	unfit      map[string]bool // the paths of entries whose plugins cannot run
	results    []Result
}

// Run does all steps. When ctx ends, what is left of them is skipped.
func Run(ctx context.Context, o Options) Report {
	if o.lookup == nil {
		o.lookup = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	if o.system == "" {
		o.system = "/"
	}
	x := &examination{Options: o, unfit: map[string]bool{}}
	if x.checkConfig(); x.inspection != nil {
		release := x.holdPlugins(ctx)
		defer release()
		plugins := x.tryPlugins(ctx)
		x.checkEndpoints(ctx)
		x.step(ctx, "sampling", x.checkSampling)
		x.step(ctx, "propagators", x.checkPropagators)
		x.step(ctx, "clock", x.checkClock)
		x.step(ctx, "queue", x.checkQueues)
		x.results = append(x.results, plugins...)
		x.step(ctx, "memory", x.checkMemory)
		x.step(ctx, "files", x.checkFiles)
	}
	return x.report(ctx)
}

// step runs one step within its time, unless the whole was interrupted.
func (x *examination) step(ctx context.Context, check string, f func(context.Context) []Result) {
	if ctx.Err() != nil {
		x.results = append(x.results, interrupted(check, ""))
		return
	}
	ctx, cancel := context.WithTimeout(ctx, x.Timeout)
	defer cancel()
	x.results = append(x.results, f(ctx)...)
}

func interrupted(check, subject string) Result {
	return Result{Check: check, Subject: subject, Status: Skipped, Found: "interrupted"}
}

// checkEndpoints looks at what exporters send to, at all of them at once.
func (x *examination) checkEndpoints(ctx context.Context) {
	if len(x.spec.Exporters) == 0 && !x.broken {
		x.results = append(x.results, Result{
			Check: "export", Status: Fault, Found: "there is no exporter: what is kept goes nowhere",
			Do: "write an entry of exporters, or endpoint: host:port",
		})
		if by := x.inspection.SetBy("exporters"); by != "" {
			x.results[len(x.results)-1].Found += ", says " + by
		}
		return
	}
	found := make([][]Result, len(x.spec.Exporters))
	var all sync.WaitGroup
	turns := make(chan struct{}, exportersAtOnce)
	for i := range x.spec.Exporters {
		all.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			found[i] = x.checkEndpoint(ctx, i)
		})
	}
	all.Wait()
	for _, results := range found {
		x.results = append(x.results, results...)
	}
}

// exportersAtOnce is how many are looked at side by side at most.
const exportersAtOnce = 8

func (x *examination) report(ctx context.Context) Report {
	r := Report{Checks: x.results}
	for i := range r.Checks {
		c := &r.Checks[i]
		c.Subject = untrusted.Text(c.Subject, untrusted.Line)
		c.Found = untrusted.Text(c.Found, untrusted.Attribute)
		c.Do = untrusted.Text(c.Do, untrusted.Attribute)
		for n, d := range c.Details {
			c.Details[n] = untrusted.Text(d, untrusted.Attribute)
		}
		switch c.Status {
		case Fault:
			r.Faults++
		case Warning:
			r.Warnings++
		case OK, Skipped:
		}
	}
	r.OK = r.Faults == 0 && ctx.Err() == nil
	return r
}

// marks lead the lines of a report.
var marks = map[Status]string{OK: "ok  ", Warning: "warn", Fault: "FAIL", Skipped: "skip"}

// Print prints the report for people.
func (r *Report) Print(w io.Writer) error {
	for _, c := range r.Checks {
		name := c.Check
		if c.Subject != "" {
			name += " " + c.Subject
		}
		line := fmt.Sprintf("%s  %s: %s", marks[c.Status], name, c.Found)
		if c.Milliseconds > 0 {
			line += " (" + milliseconds(c.Milliseconds) + ")"
		}
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
		for _, d := range c.Details {
			if _, err := fmt.Fprintf(w, "      %s\n", d); err != nil {
				return err
			}
		}
		if c.Do != "" {
			if _, err := fmt.Fprintf(w, "      -> %s\n", c.Do); err != nil {
				return err
			}
		}
	}
	_, err := fmt.Fprintf(w, "\n%s, %s\n", plural(r.Faults, "fault", "faults"), plural(r.Warnings, "warning", "warnings"))
	return err
}

func plural(n int, one, several string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, several)
}

func milliseconds(ms float64) string {
	if ms < 10 {
		return fmt.Sprintf("%.1f ms", ms)
	}
	return fmt.Sprintf("%.0f ms", ms)
}

// since is how many milliseconds have passed.
func since(began time.Time) float64 { return float64(time.Since(began)) / float64(time.Millisecond) }
