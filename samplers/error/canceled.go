package errored

import (
	"net/http"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/match"
	"github.com/riffletrace/riffle/core/sampling"
)

// isCanceled reports whether a span that failed did so because somebody gave up: the
// client of the request, or who began what the span is about.
//
// What answered a span is believed first, because a request that was canceled may have
// failed before. Then what the error says counts. An error that says nothing of it was
// caused by the cancellation if the request was canceled by then: of what comes of
// that, "conn closed" or "transaction has already been rolled back", there is no list.
func isCanceled(p *sampling.EndParameters) bool {
	status, said := p.Span.Status().Description, lastMessage(p.Span.Events())
	if strings.HasPrefix(status, caught) || saysDeadline(status) || saysDeadline(said) {
		return false
	}
	switch answerOf(p.Span.SpanKind(), p.Span.Attributes()) {
	case itWasCanceled:
		return true
	case itMayBe:
		return p.Canceled
	case itSaysWhy:
		return saysCanceled(status) || saysCanceled(said)
	case itFailed:
		return false
	default:
		return p.Canceled || saysCanceled(status) || saysCanceled(said)
	}
}

// caught is how the status begins that the HTTP middleware of core/observability sets
// for a panic which it has caught.
const caught = "panic: "

// answered is what a span says about how it was answered.
type answered uint8

const (
	itSaysNothing answered = iota
	itWasCanceled
	itMayBe   // if the request was canceled
	itSaysWhy // in words: if they speak of a cancellation
	itFailed
)

const (
	// queryCanceled is the SQLSTATE of a query that was canceled, by its client or by a
	// timeout.
	queryCanceled = "57014"
	// grpcCanceled is gRPC's code of what its client has canceled, rpcCanceled its name.
	grpcCanceled = 1
	rpcCanceled  = "CANCELLED"
	// clientClosed is the HTTP status that servers log for a client that has gone.
	clientClosed = 499
)

// answerOf looks for codes. The names are those of OpenTelemetry's semantic
// conventions, the older ones too.
func answerOf(kind trace.SpanKind, attributes []attribute.KeyValue) (a answered) {
	for i := range attributes {
		switch kv := &attributes[i]; kv.Key {
		case "rpc.grpc.status_code":
			if code, ok := number(kv.Value); ok {
				a = max(a, rpcAnswer(code == grpcCanceled))
			}
		case "rpc.response.status_code":
			a = max(a, rpcAnswer(kv.Value.AsString() == rpcCanceled))
		case "db.response.status_code":
			if state := kv.Value.AsString(); state == queryCanceled {
				a = max(a, itMayBe)
			} else if state != "" {
				a = max(a, itFailed)
			}
		case "http.response.status_code", "http.status_code":
			code, ok := number(kv.Value)
			switch {
			case !ok:
			case kind != trace.SpanKindClient:
				// What else a server answers to a client that has gone says nothing.
				if code == clientClosed {
					a = max(a, itWasCanceled)
				}
			case code >= http.StatusBadRequest:
				a = max(a, itFailed)
			}
		case "error.type":
			if text := kv.Value.AsString(); text == "context.Canceled" || text == rpcCanceled {
				a = max(a, itWasCanceled)
			}
		}
	}
	return a
}

// rpcAnswer does not leave it to the request's context: gRPC's server cancels that when
// a call is over, however it ended.
func rpcAnswer(canceled bool) answered {
	if canceled {
		return itWasCanceled
	}
	return itSaysWhy
}

// What context, net, gRPC and PostgreSQL call it.
var (
	canceledTexts = []string{"context canceled", "operation was canceled", "code = Canceled"}
	deadlineTexts = []string{"deadline exceeded", "statement timeout"}
)

func saysCanceled(text string) bool { return says(text, canceledTexts) }
func saysDeadline(text string) bool { return says(text, deadlineTexts) }

// says looks at so much of a text as other patterns do, and at how it ends.
func says(text string, what []string) bool {
	start := text[:min(len(text), match.MaxText)]
	for _, w := range what {
		if strings.Contains(start, w) || strings.HasSuffix(text, w) {
			return true
		}
	}
	return false
}
