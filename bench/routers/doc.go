// Package routers holds riffle's rules for routes to real routers, each with its real
// instrumentation: ServeMux, chi, gorilla, gin, echo, Fiber, Connect and gRPC. The rules
// are those of docs/instrumentation.md, and so is what the tests expect of each router.
//
// The module is one of its own so that nobody's requirements meet riffle's.
package routers
