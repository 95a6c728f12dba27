//go:build !race

package errored_test

import (
	"testing"

	"github.com/riffletrace/riffle/core/sampling"
	errored "github.com/riffletrace/riffle/samplers/error"
)

func TestAbstainingAllocatesNothing(t *testing.T) {
	s := newSampler(t, errored.Config{Exceptions: true, HTTPStatus: []errored.Codes{{First: 500, Last: 599}}, Ignore: []string{"*canceled"}})
	p := sampling.EndParameters{Span: unremarkable(t), LocalRoot: true, Spans: 1}
	if !s.SampleEnd(p).IsAbstain() {
		t.Fatal("the sampler found something")
	}
	if n := testing.AllocsPerRun(100, func() { s.SampleEnd(p) }); n != 0 {
		t.Errorf("%v allocations a call, want 0", n)
	}
}
