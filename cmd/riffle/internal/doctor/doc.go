// Package doctor finds out why no traces arrive: it does in order what a service does
// with its configuration, and says of each step what it found and what to do.
//
//	config -> enabled -> resolve -> connect -> tls -> export    of each exporter
//	       -> sampling -> propagators -> clock -> queue -> plugins -> memory -> files
//
// Each step is a [Result]; one that needs what another has found to be broken is
// skipped, so that one cause is one fault. What an exporter can do only the exporter
// itself knows: the verdict is that of the exporter as it is built from its entry, with
// its certificates, its headers and its compression. The steps before it tell where it
// went wrong.
//
// Every step, and every request of one, is bounded by [Options.Timeout], and what servers
// say by package untrusted. No secret is shown: errors of exporters come without them.
package doctor
