package record

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/sampling"
)

// Who reads the pieces of a span's attributes reads what Attributes has, each key once,
// whatever the application has set, and in whatever order it is asked.
func TestAttributePieces(t *testing.T) {
	r := newRecorder(t, Config{}, onError, startAt(sampling.Always))
	random := rand.New(rand.NewPCG(1, 1))
	keys := []string{"a", "b", "c", "d", "e", "f", "g", string(sampling.SamplerKey), string(sampling.PartialKey)}
	some := func(most int) (kvs []attribute.KeyValue) {
		for range random.IntN(most + 1) {
			kvs = append(kvs, attribute.Int(keys[random.IntN(len(keys))], random.IntN(1000)))
		}
		return kvs
	}
	apart := 0
	for n := range 2000 {
		ctx, root := r.tracer.Start(context.Background(), "root", trace.WithAttributes(some(4)...))
		_, child := r.tracer.Start(ctx, "child", trace.WithAttributes(some(3)...))
		for _, s := range []trace.Span{child, root} {
			for range random.IntN(3) {
				s.SetAttributes(some(3)...)
			}
			if random.IntN(20) == 0 {
				for i := range 30 {
					s.SetAttributes(attribute.Int(fmt.Sprint("many.", i%28), i))
				}
			}
			s.End()
		}
		delivered := r.spans()
		for _, s := range delivered[len(delivered)-2:] {
			type inPieces interface {
				AttributePieces() [3][]attribute.KeyValue
			}
			var before []attribute.KeyValue
			if n%2 == 0 {
				before = slices.Clone(s.Attributes())
			}
			pieces := s.(inPieces).AttributePieces()
			joined := slices.Concat(pieces[:]...)
			after := s.Attributes()
			if !slices.Equal(after, joined) {
				t.Fatalf("%s: the pieces are %v, the attributes %v", s.Name(), joined, after)
			}
			if n%2 == 0 {
				if !slices.Equal(after, before) {
					t.Fatalf("%s: the attributes were %v and are %v", s.Name(), before, after)
				}
			}
			if len(pieces[1]) > 0 {
				apart++
			}
		}
	}
	if apart == 0 {
		t.Error("no attributes were in more than one piece")
	}
}

// Reading the pieces makes nothing, where the attributes of the start and those of later
// have no key in common.
func TestAttributePiecesMakeNothing(t *testing.T) {
	r := newRecorder(t, Config{}, onError, startAt(sampling.Always))
	ctx, root := r.tracer.Start(context.Background(), "root")
	_, child := r.tracer.Start(ctx, "child", trace.WithAttributes(attribute.Int("a", 1), attribute.Int("b", 2)))
	child.SetAttributes(attribute.Int("c", 3))
	child.End()
	root.End()
	span := r.spans()[0]
	if n := testing.AllocsPerRun(10, func() {
		span.(interface {
			AttributePieces() [3][]attribute.KeyValue
		}).AttributePieces()
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// Spans that are handed over one by one, because everything is kept, share what is the
// same for all of them.
func TestSharedDecision(t *testing.T) {
	r := newRecorder(t, Config{}, onError, startAt(sampling.Always))
	ctx, root := r.tracer.Start(context.Background(), "root")
	for range 3 {
		_, child := r.tracer.Start(ctx, "child")
		child.End()
	}
	root.End()
	spans := r.spans()
	if len(spans) != 4 {
		t.Fatalf("%d spans", len(spans))
	}
	for _, s := range spans {
		if s.(*view).kept != spans[0].(*view).kept {
			t.Errorf("%s has a decision of its own", s.Name())
		}
	}
	if got := spans[3].Attributes(); len(got) != 1 || got[0].Key != sampling.SamplerKey {
		t.Errorf("the root has %v", got)
	}
	if got := spans[0].Attributes(); len(got) != 0 {
		t.Errorf("a child has %v", got)
	}
}
