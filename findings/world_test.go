package findings_test

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/findings"
)

// node is a span of a world.
type node struct {
	id      trace.SpanID
	trace   trace.TraceID
	parent  *node
	lost    bool // it is not there, though its children say that it was
	unended bool
	service string
	name    string
	kind    trace.SpanKind
	start   time.Duration // since the world's
	end     time.Duration
	attrs   []attribute.KeyValue
	events  []sdktrace.Event
	links   []sdktrace.Link
	status  codes.Code
	remote  bool // its parent, though of the same service
}

func (n *node) duration() time.Duration { return n.end - n.start }

func (n *node) set(attrs ...attribute.KeyValue) *node {
	n.attrs = append(n.attrs, attrs...)
	return n
}

func (n *node) fail() *node {
	n.status = codes.Error
	return n
}

// label is something wrong that was put into a world.
type label struct {
	kind    findings.Kind
	service string // "" if the definition does not tell
	spans   []*node
	count   float64 // not weighted
	cost    time.Duration
	slack   time.Duration // where the definition leaves open which median is meant
	free    bool          // the definition does not tell the cost
	at      *node         // whose weight counts
}

// world is one trace of a random service graph, or two, with what is wrong in it.
type world struct {
	rng    *rand.Rand
	base   time.Time
	trace  trace.TraceID // of new spans
	states map[trace.TraceID]threshold
	old    bool // semantic conventions
	nodes  []*node
	labels []label
	clocks map[string]time.Duration // how far services are ahead
	names  int
}

// threshold is how a trace was sampled, and what that makes a span stand for.
type threshold struct {
	state  string
	weight float64
}

// thresholds have a weight of 1 / (1 - T/2^56): 0x8 of 16 is a half, 0xc three quarters.
var thresholds = []threshold{
	{"", 1},
	{"", 1},
	{"ot=th:0", 1},
	{"ot=th:8", 2},
	{"vendor=x,ot=th:c;rv:ffffffffffffff", 4},
	{"ot=th:fd70", 1 / (1 - float64(0xfd70)/0x10000)},
	{"ot=rv:abcdefabcdefab", 1},
}

func newWorld(seed uint64) *world {
	w := &world{
		rng:    rand.New(rand.NewPCG(seed, 26)),
		base:   time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC).Add(time.Duration(seed%100_000) * time.Minute),
		states: map[trace.TraceID]threshold{},
		clocks: map[string]time.Duration{},
	}
	w.old = w.rng.IntN(4) == 0
	w.newTrace()
	return w
}

func (w *world) newTrace() {
	for i := range w.trace {
		w.trace[i] = byte(w.rng.IntN(256))
	}
	w.trace[9], w.trace[10] = 0xff, 0xff // randomness that each threshold selects
	w.states[w.trace] = thresholds[w.rng.IntN(len(thresholds))]
}

// between is a random time.
func (w *world) between(least, most time.Duration) time.Duration {
	return least + time.Duration(w.rng.Int64N(int64(most-least)+1))
}

// ms is a random time, in milliseconds.
func (w *world) ms(least, most int) time.Duration {
	return w.between(time.Duration(least)*time.Millisecond, time.Duration(most)*time.Millisecond)
}

func (w *world) coin() bool { return w.rng.IntN(2) == 0 }

func pick[T any](w *world, of ...T) T { return of[w.rng.IntN(len(of))] }

// unique is a name that nothing else in the world has, nor a part of it.
func (w *world) unique(of string) string {
	w.names++
	return fmt.Sprintf("%s-%c%c%03d", of, 'a'+w.rng.IntN(26), 'a'+w.rng.IntN(26), w.names)
}

func (w *world) span(parent *node, service, name string, kind trace.SpanKind, start, end time.Duration) *node {
	n := &node{trace: w.trace, parent: parent, service: service, name: name, kind: kind, start: start, end: end}
	for i := range n.id {
		n.id[i] = byte(w.rng.IntN(256))
	}
	w.nodes = append(w.nodes, n)
	return n
}

// wrong labels something.
func (w *world) wrong(kind findings.Kind, at *node, cost time.Duration, spans ...*node) *label {
	w.labels = append(w.labels, label{kind: kind, service: at.service, spans: append(spans, at), count: 1, cost: cost, at: at})
	return &w.labels[len(w.labels)-1]
}

func (w *world) weight(n *node) float64 { return w.states[n.trace].weight }

// snapshots are the spans, in no order.
func (w *world) snapshots() []sdktrace.ReadOnlySpan {
	resources := map[string]*resource.Resource{}
	var stubs tracetest.SpanStubs
	for _, i := range w.rng.Perm(len(w.nodes)) {
		n := w.nodes[i]
		if n.lost {
			continue
		}
		if resources[n.service] == nil {
			resources[n.service] = resource.NewSchemaless(attribute.String("service.name", n.service),
				attribute.String("service.instance.id", n.service+"-0"), attribute.String("telemetry.sdk.language", "go"))
		}
		stub := tracetest.SpanStub{
			Name: n.name, SpanKind: n.kind, StartTime: w.at(n, n.start), EndTime: w.at(n, n.end),
			SpanContext: w.context(n), Attributes: n.attrs, Events: n.events, Links: n.links,
			Status: sdktrace.Status{Code: n.status}, Resource: resources[n.service],
		}
		if n.unended {
			stub.EndTime = time.Time{}
		}
		if p := n.parent; p != nil {
			stub.Parent = w.context(p).WithRemote(p.service != n.service || n.remote)
		}
		stubs = append(stubs, stub)
	}
	return stubs.Snapshots()
}

func (w *world) at(n *node, d time.Duration) time.Time {
	return w.base.Add(d + w.clocks[n.service])
}

func (w *world) context(n *node) trace.SpanContext {
	state, err := trace.ParseTraceState(w.states[n.trace].state)
	if err != nil {
		panic(err)
	}
	return trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: n.trace, SpanID: n.id, TraceFlags: trace.FlagsSampled, TraceState: state,
	})
}

// Calls, as instrumentations of different age record them.

// query is a call of a database.
func (w *world) query(parent *node, at, took time.Duration, database, statement string) *node {
	verb, _, _ := strings.Cut(statement, " ")
	n := w.span(parent, parent.service, verb+" "+database, trace.SpanKindClient, at, at+took)
	if w.old {
		return n.set(attribute.String("db.system", "postgresql"), attribute.String("net.peer.name", database+".db.internal"),
			attribute.Int("net.peer.port", 5432), attribute.String("db.name", database), attribute.String("db.statement", statement))
	}
	return n.set(attribute.String("db.system.name", "postgresql"), attribute.String("server.address", database+".db.internal"),
		attribute.Int("server.port", 5432), attribute.String("db.namespace", database), attribute.String("db.query.text", statement))
}

// request is an HTTP call of a service, without the server's side.
func (w *world) request(parent *node, at, took time.Duration, service, method, path string) *node {
	n := w.span(parent, parent.service, method, trace.SpanKindClient, at, at+took)
	url := "http://" + service + ":8080" + path
	if w.old {
		return n.set(attribute.String("http.method", method), attribute.String("http.url", url),
			attribute.String("net.peer.name", service), attribute.Int("net.peer.port", 8080), attribute.Int("http.status_code", 200))
	}
	return n.set(attribute.String("http.request.method", method), attribute.String("url.full", url),
		attribute.String("server.address", service), attribute.Int("server.port", 8080), attribute.Int("http.response.status_code", 200))
}

// serve is the server's side of a request that takes all but some of its time.
func (w *world) serve(call *node, service, path string) *node {
	margin := min(call.duration()/4, 3*time.Millisecond)
	return w.served(call, service, path, call.start+w.between(0, margin), call.end-w.between(0, margin))
}

func (w *world) served(call *node, service, path string, start, end time.Duration) *node {
	const method = "GET"
	n := w.span(call, service, method+" "+path, trace.SpanKindServer, start, end)
	if w.old {
		return n.set(attribute.String("http.method", method), attribute.String("http.target", path), attribute.Int("http.status_code", 200))
	}
	return n.set(attribute.String("http.request.method", method), attribute.String("url.path", path), attribute.Int("http.response.status_code", 200))
}

// get is a request with the server's side.
func (w *world) get(parent *node, at, took time.Duration, service, path string) *node {
	n := w.request(parent, at, took, service, "GET", path)
	w.serve(n, service, path)
	return n
}

// rpc is a call by gRPC, with the server's side.
func (w *world) rpc(parent *node, at, took time.Duration, service, method string) *node {
	attrs := []attribute.KeyValue{attribute.String("rpc.system", "grpc"), attribute.String("rpc.service", "shop."+service), attribute.String("rpc.method", method)}
	n := w.span(parent, parent.service, "shop."+service+"/"+method, trace.SpanKindClient, at, at+took).set(attrs...)
	if !w.old {
		n.set(attribute.String("server.address", service), attribute.Int("server.port", 9090))
	}
	margin := min(took/4, 3*time.Millisecond)
	w.span(n, service, n.name, trace.SpanKindServer, at+w.between(0, margin), at+took-w.between(0, margin)).set(attrs...)
	return n
}

// inside is a span of the same service around what body puts below it, which tells
// where it ends.
func (w *world) inside(parent *node, at time.Duration, name string, body func(op *node, at time.Duration) time.Duration) *node {
	op := w.span(parent, parent.service, name, trace.SpanKindInternal, at, at)
	op.end = body(op, at+w.between(0, time.Millisecond)) + w.between(0, time.Millisecond)
	return op
}

// number is a random literal.
func (w *world) number() string { return strconv.Itoa(w.rng.IntN(100_000)) }
