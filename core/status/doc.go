// Package status shows what a provider does: as a page, as JSON, and as the sections that
// the command line prints.
//
// The handler reads and changes nothing. Requests that come at once, or shortly one after
// another, share one snapshot, so that it costs the service the same however often it is
// asked.
package status
