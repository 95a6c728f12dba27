// Package otlp turns spans into OTLP bytes and back, as protobuf and as JSON.
//
// [AppendRequest] writes an ExportTraceServiceRequest, the message that both
// OTLP/gRPC and OTLP/HTTP carry, straight from spans. There is no tree of
// protobuf structs in between, as the SDK's exporters build one per batch.
// [Decode] reads such bytes back into spans; it is off the hot path and leaves the
// parsing to the protobuf library. [AppendJSON] and [DecodeJSON] do the same for the message in
// OTLP's JSON, which files of spans hold line by line.
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
// # JSON
//
// A field is in the JSON exactly if it is in the protobuf bytes of the same
// spans, so that either comes back as the same spans. The fields of a message
// are in the order of the protocol's definition, as in the Collector's files.
// What OTLP and protobuf leave open is decided thus:
//
//   - trace and span IDs are lowercase hex, 64-bit integers decimal strings,
//     enums numbers, and bytes base64 with padding;
//   - a double is the shortest number that is read as the same one, with an
//     exponent below 1e-6 and from 1e21 on, and "NaN", "Infinity" or "-Infinity";
//   - in strings, only control characters, quotes and backslashes are escaped.
//
// DecodeJSON takes more: names as they are in the protocol's definition
// (trace_id), hex in uppercase, integers as numbers or strings, those of 64 bits
// included, with a fraction or exponent where they are whole and below 2⁵³, enums
// by name, base64 in either alphabet and without padding, and null for what is
// absent. Surrogates without their other half become U+FFFD, as invalid UTF-8
// does. It refuses what others may read in different ways: a field that appears
// twice, a second value of an attribute, null in an array, and anything but one
// JSON value.
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
