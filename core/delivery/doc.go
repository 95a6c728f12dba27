// Package delivery takes kept spans to a backend.
//
// Each exporter has a [Line] of its own, so that one that is slow or dead
// holds up no other. Handing spans to a line only enqueues them; batching and
// sending happen on the line's goroutines.
package delivery
