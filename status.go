package riffle

import (
	"net/http"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/status"
)

// Status tells what it does with traces; see [core.Status]. That of a nil Tracing says that
// it is off.
func (t *Tracing) Status() core.Status {
	if t == nil {
		return core.OffStatus()
	}
	return t.provider.Status()
}

// Handler serves the status: a page for people, and JSON with ?format=json. Nothing mounts
// it; a service does so where it likes, such as at the address that has its metrics:
//
//	mux.Handle("/debug/riffle", tracing.Handler())
//
// It changes nothing, and shows no secret and no attribute but http.route, so that it is
// safe if anybody can reach it. It costs the same however often it is asked. It may be
// used after Shutdown.
func (t *Tracing) Handler() http.Handler { return t.page() }

// Var is the status for package expvar, which publishes it as JSON:
//
//	expvar.Publish("riffle", tracing.Var())
func (t *Tracing) Var() *status.Var { return status.NewVar(t.page()) }

// page is the one handler: all that show the status share its snapshots.
func (t *Tracing) page() *status.Handler {
	if t == nil {
		return status.New(t.Status)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.status == nil {
		t.status = status.New(t.Status)
	}
	return t.status
}
