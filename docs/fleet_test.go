package docs

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/config"
	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/record"
	"github.com/riffletrace/riffle/core/sampling"
)

const (
	fleetPage = "docs/upgrading-a-fleet.md"
	fleetHead = "| front | middle | back | traces | of them whole | requests counted | errors counted | error rate |\n"

	fleetRequests, fleetErrors = 40_000, 400
	fleetRate                  = 0.1
	// A count is right if it is no farther from the truth than chance takes it, four and two
	// standard deviations of a tenth of the requests, and wrong from farther on.
	rightRequests, rightErrors = 0.06, 0.3
	wrong                      = 0.5
)

// What the page says of each state of a fleet is what was counted in it.
func TestFleet(t *testing.T) {
	page, err := os.ReadFile(fleetPage)
	if err != nil {
		t.Fatal(err)
	}
	if want := "Go's SDK, v" + sdk.Version() + ","; !strings.Contains(string(page), want) {
		t.Errorf("%s was measured with %s", fleetPage, want)
	}
	file := firstBlock(t, fleetPage, "yaml")
	measured := map[string]fleetCounts{}
	lines := strings.SplitAfter(string(page), "\n")
	for i := 0; i < len(lines); i++ {
		if lines[i] != fleetHead {
			continue
		}
		for i += 2; i < len(lines) && strings.HasPrefix(lines[i], "| "); i++ {
			cells := strings.Split(strings.Trim(strings.TrimSpace(lines[i]), "| "), " | ")
			kinds := [3]string(cells[:3])
			t.Run(strings.Join(kinds[:], "-"), func(t *testing.T) {
				c := runFleet(t, file, kinds)
				measured[strings.Join(kinds[:], "|")] = c
				row := fmt.Sprintf("| %s | %s |\n", strings.Join(kinds[:], " | "), c.cells(t))
				if *update {
					lines[i] = row
				}
				if diff := cmp.Diff(row, lines[i]); diff != "" {
					t.Errorf("%s:%d (-measured +page):\n%s", fleetPage, i+1, diff)
				}
			})
		}
	}
	if *update {
		if err := os.WriteFile(fleetPage, []byte(strings.Join(lines, "")), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	checkOrder(t, measured)
	checkParents(t, measured)
	checkProse(t, lines)
}

// checkOrder checks what the page advises: from the front on, what is counted right at a
// step is all that was, and all is right from the first step on; from the back on only the
// last step makes it so.
func checkOrder(t *testing.T, measured map[string]fleetCounts) {
	t.Helper()
	for _, tt := range []struct {
		kinds string
		right int // services whose requests are counted right
	}{
		{"stock|stock|stock", 0},
		{"riffle|stock|stock", 3},
		{"riffle|riffle|stock", 3},
		{"riffle|riffle|riffle", 3},
		{"stock|stock|riffle", 0},
		{"stock|riffle|riffle", 0},
	} {
		c, ok := measured[tt.kinds]
		if !ok {
			t.Errorf("%s has no state %s", fleetPage, tt.kinds)
			continue
		}
		right := 0
		for _, s := range c.services {
			if math.Abs(s.requests/fleetRequests-1) < rightRequests {
				right++
			}
		}
		if right != tt.right {
			t.Errorf("%s: requests are counted right at %d services, want %d", tt.kinds, right, tt.right)
		}
	}
}

// checkParents checks that riffle counts the parents that tell no threshold where the page
// says that it does.
func checkParents(t *testing.T, measured map[string]fleetCounts) {
	t.Helper()
	sampled := measured["stock|stock|stock"].traces
	for kinds, want := range map[string][3]int{
		"riffle|riffle|riffle":          {},
		"riffle|stock|riffle":           {},
		"probability|stock|riffle":      {},
		"stock|stock|riffle":            {0, 0, sampled},
		"stock|riffle|riffle":           {0, sampled, sampled},
		"stock|stock|riffle, follow":    {0, 0, sampled},
		"stock|stock|riffle, ask":       {},
		"stock, all|riffle, ask|riffle": {},
		"stock, all|stock|riffle":       {0, 0, fleetRequests},
		"riffle|proxy|riffle":           {},
	} {
		if got := measured[kinds].unweighed; got != want {
			t.Errorf("%s: %d local roots have a parent without a threshold, want %d", kinds, got, want)
		}
	}
}

var figure = regexp.MustCompile(`\d{1,3},\d{3}|\d+(\.\d+)? %`)

// checkProse checks that the figures in the text are those of the tables, or what the test
// begins with.
func checkProse(t *testing.T, page []string) {
	t.Helper()
	known := []string{"40,000", "1 %", "10 %", "6 %", "30 %"} // the test begins with these
	var prose []string
	for _, line := range page {
		if strings.HasPrefix(line, "|") {
			known = append(known, figure.FindAllString(line, -1)...)
		} else {
			prose = append(prose, figure.FindAllString(line, -1)...)
		}
	}
	if len(prose) == 0 {
		t.Errorf("%s says no figure", fleetPage)
	}
	for _, n := range prose {
		if !slices.Contains(known, n) {
			t.Errorf("%s says %s, which is in no table", fleetPage, n)
		}
	}
}

// fleetCounts is what a backend has of a fleet, that takes a span without th for one.
type fleetCounts struct {
	traces, whole int
	services      [3]struct{ requests, errors float64 }
	unweighed     [3]int
}

// cells are those of a row. Wrong counts are bold.
func (c *fleetCounts) cells(t *testing.T) string {
	t.Helper()
	of := func(n, truth, right float64) string {
		text := thousands(int(math.Round(n)))
		switch off := math.Abs(n/truth - 1); {
		case off <= right:
		case off >= wrong:
			text = "**" + text + "**"
		default:
			t.Errorf("%v of %v is neither right nor wrong", n, truth)
		}
		return text
	}
	var requests, failed []string
	for _, s := range c.services {
		requests = append(requests, of(s.requests, fleetRequests, rightRequests))
		failed = append(failed, of(s.errors, fleetErrors, rightErrors))
	}
	back := c.services[2]
	return fmt.Sprintf("%s | %s | %s | %s | %.1f %%", thousands(c.traces), thousands(c.whole),
		strings.Join(requests, ", "), strings.Join(failed, ", "), 100*back.errors/back.requests)
}

func thousands(n int) string {
	if n < 1000 {
		return strconv.Itoa(n)
	}
	return fmt.Sprintf("%d,%03d", n/1000, n%1000)
}

// runFleet sends requests through a front, a middle and a back. One in a hundred fails at
// the back, and so at those before it. What is random is the same each time.
func runFleet(t *testing.T, file string, kinds [3]string) (c fleetCounts) {
	t.Helper()
	random := rand.New(rand.NewPCG(1, 10))
	ids := &fleetIDs{random}
	var services [3]*fleetService
	for i, kind := range kinds {
		services[i] = newFleetService(t, kind, file, ids)
	}
	for i := range fleetRequests {
		call(services[:], propagation.MapCarrier{}, i%(fleetRequests/fleetErrors) == 0)
		if i%1000 == 999 { // so that no queue overflows
			for _, s := range services {
				if err := s.flush(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	parts := map[trace.TraceID]int{}
	for i, s := range services {
		c.unweighed[i] = s.shutdown(t)
		s.checkMetrics(t)
		for _, span := range s.spans {
			parts[span.SpanContext().TraceID()]++
			weight := sampling.ThresholdIn(span.SpanContext().TraceState()).AdjustedCount()
			if weight == 0 {
				weight = 1
			}
			c.services[i].requests += weight
			if span.Status().Code == codes.Error {
				c.services[i].errors += weight
			}
		}
	}
	c.traces = len(parts)
	for _, n := range parts {
		if n == len(services) {
			c.whole++
		}
	}
	return c
}

// call lets the first service have a request, which calls the next one.
func call(services []*fleetService, headers propagation.MapCarrier, fails bool) {
	ctx := propagation.TraceContext{}.Extract(context.Background(), headers)
	ctx, span := services[0].tracer.Start(ctx, "GET /", trace.WithSpanKind(trace.SpanKindServer))
	defer span.End()
	if len(services) > 1 {
		next := propagation.MapCarrier{}
		propagation.TraceContext{}.Inject(ctx, next)
		call(services[1:], next, fails)
	}
	if fails {
		span.SetStatus(codes.Error, "")
	}
}

// fleetService is a service, and the exporter of its spans.
type fleetService struct {
	tracer trace.Tracer
	flush  func(context.Context) error
	riffle *core.Provider // nil if it has the SDK
	log    bytes.Buffer   // of riffle
	reader *metric.ManualReader

	mu    sync.Mutex
	spans []sdktrace.ReadOnlySpan
}

func (s *fleetService) ExportSpans(_ context.Context, spans []sdktrace.ReadOnlySpan) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.spans = append(s.spans, spans...)
	return nil
}

func (*fleetService) Shutdown(context.Context) error { return nil }

// shutdown ends the service and returns how many local roots it has counted whose parent
// tells no threshold. It has warned of them once.
func (s *fleetService) shutdown(t *testing.T) (unweighed int) {
	t.Helper()
	if s.riffle == nil {
		return 0
	}
	if err := s.riffle.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	unweighed = int(s.riffle.Stats().NoThreshold)
	if got, want := strings.Count(s.log.String(), fleetPage), min(1, unweighed); got != want {
		t.Errorf("it warned %d times, want %d:\n%s", got, want, &s.log)
	}
	return unweighed
}

// checkMetrics checks that span_metrics has counted everything, whatever was kept.
func (s *fleetService) checkMetrics(t *testing.T) {
	t.Helper()
	if s.riffle == nil {
		return
	}
	var all metricdata.ResourceMetrics
	if err := s.reader.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	var calls, failed int64
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			sum, ok := m.Data.(metricdata.Sum[int64])
			if !ok || m.Name != "traces.span.metrics.calls" {
				continue
			}
			for _, p := range sum.DataPoints {
				calls += p.Value
				if status, _ := p.Attributes.Value("status.code"); status.AsString() == "STATUS_CODE_ERROR" {
					failed += p.Value
				}
			}
		}
	}
	if calls != fleetRequests || failed != fleetErrors {
		t.Errorf("span_metrics counts %d requests and %d errors, want %d and %d", calls, failed, fleetRequests, fleetErrors)
	}
}

// newFleetService makes a service as a cell of the page names it.
func newFleetService(t *testing.T, kind, file string, ids *fleetIDs) *fleetService {
	t.Helper()
	s := &fleetService{}
	stock := map[string]sdktrace.Sampler{
		"stock":                       sdktrace.ParentBased(sdktrace.TraceIDRatioBased(fleetRate)),
		"stock, all":                  sdktrace.ParentBased(sdktrace.AlwaysSample()),
		"stock, no ParentBased":       sdktrace.TraceIDRatioBased(fleetRate),
		"probability":                 sdktrace.ParentBased(probabilitySampler{}),
		"probability, no ParentBased": probabilitySampler{},
		"proxy":                       sdktrace.ParentBased(atRandom{ids.random}),
	}
	if sampler := stock[kind]; sampler != nil {
		p := sdktrace.NewTracerProvider(sdktrace.WithSampler(sampler), sdktrace.WithSyncer(s), sdktrace.WithIDGenerator(ids))
		s.tracer, s.flush = p.Tracer("fleet"), p.ForceFlush
		return s
	}
	spec, err := config.Parse([]byte(file), config.File("tracing.yaml"), config.Environ(nil))
	if err != nil {
		t.Fatal(err)
	}
	switch kind {
	case "riffle":
	case "riffle, ask":
		spec.RemoteParent = record.Ask
	case "riffle, follow":
		spec.RemoteParent = record.Follow
	default:
		t.Fatalf("%s: nobody knows a service %q", fleetPage, kind)
	}
	spec.Exporters = []core.ExporterEntry{core.UseExporter(component.NewFactory("fleet", struct{}{},
		func(context.Context, component.Settings, struct{}) (sdktrace.SpanExporter, error) { return s, nil }), "", struct{}{})}
	s.reader = metric.NewManualReader()
	s.riffle, err = core.New(t.Context(), spec, core.IDGenerator(ids), core.Logger(slog.New(slog.NewTextHandler(&s.log, nil))),
		core.MeterProvider(metric.NewMeterProvider(metric.WithReader(s.reader))))
	if err != nil {
		t.Fatal(err)
	}
	s.tracer, s.flush = s.riffle.TracerProvider().Tracer("fleet"), s.riffle.ForceFlush
	return s
}

// fleetIDs are the same in every run.
type fleetIDs struct{ random *rand.Rand }

func (f *fleetIDs) NewIDs(ctx context.Context) (id trace.TraceID, span trace.SpanID) {
	binary.BigEndian.PutUint64(id[:], f.random.Uint64())
	binary.BigEndian.PutUint64(id[8:], f.random.Uint64())
	return id, f.NewSpanID(ctx, id)
}

func (f *fleetIDs) NewSpanID(context.Context, trace.TraceID) (id trace.SpanID) {
	binary.BigEndian.PutUint64(id[:], f.random.Uint64()|1)
	return id
}

// probabilitySampler is the ProbabilitySampler of the specification.
type probabilitySampler struct{}

func (probabilitySampler) ShouldSample(p sdktrace.SamplingParameters) (r sdktrace.SamplingResult) {
	parent := trace.SpanContextFromContext(p.ParentContext)
	r.Tracestate = parent.TraceState()
	threshold, err := sampling.ThresholdFromProbability(fleetRate)
	if err != nil {
		panic(err)
	}
	if threshold.Selects(sampling.Randomness(parent.WithTraceID(p.TraceID))) {
		r.Decision, r.Tracestate = sdktrace.RecordAndSample, sampling.WithThreshold(r.Tracestate, threshold)
	}
	return r
}

func (probabilitySampler) Description() string { return "ProbabilitySampler" }

// atRandom samples by a number that it draws, as a proxy does.
type atRandom struct{ *rand.Rand }

func (a atRandom) ShouldSample(p sdktrace.SamplingParameters) (r sdktrace.SamplingResult) {
	r.Tracestate = trace.SpanContextFromContext(p.ParentContext).TraceState()
	if a.Float64() < fleetRate {
		r.Decision = sdktrace.RecordAndSample
	}
	return r
}

func (atRandom) Description() string { return "at random" }
