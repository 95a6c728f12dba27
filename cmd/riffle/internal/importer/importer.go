// Package importer writes riffle's configuration from that of other programs: the
// policies of a Collector's tail_sampling processor, the rules of Refinery, and the
// variables of Datadog's tracers and of OpenTelemetry.
//
// A rule of theirs is read into an [expr], which says of a trace what the rule asks.
// What riffle cannot say stays in it as an unknown with the reason, and is resolved
// when the entry is made: a rule that keeps traces is kept without such a condition,
// since to keep more loses nothing; one that drops traces is left out, since to drop
// more would. Each reason is a comment in what is written.
package importer

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Format is what a file is in.
type Format string

// The formats.
const (
	Collector   Format = "collector"
	Refinery    Format = "refinery"
	Environment Format = "env"
)

// Formats lists them.
func Formats() []Format { return []Format{Collector, Refinery, Environment} }

// Options say how to read a file and how to write the result.
type Options struct {
	// Format is the file's; "" finds out.
	Format Format
	// Part is the one to take of several: a processor of a Collector, or an
	// environment of Refinery.
	Part string
	// Section is the path in the result, with dots; "" is none.
	Section string
	// File is what the result says that it comes from.
	File string
}

// Import returns riffle's configuration for what is in a file. It is one that can be
// loaded.
func Import(data []byte, o Options) ([]byte, error) {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	format := o.Format
	if format == "" {
		var err error
		if format, err = detect(data); err != nil {
			return nil, err
		}
	}
	c := &config{options: o}
	var err error
	switch format {
	case Collector:
		err = c.collector(data)
	case Refinery:
		err = c.refinery(data)
	case Environment:
		err = c.environment(data)
	default:
		err = fmt.Errorf("unknown format %q: known are collector, refinery and env", format)
	}
	if err != nil {
		return nil, err
	}
	return c.write()
}

var (
	tailSampling = regexp.MustCompile(`(?m)^[^#]*\b(tail_sampling|policies)\b`)
	refineryKeys = regexp.MustCompile(`(?m)^\s*(RulesVersion\s*:|Samplers\s*:|"?(RulesVersion|Samplers)"?\s*:)`)
	tomlRules    = regexp.MustCompile(`(?m)^\s*(Sampler|SampleRate)\s*=`)
	variables    = regexp.MustCompile(`(?m)^\s*(export\s+)?(DD|OTEL)_[A-Z0-9_]+\s*=`)
)

// detect tells the format by the words in the file.
func detect(data []byte) (Format, error) {
	switch {
	case refineryKeys.Match(data):
		return Refinery, nil
	case tailSampling.Match(data):
		return Collector, nil
	case tomlRules.Match(data):
		return Refinery, nil
	case variables.Match(data):
		return Environment, nil
	}
	return "", errors.New("there is nothing to import: want a Collector's processor tail_sampling with policies, Refinery's rules (RulesVersion and Samplers), or variables DD_* or OTEL_*, as NAME=VALUE lines")
}

// config is what is written.
type config struct {
	options  Options
	notes    []string // on top
	off      bool     // tracing is
	keys     fields   // of the section, before the samplers
	samplers []entry
	budget   fields
	// baseline is the rate of the ratio at the end; baselines are the names of the
	// policies that it stands for.
	baseline  float64
	baselines []string
	complete  bool            // there is one among the samplers
	names     map[string]bool // of entries
}

// entry is one of the samplers. Without keys it is a comment.
type entry struct {
	notes []string
	keys  fields
}

// note adds a comment on top.
func (c *config) note(format string, args ...any) {
	c.notes = append(c.notes, fmt.Sprintf(format, args...))
}

// leftOut adds a comment in place of an entry.
func (c *config) leftOut(what string, why []string) {
	c.samplers = append(c.samplers, entry{notes: append([]string{what + ": left out"}, why...)})
}

// unique returns a name for an entry.
func (c *config) unique(name string) string {
	name = oneLine(name)
	if c.names == nil {
		c.names = map[string]bool{"ratio": true, "baseline": true}
	}
	free := name
	for i := 2; free == "" || c.names[free]; i++ {
		free = fmt.Sprintf("%s-%d", name, i)
	}
	c.names[free] = true
	return free
}

// raise is for what the baseline stands for.
func (c *config) raise(share float64, name string) {
	c.baseline = max(c.baseline, share)
	c.baselines = append(c.baselines, name)
}

// maxEnds is how many end samplers are written; riffle takes 64.
const maxEnds = 48

// fold makes one entry of those that are too many: plain ones, which keep everything.
func (c *config) fold() {
	ends := 0
	var list []any
	var names []string
	first := -1
	kept := c.samplers[:0:0]
	for _, e := range c.samplers {
		if e.keys == nil || e.keys.get("type") == "discard" || e.keys.get("type") == "at_most" {
			kept = append(kept, e)
			continue
		}
		ends++
		m, isMatch := e.keys.get("match").(fields)
		plain := e.keys.get("type") == "attribute" && e.keys.get("sample") == 1.0 && e.keys.get("limit") == nil
		if ends < maxEnds || !plain || !isMatch {
			kept = append(kept, e)
			continue
		}
		if first < 0 {
			first = len(kept)
			kept = append(kept, entry{})
		}
		name, _ := e.keys.get("name").(string)
		list, names = append(list, m), append(names, name)
	}
	if first < 0 {
		return
	}
	kept[first] = entry{
		notes: []string{"riffle asks at most 64 end samplers: these policies are one: " + strings.Join(names, ", ")},
		keys: fields{
			{"type", "attribute"},
			{"name", c.unique("further policies")},
			{"at", "end"},
			{"match", fields{{"any", list}}},
			{"sample", 1.0},
		},
	}
	c.samplers = kept
}

// unique keeps each note once.
func unique(notes []string) []string {
	var out []string
	for _, n := range notes {
		if !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return out
}
