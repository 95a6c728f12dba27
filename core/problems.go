package core

import (
	"fmt"
	"strings"
	"time"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/delivery"
)

// Problem is what a person should look at.
type Problem struct {
	About string `json:"about"` // such as `exporter "jaeger"`
	Text  string `json:"text"`
}

// problems are what is wrong now, and what was lost since the start.
func (s *Status) problems() (all []Problem) {
	add := func(about, format string, args ...any) {
		all = append(all, Problem{About: about, Text: fmt.Sprintf(format, args...)})
	}
	for i := range s.Exporters {
		e := &s.Exporters[i]
		about := fmt.Sprintf("exporter %q", e.Name)
		if !e.FailingSince.IsZero() && e.State != string(delivery.Stopped) {
			add(about, "failing for %s, %d spans wait: %s", shortly(s.At.Sub(e.FailingSince)), e.WaitingSpans, e.LastError)
		}
		if e.Lost > 0 {
			add(about, "%d spans lost since the start (%s)", e.Lost, strings.Join(e.LossCauses(), ", "))
		}
	}
	for i := range s.Samplers {
		if p := &s.Samplers[i]; p.SuspendedFor != "" {
			add(fmt.Sprintf("sampler %q", p.Name), "suspended for another %s: %s", shortly(p.SuspendedUntil.Sub(s.At)), p.SuspendedFor)
		}
	}
	for _, p := range s.Plugins {
		if p.State != "running" && s.State == Running {
			add(fmt.Sprintf("plugin %q", p.Name), "%s", p.State)
		}
	}
	if g := &s.Segments; s.State == Running && g.Probability < 1 {
		add("memory", "short: %s of %s held; segments that nothing keeps are recorded with probability %.3g",
			component.Size(g.HeldBytes), component.Size(g.MaxBytes), g.Probability)
	}
	if s.Reloads.LastError != "" {
		add("configuration", "the last reload failed, the one before stays in force")
	}
	return all
}

// LossCauses are the causes of losses with their counts: "12 queue_full".
func (e *ExporterStatus) LossCauses() (all []string) {
	if e.Rejected > 0 {
		all = append(all, fmt.Sprintf("%d rejected", e.Rejected))
	}
	for _, cause := range delivery.Causes() {
		if n := e.Dropped[cause]; n > 0 {
			all = append(all, fmt.Sprintf("%d %s", n, cause))
		}
	}
	return all
}

// shortly is a duration for people.
func shortly(d time.Duration) string {
	if d < time.Second {
		return d.Round(time.Millisecond).String()
	}
	return component.Duration(d.Round(time.Second)).String()
}
