package parts_test

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/pprof/profile"

	"github.com/riffletrace/riffle/bench/internal/parts"
)

// The same function is another part on the goroutines that deliver.
func TestSplit(t *testing.T) {
	p := &profile.Profile{SampleType: []*profile.ValueType{{Type: "samples", Unit: "count"}, {Type: "cpu", Unit: "nanoseconds"}}}
	sample := func(ns int64, delivers bool, stack ...string) { // innermost first
		s := &profile.Sample{Value: []int64{1, ns}}
		if delivers {
			s.Label = map[string][]string{"riffle_bench": {"delivery"}}
		}
		for _, name := range stack {
			f := &profile.Function{ID: uint64(len(p.Function) + 1), Name: name}
			l := &profile.Location{ID: f.ID, Line: []profile.Line{{Function: f}}}
			p.Function, p.Location = append(p.Function, f), append(p.Location, l)
			s.Location = append(s.Location, l)
		}
		p.Sample = append(p.Sample, s)
	}
	const core = "github.com/riffletrace/riffle/core"
	sample(1, false, "net/http.(*conn).serve")
	sample(2, false, "runtime.mallocgc", core+"/record.(*tracer).Start", "net/http.(*conn).serve")
	sample(3, false, core+"/record.(*segment).spanEnded", core+"/record.(*span).End")
	sample(4, true, "net/http.(*Transport).RoundTrip")
	sample(5, true, "compress/flate.(*compressor).deflate", "net/http.(*Transport).RoundTrip")
	sample(6, true, core+"/otlp.(*Batch).Append")
	sample(7, true, "runtime.mallocgc", "runtime.gcBgMarkWorker")
	sample(8, true, "syscall.write")
	sample(9, true, core+"/delivery.(*Line).run")

	var data bytes.Buffer
	if err := p.Write(&data); err != nil {
		t.Fatal(err)
	}
	got := map[string]int64{parts.Service: 100} // what is there is added to
	if err := parts.Split(&data, got); err != nil {
		t.Fatal(err)
	}
	want := map[string]int64{
		parts.Service: 101, parts.Record: 2, parts.Sample: 3, parts.Send: 4 + 8, parts.Compress: 5,
		parts.Encode: 6, parts.GC: 7, parts.Queue: 9,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
