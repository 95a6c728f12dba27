// Package process runs one program as a plugin, from its start to its end.
//
// The handshake and the certificates are those of hashicorp/go-plugin. How the
// program is run and how it is talked to is done here, because of what go-plugin
// v1.8.0 does:
//
//   - it parses what a plugin writes to standard error in the host's process and
//     panics on a line of JSON whose @message is no string;
//   - the host's standard input and its whole environment are inherited;
//   - a program that writes a line longer than 64 KiB to standard output blocks;
//   - asking a plugin to end has no deadline, then it waits for two fixed seconds;
//   - one that never answers leaves goroutines of the host behind;
//   - starting a client whose process has exited returns no error.
//
// So the output of the program is read here, standard input is a pipe that the
// host holds (its end is the end of the program), the process has a group of
// its own that ends with it, and the connection is this package's own.
package process
