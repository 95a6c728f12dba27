// Package otlp turns spans into OTLP bytes and back.
//
// [AppendRequest] writes an ExportTraceServiceRequest, the message that both
// OTLP/gRPC and OTLP/HTTP carry, straight from the spans of the SDK. There is
// no tree of protobuf structs in between: the SDK's exporters build one per
// batch, and building it is most of what they cost. [Decode] reads such bytes
// back into spans; it is off the hot path and leaves the parsing to the
// protobuf library.
//
// # What is written
//
// A receiver sees what the SDK's own exporter would have sent, down to which
// empty submessages are present, with three exceptions, all in favour of the
// data:
//
//   - a link keeps its tracestate, which the SDK leaves out;
//   - resources that differ only in their schema URL stay apart;
//   - a string that is not valid UTF-8 has each run of invalid bytes replaced
//     by U+FFFD. Protobuf demands valid UTF-8, and the SDK's exporter loses the
//     whole batch to one bad string.
//
// Spans are grouped by resource and, within it, by instrumentation scope. Both
// appear in the order in which their first span does, and spans keep their
// order inside a group.
//
// # What OTLP cannot carry
//
// Of the parent, only its span ID and whether it is remote survive; Decode
// fills in the span's trace ID, which it shares. Whether the span's own context
// is remote and the number of its children are not in the protocol. Times are
// nanoseconds since 1970: what lies before, the zero time among them, is
// written as 0, and 0 is read as the zero time. A slice whose elements share a
// type is the same on the wire as a slice of that type, so Decode returns the
// latter.
package otlp
