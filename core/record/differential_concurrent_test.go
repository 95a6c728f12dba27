package record_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// recorders are both, because what is asked here must be true of the SDK too.
var recorders = map[string]makeProvider{"sdk": newSDK, "riffle": newOurs}

// unlimited but for events.
func unlimited(events int) sdktrace.SpanLimits {
	return sdktrace.SpanLimits{
		AttributeValueLengthLimit: -1, AttributeValueDepthLimit: -1, AttributeCountLimit: -1, EventCountLimit: events,
		LinkCountLimit: -1, AttributePerEventCountLimit: -1, AttributePerLinkCountLimit: -1,
	}
}

// counter makes IDs for several goroutines.
type counter struct{ n atomic.Uint64 }

func (c *counter) NewIDs(context.Context) (trace.TraceID, trace.SpanID) {
	n := c.n.Add(1)
	return trace.TraceID{0: 1, 14: byte(n >> 8), 15: byte(n)}, trace.SpanID{0: 1, 6: byte(n >> 8), 7: byte(n)}
}

func (c *counter) NewSpanID(ctx context.Context, _ trace.TraceID) trace.SpanID {
	_, id := c.NewIDs(ctx)
	return id
}

// collector keeps the ended spans called "span".
type collector struct {
	mu    sync.Mutex
	ended []sdktrace.ReadOnlySpan
}

func (*collector) OnStart(context.Context, sdktrace.ReadWriteSpan) {}

func (c *collector) OnEnd(s sdktrace.ReadOnlySpan) {
	if strings.HasPrefix(s.Name(), "span") {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.ended = append(c.ended, s)
	}
}

func (*collector) Shutdown(context.Context) error   { return nil }
func (*collector) ForceFlush(context.Context) error { return nil }

// together calls f in n goroutines that start at the same time.
func together(n int, f func(i int)) *sync.WaitGroup {
	var ready, all sync.WaitGroup
	ready.Add(n)
	for i := range n {
		all.Go(func() {
			ready.Done()
			ready.Wait()
			f(i)
		})
	}
	return &all
}

func rounds(n int) int {
	if raceDetector || testing.Short() {
		return n / 10
	}
	return n
}

// outcome is what writers have left of a span, whatever their order was.
type outcome struct {
	Ended                        int
	Name                         string // one of several
	Status                       sdktrace.Status
	Attributes, Events, Links    []string
	Dropped                      [3]int
	Children, Remembered, Forgot int
}

// What several goroutines do at the same time is done, as if one after the other.
func TestConcurrentWrites(t *testing.T) {
	const goroutines, each = 4, 25
	write := func(provider makeProvider, events int) (o outcome) {
		c := &collector{}
		p := provider(unlimited(events), &counter{}, origin, c)
		tracer := p.Tracer("test")
		ctx, span := tracer.Start(context.Background(), "span")
		rw := span.(sdktrace.ReadWriteSpan)
		together(goroutines, func(g int) {
			for i := range each {
				span.SetAttributes(attribute.Int(fmt.Sprintf("%d.%02d", g, i), i), attribute.Int("all", i), attribute.Int("", 0))
				span.AddEvent(fmt.Sprintf("%d.%02d", g, i), trace.WithAttributes(attribute.Int("i", i)))
				span.AddLink(trace.Link{Attributes: []attribute.KeyValue{attribute.Int(fmt.Sprintf("%d.%02d", g, i), i)}})
				span.SetName(fmt.Sprintf("span of %d", g))
				span.SetStatus(codes.Code(g%3), "description")
				span.RecordError(errors.New("x"))
				_, child := tracer.Start(ctx, "child", trace.WithTimestamp(times[4]))
				child.SetAttributes(attribute.Bool("a", true))
				child.End()
				factsOf(rw, false)
			}
		}).Wait()
		span.End()

		c.mu.Lock()
		defer c.mu.Unlock()
		o.Ended = len(c.ended)
		f := factsOf(c.ended[0], true)
		o.Name, _, _ = strings.Cut(f.name, " of ")
		o.Status = f.status
		for _, kv := range f.attributes {
			if kv.Key != "all" { // whose value is any of the last ones
				o.Attributes = append(o.Attributes, showAll([]attribute.KeyValue{kv}))
			}
		}
		for _, e := range f.events {
			o.Events = append(o.Events, e.Name+" "+showEventAttributes(e.Attributes))
		}
		for _, l := range f.links {
			o.Links = append(o.Links, showAll(l.Attributes))
		}
		slices.Sort(o.Attributes)
		slices.Sort(o.Events)
		slices.Sort(o.Links)
		if o.Remembered = len(o.Events); events >= 0 {
			o.Events = nil // any
		}
		o.Dropped = [3]int{f.droppedAttributes, f.droppedEvents, f.droppedLinks}
		o.Children = f.children
		return o
	}
	for range rounds(50) {
		for _, events := range []int{-1, 10} {
			want, got := write(newSDK, events), write(newOurs, events)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("outcome (-SDK +riffle):\n%s", diff)
			}
			if want.Ended != 1 || want.Children != goroutines*each || len(want.Attributes) != goroutines*each ||
				want.Dropped[0] != goroutines*each || want.Dropped[1]+want.Remembered != 2*goroutines*each {
				t.Fatalf("something of the SDK is lost: %+v", want)
			}
		}
	}
}

// progress is how far a writer is. What it writes is numbered.
type progress struct{ begun, done atomic.Int64 }

// limits is where a writer was before an End was called, and after it returned.
type limits struct{ least, most [writers]int64 }

// snapshot is attributes as they were read, and the first one's value then.
type snapshot struct {
	attributes []attribute.KeyValue
	last       int64
}

const writers, enders, writes = 3, 3, 100

var numbers = func() (list [writes]string) {
	for i := range list {
		list[i] = strconv.Itoa(i)
	}
	return list
}()

// What was written before End was called is in the span; what is written after it
// has returned is not; and of several Ends one counts.
func TestConcurrentEnd(t *testing.T) {
	for name, provider := range recorders {
		t.Run(name, func(t *testing.T) {
			for round := range rounds(3000) {
				if endRound(t, provider, round); t.Failed() {
					return
				}
			}
		})
	}
}

func endRound(t *testing.T, provider makeProvider, round int) {
	c := &collector{}
	_, s := provider(unlimited(-1), &counter{}, origin, c).Tracer("test").Start(context.Background(), "span")
	span := s.(sdktrace.ReadWriteSpan)
	var at [writers]progress
	var seen [enders]limits
	var reads []snapshot
	span.SetAttributes(attribute.Int64("last", -1)) // the only one that is overwritten
	together(writers+enders+1, func(g int) {
		switch {
		case g < writers:
			for i := int64(0); i < writes && (i%8 > 0 || span.IsRecording()); i++ {
				at[g].begun.Store(i + 1)
				switch g {
				case 0:
					span.SetAttributes(attribute.Int64(numbers[i], i), attribute.Int64("last", i))
				case 1:
					span.AddEvent(numbers[i])
				case 2:
					span.SetName(fmt.Sprintf("span %d", i))
				}
				at[g].done.Store(i + 1)
			}
		case g < writers+enders:
			e := g - writers
			for at[e].done.Load() < int64(round%20) && span.IsRecording() { // let them begin
				runtime.Gosched()
			}
			for w := range at {
				seen[e].least[w] = at[w].done.Load()
			}
			span.End(trace.WithTimestamp(ending0.Add(time.Duration(e))))
			for w := range at {
				seen[e].most[w] = at[w].begun.Load()
			}
		default:
			for span.IsRecording() {
				f := factsOf(span, false)
				if len(reads) < 20 {
					reads = append(reads, snapshot{f.attributes, f.attributes[0].Value.AsInt64()})
				}
				runtime.Gosched()
			}
		}
	}).Wait()

	if len(c.ended) != 1 {
		t.Fatalf("the span ended %d times", len(c.ended))
	}
	ended, live := factsOf(c.ended[0], true), factsOf(span, false)
	winner := int(ended.end.Sub(ending0))
	if winner < 0 || winner >= enders || !live.end.Equal(ended.end) {
		t.Fatalf("the span ended at %s, and at %s for processors; it was told %s and a few nanoseconds", live.end, ended.end, ending0)
	}
	if live.ended = true; !slices.Equal(live.attributes, ended.attributes) || len(live.events) != len(ended.events) || live.name != ended.name {
		t.Errorf("the span and what processors have of it differ:\n%s", lines(live.show(), ended.show()))
	}
	wrote := [writers]int64{int64(len(ended.attributes) - 1), int64(len(ended.events)), 0}
	if _, err := fmt.Sscanf(ended.name, "span %d", &wrote[2]); err == nil {
		wrote[2]++ // it is numbered from 0
	}
	for w, n := range wrote {
		least, most := seen[winner].least[w], seen[winner].most[w]
		for e := range seen {
			most = min(most, seen[e].most[w])
		}
		if n < least || n > most {
			t.Errorf("writer %d: %d writes are in the span; %d were done before End was called, %d begun before it returned", w, n, least, most)
		}
	}
	reads = append(reads, snapshot{ended.attributes, int64(len(ended.attributes) - 2)})
	for _, r := range reads {
		if last := r.attributes[0].Value.AsInt64(); last != r.last {
			t.Fatalf("attributes were handed out with %d, and have %d now", r.last, last)
		}
		for i, kv := range r.attributes[1:] {
			if kv.Key != attribute.Key(numbers[i]) || kv.Value.AsInt64() != int64(i) {
				t.Fatalf("attribute %d of %d is %s", i, len(r.attributes), kv)
			}
		}
	}
	for i, e := range ended.events {
		if e.Name != numbers[i] {
			t.Fatalf("event %d is %q", i, e.Name)
		}
	}
}

// ending0 is when the first of several Ends says that the span ended.
var ending0 = time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)
