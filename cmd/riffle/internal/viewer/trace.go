package viewer

import (
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/findings"
)

// wholeTrace is what the API has of a trace: columns, which take a third of what
// objects would.
type wholeTrace struct {
	ID       string             `json:"id"`
	Start    float64            `json:"start"`
	Duration float64            `json:"duration"`
	Weight   *float64           `json:"weight"`
	Services []string           `json:"services"`
	Names    []string           `json:"names"`
	Kinds    []string           `json:"kinds"`
	Spans    columns            `json:"spans"`
	Critical [][3]float64       `json:"critical"`
	Findings []findings.Finding `json:"findings"`
}

type columns struct {
	ID       []string  `json:"id"`
	Parent   []int32   `json:"parent"`
	Depth    []int32   `json:"depth"`
	Service  []int     `json:"service"`
	Name     []int     `json:"name"`
	Kind     []int     `json:"kind"`
	Start    []float64 `json:"start"`
	Duration []float64 `json:"duration"`
	Status   []int     `json:"status"`
	Children []int32   `json:"children"`
	Missing  []int32   `json:"missing"`
}

// texts numbers texts in the order of their first sight.
type texts struct {
	all   []string
	index map[string]int
}

func (t *texts) number(s string) int {
	at, ok := t.index[s]
	if !ok {
		at = len(t.all)
		t.all = append(t.all, s)
		t.index[s] = at
	}
	return at
}

func (o opened) whole() *wholeTrace {
	n := len(o.spans)
	t := newTree(o.spans)
	services, names := texts{[]string{}, map[string]int{}}, texts{[]string{}, map[string]int{}}
	out := &wholeTrace{
		ID: o.id.String(), Start: micros(o.start), Duration: micros(o.duration()), Weight: weightOrNull(&o.spans[o.root]),
		Kinds: kinds, Critical: [][3]float64{}, Findings: o.found,
		Spans: columns{
			ID: make([]string, n), Parent: t.parent, Depth: t.depth, Service: make([]int, n), Name: make([]int, n), Kind: make([]int, n),
			Start: make([]float64, n), Duration: make([]float64, n), Status: make([]int, n), Children: t.below, Missing: t.missing,
		},
	}
	if out.Findings == nil {
		out.Findings = []findings.Finding{}
	}
	var root int32
	for k, i := range t.order {
		if int(i) == o.root {
			root = int32(k)
		}
		s, op := &o.spans[i], o.ops[i]
		c := &out.Spans
		c.ID[k] = s.id.String()
		c.Service[k], c.Name[k] = services.number(short(op.service)), names.number(short(op.name))
		c.Kind[k], c.Status[k] = int(s.kind), int(s.status)
		if s.start > 0 { // one without a start is where the trace begins
			c.Start[k] = micros(s.start - o.start)
		}
		c.Duration[k] = micros(s.duration())
	}
	for _, s := range t.criticalPath(o.spans, root) {
		// That of a root without a start begins long before the trace.
		if from := max(s.from, o.start); o.start > 0 && from < s.to {
			out.Critical = append(out.Critical, [3]float64{float64(s.at), micros(from - o.start), micros(s.to - o.start)})
		}
	}
	out.Services, out.Names = services.all, names.all
	return out
}

// spanDetails is what the API has of a span.
type spanDetails struct {
	ID         string          `json:"id"`
	Parent     string          `json:"parent"`
	Name       string          `json:"name"`
	Service    string          `json:"service"`
	Kind       string          `json:"kind"`
	Start      float64         `json:"start"`
	Duration   float64         `json:"duration"`
	Status     statusDetails   `json:"status"`
	Weight     *float64        `json:"weight"`
	TraceState string          `json:"tracestate"`
	Scope      scopeDetails    `json:"scope"`
	Attributes []attributeJSON `json:"attributes"`
	Resource   []attributeJSON `json:"resource"`
	Dropped    droppedDetails  `json:"dropped"`
	Events     []eventDetails  `json:"events"`
	Links      []linkDetails   `json:"links"`
}

type statusDetails struct {
	Code        int    `json:"code"`
	Description string `json:"description"`
}

type scopeDetails struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

type droppedDetails struct {
	Attributes int `json:"attributes"`
	Events     int `json:"events"`
	Links      int `json:"links"`
}

type attributeJSON struct {
	Key   string `json:"key"`
	Type  string `json:"type"`
	Value string `json:"value"`
}

type eventDetails struct {
	Name       string          `json:"name"`
	At         float64         `json:"at"`
	Attributes []attributeJSON `json:"attributes"`
}

type linkDetails struct {
	Trace      string          `json:"trace"`
	Span       string          `json:"span"`
	Held       bool            `json:"held"`
	Attributes []attributeJSON `json:"attributes"`
}

// details are those of a span; ok tells whether it is there.
func (s *store) details(id trace.TraceID, spanID trace.SpanID) (*spanDetails, bool) {
	o, ok := s.open(id)
	if !ok {
		return nil, false
	}
	for i := range o.spans {
		if o.spans[i].id == spanID {
			return s.detailsOf(o, i), true
		}
	}
	return nil, false
}

func (s *store) detailsOf(o opened, i int) *spanDetails {
	at, from, d := &o.spans[i], o.origins[o.spans[i].origin], o.decoder(i, o.keys)
	attributes, events, links, rest := d.attributes(), d.events(), d.links(), d.rest()
	out := &spanDetails{
		ID: at.id.String(), Name: o.ops[i].name, Service: from.service, Kind: kinds[at.kind],
		Start: micros(at.start), Duration: micros(at.duration()),
		Status: statusDetails{int(at.status), rest.description}, Weight: weightOrNull(at), TraceState: rest.state,
		Scope:      scopeDetails{from.scope.Name, from.scope.Version},
		Attributes: attributesJSON(attributes), Resource: attributesJSON(from.res.Attributes()),
		Dropped: droppedDetails{rest.attributes, rest.events, rest.links},
		Events:  []eventDetails{}, Links: []linkDetails{},
	}
	if at.parent.IsValid() {
		out.Parent = at.parent.String()
	}
	for i := range events {
		out.Events = append(out.Events, eventDetails{events[i].Name, micros(nanos(events[i].Time) - at.start), attributesJSON(events[i].Attributes)})
	}
	for i := range links {
		to := links[i].SpanContext
		out.Links = append(out.Links, linkDetails{to.TraceID().String(), to.SpanID().String(), s.holds(to.TraceID(), to.SpanID()), attributesJSON(links[i].Attributes)})
	}
	return out
}

func attributesJSON(all []attribute.KeyValue) []attributeJSON {
	out := make([]attributeJSON, len(all))
	for i, kv := range all {
		out[i] = attributeJSON{string(kv.Key), typeName(kv.Value.Type()), attributeText(kv.Value)}
	}
	return out
}

// typeName is that of a type in the specification's terms.
func typeName(t attribute.Type) string {
	switch t {
	case attribute.STRING:
		return "string"
	case attribute.BOOL:
		return "bool"
	case attribute.INT64:
		return "int64"
	case attribute.FLOAT64:
		return "float64"
	case attribute.STRINGSLICE:
		return "string[]"
	case attribute.BOOLSLICE:
		return "bool[]"
	case attribute.INT64SLICE:
		return "int64[]"
	case attribute.FLOAT64SLICE:
		return "float64[]"
	case attribute.BYTESLICE:
		return "bytes"
	case attribute.SLICE:
		return "array"
	case attribute.MAP:
		return "map"
	default:
		return "empty"
	}
}
