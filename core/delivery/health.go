package delivery

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/riffletrace/riffle/internal/untrusted"
)

// State is what a line does.
type State string

// The states of a line.
const (
	// Idle lines have nothing to send.
	Idle State = "idle"
	// Sending lines have spans that wait for their batch, or are under way.
	Sending State = "sending"
	// Failing lines have had no batch accepted since one was not, and try on.
	Failing State = "failing"
	// BackingOff lines do likewise, and wait before the next attempt.
	BackingOff State = "backing_off"
	// Stopped lines are shut down.
	Stopped State = "stopped"
)

// Health is how a line fares, in words that anybody may hear: nothing of it is a
// backend's, and no URL.
type Health struct {
	State State
	// FailingSince is when it began to fail, BackingOffUntil when it tries again; zero if
	// it does not.
	FailingSince, BackingOffUntil time.Time
	// LastSuccess is when a backend has last accepted spans; zero if none has.
	LastSuccess time.Time
	// LastError is what has gone wrong last, and LastErrorAt when; "" if nothing has.
	LastError   string
	LastErrorAt time.Time
}

// health is what a line keeps for [Health]. The line's lock guards it.
type health struct {
	success, failed time.Time
	err             error
}

// note takes an outcome. One that a shutdown had no time for tells nothing.
func (h *health) note(o *outcome, now time.Time, gaveUp bool) {
	if o.sent > 0 {
		h.success = now
	}
	if gaveUp {
		return
	}
	switch {
	case o.loss != nil:
		h.err, h.failed = o.loss, now
	case o.failed && o.err != nil:
		h.err, h.failed = o.err, now
	case o.rejected > 0:
		h.err, h.failed = errRejected, now
	}
}

var errRejected = errors.New("the backend has rejected spans of a batch that it accepted: see the log")

// Health returns a snapshot.
func (l *Line) Health() Health {
	now := time.Now()
	waiting := l.counts.waiting()
	since := l.reporter.failingSince()
	l.mu.Lock()
	last, closed, until := l.health, l.closed, time.Time{}
	if l.breaker.open() && l.breaker.until.After(now) {
		until = l.breaker.until
	}
	l.mu.Unlock()
	h := Health{State: Idle, FailingSince: since, BackingOffUntil: until, LastSuccess: last.success, LastErrorAt: last.failed}
	if last.err != nil {
		h.LastError = untrusted.Text(Tellable(last.err), untrusted.Line) // which calls methods of the exporter's
	}
	switch {
	case closed:
		h.State, h.BackingOffUntil = Stopped, time.Time{}
	case !until.IsZero():
		h.State = BackingOff
	case !since.IsZero():
		h.State = Failing
	case waiting > 0:
		h.State = Sending
	}
	return h
}

// TellableError is an error that knows what anybody may be told of it: nothing that a
// backend has said, since that may repeat what it was sent, and nothing that is secret.
type TellableError interface {
	error
	Tellable() string
}

const inTheLog = "an error with words of others: see the log"

// Tellable is what anybody may be told of an error: of one that nothing is known of, only
// where to look.
func Tellable(err error) string {
	if t := TellableError(nil); errors.As(err, &t) {
		return t.Tellable()
	}
	for _, own := range []error{errQueueFull, errRejected, context.DeadlineExceeded, context.Canceled, os.ErrDeadlineExceeded, net.ErrClosed} {
		if errors.Is(err, own) {
			return own.Error()
		}
	}
	if e, ok := errors.AsType[*net.DNSError](err); ok {
		return e.Error()
	}
	if e, ok := errors.AsType[*net.OpError](err); ok {
		return e.Error()
	}
	if e, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return certificateText(e.Err)
	}
	if e, ok := errors.AsType[syscall.Errno](err); ok {
		return e.Error()
	}
	return inTheLog
}

// certificateText is about a certificate, of which nothing is repeated.
func certificateText(err error) string {
	switch {
	case is[x509.UnknownAuthorityError](err):
		return "the certificate is of an unknown authority"
	case is[x509.HostnameError](err):
		return "the certificate is for another name"
	}
	if e, ok := errors.AsType[x509.CertificateInvalidError](err); ok && e.Reason == x509.Expired {
		return "the certificate has expired, or is not valid yet"
	}
	return "the certificate is not accepted"
}
