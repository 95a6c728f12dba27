// Package docs has no code but the tests of the pages: every configuration, command
// and program that they show runs, and what is generated is current. It is a module
// of its own, because the pages show all modules together.
package docs
