package viewer

import "sync"

// Keys of attributes are few and are repeated by every span, so each has a number. Who
// makes up keys cannot fill the memory: what finds no room is kept in the span.
const (
	maxKeys   = 4096
	maxKeyLen = 128
)

// inline is the number of a key that has none.
const inline = 0

// keys numbers the keys of attributes. It is safe for concurrent use.
type keys struct {
	mu    sync.RWMutex
	codes map[string]uint64
	names []string // that of number n at n-1; only appended to
}

func newKeys() *keys { return &keys{codes: map[string]uint64{}} }

// code is the number of a key, a new one if need be, or inline.
func (k *keys) code(key string) uint64 {
	if code := k.lookup(key); code != inline {
		return code
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if code, ok := k.codes[key]; ok {
		return code
	}
	if len(k.names) == maxKeys || len(key) > maxKeyLen {
		return inline
	}
	k.names = append(k.names, key)
	k.codes[key] = uint64(len(k.names))
	return uint64(len(k.names))
}

// lookup is the number of a key that has one, or inline.
func (k *keys) lookup(key string) uint64 {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.codes[key]
}

// table is what the numbers that were given so far mean.
func (k *keys) table() []string {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.names
}
