package record

import (
	"context"
	"encoding/binary"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// countingIDs makes span IDs in order.
type countingIDs struct{ n uint32 }

func (c *countingIDs) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	return trace.TraceID{15: 1}, c.NewSpanID(ctx, trace.TraceID{})
}

func (c *countingIDs) NewSpanID(context.Context, trace.TraceID) (id trace.SpanID) {
	c.n++
	binary.BigEndian.PutUint32(id[:], c.n)
	return id
}

// TestDecidedTogether has two segments of a trace, of which the second one to begin fails.
// Both are open until they are overdue, or until Shutdown: the failure keeps the first one
// too, with segment samplers or without.
func TestDecidedTogether(t *testing.T) {
	const wait, shortWait, maxBytes = 30 * time.Second, 5 * time.Second, 1 << 20
	for _, tt := range []struct {
		name string
		kept []string // the child of what is overdue, and the failed one when it ends at last
		end  func(*TracerProvider)
	}{
		{"Shutdown", []string{"child", "failed", "open"}, func(*TracerProvider) {}},
		{"overdue", []string{"child", "child of failed", "failed", "open"}, func(*TracerProvider) {
			time.Sleep(wait + 3*maxTick)
			synctest.Wait()
		}},
		{"overdue where memory is short", []string{"child", "child of failed", "failed", "large", "open"}, func(p *TracerProvider) {
			_, _ = p.Tracer("").Start(context.Background(), "large", trace.WithAttributes(attribute.String("text", strings.Repeat("x", maxBytes*5/8))))
			time.Sleep(shortWait + 3*maxTick)
			synctest.Wait()
		}},
	} {
		for _, samplers := range []string{"", ", with segment samplers"} {
			t.Run(tt.name+samplers, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					c, names := keepingErrors(Bounds{MaxWait: wait, DecisionWait: shortWait, MaxBytes: maxBytes}, samplers != "")
					c.IDGenerator = new(countingIDs)
					p := NewTracerProvider(c)
					tracer := p.Tracer("")
					caller := trace.ContextWithRemoteSpanContext(context.Background(),
						trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{15: 1}, SpanID: trace.SpanID{1}}))
					ctx, _ := tracer.Start(caller, "open")
					_, child := tracer.Start(ctx, "child")
					child.End()
					ctx, failed := tracer.Start(caller, "failed")
					if tt.name != "Shutdown" {
						_, child := tracer.Start(ctx, "child of failed")
						child.End()
					}
					failed.SetStatus(codes.Error, "")
					tt.end(p)
					if early := names(); len(early) > 0 != (tt.name != "Shutdown") {
						t.Errorf("before Shutdown %q are kept", early)
					}
					if err := p.Shutdown(context.Background()); err != nil {
						t.Error(err)
					}
					kept := names()
					if slices.Sort(kept); !slices.Equal(kept, tt.kept) {
						t.Errorf("kept %q, not %q", kept, tt.kept)
					}
				})
			})
		}
	}
}
