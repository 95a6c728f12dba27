package interop

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// tailResource is that of all the traces.
var tailResource = map[string]string{"service.name": "shop", "service.namespace": "eu"}

// recorded is a trace: a local root, what is below it, and what called it.
type recorded struct {
	id    trace.TraceID
	state string // tracestate of a caller; "" is no caller
	flags trace.TraceFlags
	spans []recordedSpan
}

type recordedSpan struct {
	name       string
	parent     int // -1 is the local root
	scope      string
	kind       trace.SpanKind
	status     codes.Code
	start, end time.Duration // from the start of the trace on
	attributes []attribute.KeyValue
	event      string // its name; "" is none
	eventAttrs []attribute.KeyValue
}

func (r *recorded) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v, tracestate %q", r.id, r.state)
	for _, s := range r.spans[:min(len(r.spans), 12)] {
		fmt.Fprintf(&b, "\n  %q %v %v %v %v", s.name, s.kind, s.status, s.end-s.start, s.scope)
		for _, kv := range s.attributes {
			fmt.Fprintf(&b, " %s=%s", kv.Key, kv.Value.String())
		}
		if s.event != "" {
			fmt.Fprintf(&b, " (%s %v)", s.event, s.eventAttrs)
		}
	}
	return b.String()
}

// any reports whether a span of the trace has an attribute with one of the values.
func (r *recorded) any(key attribute.Key, values ...string) bool {
	for _, s := range r.spans {
		for _, kv := range s.attributes {
			for _, v := range values {
				if kv.Key == key && kv.Value.String() == v {
					return true
				}
			}
		}
	}
	return false
}

// recordedTraces are the same in every run.
func recordedTraces() []*recorded {
	r := rand.New(rand.NewPCG(24, 158))
	all := make([]*recorded, 1500)
	for i := range all {
		all[i] = recordTrace(r)
	}
	return all
}

func recordTrace(r *rand.Rand) *recorded {
	tr := &recorded{}
	binary.BigEndian.PutUint64(tr.id[:8], r.Uint64())
	binary.BigEndian.PutUint64(tr.id[8:], r.Uint64())
	if r.IntN(4) == 0 {
		tr.state = pick(r, "partner=acme", "partner=globex", "partner=other", "vendor=x,partner=acme", "vendor=acme")
		tr.flags = pick(r, 0, trace.FlagsSampled)
	}
	count := 1 + r.IntN(6)
	if r.IntN(20) == 0 {
		count = 48 + r.IntN(6)
	}
	length := time.Duration(pick(r, 3, 10, 11, 250, 251, 499, 500, 501, 1000, 1001, 2000, 2001, 3000)) * time.Millisecond
	if r.IntN(3) == 0 {
		length += time.Duration(r.IntN(int(time.Millisecond)))
	}
	for i := range count {
		s := recordedSpan{parent: i - 1, scope: pick(r, "shop", "pgx", "net/http"), end: length, kind: trace.SpanKindServer}
		s.name = pick(r, "GET /checkout", "POST /cart", "GET /healthz", "SELECT orders")
		if i > 0 {
			s.parent = r.IntN(i)
			s.kind = pick(r, trace.SpanKindInternal, trace.SpanKindClient, trace.SpanKindProducer)
			above := tr.spans[s.parent]
			s.start = above.start + time.Duration(r.Int64N(int64(above.end-above.start)/2+1))
			s.end = s.start + time.Duration(r.Int64N(int64(above.end-s.start)+1))
		}
		switch r.IntN(12) {
		case 0:
			s.status = codes.Error
		case 1:
			s.status = codes.Ok
		}
		s.attributes = recordAttributes(r)
		if r.IntN(8) == 0 {
			s.event = pick(r, "exception", "retry")
			s.eventAttrs = []attribute.KeyValue{attribute.String("exception.type", pick(r, "TimeoutError", "EOF"))}
		}
		tr.spans = append(tr.spans, s)
	}
	return tr
}

// recordAttributes are some of a few keys.
func recordAttributes(r *rand.Rand) []attribute.KeyValue {
	var all []attribute.KeyValue
	for _, kv := range []attribute.KeyValue{
		attribute.String("http.route", pick(r, "/checkout", "/checkout/{id}", "/cart", "/cartoons", "/api/orders")),
		attribute.String("url.path", pick(r, "/healthz", "/readyz", "/checkout/7", "/admin/users")),
		attribute.Int("http.response.status_code", pick(r, 200, 200, 404, 499, 500, 503, 599, 600)),
		attribute.String("tenant.tier", pick(r, "gold", "silver", "platinum", "Gold", "")),
		attribute.String("net.zone", pick(r, "internal", "dmz")),
		attribute.Bool("debug", r.IntN(2) == 0),
		attribute.String("db.system", pick(r, "postgresql", "redis")),
		attribute.Int("db.rows", pick(r, 0, 999, 1000, 1001, 50000)),
		attribute.String("user.role", pick(r, "admin", "guest")),
		attribute.Float64("cost", pick(r, 0.5, 1, 1.5)),
	} {
		if r.IntN(8) == 0 {
			all = append(all, kv)
		}
	}
	return all
}

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

// tailStart is when all the traces start.
var tailStart = time.Now().Add(-time.Minute)

func (r *recorded) caller() trace.SpanID { return trace.SpanID(r.id[:8]) }

// remoteParent is the context in which the local root starts.
func (r *recorded) remoteParent() context.Context {
	if r.state == "" {
		return context.Background()
	}
	state, err := trace.ParseTraceState(r.state)
	if err != nil {
		panic(err)
	}
	return trace.ContextWithRemoteSpanContext(context.Background(), trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: r.id, SpanID: r.caller(), TraceFlags: r.flags, TraceState: state, Remote: true,
	}))
}

// play makes the trace with the API.
func (r *recorded) play(p trace.TracerProvider) {
	contexts := make([]context.Context, len(r.spans))
	spans := make([]trace.Span, len(r.spans))
	for i, s := range r.spans {
		parent := r.remoteParent()
		if s.parent >= 0 {
			parent = contexts[s.parent]
		}
		contexts[i], spans[i] = p.Tracer(s.scope).Start(parent, s.name, trace.WithSpanKind(s.kind), trace.WithTimestamp(tailStart.Add(s.start)), trace.WithAttributes(s.attributes...)) //nolint:fatcontext // each span has one of its own
		if s.event != "" {
			spans[i].AddEvent(s.event, trace.WithTimestamp(tailStart.Add(s.start)), trace.WithAttributes(s.eventAttrs...))
		}
		spans[i].SetStatus(s.status, "")
	}
	for i, s := range slices.Backward(spans) {
		s.End(trace.WithTimestamp(tailStart.Add(r.spans[i].end)))
	}
}

// otlp is the trace as a Collector gets it.
func (r *recorded) otlp() ptrace.Traces {
	td := ptrace.NewTraces()
	rs := td.ResourceSpans().AppendEmpty()
	for k, v := range tailResource {
		rs.Resource().Attributes().PutStr(k, v)
	}
	id := func(i int) (id pcommon.SpanID) {
		if i < 0 {
			if r.state == "" {
				return id
			}
			return pcommon.SpanID(r.caller())
		}
		binary.BigEndian.PutUint64(id[:], uint64(i+1))
		return id
	}
	for i, s := range r.spans {
		ss := rs.ScopeSpans().AppendEmpty()
		ss.Scope().SetName(s.scope)
		out := ss.Spans().AppendEmpty()
		out.SetTraceID(pcommon.TraceID(r.id))
		out.SetSpanID(id(i))
		out.SetParentSpanID(id(s.parent))
		out.TraceState().FromRaw(r.state)
		out.SetName(s.name)
		out.SetKind(ptrace.SpanKind(s.kind)) // the API counts them alike
		out.SetStartTimestamp(pcommon.NewTimestampFromTime(tailStart.Add(s.start)))
		out.SetEndTimestamp(pcommon.NewTimestampFromTime(tailStart.Add(s.end)))
		switch s.status {
		case codes.Error:
			out.Status().SetCode(ptrace.StatusCodeError)
		case codes.Ok:
			out.Status().SetCode(ptrace.StatusCodeOk)
		}
		putAttributes(out.Attributes(), s.attributes)
		if s.event != "" {
			e := out.Events().AppendEmpty()
			e.SetName(s.event)
			putAttributes(e.Attributes(), s.eventAttrs)
		}
	}
	return td
}

func putAttributes(m pcommon.Map, all []attribute.KeyValue) {
	for _, kv := range all {
		switch kv.Value.Type() {
		case attribute.STRING:
			m.PutStr(string(kv.Key), kv.Value.AsString())
		case attribute.INT64:
			m.PutInt(string(kv.Key), kv.Value.AsInt64())
		case attribute.FLOAT64:
			m.PutDouble(string(kv.Key), kv.Value.AsFloat64())
		case attribute.BOOL:
			m.PutBool(string(kv.Key), kv.Value.AsBool())
		}
	}
}
