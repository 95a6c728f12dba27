package adaptive_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/sampling"
	"github.com/riffletrace/riffle/samplers/adaptive"
	"github.com/riffletrace/riffle/samplers/samplertest"
)

const second = component.Duration(time.Second)

func build(tb testing.TB, c adaptive.Config) sampling.Sampler {
	tb.Helper()
	if c.Window == 0 {
		c.Window = 10 * second
	}
	return samplertest.Plan(component.Use(adaptive.Factory, "", c))(tb)
}

func newSampler(tb testing.TB, c adaptive.Config) sampling.StartSampler {
	tb.Helper()
	return build(tb, c).(sampling.StartSampler)
}

func ask(tb testing.TB, s sampling.StartSampler, p sampling.StartParameters) sampling.Threshold {
	tb.Helper()
	t, ok := s.SampleStart(p).Threshold()
	if !ok {
		tb.Fatal("the sampler abstains")
	}
	return t
}

func route(r string) sampling.StartParameters {
	return sampling.StartParameters{Name: "GET", Kind: trace.SpanKindServer, Attributes: []attribute.KeyValue{
		attribute.String("http.request.method", "GET"), attribute.String("http.route", r),
	}}
}

// From 10 to 10,000 a second and back: the expected number kept is within a
// fifth of the target after three windows, and the weights of what is kept add up
// to what there was, at every step.
func TestStep(t *testing.T) {
	const window = 10 * time.Second
	phases := []struct {
		perSecond int
		lasts     time.Duration
		steady    bool
	}{
		{10, 3 * window, false},
		{10, 5 * window, true},
		{10_000, 3 * window, false},
		{10_000, window, true},
		{10, 3 * window, false},
		{10, 5 * window, true},
	}
	for _, target := range []float64{1, 20} {
		t.Run(fmt.Sprintf("target=%v", target), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				random := rand.New(rand.NewPCG(7, uint64(target)))
				s := newSampler(t, adaptive.Config{TargetPerSecond: target, Key: []string{"http.route"}})
				p := route("/x")
				for _, phase := range phases {
					n := int(phase.lasts.Seconds()) * phase.perSecond
					randomness := stratified(random, n)
					var expected, estimate, variance float64
					for _, r := range randomness {
						time.Sleep(time.Second / time.Duration(phase.perSecond))
						th := ask(t, s, p)
						expected += th.Probability()
						variance += th.AdjustedCount() - 1
						if th.Selects(r) {
							estimate += th.AdjustedCount()
						}
					}
					if want := min(target, float64(phase.perSecond)); phase.steady {
						if got := expected / phase.lasts.Seconds(); math.Abs(got-want) > want/5 {
							t.Errorf("%d a second: expects to keep %.2f a second, want %v within a fifth", phase.perSecond, got, want)
						}
					}
					if got := math.Abs(estimate - float64(n)); got > 4*math.Sqrt(variance) {
						t.Errorf("%d a second, steady %v: the weights add up to %.0f, want %d within %.0f", phase.perSecond, phase.steady, estimate, n, 4*math.Sqrt(variance))
					}
				}
			})
		})
	}
}

// stratified draws one randomness from each n-th of the range, shuffled.
func stratified(random *rand.Rand, n int) []uint64 {
	all := make([]uint64, n)
	for i := range all {
		all[i] = uint64((float64(i) + random.Float64()) / float64(n) * (1 << 56))
	}
	random.Shuffle(n, func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// Traces with one key count together, traces with different ones do not.
func TestKeys(t *testing.T) {
	with := func(name string, kvs ...attribute.KeyValue) sampling.StartParameters {
		return sampling.StartParameters{Name: name, Attributes: kvs}
	}
	a, b := attribute.Key("a"), attribute.Key("b")
	tag := string(rune(attribute.STRING)) // what could stand between two values
	long := strings.Repeat("x", 1024)
	for _, tt := range []struct {
		what       string
		key        []string
		one, other sampling.StartParameters
		same       bool
	}{
		{"no key", nil, with("x", a.Int(1)), with("y"), true},
		{"name", []string{"name"}, with("x"), with("y"), false},
		{"name, other attributes", []string{"name"}, with("x", a.Int(1)), with("x", a.Int(2)), true},
		{"strings", []string{"a"}, with("", a.String("x")), with("", a.String("y")), false},
		{"missing", []string{"a"}, with("", a.String("")), with(""), false},
		{"numbers", []string{"a"}, with("", a.Int(1)), with("", a.Int(2)), false},
		{"number and string", []string{"a"}, with("", a.Int(0)), with("", a.String("")), false},
		{"booleans", []string{"a"}, with("", a.Bool(true)), with("", a.Bool(false)), false},
		{"floats", []string{"a"}, with("", a.Float64(1)), with("", a.Float64(1.5)), false},
		{"lists", []string{"a"}, with("", a.StringSlice([]string{"x"})), with("", a.StringSlice([]string{"y"})), false},
		{"bytes and string", []string{"a"}, with("", a.String("x")), with("", attribute.KeyValue{Key: "a", Value: attribute.ByteSliceValue([]byte("x"))}), false},
		{"long values", []string{"a"}, with("", a.String(long+"x")), with("", a.String(long+"y")), true},
		{"long names", []string{"name"}, with(long + "x"), with(long + "y"), true},
		{"long lists", []string{"a"}, with("", a.StringSlice([]string{long, "x"})), with("", a.IntSlice(make([]int, 200))), true},
		{"split elsewhere", []string{"a", "b"}, with("", a.String("x"+tag+"y"), b.String("z")), with("", a.String("x"), b.String("y"+tag+"z")), false},
		{"exchanged", []string{"a", "b"}, with("", a.String("x"), b.String("y")), with("", a.String("y"), b.String("x")), false},
		{"in another order", []string{"a", "b"}, with("", a.String("x"), b.String("y")), with("", b.String("y"), a.String("x")), true},
		{"set twice", []string{"a"}, with("", a.String("x"), a.String("y")), with("", a.String("y")), true},
	} {
		t.Run(tt.what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSampler(t, adaptive.Config{TargetPerSecond: 1, Key: tt.key})
				for range 100 {
					ask(t, s, tt.one)
				}
				if got := ask(t, s, tt.other) != sampling.Always; got != tt.same {
					t.Errorf("%v and %v share a target: %v, want %v", tt.one, tt.other, got, tt.same)
				}
			})
		})
	}
	s := newSampler(t, adaptive.Config{TargetPerSecond: 1, Key: []string{"http.route", "name", "tenant"}})
	if got := fmt.Sprint(s.Traits().Keys); got != "[http.route tenant]" {
		t.Errorf("Keys = %s, want the attributes", got)
	}
}

// At ten a second, a storm in the first second does not have hundreds kept, whenever the
// sampler is asked.
func TestFirstSecond(t *testing.T) {
	for _, at := range []adaptive.Moment{adaptive.Start, adaptive.End} {
		t.Run(string(at), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := build(t, defaults(t, 10, at))
				end := sampling.EndParameters{Span: tracetest.SpanStub{Name: "GET"}.Snapshot(), LocalRoot: true}
				var seconds [3]float64
				for i := range 3000 {
					var a sampling.Answer
					if start, ok := s.(sampling.StartSampler); ok {
						a = start.SampleStart(sampling.StartParameters{Name: "GET"})
					} else {
						a = s.(sampling.EndSampler).SampleEnd(end)
					}
					th, ok := a.Threshold()
					if !ok {
						t.Fatalf("the answer is %v", a)
					}
					seconds[i/1000] += th.Probability()
					time.Sleep(time.Millisecond)
				}
				if seconds[0] > 22 || math.Abs(seconds[1]-10) > 2 || math.Abs(seconds[2]-10) > 2 {
					t.Errorf("expects to keep %.1f, want at most twice the target at first, and then it", seconds)
				}
			})
		})
	}
}

// A thousand keys have a target each, the rest share one until some are idle.
func TestManyKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSampler(t, adaptive.Config{TargetPerSecond: 2, Key: []string{"http.route"}})
		busy := func(from, to int) (limited int) {
			for i := from; i < to; i++ {
				for range 3 { // of a new key the first four are kept
					ask(t, s, route(fmt.Sprint(i)))
				}
				if ask(t, s, route(fmt.Sprint(i))) != sampling.Always {
					limited++
				}
			}
			return limited
		}
		if n := busy(0, 1000); n != 0 {
			t.Errorf("%d of the first thousand keys are limited", n)
		}
		if n := busy(1000, 1100); n < 95 {
			t.Errorf("%d of a hundred further keys are limited, want nearly all: they share a target", n)
		}
		time.Sleep(15 * time.Second)
		busy(0, 900)
		time.Sleep(15 * time.Second)
		if n := busy(2000, 2100); n != 0 {
			t.Errorf("%d of a hundred new keys are limited, although a hundred are idle", n)
		}
		if n := busy(3000, 3200); n < 180 {
			t.Errorf("%d of two hundred keys too many are limited, want nearly all", n)
		}
		if n := busy(0, 900); n != 0 {
			t.Errorf("%d of the keys in use have lost their target", n)
		}
	})
}

func TestConfig(t *testing.T) {
	for _, tt := range []struct {
		config adaptive.Config
		want   []string
	}{
		{adaptive.Config{TargetPerSecond: 0.1, Window: second}, nil},
		{adaptive.Config{Window: second}, []string{"target_per_second: missing"}},
		{adaptive.Config{TargetPerSecond: math.NaN(), Window: second}, []string{"target_per_second: NaN is no target"}},
		{adaptive.Config{TargetPerSecond: math.Inf(1), Window: second}, []string{"target_per_second: +Inf is no target"}},
		{
			adaptive.Config{TargetPerSecond: -1, Key: []string{"a", "", "a"}},
			[]string{"target_per_second: -1 is no target", "key[1]: empty", `key[2]: "a" is listed twice`, "window: 0s is too short"},
		},
		{
			adaptive.Config{TargetPerSecond: 1, Window: second, At: "late", Key: []string{"route", "status", "error.type", "exception.type", "db.response.status_code"}},
			[]string{
				`at: "late" is not one of start, end`,
				`key[1]: status is not known when a local root starts: write "at: end"`, "key[2]: error.type is not known",
				"key[3]: exception.type is not known", "key[4]: db.response.status_code is not known",
			},
		},
		{adaptive.Config{TargetPerSecond: 1, Window: second, At: adaptive.End, Key: []string{"route", "status", "error.type", "kind"}}, nil},
	} {
		got := component.FieldErrors(tt.config.Validate())
		if len(got) != len(tt.want) {
			t.Errorf("%+v: %v, want %q", tt.config, got, tt.want)
			continue
		}
		for i := range got {
			if !strings.HasPrefix(got[i].Error(), tt.want[i]) {
				t.Errorf("%+v: %v, want %q", tt.config, got[i], tt.want[i])
			}
		}
	}
}

func TestDescription(t *testing.T) {
	for want, c := range map[string]adaptive.Config{
		"adaptive 10/s":                      {TargetPerSecond: 10},
		"adaptive 0.5/s by http.route, name": {TargetPerSecond: 0.5, Key: []string{"http.route", "name"}},
		"adaptive 1/s by route, at the end":  {TargetPerSecond: 1, Key: []string{"route"}, At: adaptive.End},
	} {
		if got := build(t, c).Traits().Description; got != want {
			t.Errorf("description = %s, want %s", got, want)
		}
	}
}

func TestConformance(t *testing.T) {
	for _, at := range []adaptive.Moment{adaptive.Start, adaptive.End} {
		samplertest.Run(t, samplertest.Plan(component.Use(adaptive.Factory, "", adaptive.Config{
			TargetPerSecond: 1, Key: []string{"route", "name", "http.route"}, Window: 10 * second, At: at,
		})))
	}
}

func BenchmarkSampleStart(b *testing.B) {
	for _, keys := range []int{1, 1000, 2000} {
		b.Run(fmt.Sprintf("keys=%d", keys), func(b *testing.B) {
			s := newSampler(b, adaptive.Config{TargetPerSecond: 10, Key: []string{"http.route"}})
			all := make([]sampling.StartParameters, keys)
			for i := range all {
				all[i] = route(fmt.Sprint("/route/", i))
				s.SampleStart(all[i])
			}
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for i := 0; pb.Next(); i++ {
					s.SampleStart(all[i%keys])
				}
			})
		})
	}
}
