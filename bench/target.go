package bench

import (
	"context"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/bench/internal/load"
	"github.com/riffletrace/riffle/bench/internal/stats"
)

// Request is a request that the load generator sends.
type Request = load.Request

// Target says what to measure, and how. Its zero values are defaults, but for
// Name, Handler and Requests.
type Target struct {
	// Name finds the target again in the process of the service, where [Main] is
	// given the same one.
	Name string
	// Handler builds the service, in a process of its own. It makes its spans
	// with s.Tracers, or the global provider, which is the same. end ends what it
	// holds; it may be nil.
	Handler func(ctx context.Context, s Service) (handler http.Handler, end func(), err error)
	// Requests are sent in turn. QuietRequests replace them where latency is
	// measured; empty: they are the same.
	Requests, QuietRequests []Request
	// SpansPerRequest, if it is known, lets spans be counted by requests that
	// are reported to Service.Seen, and costs be told by span.
	SpansPerRequest int
	// Notes are told in the report.
	Notes []string
	// Env is added to the environment of the service.
	Env []string

	Variants []Variant // empty: [DefaultVariants]
	// Rounds is how many rounds of CPU time each variant has; a third of it, but
	// at least 6, measure latency and throughput too. 0: 9. Figures of fewer than 6
	// have no interval.
	Rounds int
	// Duration is about how long a round measures. 0: 1 s.
	Duration time.Duration
	// Scaling measures how costs grow, see [Scaling].
	Scaling bool
	// ProfileDir, if set, gets CPU and heap profiles of each variant.
	ProfileDir string
	// Progress, if set, is told at each step, of which there may become more.
	Progress func(done, total int)
}

// Service is what the service under test is given.
type Service struct {
	Tracers    trace.TracerProvider
	Propagator propagation.TextMapPropagator
	// Peer is the URL of a small JSON document in another process.
	Peer string
	// Seen may be called once in each request, with the context of its first
	// span, so that kept spans can be counted without the help of a variant.
	Seen func(ctx context.Context)
}

// The least and most that make sense.
const (
	defaultRounds   = 9
	defaultDuration = time.Second
	sideRounds      = stats.MinRounds // least rounds of latency and throughput
)

func (t Target) withDefaults() Target {
	if t.Variants == nil {
		t.Variants = DefaultVariants()
	}
	if t.Rounds <= 0 {
		t.Rounds = defaultRounds
	}
	if t.Duration <= 0 {
		t.Duration = defaultDuration
	}
	if len(t.QuietRequests) == 0 {
		t.QuietRequests = t.Requests
	}
	if t.Progress == nil {
		t.Progress = func(int, int) {}
	}
	return t
}

// side is how many rounds measure latency, and throughput.
func (t *Target) side() int { return min(t.Rounds, max(sideRounds, t.Rounds/3)) }
