package delivery_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/synctest"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/internal/untrustedtest"
)

// anybody is an exporter of somebody else, which says what it likes.
type anybody struct {
	said   string
	export func(spans []sdktrace.ReadOnlySpan) error
}

func (a *anybody) ExportSpans(_ context.Context, spans []sdktrace.ReadOnlySpan) error {
	return a.export(spans)
}
func (a *anybody) Shutdown(context.Context) error { return errors.New("shutting down: " + a.said) }
func (a *anybody) Traits() delivery.Traits        { return delivery.Traits{Endpoint: a.said} }

// Whatever an exporter says comes out as one line, bounded and without control
// characters, in logs and in the errors of ForceFlush and Shutdown.
func TestWhatExportersSay(t *testing.T) {
	said := untrustedtest.Say(12 << 20)
	cause := fmt.Errorf("%w: %s", io.ErrUnexpectedEOF, said)
	for name, export := range map[string]func([]sdktrace.ReadOnlySpan) error{
		"an error":          func([]sdktrace.ReadOnlySpan) error { return errors.New(said) },
		"the network":       func([]sdktrace.ReadOnlySpan) error { return cause },
		"to be tried again": func([]sdktrace.ReadOnlySpan) error { return &delivery.ExportError{Err: cause} },
		"a refusal": func([]sdktrace.ReadOnlySpan) error {
			return &delivery.ExportError{Outcome: delivery.Refused, Err: cause}
		},
		"of the content": func([]sdktrace.ReadOnlySpan) error {
			return &delivery.ExportError{Outcome: delivery.Invalid, Err: cause}
		},
		"too large": func([]sdktrace.ReadOnlySpan) error {
			return &delivery.ExportError{Outcome: delivery.TooLarge, Err: cause}
		},
		"a panic": func([]sdktrace.ReadOnlySpan) error { panic(said) },
		"a part": func(spans []sdktrace.ReadOnlySpan) error {
			return &delivery.ExportError{Outcome: delivery.Refused, Err: cause, PartialSuccess: &delivery.PartialSuccess{Remaining: spans[:1]}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log untrustedtest.Log
				var lines delivery.Lines
				l := lines.Add(&anybody{said, export}, delivery.Defaults(), delivery.Settings{Name: "any", Type: "any", Logger: log.Logger()})
				untrustedtest.Check(t, "the endpoint", l.Endpoint())
				lines.HandOver(span(said[:1<<20], 0), span("1", 0))
				flushed := l.ForceFlush(context.Background())
				ctx, cancel := context.WithCancel(t.Context())
				cancel()
				for what, err := range map[string]error{"ForceFlush": flushed, "Shutdown": l.Shutdown(ctx)} {
					if err == nil {
						t.Fatalf("%s: no error", what)
					}
					for _, err := range flat(err) {
						untrustedtest.Check(t, what, err.Error())
					}
				}
				log.Check(t, name, "no room "+untrustedtest.Forged)
			})
		})
	}
}

// flat takes what was joined apart.
func flat(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok && len(joined.Unwrap()) > 1 {
		var all []error
		for _, e := range joined.Unwrap() {
			all = append(all, flat(e)...)
		}
		return all
	}
	return []error{err}
}

// The causes stay what they are.
func TestCauseBehindWhatIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lines delivery.Lines
		cause := fmt.Errorf("%w: %s", io.ErrUnexpectedEOF, untrustedtest.Say(1<<20))
		e := &anybody{"", func([]sdktrace.ReadOnlySpan) error { return cause }}
		l := lines.Add(e, delivery.Defaults(), delivery.Settings{})
		lines.HandOver(span("0", 0))
		if err := l.ForceFlush(context.Background()); !errors.Is(err, io.ErrUnexpectedEOF) || !errors.Is(err, cause) {
			t.Errorf("%.200q", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_ = l.Shutdown(ctx)
	})
}

// responder is an exporter whose backend accepts and comments.
type responder struct {
	anybody
	response delivery.Response
}

func (r *responder) ExportRequest(context.Context, delivery.Request) (delivery.Response, error) {
	return r.response, nil
}

func TestWhatBackendsSayOfWhatTheyAccept(t *testing.T) {
	for name, rejected := range map[string]int64{"a warning": 0, "a rejection": 1} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				said := untrustedtest.Say(12 << 20)
				var log untrustedtest.Log
				var lines delivery.Lines
				e := &responder{response: delivery.Response{Rejected: rejected, Message: said}}
				l := lines.Add(e, delivery.Defaults(), delivery.Settings{Logger: log.Logger()})
				lines.HandOver(span("0", 0), span("1", 0))
				if err := l.ForceFlush(context.Background()); rejected > 0 {
					untrustedtest.Check(t, "ForceFlush", err.Error())
				}
				_ = l.Shutdown(t.Context())
				log.Check(t, name, "no room "+untrustedtest.Forged)
			})
		})
	}
}
