// Package command is what the commands of riffle have in common.
package command

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/riffletrace/riffle/config"
	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/sampling"
	"github.com/riffletrace/riffle/internal/trustedfile"
)

// UsageError is a mistake in the command line.
type UsageError struct{ error }

// Usage makes err a [UsageError].
func Usage(err error) error { return &UsageError{err} }

// Source says how a configuration file is read: as the application does it.
type Source struct {
	App       string // "" is none
	Section   string
	Samplers  *component.Registry[sampling.Sampler]
	Exporters *component.Registry[sdktrace.SpanExporter]
	// MeterProviders are what the metrics section can name.
	MeterProviders *component.Registry[component.MeterProvider]
}

// AddFlags adds the flags that say so; their defaults are what s says.
func (s *Source) AddFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.App, "app", s.App, "`NAME` of the application: its variables are NAME_OBSERVABILITY_TRACING_*, after the section; without it, there are none")
	s.AddSection(cmd, "`PATH` of the section in the file, keys joined by dots; '' if the file is the section as a whole")
}

// AddSection adds the flag for the section alone.
func (s *Source) AddSection(cmd *cobra.Command, usage string) {
	cmd.Flags().Var((*sectionFlag)(&s.Section), "section", usage)
}

// sectionFlag is the path of a section.
type sectionFlag string

func (f *sectionFlag) String() string { return string(*f) }
func (*sectionFlag) Type() string     { return "string" }

func (f *sectionFlag) Set(path string) error {
	if err := config.CheckSection(path); err != nil {
		return err
	}
	*f = sectionFlag(path)
	return nil
}

// Options are those that read a file so.
func (s *Source) Options() []config.Option {
	return []config.Option{
		config.App(s.App), config.Section(s.Section),
		config.Samplers(s.Samplers), config.Exporters(s.Exporters), config.MeterProviders(s.MeterProviders),
	}
}

// Load reads a file that is to be used. Its warnings go to w, or nowhere if that is nil.
func (s *Source) Load(file string, w io.Writer, more ...config.Option) (core.Spec, error) {
	spec, err := config.Load(file, append(s.Options(), more...)...)
	if err != nil || w == nil {
		return spec, err
	}
	PrintWarnings(w, spec.Source.Warnings())
	return spec, nil
}

// PrintWarnings prints what is no mistake.
func PrintWarnings(w io.Writer, all core.ConfigErrors) {
	for _, warning := range all {
		fmt.Fprintf(w, "warning: %v\n", warning)
	}
}

// TracingOff says of a file how to turn tracing on.
func (s *Source) TracingOff(file string) string {
	return fmt.Sprintf("%s: tracing is off: set %s to true", file, component.JoinPath(s.Section, "enabled"))
}

// WriteJSON prints one value.
func WriteJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// ReadBounded reads a file that somebody names: a pipe too, as shells make them.
func ReadBounded(name string, most int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return trustedfile.ReadAll(f, name, most)
}
