package findings

import (
	"cmp"
	"net/url"
	"slices"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/route"
)

// request is what a call and the server span below it agree on.
type request struct{ method, path string }

// openCall is a call of which nobody knows where it went.
type openCall struct {
	start, end int64
	process    *process
	trace      trace.TraceID
	name       string
}

// orphan is a server span without a parent.
type orphan struct {
	request
	start, end int64
	process    *process
	trace      trace.TraceID
	span       trace.SpanID
	name       string
	weight     float64
}

// requestOf finds what a span asks for, or is asked for.
func requestOf(s *span) (request, bool) {
	r, ok := requestFrom(s.Name(), s.attributes)
	if !ok {
		return request{}, false
	}
	path := r.Path
	if path == "" && r.Procedure != "" {
		path = r.Procedure
	} else if len(path) > 0 && len(path) <= route.MaxPath && !r.Decoded {
		if decoded, err := url.PathUnescape(path); err == nil {
			path = decoded
		}
	}
	return request{r.Method, path}, path != ""
}

// collect takes what may belong together with another trace.
func (t *tree) collect() {
	for i := range t.spans {
		s := &t.spans[i]
		if !s.ended {
			continue
		}
		switch c := t.call(int32(i)); {
		case s.kind == trace.SpanKindServer && s.parent == root:
			if r, ok := requestOf(s); ok {
				t.orphans = append(t.orphans, orphan{r, s.start, s.end, s.process, t.id, s.id, s.Name(), s.weight()})
			}
		case c != nil && !c.database && t.serverBelow(int32(i)) == nil:
			if r, ok := requestOf(s); ok {
				t.waiting[r] = append(t.waiting[r], openCall{s.start, s.end, s.process, t.id, s.Name()})
			}
		}
	}
}

// across finds server spans that a call has led to without telling them its trace. Each
// call is taken for one, that which it fits closest.
func (a *analysis) across() {
	for _, calls := range a.waiting {
		slices.SortFunc(calls, func(x, y openCall) int {
			return cmp.Or(cmp.Compare(x.start, y.start), cmp.Compare(x.end, y.end), slices.Compare(x.trace[:], y.trace[:]))
		})
	}
	slices.SortFunc(a.orphans, func(x, y orphan) int {
		return cmp.Or(cmp.Compare(x.start, y.start), cmp.Compare(x.end, y.end), slices.Compare(x.trace[:], y.trace[:]))
	})
	active := map[request][]openCall{} // those that may be open still
	for _, o := range a.orphans {
		calls := a.waiting[o.request]
		now := active[o.request]
		for len(calls) > 0 && calls[0].start <= o.start {
			now = append(now, calls[0])
			calls = calls[1:]
		}
		a.waiting[o.request] = calls
		var from *openCall
		now, from = claim(now, &o)
		active[o.request] = now
		if from == nil {
			continue
		}
		f := Finding{Kind: MissingParent, Service: o.process.service, Operation: shortened(o.name, maxName), Count: o.weight}
		a.take(&f, o.trace.String(), func(f *Finding) {
			f.Traces, f.Spans = []string{o.trace.String()}, []string{o.span.String()}
			if from.trace != o.trace {
				f.Traces = append(f.Traces, from.trace.String())
			}
			f.Advice = adviseBroken(from, time.Duration(o.end-o.start))
		})
	}
}

// claim takes the call out that started last of those that were open as long as a server
// span, and drops what is over.
func claim(calls []openCall, o *orphan) (left []openCall, from *openCall) {
	const most = 256 // looked at, from the last on
	calls = slices.DeleteFunc(calls[max(0, len(calls)-most):], func(c openCall) bool { return c.end < o.start })
	for n, c := range slices.Backward(calls) {
		if c.end >= o.end && c.process != o.process {
			return slices.Delete(calls, n, n+1), &c
		}
	}
	return calls, nil
}
