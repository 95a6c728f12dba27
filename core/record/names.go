package record

import (
	"slices"
	"sync"
	"sync/atomic"
)

// names numbers the names of those who answer, so that a segment needs no pointer.
// 0 is "", and stands for a remote parent, or nobody.
type names struct {
	mu      sync.Mutex
	numbers map[string]int16
	list    atomic.Pointer[[]string] // copied on write
}

// maxNames bounds the reasons that [TracerProvider.Keep] is given, and the samplers that
// lists have had.
const maxNames = 1024

const otherName = "other"

func (n *names) init() {
	n.numbers = map[string]int16{"": 0, otherName: 1}
	n.list.Store(&[]string{"", otherName})
}

func (n *names) number(name string) int16 {
	n.mu.Lock()
	defer n.mu.Unlock()
	list := *n.list.Load()
	i, ok := n.numbers[name]
	switch {
	case ok:
		return i
	case len(list) >= maxNames:
		return n.numbers[otherName]
	}
	i = int16(len(list))
	n.numbers[name] = i
	list = append(slices.Clip(list), name)
	n.list.Store(&list)
	return i
}

func (n *names) name(number int16) string { return (*n.list.Load())[number] }
