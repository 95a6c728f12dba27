package bench

import (
	"time"

	"github.com/riffletrace/riffle/bench/internal/stats"
)

// Estimate is a figure with its 95 % interval.
type Estimate = stats.Estimate

// formatVersion is of the JSON form of a [Result].
const formatVersion = 2

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
	// Fault is what the first use of a page of memory takes, Call a system call that
	// does nothing: medians, measured before the first round. 0: not known.
	Fault time.Duration `json:"fault,omitempty"`
	Call  time.Duration `json:"call,omitempty"`
	// Variables are those of the environment that change how Go manages memory, as
	// NAME=value.
	Variables []string `json:"variables,omitempty"`
}

// Settings are how it was measured.
type Settings struct {
	Rounds          int           `json:"rounds"`
	SideRounds      int           `json:"side_rounds"`
	Duration        time.Duration `json:"duration"`
	RequestsOfRound int           `json:"requests_of_round"` // in so many turns:
	Turns           int           `json:"turns"`
	Workers         int           `json:"workers"`
	SpansPerRequest int           `json:"spans_per_request,omitempty"`
	// LatencyRate is of the open loop, in requests a second; Capacity what the
	// untraced service answered in a closed one before.
	LatencyRate float64 `json:"latency_rate"`
	Capacity    float64 `json:"capacity"`
	// Processes is how many processes of the service were measured, Unsteady how many
	// of them had a heap that still grew when their time to warm up was over, and
	// Warmup how long all of them together took to warm up.
	Processes int           `json:"processes"`
	Unsteady  int           `json:"unsteady"`
	Warmup    time.Duration `json:"warmup"`
}

// Measured is what was measured of one variant.
type Measured struct {
	Variant
	Rounds []Round `json:"rounds"`
	// Latency is by round. Again of them were measured when the 99th percentile of
	// those before stood out.
	Latency    []stats.Histogram `json:"latency"`
	Again      int               `json:"again,omitempty"`
	Throughput []float64         `json:"throughput"` // requests a second, by round
	Counts     Counts            `json:"counts"`
	Parts      map[string]int64  `json:"parts,omitempty"`    // ns of CPU time
	Profiled   int               `json:"profiled,omitempty"` // requests of Parts
}

// Round is one round of CPU time.
type Round struct {
	Cycle    int `json:"cycle"`
	Requests int `json:"requests"`
	// User and System are CPU time, of the process and of the kernel for it.
	User       time.Duration `json:"user"`
	System     time.Duration `json:"system"`
	Faults     uint64        `json:"faults"` // of pages; 0 where the system does not tell
	AllocBytes uint64        `json:"alloc_bytes"`
	Allocs     uint64        `json:"allocs"`
	// HeapHigh is how large the heap grew, WaitsHigh how much of it riffle said that it
	// held: open segments, answers and queues. Both in bytes.
	HeapHigh  uint64 `json:"heap_high"`
	WaitsHigh uint64 `json:"waits_high,omitempty"`
}

// CPUPerRequest is in nanoseconds.
func (r *Round) CPUPerRequest() float64 { return r.per(float64(r.User + r.System)) }

func (r *Round) per(v float64) float64 { return v / float64(max(r.Requests, 1)) }

// Variant finds a variant by name.
func (r *Result) Variant(name string) (*Measured, bool) {
	for i := range r.Variants {
		if r.Variants[i].Name == name {
			return &r.Variants[i], true
		}
	}
	return nil, false
}

// pairs are a figure of the rounds of two variants in the same cycles.
func pairs(a, b *Measured, figure func(*Round) float64) (as, bs []float64) {
	for i := range a.Rounds {
		if round, ok := b.inCycle(a.Rounds[i].Cycle); ok {
			as, bs = append(as, figure(&a.Rounds[i])), append(bs, figure(round))
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
	with, without := pairs(m, base, (*Round).CPUPerRequest)
	more, shares := make([]float64, len(with)), make([]float64, len(with))
	for i := range with {
		more[i] = with[i] - without[i]
		shares[i] = more[i] / without[i]
	}
	return stats.MedianOf(more), stats.MedianOf(shares)
}

// AllocOverhead is what a request allocates with a variant over what it does without,
// by rounds of the same cycle.
func (r *Result) AllocOverhead(m *Measured) (objects, bytes Estimate) {
	return r.more(m, func(r *Round) float64 { return float64(r.Allocs) }), r.more(m, func(r *Round) float64 { return float64(r.AllocBytes) })
}

// FaultOverhead is the page faults of a request over those without a variant.
func (r *Result) FaultOverhead(m *Measured) Estimate {
	return r.more(m, func(r *Round) float64 { return float64(r.Faults) })
}

// more estimates a figure of a request over that of an untraced one.
func (r *Result) more(m *Measured, figure func(*Round) float64) Estimate {
	base, ok := r.Variant(nameOff)
	if !ok || m.Name == nameOff {
		return Estimate{}
	}
	with, without := pairs(m, base, func(r *Round) float64 { return r.per(figure(r)) })
	for i := range with {
		with[i] -= without[i]
	}
	return stats.MedianOf(with)
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
		x, okX := a.inCycle(base.Rounds[i].Cycle)
		y, okY := b.inCycle(base.Rounds[i].Cycle)
		if okX && okY {
			none := base.Rounds[i].CPUPerRequest()
			over = append(over, [2]float64{x.CPUPerRequest() - none, y.CPUPerRequest() - none})
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

func (m *Measured) inCycle(cycle int) (*Round, bool) {
	for i := range m.Rounds {
		if m.Rounds[i].Cycle == cycle {
			return &m.Rounds[i], true
		}
	}
	return nil, false
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

// User and System are the parts of [Measured.CPU].
func (m *Measured) User() Estimate {
	return m.each(func(r *Round) float64 { return r.per(float64(r.User)) })
}

// System is the other part.
func (m *Measured) System() Estimate {
	return m.each(func(r *Round) float64 { return r.per(float64(r.System)) })
}

// Faults is the page faults of a request.
func (m *Measured) Faults() Estimate {
	return m.each(func(r *Round) float64 { return r.per(float64(r.Faults)) })
}

// Allocs is the allocations of a request.
func (m *Measured) Allocs() Estimate {
	return m.each(func(r *Round) float64 { return r.per(float64(r.Allocs)) })
}

// AllocBytes is what a request allocates.
func (m *Measured) AllocBytes() Estimate {
	return m.each(func(r *Round) float64 { return r.per(float64(r.AllocBytes)) })
}

// WaitsHigh is how much riffle held at most in a round, in bytes.
func (m *Measured) WaitsHigh() Estimate {
	return m.each(func(r *Round) float64 { return float64(r.WaitsHigh) })
}

// LatencyAt is the quantile q of latency in nanoseconds: the median of what it was in
// the rounds, so that one that something else disturbed says nothing.
func (m *Measured) LatencyAt(q float64) Estimate {
	values := make([]float64, len(m.Latency))
	for i := range m.Latency {
		values[i] = float64(m.Latency[i].Quantile(q))
	}
	return stats.MedianOf(values)
}

// Timed is how many requests were timed for latency.
func (m *Measured) Timed() (n uint64) {
	for i := range m.Latency {
		n += m.Latency[i].Total()
	}
	return n
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
