// Package network is what the connections of all exporters have in common: how an
// address is dialed, when a request is repeated at once, and whose word an error of
// gRPC is.
//
// A connection that lies idle is closed by the other side some time. Who is frozen
// meanwhile, as a function of AWS Lambda is between two events, learns of it from
// the next request. So a request on a connection that has worked before is repeated
// once, on another one, when the connection turns out to be broken. That the first
// may have arrived is why spans can be delivered twice.
package network
