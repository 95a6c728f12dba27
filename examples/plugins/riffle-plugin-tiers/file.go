package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"go.yaml.in/yaml/v4"

	"github.com/riffletrace/riffle/core/sampling"
)

// tiers are the answers that a file asks for. The zero value abstains.
type tiers struct {
	tenants, plans map[string]sampling.Answer
	other          sampling.Answer
	replaced       chan struct{} // closed when they no longer hold; nil: they always do
}

// answer is the tenant's own, else that of its plan, else the rest's.
func (t *tiers) answer(tenant, plan string) sampling.Answer {
	if a, ok := t.tenants[tenant]; ok {
		return a
	}
	if a, ok := t.plans[plan]; ok {
		return a
	}
	return t.other
}

// parse reads a file. One that holds nothing is a mistake: it is half written.
func parse(text []byte) (*tiers, error) {
	var file struct {
		Tenants map[string]sampling.Sample `yaml:"tenants"`
		Plans   map[string]sampling.Sample `yaml:"plans"`
		Other   sampling.Sample            `yaml:"other"`
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	switch err := decoder.Decode(&file); {
	case errors.Is(err, io.EOF):
		return nil, errors.New("empty: want tenants, plans or other")
	case err != nil:
		return nil, err
	}
	t := &tiers{tenants: make(map[string]sampling.Answer), plans: make(map[string]sampling.Answer), replaced: make(chan struct{})}
	var errs []error
	fill := func(answers map[string]sampling.Answer, what string, shares map[string]sampling.Sample) {
		for name, share := range shares {
			answer, err := share.Answer()
			if err != nil {
				errs = append(errs, fmt.Errorf("%s %q: %w", what, name, err))
			}
			answers[name] = answer.Because(what + " " + name)
		}
	}
	fill(t.tenants, "tenant", file.Tenants)
	fill(t.plans, "plan", file.Plans)
	if file.Other != "" {
		var err error
		if t.other, err = file.Other.Answer(); err != nil {
			errs = append(errs, fmt.Errorf("other: %w", err))
		}
		t.other = t.other.Because("other tenant")
	}
	return t, errors.Join(errs...)
}
