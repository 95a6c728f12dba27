package bench

import (
	"time"

	"github.com/riffletrace/riffle/bench/internal/stats"
)

// Estimate is a figure with its 95 % interval.
type Estimate = stats.Estimate

// formatVersion is of the JSON form of a [Result].
const formatVersion = 1

// Result is everything that was measured. Its JSON form is what --json writes
// and --from reads; figures are worked out from it anew each time.
type Result struct {
	Format      int       `json:"format"`
	Target      string    `json:"target"`
	Started     time.Time `json:"started"`
	Seconds     float64   `json:"seconds"`
	Interrupted bool      `json:"interrupted,omitempty"`

	Machine  Machine           `json:"machine"`
	Versions map[string]string `json:"versions"` // of modules, and "riffle": the commit
	Notes    []string          `json:"notes,omitempty"`
	Settings Settings          `json:"settings"`

	Variants []Measured `json:"variants"`
	Scaling  []Scaled   `json:"scaling,omitempty"`
}

// Machine is where it was measured.
type Machine struct {
	CPU    string `json:"cpu"`
	Cores  int    `json:"cores"`
	Memory uint64 `json:"memory,omitempty"` // bytes; 0: not known
	OS     string `json:"os"`
	Go     string `json:"go"`
}

// Settings are how it was measured.
type Settings struct {
	Rounds          int           `json:"rounds"`
	SideRounds      int           `json:"side_rounds"`
	Duration        time.Duration `json:"duration"`
	RequestsOfRound int           `json:"requests_of_round"`
	Workers         int           `json:"workers"`
	SpansPerRequest int           `json:"spans_per_request,omitempty"`
	// LatencyRate is of the open loop, in requests a second; Capacity what the
	// untraced service answered in a closed one before.
	LatencyRate float64 `json:"latency_rate"`
	Capacity    float64 `json:"capacity"`
}

// Measured is what was measured of one variant.
type Measured struct {
	Variant
	Rounds     []Round          `json:"rounds"`
	Latency    stats.Histogram  `json:"latency"`
	Throughput []float64        `json:"throughput"` // requests a second, by round
	Counts     Counts           `json:"counts"`
	Parts      map[string]int64 `json:"parts,omitempty"`    // ns of CPU time
	Profiled   int              `json:"profiled,omitempty"` // requests of Parts
}

// Round is one round of CPU time.
type Round struct {
	Cycle      int           `json:"cycle"`
	Requests   int           `json:"requests"`
	CPU        time.Duration `json:"cpu"`
	AllocBytes uint64        `json:"alloc_bytes"`
	Allocs     uint64        `json:"allocs"`
	HeapHigh   uint64        `json:"heap_high"`
}

// CPUPerRequest is in nanoseconds.
func (r *Round) CPUPerRequest() float64 { return float64(r.CPU) / float64(max(r.Requests, 1)) }

// Variant finds a variant by name.
func (r *Result) Variant(name string) (*Measured, bool) {
	for i := range r.Variants {
		if r.Variants[i].Name == name {
			return &r.Variants[i], true
		}
	}
	return nil, false
}

// pairs are the rounds of two variants in the same cycles, as CPU time per
// request in nanoseconds.
func pairs(a, b *Measured) (as, bs []float64) {
	for i := range a.Rounds {
		for j := range b.Rounds {
			if a.Rounds[i].Cycle == b.Rounds[j].Cycle {
				as = append(as, a.Rounds[i].CPUPerRequest())
				bs = append(bs, b.Rounds[j].CPUPerRequest())
			}
		}
	}
	return as, bs
}

// Overhead is what a variant takes over none, by rounds of the same cycle: in
// nanoseconds of CPU time per request, and as a share of what the untraced
// service takes.
func (r *Result) Overhead(m *Measured) (ns, share Estimate) {
	base, ok := r.Variant(nameOff)
	if !ok || m.Name == nameOff {
		return Estimate{}, Estimate{}
	}
	with, without := pairs(m, base)
	more, shares := make([]float64, len(with)), make([]float64, len(with))
	for i := range with {
		more[i] = with[i] - without[i]
		shares[i] = more[i] / without[i]
	}
	return stats.MedianOf(more), stats.MedianOf(shares)
}

// OverheadRatio is how the overhead of one variant compares with that of
// another. Rounds of the same cycle are drawn together. Where the overhead of
// the other is not resolved there is no ratio: its interval has no end.
func (r *Result) OverheadRatio(of, to string) (Estimate, bool) {
	base, ok := r.Variant(nameOff)
	a, okA := r.Variant(of)
	b, okB := r.Variant(to)
	if !ok || !okA || !okB {
		return Estimate{}, false
	}
	var over [][2]float64
	for i := range base.Rounds {
		cycle := base.Rounds[i].Cycle
		x, okX := a.inCycle(cycle)
		y, okY := b.inCycle(cycle)
		if okX && okY {
			none := base.Rounds[i].CPUPerRequest()
			over = append(over, [2]float64{x - none, y - none})
		}
	}
	if len(over) == 0 {
		return Estimate{}, false
	}
	ratio := stats.Bootstrap(len(over), func(pick []int) float64 {
		xs, ys := make([]float64, len(pick)), make([]float64, len(pick))
		for i, p := range pick {
			xs[i], ys[i] = over[p][0], over[p][1]
		}
		return stats.Median(xs) / stats.Median(ys)
	})
	if ns, _ := r.Overhead(b); !(ns.Low > 0) {
		ratio = stats.Unbounded(ratio.Value)
	}
	return ratio, true
}

func (m *Measured) inCycle(cycle int) (ns float64, ok bool) {
	for i := range m.Rounds {
		if m.Rounds[i].Cycle == cycle {
			return m.Rounds[i].CPUPerRequest(), true
		}
	}
	return 0, false
}

// each estimates the median of a figure of the rounds.
func (m *Measured) each(figure func(*Round) float64) Estimate {
	values := make([]float64, len(m.Rounds))
	for i := range m.Rounds {
		values[i] = figure(&m.Rounds[i])
	}
	return stats.MedianOf(values)
}

// CPU is the CPU time of a request in nanoseconds.
func (m *Measured) CPU() Estimate { return m.each((*Round).CPUPerRequest) }

// Allocs is the allocations of a request.
func (m *Measured) Allocs() Estimate {
	return m.each(func(r *Round) float64 { return float64(r.Allocs) / float64(max(r.Requests, 1)) })
}

// AllocBytes is what a request allocates.
func (m *Measured) AllocBytes() Estimate {
	return m.each(func(r *Round) float64 { return float64(r.AllocBytes) / float64(max(r.Requests, 1)) })
}

// HeapHigh is how large the heap grew in a round, in bytes.
func (m *Measured) HeapHigh() Estimate {
	return m.each(func(r *Round) float64 { return float64(r.HeapHigh) })
}

// MaxThroughput is in requests a second.
func (m *Measured) MaxThroughput() Estimate { return stats.MedianOf(m.Throughput) }

// Complete reports whether every span that was kept is in exactly one of the
// counters, and whether what was sent has arrived, unless the configuration is a
// user's.
func (m *Measured) Complete() bool {
	c := m.Counts
	return c.Kept == c.Sent+c.Dropped && (m.Own || c.Received == c.Sent)
}

// Lost is how many spans were kept and neither arrived nor are counted as
// dropped. It is negative if more arrived than were kept.
func (m *Measured) Lost() int64 {
	c := m.Counts
	arrived := c.Sent
	if !m.Own {
		arrived = min(c.Sent, c.Received)
	}
	return int64(c.Kept) - int64(c.Dropped) - int64(arrived)
}
