package doctor

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// How far the clocks may be apart.
const (
	skewWarning = 5 * time.Second
	skewFault   = 5 * time.Minute
)

// maxHeaders bounds what is read of a receiver that is asked for the time.
const maxHeaders = 64 << 10

// checkPropagators says whether traces go on in other services.
func (x *examination) checkPropagators(context.Context) []Result {
	r := Result{Check: "propagators", Status: OK}
	names := x.spec.Propagators
	switch {
	case len(names) == 0 || slices.Contains(names, "none"):
		r.Status, r.Found = Warning, "none: trace context is neither read from requests nor sent with them, so that every service begins a trace of its own"
		r.Do = "write propagators: [tracecontext, baggage]"
	case !slices.Contains(names, "tracecontext"):
		r.Status, r.Found = Warning, fmt.Sprintf("%v, without tracecontext: services that know W3C's headers alone, as OpenTelemetry's SDKs do by default, begin traces of their own, and weights are not passed on", names)
		r.Do = "add tracecontext to propagators"
	default:
		r.Found = fmt.Sprint(names)
	}
	return []Result{r}
}

// checkClock compares the clock of this machine with that of the first receiver that
// tells its own. It is asked without headers and without a path: that it answers is
// enough.
func (x *examination) checkClock(ctx context.Context) []Result {
	r := Result{Check: "clock", Status: Skipped, Found: "no receiver tells the time: those of HTTP do"}
	for i := range x.spec.Exporters {
		e := &x.spec.Exporters[i]
		c, ok := e.Connection()
		if !ok {
			continue
		}
		if t, ok := targetOf(c); ok && t.http && textOf(e, "proxy") == "" && x.answered(e.ID()) {
			if skew, off, ok := dateOf(ctx, &t); ok {
				return []Result{judgeClock(e.ID(), skew, off)}
			}
			r.Found = "the receiver does not tell the time"
		}
	}
	return []Result{r}
}

// answered reports whether something that was asked for an exporter answers at all.
func (x *examination) answered(id string) bool {
	return !slices.ContainsFunc(x.results, func(r Result) bool {
		return r.Subject == id && r.Status == Fault && (r.Check == "resolve" || r.Check == "connect" || strings.Contains(r.Found, "in time"))
	})
}

// dateOf is by how much a receiver's clock is ahead, and how far off that may be.
func dateOf(ctx context.Context, t *target) (skew, off time.Duration, ok bool) {
	transport := &http.Transport{
		MaxResponseHeaderBytes: maxHeaders,
		Proxy:                  http.ProxyFromEnvironment,
		TLSClientConfig:        &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}, //nolint:gosec // nothing is sent, and the time is no secret
	}
	defer transport.CloseIdleConnections()
	client := http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, map[bool]string{false: "http://", true: "https://"}[t.secure]+t.address()+"/", http.NoBody)
	if err != nil {
		return 0, 0, false
	}
	began := time.Now()
	resp, err := client.Do(req)
	if err != nil {
		return 0, 0, false
	}
	_ = resp.Body.Close()
	took := time.Since(began)
	date, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		return 0, 0, false
	}
	// It is of some time in between, and its fractions of a second are cut.
	return date.Add(time.Second / 2).Sub(began.Add(took / 2)), took/2 + time.Second/2, true
}

func judgeClock(id string, skew, off time.Duration) Result {
	r := Result{Check: "clock", Subject: id, Status: OK}
	apart := skew.Abs() - off // at least
	direction := map[bool]string{false: "ahead of", true: "behind"}[skew > 0]
	switch {
	case apart < skewWarning:
		r.Found = fmt.Sprintf("within %s of the receiver's", skewWarning)
		return r
	case apart < skewFault:
		r.Status = Warning
	default:
		r.Status = Fault
	}
	r.Found = fmt.Sprintf("the clock of this machine is %s %s that of the receiver", skew.Abs().Round(time.Second), direction)
	r.Do = "synchronize both with NTP: spans of several services do not fit together, and backends refuse or do not find what is too old or of the future"
	return r
}
