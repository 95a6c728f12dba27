package status

import (
	"encoding/json"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/riffletrace/riffle/core"
)

const (
	// fresh is for how long a snapshot is shown, where it took less than a tenth of that to
	// make. One that took longer is shown for ten times as long as it took.
	fresh = 250 * time.Millisecond
	share = 10
)

// Handler serves a status: a page for people, and JSON with ?format=json. It answers GET
// and HEAD alone. It is safe if anybody can reach it, though few need to.
type Handler struct {
	status func() core.Status

	mu   sync.Mutex
	made time.Time
	took time.Duration
	page []byte
	json []byte
}

// New returns a handler. status is called by one goroutine at a time, at most four times a
// second.
func New(status func() core.Status) *Handler { return &Handler{status: status} }

// ServeHTTP answers a request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Content-Security-Policy", contentSecurityPolicy())
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cache-Control", "no-store")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		header.Set("Allow", "GET, HEAD")
		http.Error(w, "want GET", http.StatusMethodNotAllowed)
		return
	}
	page, text, err := h.snapshot()
	if err != nil {
		http.Error(w, "the status cannot be encoded", http.StatusInternalServerError)
		return
	}
	body := page
	switch r.URL.Query().Get("format") {
	case "", "html":
		header.Set("Content-Type", "text/html; charset=utf-8")
	case "json":
		header.Set("Content-Type", "application/json")
		body = text
	default:
		http.Error(w, "want format=json or format=html", http.StatusBadRequest)
		return
	}
	header.Set("Content-Length", strconv.Itoa(len(body)))
	if r.Method == http.MethodGet {
		_, _ = w.Write(body) // who asked has gone
	}
}

// snapshot returns one that is fresh. Who asks while one is made waits for that.
func (h *Handler) snapshot() (page, text []byte, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	began := time.Now()
	if h.page != nil && began.Sub(h.made) < max(fresh, share*h.took) {
		return h.page, h.json, nil
	}
	s := h.status()
	if text, err = json.Marshal(&s); err != nil {
		return nil, nil, err
	}
	h.page, h.json, h.made = render(&s), append(text, '\n'), time.Now()
	h.took = h.made.Sub(began)
	return h.page, h.json, nil
}

// Var is a status for [expvar.Publish]: its String is JSON. It shares what it says as the
// handler does.
//
// [expvar.Publish]: https://pkg.go.dev/expvar#Publish
type Var struct{ handler *Handler }

// NewVar returns one that shares the snapshots of a handler.
func NewVar(h *Handler) *Var { return &Var{h} }

// String is the status as JSON; null if it cannot be encoded.
func (v *Var) String() string {
	_, text, err := v.handler.snapshot()
	if err != nil {
		return "null"
	}
	return string(text)
}
