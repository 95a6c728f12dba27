package viewer

import (
	"bytes"
	"encoding/hex"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.opentelemetry.io/otel/attribute"
)

// needle is a text to be found in any case.
type needle struct {
	lower  string // "": everything has it
	ascii  bool
	hex    bool // may be part of an ID
	number bool // may be part of an integer
}

func newNeedle(text string) needle {
	n := needle{lower: strings.ToLower(text)}
	n.ascii = isASCII(n.lower)
	n.hex = strings.Trim(n.lower, "0123456789abcdef") == ""
	n.number = strings.Trim(n.lower, "-0123456789") == ""
	return n
}

func isASCII[T string | []byte](s T) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// lowered is the lower case of each byte of ASCII, and the byte itself of the others.
var lowered = func() (t [256]byte) {
	for i := range t {
		t[i] = byte(i)
		if 'A' <= i && i <= 'Z' {
			t[i] += 'a' - 'A'
		}
	}
	return t
}()

// in tells whether b has the text. Letters beyond ASCII count as equal in any case too.
func (n *needle) in(b []byte) bool {
	if !n.ascii {
		return !isASCII(b) && bytes.Contains(bytes.ToLower(b), []byte(n.lower))
	}
	m := len(n.lower)
	if m == 0 {
		return true
	}
	first := n.lower[0]
	for i := 0; i <= len(b)-m; i++ {
		if lowered[b[i]] == first && n.at(b[i:i+m]) {
			return true
		}
	}
	return false
}

func (n *needle) at(b []byte) bool {
	for i := 1; i < len(b); i++ {
		if lowered[b[i]] != n.lower[i] {
			return false
		}
	}
	return true
}

// inValue tells whether the value that d comes to has the text, and goes on behind it.
func (n *needle) inValue(d *decoder) bool {
	switch typ := d.typ(); typ {
	case attribute.STRING:
		return n.in(d.raw())
	case attribute.INT64:
		if !n.number {
			d.number()
			return false
		}
		var b [20]byte
		return n.in(strconv.AppendInt(b[:0], d.signed(), 10))
	default:
		return n.in([]byte(attributeText(d.valueOf(typ))))
	}
}

func (n *needle) inAttributes(d *decoder) bool {
	found := false
	for range d.count() {
		if d.number() == inline {
			d.raw()
		}
		if n.inValue(d) {
			found = true // not at once: what follows must be read
		}
	}
	return found
}

func (n *needle) inEvents(d *decoder) bool {
	for range d.count() {
		if n.in(d.raw()) {
			return true
		}
		d.signed()
		d.number()
		if n.inAttributes(d) {
			return true
		}
	}
	return false
}

// matcher tells which spans match a query, for one goroutine.
type matcher struct {
	*query
	keys    []string
	attrs   []wantedKey
	text    needle
	ops     []bool // that have the service and the name
	named   []bool // whose service or name has the text
	origins map[*origin]fit
	fits    []fit // of the origins of the trace that is looked at
	inTrace bool  // its ID has the text
}

// wantedKey is an attribute that a span must have, with the number of its key.
type wantedKey struct {
	wanted
	code uint64
}

// fit is what of a query is true of an origin, and so of all of its spans.
type fit struct {
	attrs uint32 // a bit for each of those that are wanted
	text  bool
}

func newMatcher(q *query, snap *snapshot, k *keys) *matcher {
	m := &matcher{query: q, keys: snap.keys, text: newNeedle(q.text), origins: map[*origin]fit{}}
	for _, w := range q.attrs {
		m.attrs = append(m.attrs, wantedKey{w, k.lookup(w.key)})
	}
	if q.service != "" || q.name != "" {
		m.ops = make([]bool, len(snap.ops))
	}
	if q.text != "" {
		m.named = make([]bool, len(snap.ops))
	}
	for i, o := range snap.ops {
		if o == nil {
			continue
		}
		if m.ops != nil {
			m.ops[i] = (q.service == "" || o.service == q.service) && (q.name == "" || o.name == q.name)
		}
		if m.named != nil {
			m.named[i] = m.text.in([]byte(o.name))
		}
	}
	return m
}

// fork is a matcher for another goroutine.
func (m *matcher) fork() *matcher {
	c := *m
	c.origins, c.fits = map[*origin]fit{}, nil
	return &c
}

// perSpan tells whether the query asks for anything of spans.
func (m *matcher) perSpan() bool {
	return m.ops != nil || m.status != anyStatus || m.min > 0 || m.max < math.MaxInt64 || len(m.attrs) > 0 || m.text.lower != ""
}

// begin comes before the spans of a trace are asked for. Not ok: none of them matches.
func (m *matcher) begin(h *held) (ok bool) {
	if start := micros(h.start); start < m.from || start > m.to {
		return false
	}
	if d := h.duration(); d < m.atLeast || d >= m.less && m.less < math.MaxInt64 {
		return false
	}
	if m.finding != "" && !h.has(m.finding) {
		return false
	}
	if m.status == statusError && h.errors == 0 {
		return false
	}
	if len(m.attrs) == 0 && m.text.lower == "" {
		return true
	}
	m.inTrace = m.inID(h.id[:])
	m.fits = m.fits[:0]
	for _, o := range h.origins {
		f, known := m.origins[o]
		if !known {
			f = m.fitOf(o)
			m.origins[o] = f
		}
		m.fits = append(m.fits, f)
	}
	return true
}

func (m *matcher) fitOf(o *origin) (f fit) {
	for _, kv := range o.res.Attributes() {
		text := attributeText(kv.Value)
		for i, w := range m.attrs {
			if w.key == string(kv.Key) && w.value == text {
				f.attrs |= 1 << i
			}
		}
		f.text = f.text || m.text.in([]byte(text))
	}
	return f
}

func (m *matcher) inID(id []byte) bool {
	if !m.text.hex {
		return false
	}
	var b [32]byte
	return m.text.in(hex.AppendEncode(b[:0], id))
}

// span tells whether a span of the trace matches.
func (m *matcher) span(h *held, i int) bool {
	s := &h.spans[i]
	if m.ops != nil && !m.ops[s.op] {
		return false
	}
	if m.status != anyStatus && (s.status == statusError) != (m.status == statusError) {
		return false
	}
	if d := s.duration(); d < m.min || d > m.max {
		return false
	}
	if len(m.attrs) > 0 && !m.hasAttrs(h, i, m.fits[s.origin].attrs) {
		return false
	}
	if m.text.lower == "" || m.inTrace || m.named[s.op] || m.fits[s.origin].text || m.inID(s.id[:]) {
		return true
	}
	d := h.decoder(i, m.keys)
	if m.text.inAttributes(&d) || m.text.inEvents(&d) {
		return true
	}
	d.skipLinks()
	return m.text.in(d.raw()) // the description of the status
}

// hasAttrs tells whether a span has all attributes that are wanted; some are bits of have.
func (m *matcher) hasAttrs(h *held, i int, have uint32) bool {
	all := uint32(1)<<len(m.attrs) - 1
	d := h.decoder(i, m.keys)
	for range d.count() {
		if have == all {
			return true
		}
		code := d.number()
		var key []byte
		if code == inline {
			key = d.raw()
		}
		k := slices.IndexFunc(m.attrs, func(w wantedKey) bool {
			return w.code == code && (code != inline || w.key == string(key))
		})
		typ := d.typ()
		if k < 0 {
			d.skipValue(typ)
			continue
		}
		// One key can be wanted with two values, of which one may be the resource's.
		value := d.textOf(typ)
		for k, w := range m.attrs {
			if w.code == code && (code != inline || w.key == string(key)) && w.value == string(value) {
				have |= 1 << k
			}
		}
	}
	return have == all
}

// textOf is a value as the API has it; it is good as long as the bytes are.
func (d *decoder) textOf(typ attribute.Type) []byte {
	if typ == attribute.STRING {
		return d.raw()
	}
	return []byte(attributeText(d.valueOf(typ)))
}
