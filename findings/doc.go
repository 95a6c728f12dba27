// Package findings tells what is wrong with a service by its spans: queries that
// repeat, calls that could run side by side, where errors begin, time that nobody
// accounts for, and traces that are broken.
//
// [Find] takes the spans of any number of traces, in any order, and returns findings
// that are aggregated over all of them: one for each kind, service and operation.
// [Trace] is about one trace and does not aggregate, for who shows findings on spans.
//
// # Words
//
// A trace is a tree: of spans with one ID that which has ended counts, else the first,
// and where spans are their own ancestors, the one that started first has a parent that
// is not there. What stands below a span are its children. Spans whose parent is not
// there have that one in common. A process is what has equal resources.
//
// A call is a span of kind client, or one with attributes of a database (db.system.name,
// db.system, or the text of a statement); but one that waits for what others write is
// none: one that receives messages (messaging.operation.type, messaging.operation.name,
// or ReceiveMessage of SQS), and commands such as BRPOP and SUBSCRIBE. Nor is a query
// within which, below the same parent, another instrumentation scope has one of the same
// shape: the two tell of one, as an ORM and its driver do. Its target is what it is sent
// to: of a database, system, server and namespace; of others server.address and
// server.port, else the host of url.full, else peer.service, else of RPC rpc.service,
// else the service of the server span below it (or below the client span of its process
// that is), else the name of the span. Its shape is what it asks: of a database the
// statement with its literals, numbers, lists and comments taken out, of Redis, Valkey
// and memcached the command and what its key begins with (else db.query.summary, else the
// operation and the collection, else the name of the span); of HTTP the method and
// url.template, else the method and the path with identifiers taken out; of RPC service
// and method; else the name of the span. Two calls are the same to the letter if target,
// method and whole URL, or target and whole statement, are equal. The attributes of older
// conventions count as the new ones do: db.statement, sql.query, http.url, net.peer.name
// and their like.
//
// A span fails if its status is Error; a client span without a status also if the server
// spans below it do. Two calls overlap if each starts before the other has ended. The
// weight of a span is the adjusted count that its th of tracestate says; a span without
// one, or with one that its trace ID contradicts, stands for itself: 1. A span that has
// no start, or no end, takes no time.
//
// # Kinds
//
// Of each: what triggers it, and its cost, in milliseconds and times the weight of the
// span at which it is found: that is the first of its spans, or of error_origin the span
// where the error begins. Thresholds are fields of [Config].
//
//   - n_plus_one: a run of at least n_plus_one.min_calls (5) calls of a database of one
//     target and shape below one parent, one after another: in the order of their starts
//     each starts when all before it have ended. A span of kind internal below which
//     there is one call of its process, in spans of that kind or not, stands for it, from
//     its own start to its end: it is the span of a function that asks. What only
//     controls a transaction or a session, as the acquiring of a connection, is not
//     counted as that call. Such functions have one name, those of other names and direct
//     calls are other runs. What fails, or overlaps another of that shape, ends a run and
//     is no part of it. Statements that only control a transaction or a session, and
//     batches (db.operation.batch.size of 2 or more), are none of them. Cost: the
//     durations of all but the longest.
//   - sequential_calls: a run of calls below one parent, which is no call itself, to at
//     least sequential_calls.min_calls (2) different targets, one after another, that
//     nothing orders, and that would save sequential_calls.min_cost (5ms) or more side by
//     side. A call that overlaps another below that parent is no part of a run, nor is one
//     of whose target nothing but the name of the span tells. What
//     orders them, and ends a run: a link from a later to an earlier one; a call that may
//     write (a statement that is no read, an HTTP method that is not safe): it stays
//     behind what came before it and before what comes behind it; a value of an
//     attribute, of 6 characters or more, that an earlier call has and a later one
//     repeats, whole or as a part of a longer value such as a URL, unless their parent,
//     its ancestors (32 of them) or the resource has it too, or the two have it under the
//     same key, or it says where a call goes (server.address, db.namespace); an earlier
//     one that fails. Targets at which one service was seen, as the addresses of its
//     instances, are one. Cost: the sum of the durations less the longest, where those to
//     one target are one.
//   - slow_query: a call of a database that takes slow_query.min_duration (100ms) or
//     more, by shape, without one below it that is one too (as that of a driver below
//     that of an ORM is; it is a child, or the one call of a child of kind internal).
//     Cost: its duration above that.
//   - slow_external_call: a call of no database that takes
//     slow_external_call.min_duration (500ms) or more, that is no part of a call of a
//     database, and below which, at any depth, the trace has no span of another service,
//     nor, as above, such a call. Cost: its duration above that.
//   - error_origin: the span at which an error begins: of each failing span whose parent
//     does not fail, the path down failing children, at each step to the one that ended
//     first. It tells the path. Cost: the duration of the span at the top of the path.
//   - retry: a call that starts when the last to have ended, of those below the same
//     parent that are the same to the letter, has failed; or whose
//     http.request.resend_count is 1 or more. What is found of one call below one parent
//     is one finding; its count is that of the repetitions. From retry.storm (5) of them
//     on the advice says so. Cost: from the start of the first that failed to that of the
//     last repetition.
//   - gap: gap.min_duration (100ms) or more of a span, and gap.min_share (0.25) or more of
//     it, in which none of its children is open; only of spans with children. Children of
//     kind consumer, which it caused and does not wait for, are none. One of another
//     process, that does not take longer, is moved into the span if its clock has it
//     outside. Cost: that time.
//   - fan_out: calls below one parent, of which at least fan_out.min_concurrent (10) are
//     open at once; with them all that were open from when none was until none is. Cost:
//     from the first start to the last end of them, less the median of their durations.
//   - chatty: at least chatty.min_calls (10) calls from one service to another below one
//     local root, a database not counted, nor calls that are part of another, as that of
//     HTTP below that of a client of S3. The other is the service of the server span
//     below a call, or below another call there to the same target, else the target.
//     Cost: what of them is not in the server span below (all, if there is none), all but
//     the longest.
//   - unended_span: a span that has no end, or that was ended by a shutdown
//     (span.unfinished=true). Cost: 0.
//   - clock_skew: a server span below a client span of another process, that starts
//     clock_skew.min_skew (5ms) or more before it or, where it does not take longer and
//     the client has no status Error, ends as much after it. Cost: 0.
//   - missing_parent: a span whose parent is not there although it has one: those of one
//     name and one such parent are one finding, with their number as its count; and a
//     server span without a parent, as long as a call of another process to the same
//     method and path, which has no server span below, was open all the time that it
//     was: the propagation from that call is broken. A call is taken for one server span.
//     Cost: 0.
//   - large_attribute: a text of large_attribute.min_size (8KiB) or more in an attribute
//     of a span, an event or a link, other than exception.stacktrace; a span is found
//     once. Cost: 0.
package findings
