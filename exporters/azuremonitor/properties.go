package azuremonitor

import (
	"cmp"
	"maps"
	"slices"
	"strconv"

	"go.opentelemetry.io/otel/attribute"
)

// properties are custom dimensions.
type properties struct {
	of      map[string]string
	dropped int
}

func newProperties(dropped int) *properties {
	p := &properties{of: make(map[string]string)}
	p.drop(dropped)
	return p
}

func (p *properties) drop(n int) {
	if n > 0 {
		p.dropped += n
		p.of[droppedKey] = strconv.Itoa(p.dropped)
	}
}

// add adds attributes. Those whose key is too long, or is none, are dropped and
// counted.
func (p *properties) add(attrs []attribute.KeyValue) {
	for _, a := range attrs {
		p.set(string(a.Key), a.Value.String())
	}
}

func (p *properties) set(key, value string) {
	key = cut(key, maxPropKey+1)
	if key == "" || len([]rune(key)) > maxPropKey {
		p.drop(1)
		return
	}
	p.of[key] = cut(value, maxPropText)
}

// shed drops the largest until about n bytes are gone, and reports whether any
// was there.
func (p *properties) shed(n int) bool {
	keys := slices.DeleteFunc(slices.Collect(maps.Keys(p.of)), func(k string) bool { return k == droppedKey })
	slices.SortFunc(keys, func(a, b string) int {
		return cmp.Or(cmp.Compare(len(p.of[b]), len(p.of[a])), cmp.Compare(a, b))
	})
	var gone int
	for n > 0 && gone < len(keys) {
		n -= len(keys[gone]) + len(p.of[keys[gone]])
		delete(p.of, keys[gone])
		gone++
	}
	p.drop(gone)
	return gone > 0
}
