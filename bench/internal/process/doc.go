// Package process builds and runs the programs that the modules below bench
// hold riffle against: backends, and test binaries in the part of a service. It
// is for tests.
package process
