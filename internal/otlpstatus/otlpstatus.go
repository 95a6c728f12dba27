// Package otlpstatus says what a backend's response means for the batch that was
// sent: which status of HTTP or gRPC is retried, and which is the fault of what
// was in the batch, for OTLP and for the clouds that depart from it (table.go).
// It also reads what is said about a batch that is accepted (accepted.go), and
// knows which status to answer with ([Of]).
//
// A response of a server is an [HTTPError] or a [GRPCError]. What other errors say
// is the transport's word, made on this side.
package otlpstatus

import (
	"fmt"
	"net/http"
	"strings"

	"google.golang.org/grpc/status"
)

// HTTPError is a response of HTTP that accepts nothing.
type HTTPError struct {
	Code    int
	Status  string // such as "503 Service Unavailable"
	Message string // the server's; "" if there is none
}

func (e *HTTPError) Error() string {
	if e.Message == "" {
		return e.Status
	}
	return e.Status + ": " + e.Message
}

// Tellable is the status, without the server's words.
func (e *HTTPError) Tellable() string {
	return strings.TrimSpace(fmt.Sprintf("%d %s", e.Code, http.StatusText(e.Code)))
}

// WebPageError is for a response that is a page for people. A server that sends
// one knows no OTLP, whatever the status.
type WebPageError struct{ Status string }

func (e *WebPageError) Error() string { return fmt.Sprintf("answered with a web page (%s)", e.Status) }

// Tellable is what it means, without the server's words.
func (*WebPageError) Tellable() string { return "answered with a web page" }

// GRPCError is a status that a server sent.
type GRPCError struct{ Status *status.Status }

func (e *GRPCError) Error() string { return e.Status.Err().Error() }

// Tellable is the code, without the server's words.
func (e *GRPCError) Tellable() string { return "gRPC status " + e.Status.Code().String() }

// GRPCStatus makes it an error that package status knows.
func (e *GRPCError) GRPCStatus() *status.Status { return e.Status }
