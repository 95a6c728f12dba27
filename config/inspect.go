package config

import (
	"fmt"
	"slices"

	"go.yaml.in/yaml/v4"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/component"
)

// Inspection is what tools are told of a configuration, with mistakes or without.
type Inspection struct {
	// Spec is the configuration as far as it could be read. With mistakes it is not one
	// to be started, but one whose components can be tried, as [core.Try] does, to find
	// more of them.
	Spec core.Spec
	// Mistakes are those that [Parse] returns.
	Mistakes core.ConfigErrors

	reader *reader
}

// Inspect reads a file's content and the environment, as [Parse] does, and stops at no
// mistake. Its error is what [CheckSection] says.
func Inspect(data []byte, opts ...Option) (*Inspection, error) {
	o := newOptions(opts)
	if err := CheckSection(o.section); err != nil {
		return nil, err
	}
	r := newReader(o)
	r.readFile(data)
	return r.inspect(), nil
}

// InspectEnv is [Inspect] of the environment alone, as [FromEnv] reads it.
func InspectEnv(opts ...Option) (*Inspection, error) {
	o := newOptions(opts)
	if err := CheckSection(o.section); err != nil {
		return nil, err
	}
	r := newReader(o)
	r.readVariables()
	return r.inspect(), nil
}

func (r *reader) inspect() *Inspection {
	i := &Inspection{Spec: r.read(), reader: r}
	if len(r.errs) > 0 {
		i.Mistakes = r.mistakes()
	}
	r.warnings, r.loaded = r.finished(r.warnings), true
	return i
}

// InspectFile is [Inspect] of the file at path. A file that cannot be read is an error,
// as it is of [Load].
func InspectFile(path string, opts ...Option) (*Inspection, error) {
	data, doubt, err := read(path)
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	return Inspect(data, append([]Option{File(path), func(o *options) { o.doubt = doubt }}, opts...)...)
}

// Warnings are what is no mistake, as [core.Source] has it, by position.
func (i *Inspection) Warnings() core.ConfigErrors { return i.reader.warnings.Sorted() }

// SetBy tells where the key of the section at path is set that counts: the name of a
// variable, or a position in a file; "" if no source sets it. What the short form sets
// is told for the short form: "sample_rate".
func (i *Inspection) SetBy(path string) string {
	for _, tree := range []*node{i.reader.app, i.reader.file, i.reader.otel} {
		if position, ok := tree.find(path); ok {
			return position
		}
	}
	return ""
}

// IsOpenTelemetry reports whether a file of OpenTelemetry's own schema was read.
func (i *Inspection) IsOpenTelemetry() bool { return i.reader.otelFile != nil }

// Beside returns the paths of the keys that stand beside the section of the file, and
// beside what leads to it: nothing of them is read. It returns none where the section is
// the whole file, or is not there.
func (i *Inspection) Beside() []string {
	r := i.reader
	if len(r.docs) == 0 || r.docs[0].root == nil || r.otelFile != nil {
		return nil
	}
	var beside []string
	at, path := target(r.docs[0].root), ""
	for _, name := range names(r.options.section) {
		for n := 0; at.Kind == yaml.MappingNode && n+1 < len(at.Content); n += 2 {
			if key := at.Content[n].Value; key != name {
				beside = append(beside, component.JoinPath(path, key))
			}
		}
		key, value := memberOf(at, name)
		if key == nil {
			return nil
		}
		at, path = target(value), component.JoinPath(path, name)
	}
	return beside
}

// With adds the mistakes that were found by trying the components, and returns all,
// by position, none of them twice.
func (i *Inspection) With(found core.ConfigErrors) core.ConfigErrors {
	all := slices.Concat(i.Mistakes, found).Sorted()
	return slices.CompactFunc(all, func(a, b *core.ConfigError) bool { return a.Error() == b.Error() })
}
