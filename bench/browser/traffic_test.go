package browser

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// span is one of the traffic, with times in microseconds since the start of it.
type span struct {
	trace, id, parent string
	service, name     string
	kind              int // as in OTLP
	start, duration   float64
	failed            bool
	description       string
	weight            float64
	attributes        []attribute
	events            []event
	links             []link
}

type attribute struct {
	Key   string `json:"key"`
	Type  string `json:"type"`
	Value string `json:"value"`
}

type event struct {
	Name       string      `json:"name"`
	At         float64     `json:"at"`
	Attributes []attribute `json:"attributes"`
}

type link struct {
	Trace      string      `json:"trace"`
	Span       string      `json:"span"`
	Held       bool        `json:"held"`
	Attributes []attribute `json:"attributes"`
}

const (
	internal = 1
	server   = 2
	client   = 3
)

// Traces that tests look for.
const (
	checkoutTrace = "c0ffee00000000000000000000000001"
	hostileTrace  = "bad00000000000000000000000000002"
	largeTrace    = "1a46e000000000000000000000000003"
	deepTrace     = "dee90000000000000000000000000004"
	largeSpans    = 100_000
	deepSpans     = 3000
)

// hostileNames are what strangers may call a span.
var hostileNames = []string{
	`<script>alert(1)</script>`,
	`<img src=x onerror=alert(1)>`,
	`"><svg onload=alert(1)>`,
	"javascript:alert(1)",
	"\u202egnp.exe\u202c and the rest",
	"two\nlines\r\nand\ta tab\x00\x1b[31m",
	strings.Repeat("wide", 250_000),
	strings.Repeat("a\u0300", 2000),
	"",
	"\U0001f600 {{constructor.constructor('alert(1)')()}}",
}

// trafficker makes spans, the same ones each time.
type trafficker struct {
	random *rand.Rand
	spans  []span
	made   int
	linked string // the span of deepTrace that others link to
}

func (t *trafficker) id() string {
	t.made++
	return fmt.Sprintf("%016x", t.made)
}

// traceID is an ID whose randomness every threshold of the traffic selects.
func traceID(n int) string {
	return fmt.Sprintf("%016x00ff%012x", uint64(n+1)*0x9e3779b97f4a7c15, n)
}

// add adds a span below another one, and returns its ID.
func (t *trafficker) add(s span) string {
	s.id = t.id()
	if s.weight == 0 {
		s.weight = 1
	}
	t.spans = append(t.spans, s)
	return s.id
}

func text(key, value string) attribute { return attribute{key, "string", value} }

func query(statement string) []attribute {
	return []attribute{text("db.system.name", "postgresql"), text("db.namespace", "shop"), text("server.address", "db.internal"), text("db.query.text", statement)}
}

const stack = `goroutine 41 [running]:
github.com/shop/payments.(*Client).Charge(0xc0001a2000, {0x9f3b20, 0xc000410120})
	/src/payments/client.go:118 +0x2a5
github.com/shop/checkout.(*Service).Pay(...)
	/src/checkout/pay.go:57
`

// checkout is a request with what the demo has planted: queries that repeat, calls one
// after another, and a payment that fails.
func (t *trafficker) checkout(trace string, at float64, failed bool, weight float64) {
	scale := 0.8 + 0.5*t.random.Float64()
	ms := func(v float64) float64 { return v * 1000 * scale }
	below := func(parent, service, name string, kind int, start, duration float64, attributes ...attribute) string {
		return t.add(span{trace: trace, parent: parent, service: service, name: name, kind: kind, start: at + ms(start), duration: ms(duration), weight: weight, attributes: attributes})
	}
	root := below("", "gateway", "POST /checkout", server, 0, 412, text("http.request.method", "POST"), text("http.route", "/checkout"), text("url.path", "/checkout"), attribute{"http.response.status_code", "int64", map[bool]string{true: "502", false: "200"}[failed]}, text("user.tier", "gold"))
	call := below(root, "gateway", "POST checkout:8080", client, 3, 405)
	serve := below(call, "checkout", "POST /checkout", server, 6, 398, text("http.route", "/checkout"))
	cart := below(serve, "checkout", "load cart", internal, 9, 128)
	below(cart, "checkout", "SELECT carts", client, 10, 9, query("SELECT * FROM carts WHERE id = $1")...)
	for i := range 9 {
		below(cart, "checkout", "SELECT items", client, 21+float64(i)*11.5, 8+float64(i%3), query("SELECT * FROM items WHERE cart_id = $1 AND position = $2")...)
	}
	stock := below(serve, "checkout", "GET inventory:8080", client, 140, 62, text("server.address", "inventory"))
	served := below(stock, "inventory", "GET /stock/{id}", server, 144, 55, text("http.route", "/stock/{id}"))
	below(served, "inventory", "SELECT stock", client, 149, 41, query("SELECT count FROM stock WHERE sku = ANY($1)")...)
	rates := below(serve, "checkout", "GET shipping:8080", client, 204, 58, text("server.address", "shipping"))
	below(rates, "shipping", "GET /rates", server, 208, 51)
	pay := below(serve, "checkout", "POST payments:8080", client, 266, 128, text("server.address", "payments"))
	t.spans[len(t.spans)-1].failed = failed
	charge := below(pay, "payments", "POST /charge", server, 270, 120, text("http.route", "/charge"))
	t.spans[len(t.spans)-1].failed = failed
	below(charge, "payments", "charge card", internal, 274, 112, text("payment.provider", "acme"))
	if failed {
		last := &t.spans[len(t.spans)-1]
		last.failed, last.description = true, "card processor: connection reset by peer"
		last.events = []event{{"exception", ms(110), []attribute{text("exception.type", "*net.OpError"), text("exception.message", "connection reset by peer"), text("exception.stacktrace", stack)}}}
		last.links = []link{{Trace: deepTrace, Span: t.linked, Held: true}, {Trace: "00000000000000000000000000000bad", Span: "0000000000000bad"}}
		for i := range t.spans {
			if s := &t.spans[i]; s.trace == trace && (s.id == root || s.id == call || s.id == serve) {
				s.failed = true
			}
		}
	}
}

// lookup is a short request to one service.
func (t *trafficker) lookup(trace string, at float64) {
	took := 2000 + 40_000*t.random.ExpFloat64()
	failed := t.random.IntN(30) == 0
	root := t.add(span{trace: trace, service: "catalog", name: "GET /products/{id}", kind: server, start: at, duration: took, failed: failed, weight: 16, attributes: []attribute{text("http.route", "/products/{id}")}})
	t.add(span{trace: trace, parent: root, service: "catalog", name: "SELECT products", kind: client, start: at + took*0.1, duration: took * 0.7, weight: 16, attributes: query("SELECT * FROM products WHERE id = $1")})
}

// hostile is a trace of spans with names of strangers.
func (t *trafficker) hostile(at float64) {
	root := t.add(span{trace: hostileTrace, service: "<b>stranger</b>", name: hostileNames[0], kind: server, start: at, duration: 90_000})
	for i, name := range hostileNames {
		t.add(span{
			trace: hostileTrace, parent: root, service: "<b>stranger</b>", name: name, kind: internal, start: at + float64(i)*8000, duration: 7000,
			failed: i%3 == 0, description: name, attributes: []attribute{text(name, name), text("url.full", "javascript:alert(1)")},
			events: []event{{Name: name, Attributes: []attribute{text("exception.stacktrace", name)}}},
		})
	}
}

// large is a trace of as many spans as a browser must still scroll through.
func (t *trafficker) large(at float64) {
	root := t.add(span{trace: largeTrace, service: "batch", name: "nightly import", kind: internal, start: at, duration: 5e6})
	const groups = 1000
	for g := range groups {
		start := at + float64(g)*5000
		group := t.add(span{trace: largeTrace, parent: root, service: "batch", name: fmt.Sprintf("chunk %d", g%40), kind: internal, start: start, duration: 4900})
		for i := range largeSpans/groups - 1 - g/(groups-1) {
			t.add(span{trace: largeTrace, parent: group, service: "store", name: "INSERT rows", kind: client, start: start + float64(i)*48, duration: 45, failed: g == 700 && i == 50})
		}
	}
}

// deep is a trace in which each span is below the one before.
func (t *trafficker) deep(at float64) {
	parent := ""
	for i := range deepSpans {
		parent = t.add(span{trace: deepTrace, parent: parent, service: fmt.Sprintf("hop-%d", i%20), name: "recurse", kind: internal, start: at + float64(i), duration: float64(2 * (deepSpans - i))})
		if i == 0 {
			t.linked = parent
		}
	}
}

const window = float64(15 * time.Minute / time.Microsecond)

// requests are those of people.
func (t *trafficker) requests() {
	for i := range 220 {
		at := window * float64(i) / 221
		t.lookup(traceID(2*i), at)
		if i%5 == 0 {
			t.checkout(traceID(2*i+1), at+1e6, i%20 == 0, 4)
		}
	}
}

// traffic is what a service has sent, over 15 minutes.
func traffic() []span {
	t := &trafficker{random: rand.New(rand.NewPCG(1, 2))}
	t.requests()
	t.deep(window - 40e6)
	t.large(window - 30e6)
	t.hostile(window - 20e6)
	t.checkout(checkoutTrace, window-10e6, true, 1)
	return t.spans
}
