package route

import (
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
)

// What a [Shapes] learns is bounded by these.
const (
	// maxLiterals is how many values a place in a path may have that stand for
	// themselves: APIs have dozens of resources, and users come in hundreds.
	maxLiterals = 32
	// settleAfter is how many requests a place with more values is looked at, before it
	// is said which of its values stand for themselves. One of dominantShare does.
	settleAfter   = 16 * maxLiterals
	dominantShare = 8
	// maxDepth is how many segments of a path have a shape.
	maxDepth = 8
	// maxShapes bounds the places.
	maxShapes = 2048
	// maxLiteral is the longest segment, in bytes, that stands for itself.
	maxLiteral = 40
	// relearnAfter is when a place is learned again that had too many values: an hour
	// later other routes may be the busy ones.
	relearnAfter = 10 * time.Minute
)

// Shapes finds which route a request is for where no router says so: from its path, of
// which what differs from request to request is left out. /users/7/orders and
// /users/alice/orders have the shape /users/*/orders.
//
// A segment of a path is a * if it looks like an ID (a number, hex digits, something
// long), or if more than 32 values were seen in its place. Then those stay that at
// least an eighth of the requests there have: beside what scanners ask for, /orders is
// still seen. What comes after eight segments is left out, and so is what is below a
// place for which there is no room. What has become a * is learned anew from time to
// time.
//
// It is safe for concurrent use, and one that finds what it looks for in what was learned
// allocates nothing and waits for nobody. The zero value is ready.
type Shapes struct {
	// Patient makes a call that learns something wait for another that does, for about a
	// microsecond. Else it says * of what it does not learn for that, once.
	Patient bool

	tree atomic.Pointer[shapeTree]
}

// shapeTree is what was learned since a time.
type shapeTree struct {
	root    shape
	since   time.Time
	patient bool
	// full tells that some place has, or wants, more than there is room for.
	full atomic.Bool

	mu     sync.Mutex // of who adds, or settles
	places int        // below root
}

// shape is a place in paths.
type shape struct {
	literals atomic.Pointer[map[string]*shape] // replaced, never written to
	other    atomic.Pointer[shape]             // below a *
	settled  atomic.Bool
	crowded  atomic.Bool // more values were seen than there may be literals

	requests atomic.Uint64 // through here, until settled
	seen     atomic.Uint64 // of requests, of the place above
}

// AppendRoute appends the route of a request, as its span tells it: http.route, if it is
// one for some requests and not for all, else the shape of the path; of a call of gRPC or
// Connect its procedure. It is not ok if the span is about no request.
func (s *Shapes) AppendRoute(dst []byte, name string, attributes []attribute.KeyValue, now time.Time) (route []byte, ok bool) {
	switch r, ok := RequestOf(name, attributes); {
	case !ok:
		return dst, false
	case r.Procedure != "":
		return append(dst, first(r.Procedure)...), true
	case tells(r):
		return append(dst, first(r.Route)...), true
	default:
		return s.AppendShape(dst, r.Path, now), true
	}
}

// AppendName appends the name of a span with the shape of the path that it ends with, as
// "GET /users/7" does; as it is, if it has none.
func (s *Shapes) AppendName(dst []byte, name string, now time.Time) []byte {
	method, path := splitMethod(name)
	if !isPath(path) {
		return append(dst, name...)
	}
	dst = append(dst, method...)
	return s.AppendShape(append(dst, ' '), withoutQuery(path), now)
}

// tells reports whether the http.route says anything. Middleware that stands above the
// router may say the same of all requests, or of all in a group.
func tells(r Request) bool {
	if r.Path == "" || r.Route == "" {
		return r.Route != ""
	}
	return r.Route != "/" && r.Route != "/*" && !isBelow(r.Path, r.Route)
}

// AppendShape appends the shape of a path that begins with a slash.
func (s *Shapes) AppendShape(dst []byte, path string, now time.Time) []byte {
	t := s.current(now)
	at := &t.root
	rest := path[:min(len(path), MaxPath)]
	for depth := 0; rest != ""; depth++ {
		if depth == maxDepth {
			return append(dst, "/..."...)
		}
		var segment string
		segment, rest = cut(rest[1:])
		dst = append(dst, '/')
		below, literal := t.step(at, segment)
		if literal {
			dst = append(dst, segment...)
		} else {
			dst = append(dst, '*')
		}
		if below == nil { // there is no room
			if rest != "" {
				dst = append(dst, "/..."...)
			}
			return dst
		}
		at = below
	}
	return dst
}

// current is what is learned from now on.
func (s *Shapes) current(now time.Time) *shapeTree {
	t := s.tree.Load()
	if t != nil && (!t.full.Load() || now.Sub(t.since) < relearnAfter) {
		return t
	}
	fresh := &shapeTree{since: now, patient: s.Patient}
	if s.tree.CompareAndSwap(t, fresh) {
		return fresh
	}
	return s.tree.Load()
}

// step goes on from a place. It returns nil where there is no room for the next.
func (t *shapeTree) step(at *shape, segment string) (below *shape, literal bool) {
	if !at.settled.Load() && at.requests.Add(1) >= settleAfter && at.crowded.Load() {
		t.settle(at)
	}
	if looksLikeID(segment) {
		return t.other(at), false
	}
	if literals := at.literals.Load(); literals != nil {
		if below, ok := (*literals)[segment]; ok {
			if !at.settled.Load() {
				below.seen.Add(1)
			}
			return below, true
		}
		if len(*literals) >= maxLiterals && !at.crowded.Load() {
			at.crowded.Store(true)
			t.full.Store(true)
		}
	}
	if !at.settled.Load() && !at.crowded.Load() {
		if below := t.add(at, segment); below != nil {
			return below, true
		}
	}
	return t.other(at), false
}

// lock reports whether the tree is locked for who called it.
func (t *shapeTree) lock() bool {
	if t.patient {
		t.mu.Lock()
		return true
	}
	return t.mu.TryLock()
}

// add learns a value, unless there is no room, or another call learns one.
func (t *shapeTree) add(at *shape, segment string) *shape {
	if !t.lock() {
		return nil
	}
	defer t.mu.Unlock()
	literals := map[string]*shape{}
	if old := at.literals.Load(); old != nil {
		if below, ok := (*old)[segment]; ok {
			return below
		}
		literals = maps.Clone(*old)
	}
	if len(literals) >= maxLiterals || !t.hasRoom() {
		return nil
	}
	below := &shape{}
	below.seen.Store(1)
	literals[strings.Clone(segment)] = below
	at.literals.Store(&literals)
	return below
}

// hasRoom takes one of the places.
func (t *shapeTree) hasRoom() bool {
	if t.places >= maxShapes {
		t.full.Store(true)
		return false
	}
	t.places++
	return true
}

// other is below a *.
func (t *shapeTree) other(at *shape) *shape {
	if below := at.other.Load(); below != nil {
		return below
	}
	if !t.lock() {
		return nil
	}
	defer t.mu.Unlock()
	if below := at.other.Load(); below != nil {
		return below
	}
	if !t.hasRoom() {
		return nil
	}
	below := &shape{}
	at.other.Store(below)
	return below
}

// settle leaves the values that stand for themselves.
func (t *shapeTree) settle(at *shape) {
	if !t.lock() {
		return
	}
	defer t.mu.Unlock()
	if at.settled.Load() {
		return
	}
	left := map[string]*shape{}
	requests := at.requests.Load()
	for segment, below := range *at.literals.Load() {
		if below.seen.Load()*dominantShare >= requests {
			left[segment] = below
		} else {
			t.places -= below.places()
		}
	}
	at.literals.Store(&left)
	at.settled.Store(true)
}

// places counts the place and those below it.
func (at *shape) places() int {
	n := 1
	if literals := at.literals.Load(); literals != nil {
		for _, below := range *literals {
			n += below.places()
		}
	}
	if other := at.other.Load(); other != nil {
		n += other.places()
	}
	return n
}

// looksLikeID reports whether a segment is hardly one that a router knows: a number,
// eight or more hex digits as in a UUID, or a long one. A * is what those become.
func looksLikeID(segment string) bool {
	if len(segment) > maxLiteral || segment == "*" {
		return true
	}
	var digits, hex int
	for i := range len(segment) {
		switch c := segment[i]; {
		case c >= '0' && c <= '9':
			digits++
			hex++
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			hex++
		case c == '-':
		default:
			return false
		}
	}
	return digits > 0 && (digits == hex || hex >= 8)
}
