package viewer

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/findings"
)

// server answers the page and its API.
type server struct {
	store    *store
	analysis *analysis
	sources  func() []sourceStatus
	takes    receivers
	// turns is how many answers are made at once for which many spans are looked at.
	turns chan struct{}
}

// maxSearchTime ends a search that nobody waits for any more.
const maxSearchTime = 30 * time.Second

// mistake is an error of who asks.
type mistake struct {
	status int
	text   string
}

func (m *mistake) Error() string { return m.text }

func (s *server) handler(files fs.FS) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/api/summary", s.answer(s.summary))
	mux.HandleFunc("/api/findings", s.answer(s.findings))
	mux.HandleFunc("/api/search", s.answer(s.search))
	mux.HandleFunc("/api/operations", s.answer(s.operations))
	mux.HandleFunc("/api/traces/{id}", s.answer(s.trace))
	mux.HandleFunc("/api/traces/{id}/spans/{span}", s.answer(s.span))
	mux.HandleFunc("/api/", s.answer(func(*http.Request) (any, error) {
		return nil, &mistake{http.StatusNotFound, "there is no such part of the API"}
	}))
	mux.Handle("/", http.FileServerFS(files))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		// Another version of the program may listen here next.
		h.Set("Cache-Control", "no-store")
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			h.Set("Allow", "GET, HEAD")
			http.Error(w, "want GET", http.StatusMethodNotAllowed)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// answer makes a handler of what returns a value for JSON.
func (*server) answer(of func(*http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v, err := of(r)
		status := http.StatusOK
		if err != nil {
			status = http.StatusServiceUnavailable // the search was ended
			if m, ok := errors.AsType[*mistake](err); ok {
				status = m.status
			}
			v = map[string]string{"error": err.Error()}
		}
		b, err := json.Marshal(v)
		if err != nil {
			status, b = http.StatusInternalServerError, []byte(`{"error":"writing the answer"}`)
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = w.Write(b) // who asked has gone
	}
}

// short is a name as an answer with many of them has it: made-up ones of megabytes, which
// the page asks for all the time, would keep it and the server busy.
func short(name string) string {
	if len(name) <= maxText {
		return name
	}
	n := maxText
	for n > maxText-utf8.UTFMax && !utf8.RuneStart(name[n]) {
		n--
	}
	return name[:n] + "…"
}

type summary struct {
	Version    uint64         `json:"version"`
	Spans      int            `json:"spans"`
	Traces     int            `json:"traces"`
	Bytes      int64          `json:"bytes"`
	MaxBytes   int64          `json:"max_bytes"`
	Waiting    int            `json:"waiting_traces"`
	Evicted    uint64         `json:"evicted_traces"`
	Rejected   uint64         `json:"rejected_spans"`
	Services   []string       `json:"services"`
	Operations []operationKey `json:"operations"`
	From       float64        `json:"from"`
	To         float64        `json:"to"`
	Sources    []sourceStatus `json:"sources"`
	Receivers  receivers      `json:"receivers"`
}

// receivers are where spans are taken; "" is nowhere.
type receivers struct {
	GRPC string `json:"grpc"`
	HTTP string `json:"http"`
}

type operationKey struct {
	Service string `json:"service"`
	Name    string `json:"name"`
}

type sourceStatus struct {
	Name  string `json:"name"`
	Spans int    `json:"spans"`
	Error string `json:"error"`
}

func (s *server) summary(r *http.Request) (any, error) {
	if err := noParameters(r); err != nil {
		return nil, err
	}
	f := s.store.figures()
	services, ops := s.store.services()
	from, to := s.store.times()
	out := summary{
		Version: f.version, Spans: f.spans, Traces: f.traces, Bytes: f.bytes, MaxBytes: s.store.maxBytes,
		Waiting: f.waiting, Evicted: f.evicted, Rejected: f.rejected, Services: services, Operations: []operationKey{},
		From: micros(from), To: micros(to), Sources: s.sources(), Receivers: s.takes,
	}
	if out.Services == nil {
		out.Services = []string{}
	}
	for _, o := range ops {
		out.Operations = append(out.Operations, operationKey{o.service, o.name})
	}
	return out, nil
}

func (s *server) findings(r *http.Request) (any, error) {
	if err := noParameters(r); err != nil {
		return nil, err
	}
	all, version := s.analysis.findings()
	if all == nil {
		all = []findings.Finding{}
	}
	return struct {
		Version  uint64             `json:"version"`
		Findings []findings.Finding `json:"findings"`
	}{version, all}, nil
}

func (s *server) search(r *http.Request) (any, error) {
	return s.query(r, searchKeys, func(ctx context.Context, q *query) (any, error) { return s.store.search(ctx, q) })
}

func (s *server) operations(r *http.Request) (any, error) {
	return s.query(r, queryKeys, func(ctx context.Context, q *query) (any, error) { return s.store.operations(ctx, q) })
}

// query runs one that looks at all spans.
func (s *server) query(r *http.Request, allowed []string, run func(context.Context, *query) (any, error)) (any, error) {
	q, err := parseQuery(r.URL.RawQuery, allowed)
	if err != nil {
		return nil, &mistake{http.StatusBadRequest, err.Error()}
	}
	return s.inTurn(r, func(ctx context.Context) (any, error) { return run(ctx, &q) })
}

// inTurn makes an answer when it is its turn.
func (s *server) inTurn(r *http.Request, of func(context.Context) (any, error)) (any, error) {
	ctx, cancel := context.WithTimeout(r.Context(), maxSearchTime)
	defer cancel()
	select {
	case s.turns <- struct{}{}:
		defer func() { <-s.turns }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return of(ctx)
}

var errTraceGone = &mistake{http.StatusNotFound, "the trace is not here, or not here any more"}

func (s *server) trace(r *http.Request) (any, error) {
	if err := noParameters(r); err != nil {
		return nil, err
	}
	id, err := parseTraceID(r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	return s.inTurn(r, func(context.Context) (any, error) {
		o, ok := s.store.open(id)
		if !ok {
			return nil, errTraceGone
		}
		return o.whole(), nil
	})
}

func (s *server) span(r *http.Request) (any, error) {
	if err := noParameters(r); err != nil {
		return nil, err
	}
	id, err := parseTraceID(r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	spanID, err := trace.SpanIDFromHex(r.PathValue("span"))
	if err != nil {
		return nil, &mistake{http.StatusBadRequest, "want the ID of a span: 16 hexadecimal digits in lower case"}
	}
	if d, ok := s.store.details(id, spanID); ok {
		return d, nil
	}
	return nil, &mistake{http.StatusNotFound, "the span is not here, or not here any more"}
}

func parseTraceID(text string) (trace.TraceID, error) {
	id, err := trace.TraceIDFromHex(text)
	if err != nil {
		return id, &mistake{http.StatusBadRequest, "want the ID of a trace: 32 hexadecimal digits in lower case"}
	}
	return id, nil
}

func noParameters(r *http.Request) error {
	if strings.Trim(r.URL.RawQuery, "&") != "" {
		return &mistake{http.StatusBadRequest, "want no parameters"}
	}
	return nil
}
