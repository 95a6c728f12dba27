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
// A call is a span of kind client, or one with attributes of a database
// (db.system.name or db.system). Its target is what it is sent to: of a database,
// system, server and namespace; of HTTP, server.address and server.port (or the host of
// url.full), else peer.service; of RPC, the same, else rpc.service; else the service of
// the server span below it; else the name of the span. Its shape is what it asks: of a
// database the statement with its literals, numbers, lists and comments taken out (or
// db.query.summary, or the operation and the collection, or the name of the span); of
// HTTP the method and the path with identifiers taken out (or url.template); of RPC the
// method; else the name of the span.
//
// A span fails if its status is Error. Two calls overlap if each starts before the
// other has ended. The weight of a span is the adjusted count that its th of tracestate
// says; a span without one stands for itself: 1.
//
// # Kinds
//
// Of each: what triggers it, and its cost, in milliseconds and times the weight of the
// span at which it is found. Thresholds are fields of [Config].
//
//   - n_plus_one: at least n_plus_one.min_calls (5) calls of a database of one target
//     and shape below one parent, one after another: in the order of their starts each
//     starts when the one before has ended. None fails; statements that only control a
//     transaction or a session, and batches (db.operation.batch.size of 2 or more) are
//     none of them. Cost: the durations of all but the longest.
//   - sequential_calls: at least sequential_calls.min_calls (2) calls below one parent to
//     different targets, one after another, that nothing orders, and that would
//     save sequential_calls.min_cost (5ms) or more side by side. What orders them: a link
//     from a later to an earlier one; a call that may write (a statement that is no
//     read, an HTTP method that is not safe): it stays behind what came before it and
//     before what comes behind it; a value of an attribute, of 6 characters or more, that
//     an earlier call has and a later one repeats, unless their parent, its ancestors or
//     the resource has it too, or the two have it under the same key; an earlier
//     one that fails. Cost: the sum of the durations less the longest, where those to
//     one target are one.
//   - slow_query: a call of a database that takes slow_query.min_duration (100ms) or
//     more, by shape. Cost: its duration above that.
//   - slow_external_call: a call of no database that takes
//     slow_external_call.min_duration (500ms) or more, and below which the trace has no
//     span of another service. Cost: its duration above that.
//   - error_origin: the span at which an error begins: of each failing span whose
//     parent does not fail, the path down failing children, at each step to the one that
//     ended first. It tells the path. Cost: the duration of the span at the top of the path.
//   - retry: a call of one target and shape that starts after one below the same parent
//     has failed and ended, or whose http.request.resend_count is 1 or more; the count is
//     that of the repetitions. From retry.storm (5) on below one parent the advice says so.
//     Cost: from the start of the first to that of the last.
//   - gap: gap.min_duration (100ms) or more of a span, and gap.min_share (0.25) or more of
//     it, in which none of its children is open; only of spans with children. What
//     producers below it cause later counts for no time. Cost: that time.
//   - fan_out: at least fan_out.min_concurrent (10) calls below one parent that are open
//     at once. Cost: from the first start to the last end of them, less the median of
//     their durations.
//   - chatty: at least chatty.min_calls (10) calls from one service to another below one
//     local root, a database not counted. Cost: what of them is not in the server span
//     below (all, if there is none), all but the longest.
//   - unended_span: a span that has no end, or that was ended by a shutdown
//     (span.unfinished=true). Cost: 0.
//   - clock_skew: a server span below a client span of another process, that starts
//     clock_skew.min_skew (5ms) or more before it or, where it does not take longer and
//     the client does not fail, ends as much after it. Cost: 0.
//   - missing_parent: a span whose parent is not there although it has one; and a
//     server span without a parent, as long as a call of another process to the same
//     method and path, which has no server span below, was open all the time that it
//     was: the propagation from that call is broken. Cost: 0.
//   - large_attribute: a text of large_attribute.min_size (8KiB) or more in an attribute of
//     a span, an event or a link, other than exception.stacktrace. Cost: 0.
package findings
