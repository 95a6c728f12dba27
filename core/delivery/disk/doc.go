// Package disk keeps batches in files, so that they outlive the process.
//
// It knows nothing of spans: a batch is bytes with a few figures about them.
// What a batch holds, when it is sent and how much may wait is the business of
// the line that owns the store.
//
// # Layout
//
//	DIR/                       as configured
//	  otlp-1f2e3d4c5b6a7988/   one per exporter: its name, a hash of name, type and endpoint
//	    exporter.json          name, type and endpoint, for people
//	    part-5c0ffee1/         one per process that uses the exporter
//	      lock                 locked as long as that process lives
//	      tmp/                 batches that are being written
//	      ready/               batches that wait, one file each
//	      bad/                 files that were damaged
//
// A batch is written to tmp, synced, renamed into ready, and deleted when it is
// sent. A process that starts claims a part that nobody has locked, and takes over
// what other such parts hold: it moves that into its own. These are parts of the
// same exporter only, as everything about an exporter is below a directory of its
// own; endpoints that differ in the case of the host are one, and the directories
// of a riffle that told them apart are found too. What an exporter left that the
// configuration has no more, [Stranded] tells.
//
// # What survives
//
// [Store.Write] returns when its batches are stored. From then on they survive
// the end of the process, however it ends, and, if they were to be synced, that
// of the machine. A batch that was being written at that time is found whole, or
// not at all: each file carries its length and checksums. One that is
// deleted may come back after a power failure. Files are read, not mapped: a
// damaged one costs its batch and nothing else.
//
// Files have mode 0600, directories 0700. Links are refused.
package disk
