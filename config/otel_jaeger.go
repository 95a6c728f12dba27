package config

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/riffletrace/riffle/core/component"
)

// jaegerRemote is the type that OTEL_TRACES_SAMPLER names as jaeger_remote, and as
// parentbased_jaeger_remote.
const jaegerRemote = "jaeger_remote"

// readJaegerRemote makes a sampler of what OTEL_TRACES_SAMPLER_ARG says about it:
// endpoint=http://host:14268/api/sampling,pollingIntervalMs=5000,initialSamplingRate=0.25.
// What makes no sense is ignored with a warning.
func readJaegerRemote(r *reader, tree *node, name string) error {
	f, ok := r.samplers.Lookup(jaegerRemote)
	if !ok {
		return fmt.Errorf("no sampler %q is registered (forgotten import of samplers/standard?): ignored", jaegerRemote)
	}
	entry := newEntry(jaegerRemote)
	entry.pos, entry.members[0].pos, entry.members[0].value.pos = name, name, name
	for i, pair := range strings.Split(r.env[samplerArg], ",") {
		key, text, _ := strings.Cut(pair, "=")
		key, text = strings.TrimSpace(key), strings.TrimSpace(text)
		m := member{pos: samplerArg, value: &node{kind: scalar, text: text, pos: samplerArg}}
		switch key {
		case "endpoint":
			m.key = "endpoint"
		case "pollingIntervalMs":
			if _, err := strconv.ParseUint(text, 10, 32); err != nil {
				r.warn(samplerArg, "%s is not a number of milliseconds: ignored", key)
				continue
			}
			m.key, m.value.text = "interval", text+"ms"
		case "initialSamplingRate":
			m.key = "initial"
		default:
			if strings.TrimSpace(pair) != "" {
				r.warn(samplerArg, "entry %d is none of endpoint=, pollingIntervalMs=, initialSamplingRate=: ignored", i+1)
			}
			continue
		}
		with := entry.with(m)
		err := f.Plan("", func(into any) error {
			d := decoder{hide: r.hide, skip: entryKeys}
			d.decode(with, into)
			return errors.Join(d.errs...)
		}).Err()
		if wrong := component.FieldErrors(err); len(wrong) > 0 {
			r.warn(samplerArg, "%s: %w: ignored", key, wrong[0].Err)
			continue
		}
		entry = with
	}
	tree.setList("samplers", name, []*node{entry})
	return nil
}
