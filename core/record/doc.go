// Package record records spans: it implements OpenTelemetry's trace API and what
// the SDK shows of spans to processors and exporters, within the SDK's limits. It
// decides which spans to keep and hands those over.
//
// # Segments
//
// A segment is a local root and everything below it in this process. It is the unit
// of decision: its spans wait in it, and its threshold T is the least of what was
// said at its start and since. It is kept if its randomness R reaches T.
//
//	          root starts
//	               |
//	          decide at start --drop, or nothing to record it for--> not recorded
//	               |
//	   +------> open <-----------------------------+
//	   |           |  a span ends: it waits,       |
//	   |           |  or goes where T is settled   |
//	   |           |                               |
//	   |           |--open too long, too large,    |
//	   |           |  memory short: what has ended |
//	   |           |  is decided, the rest waits---+
//	   |           |
//	   |      no span is open
//	   |           |
//	   |           |--segment samplers--> asked ---+
//	   |           |                               |
//	   |       decided <---------------------------+
//	   |           |   R >= T: handed over; else let go
//	   |           |
//	   +-- a span starts below it     (else nothing points to it: it is collected)
//
//	open, asked --memory short, R below the pressure threshold,
//	              not selected at its start--> gone: nothing more is recorded
//	open        --memory short all the same, among the largest--> gone
//	open        --Shutdown: open spans of all segments are ended--> decided
//
// Settled means that nothing that is said can change T: it is 0 for certain, or
// nobody waits for the end of spans, or the parent's decision is followed. What ends
// in a settled segment is handed over, or let go, at once.
//
// # Asked later
//
// What a match says of a local root that is open is not known. Its sampler is then asked
// again, on the goroutine that ends the root, about all that waits; or on that of the
// sweep, before anything of the segment is decided early. A span that ends while the root
// does is asked about by itself.
//
// # Budget
//
// What is decided is counted in the budget, kept or not, with its probability by what was
// said of it ([segment.spend]). That answers with factors, and T is raised by them. A
// segment is counted once for what was said until then. What is decided of it later has the
// same factors, until more is said. With a budget no segment is settled before it is
// decided, but one that is forced.
//
// # Randomness
//
// The only thing that depends on a segment's randomness is the comparison with T
// ([segment.threshold]), and which segments memory pressure lets go, which is the
// same comparison with the pressure threshold. What waits, who is asked, and what is
// remembered, counted or cut is the same for segments that are kept and for those
// that are not. Otherwise weights would lie.
//
// # Rules
//
// What a configuration says is a value, the rules, and [TracerProvider.Reconfigure] puts
// others into force. A segment ends under the rules that it began with. One that was
// complete and is opened again goes on under those in force, unless it was recorded only
// because its start selects it: then nobody but the start speaks for it, under any rules.
//
//	in force --others come--> former --a sweep finds no segment listed-->
//	closing --the next sweep finds none either--> released
//
// A segment that is to be listed under rules that are closing, since its goroutine was
// slow, begins anew under those in force.
//
// # Locks
//
// In this order: former.mu, segment.mu, then any one of span.mu, shard.mu, memoryShard.mu,
// asker.mu, ruleCounts.mu, a limiter's, and a budget's, a limiter's also within a
// memoryShard's. Who looks for the budget of a key only tries the locks on its way. A span
// that starts is locked from when its segment lists it until it has its content. Samplers,
// span processors, ID generators, what delivers, loggers, and methods of what the
// application hands in, also of its contexts and errors, are called with no lock held.
package record
