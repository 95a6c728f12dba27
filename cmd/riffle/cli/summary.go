package cli

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/internal/untrusted"
)

// report is what validate --json prints.
type report struct {
	Files []checked `json:"files"`
}

// checked is what validate has found out about a file.
type checked struct {
	File     string    `json:"file"`
	OK       bool      `json:"ok"`
	Mistakes []finding `json:"mistakes"`
	Warnings []finding `json:"warnings"`
	Summary  *summary  `json:"summary,omitempty"` // of a file that is ok

	mistakes, warnings core.ConfigErrors
	effective          []byte
	err                error // it could not be read
}

// finding is a mistake or a warning.
type finding struct {
	Position string `json:"position"` // "fluxbase.yaml:12:9", or the name of a variable
	Line     int    `json:"line"`     // 0 if it has none
	Column   int    `json:"column"`
	Path     string `json:"path"`
	Message  string `json:"message"`
}

// failed is about a file that could not be read.
func (c checked) failed(err error) checked {
	c.err, c.mistakes = err, core.ConfigErrors{{Position: c.File, Err: err}}
	return c.done()
}

// done completes what is printed as JSON.
func (c checked) done() checked {
	c.OK = len(c.mistakes) == 0
	c.Mistakes, c.Warnings = mistakesOf(c.mistakes), mistakesOf(c.warnings)
	return c
}

func mistakesOf(all core.ConfigErrors) []finding {
	out := []finding{}
	for i, e := range all {
		if i == mostMistakes {
			break
		}
		_, line, col := core.SplitPosition(e.Position)
		out = append(out, finding{
			Position: untrusted.Text(e.Position, untrusted.Line), Line: line, Column: col,
			Path: untrusted.Text(e.Path, untrusted.Line), Message: untrusted.Text(e.Err.Error(), untrusted.Attribute),
		})
	}
	return out
}

// summary is what a configuration makes run.
type summary struct {
	Enabled      bool          `json:"enabled"`
	Exporters    []exporterRow `json:"exporters"`
	Samplers     []samplerRow  `json:"samplers"`
	Metrics      *metricsRow   `json:"metrics,omitempty"` // of what starts a MeterProvider
	ServiceName  string        `json:"service_name"`
	Environment  string        `json:"environment,omitempty"`
	Propagators  []string      `json:"propagators"`
	RemoteParent string        `json:"remote_parent"`
}

type exporterRow struct {
	Name string `json:"name"`
	Type string `json:"type"`
	component.Connection
	Queue string `json:"queue"`
}

type metricsRow struct {
	Exporter string `json:"exporter"`
	component.Connection
}

type samplerRow struct {
	Name        string `json:"name"`
	Type        string `json:"type"`
	Description string `json:"description"`
	Conditional bool   `json:"conditional,omitempty"` // it is asked about spans that match
}

// summaryOf sums up a configuration; descriptions are those of its samplers.
func summaryOf(spec *core.Spec, descriptions []string) *summary {
	s := &summary{
		Enabled: spec.Enabled, Exporters: []exporterRow{}, Samplers: []samplerRow{},
		ServiceName: spec.ServiceName, Environment: spec.Environment, Propagators: spec.Propagators, RemoteParent: string(spec.RemoteParent),
	}
	for _, e := range spec.Exporters {
		row := exporterRow{Name: e.ID(), Type: e.Type(), Queue: string(delivery.StorageMemory)}
		row.Connection, _ = e.Connection()
		if e.Delivery != nil {
			row.Queue = string(cmp.Or(e.Delivery.Queue.Storage, delivery.StorageMemory))
		}
		s.Exporters = append(s.Exporters, row)
	}
	for i, e := range spec.Samplers {
		s.Samplers = append(s.Samplers, samplerRow{Name: e.ID(), Type: e.Type(), Description: descriptions[i], Conditional: e.Match != nil})
	}
	if e := spec.Metrics; e != nil {
		s.Metrics = &metricsRow{Exporter: e.Type()}
		s.Metrics.Connection, _ = e.Connection()
	}
	return s
}

// line is the summary in a few words.
func (s *summary) line() string {
	state := "tracing is off"
	if s.Enabled {
		state = fmt.Sprintf("tracing is on, service %q", s.ServiceName)
	}
	var samplers, exporters []string
	for _, r := range s.Samplers {
		samplers = append(samplers, cmp.Or(r.Description, r.Name))
	}
	for _, r := range s.Exporters {
		exporters = append(exporters, r.Name)
	}
	return fmt.Sprintf("%s; samplers: %s; exporters: %s", state, listOr(samplers, "none, every trace is kept"), listOr(exporters, "none"))
}

// print prints it, a line for each part.
func (s *summary) print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(what, name, text string) {
		fmt.Fprintf(t, "  %s\t%s\t%s\n", what, fit(name), untrusted.Text(text, untrusted.Attribute))
	}
	for _, r := range s.Exporters {
		row("exporter", r.Name, r.text())
	}
	for _, r := range s.Samplers {
		text := r.Description
		switch {
		case text == "":
			text = "not looked at: what it needs is not here"
		case r.Conditional:
			text += ", of what matches"
		}
		row("sampler", r.Name, text)
	}
	if m := s.Metrics; m != nil {
		row("metrics", m.Exporter, strings.Join(connectionText(m.Exporter, &m.Connection), "; "))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	t = tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, r := range []struct{ key, value string }{
		{"service_name", s.ServiceName},
		{"propagators", strings.Join(s.Propagators, ", ")},
		{"remote_parent", s.RemoteParent},
	} {
		fmt.Fprintf(t, "  %s\t%s\n", r.key, fit(r.value))
	}
	return t.Flush()
}

// text says where an exporter sends, and how.
func (r *exporterRow) text() string {
	return strings.Join(append(connectionText(r.Type, &r.Connection), "queue "+r.Queue), "; ")
}

func connectionText(typ string, r *component.Connection) []string {
	parts := []string{typ}
	if r.Endpoint != "" {
		parts[0] += " to " + r.Endpoint
	}
	if r.Protocol != "" {
		parts = append(parts, r.Protocol)
	}
	if r.TLS != "" {
		parts = append(parts, "TLS "+r.TLS)
	}
	if len(r.Headers) > 0 {
		parts = append(parts, "headers "+strings.Join(r.Headers, " "))
	}
	return parts
}

func listOr(all []string, none string) string {
	if len(all) == 0 {
		return none
	}
	return strings.Join(all, ", ")
}
