// Package lease decides about starts of traces with answers that somebody slow
// has given ahead of time.
//
// A [Table] has an entry per distinct key: the name and kind of a span and the
// attributes that the answer depends on. What holds an answer decides; what does
// not abstains, and the key is asked about in the background: once, together
// with others, and again before the answer runs out as long as there are starts.
// The table is bounded; the least recently used make room.
//
// Looking up takes no lock, no clock and no memory: a hash, under a seed that
// nobody outside knows, says where a key would be, what is stored there says
// whether it is the key, and time passes by sweeps in the background that take
// away what has run out.
package lease
