package config

import (
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/internal/otelenv"
)

// entry are the keys of a list entry that are neither the component's nor its
// kind's.
type entry struct {
	Type string `yaml:"type" doc:"the kind of component"`
	Name string `yaml:"name" doc:"the entry's name in logs and attributes, unique in its list; by default its type"`
}

var entryKeys = keysOf(reflect.TypeFor[entry]())

// samplerPlans decodes the entries of samplers.
func (r *reader) samplerPlans() []core.SamplerEntry {
	var all []core.SamplerEntry
	for i, n := range r.samplerEntries() {
		p := listEntry{reader: r, list: "samplers", i: i, hostKeys: r.samplers.HostKeys()}
		head := p.open(n, r.samplers.Names(), func(typ string) []component.Field { return fieldsOfType(r.samplers, typ) })
		e := core.SamplerEntry{Plan: r.samplers.Plan(head.Type, head.Name, p.component)}
		if !p.host(&e.SamplerKeys) {
			e.SamplerKeys = core.SamplerKeys{}
			for _, key := range p.hostKeys { // whether one is missing is not known
				p.unusable[component.JoinPath(p.path(), key)] = true
			}
		}
		all = append(all, e)
	}
	return all
}

// exporterPlans decodes the entries of exporters. What an entry leaves out of its
// line is taken from OTEL_BSP_* before it is a default.
func (r *reader) exporterPlans() []core.ExporterEntry {
	base, warnings := r.line()
	var all []core.ExporterEntry
	for i, n := range r.exporterEntries(r.section.Enabled) {
		p := listEntry{reader: r, list: "exporters", i: i, hostKeys: r.exporters.HostKeys()}
		head := p.open(n, r.exporters.Names(), func(typ string) []component.Field { return fieldsOfType(r.exporters, typ) })
		line := base
		if !p.host(&line) {
			line = delivery.Defaults()
		}
		p.fitQueue(&line)
		e := core.ExporterEntry{Plan: r.exporters.Plan(head.Type, head.Name, p.component)}
		all = append(all, e.WithDelivery(line))
		r.warnAll(append(warnings, e.IgnoredVariables()...))
	}
	return all
}

// line is what an exporter's line has where its entry leaves it out, with what is
// ignored of the variables for it.
func (r *reader) line() (delivery.Config, []*component.FieldError) {
	if r.otelFile != nil {
		return delivery.Defaults(), nil
	}
	return delivery.Defaults().WithEnv(func(name string) string { return r.env[name] })
}

// fitQueue leaves the default where OTEL_BSP_MAX_QUEUE_SIZE bounds a queue below one
// batch of the file.
func (p *listEntry) fitQueue(line *delivery.Config) {
	if line.Queue.MaxBytes == 0 || line.Batch.MaxBytes <= line.Queue.MaxBytes || p.node.at("queue.max_bytes") != nil {
		return
	}
	err := fmt.Errorf("%s is less than batch.max_bytes (%s)", line.Queue.MaxBytes, line.Batch.MaxBytes)
	p.warnAll([]*component.FieldError{{Path: otelenv.MaxQueueSize, Err: otelenv.Ignored(err)}})
	line.Queue.MaxBytes = 0
}

func fieldsOfType[T any](r *component.Registry[T], typ string) []component.Field {
	f, _ := r.Lookup(typ)
	return f.Fields()
}

// listEntry is an entry that is being decoded.
type listEntry struct {
	*reader
	list     string
	i        int
	hostKeys []string
	node     *node
}

func (p *listEntry) path() string { return indexPath(p.list, p.i) }

// open reads what every entry has, and adds what sections set for all entries of
// its type.
func (p *listEntry) open(n *node, types []string, fields func(typ string) []component.Field) (head entry) {
	p.node = n
	if n.kind == mapping {
		for _, e := range component.FieldErrors(p.read(decoder{only: entryKeys}, &head)) {
			p.fail(n.locate(e.Path), component.JoinPath(p.path(), e.Path), e.Err)
			p.unusable[component.JoinPath(p.path(), e.Path)] = true
		}
		p.guide(head.Type, types)
		p.node = p.withShared(n, p.path(), fields(head.Type))
	} else {
		p.unusable[p.path()] = true
		if n.kind != broken {
			p.fail(n.pos, p.path(), fmt.Errorf("want a mapping that begins with \"- type:\", not %s", p.wrong(n)))
		}
	}
	p.lists[p.list] = append(p.lists[p.list], p.node)
	return head
}

// component reads the keys of the component.
func (p *listEntry) component(into any) error {
	if c, ok := into.(component.EnvironmentIgnorer); ok && p.otelFile != nil {
		c.IgnoreEnvironment()
	}
	return p.read(decoder{skip: slices.Concat(entryKeys, p.hostKeys)}, into)
}

// host reads the keys of the kind, and reports whether they could be read.
func (p *listEntry) host(into any) bool {
	err := p.read(decoder{only: append([]string{}, p.hostKeys...)}, into)
	for _, e := range component.FieldErrors(err) {
		if p.node.kind == mapping {
			p.fail(p.node.locate(e.Path), component.JoinPath(p.path(), e.Path), e.Err)
		}
	}
	return err == nil
}

// read reads the keys that are the decoder's.
func (p *listEntry) read(d decoder, into any) error {
	d.hide = p.hide
	d.decode(p.node, into)
	return errors.Join(d.errs...)
}
