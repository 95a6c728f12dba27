// Package pin says which programs may run as plugins.
//
// Beside the programs lies riffle-plugins.lock, in the format of sha256sum: one
// line per program with the SHA-256 of its content and its file name, so that
// sha256sum -c checks it too. A program that the file does not list, or lists
// with another sum, does not run; neither does one that others could have
// changed. What runs is a private copy, made while the content is summed up, so
// that nothing can happen to the file in between. The copy of a process that is
// gone is removed by the next one of the same user.
//
// For a script the pin covers the script alone: not its interpreter and not
// what it imports.
package pin
