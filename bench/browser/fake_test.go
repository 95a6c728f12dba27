package browser

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

type object map[string]any

// fake answers as doc.go of package viewer says, from spans in memory. It knows no more
// than the tests ask for.
type fake struct {
	url   string
	start float64

	mu      sync.Mutex
	version int
	waiting int    // traces
	behind  object // what it answers for findings, if it is not nil
	spans   []span
	traces  map[string][]int // in the order of arrival
	order   []string
}

const pageDir = "../../cmd/riffle/internal/viewer/page"

func serveFake(t *testing.T, spans []span) *fake {
	t.Helper()
	f := &fake{start: float64(time.Now().Add(-15 * time.Minute).UnixMicro()), traces: map[string][]int{}}
	f.add(spans...)
	mux := http.NewServeMux()
	answer := func(pattern string, of func(r *http.Request) (any, int)) {
		mux.HandleFunc("GET "+pattern, func(w http.ResponseWriter, r *http.Request) {
			f.mu.Lock()
			body, status := of(r)
			f.mu.Unlock()
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			_ = json.NewEncoder(w).Encode(body)
		})
	}
	answer("/api/summary", func(*http.Request) (any, int) { return f.summary(), 200 })
	answer("/api/findings", func(*http.Request) (any, int) {
		if f.behind != nil {
			return f.behind, 200
		}
		return object{"version": f.version, "findings": f.findings(f.order, true)}, 200
	})
	answer("/api/search", f.search)
	answer("/api/operations", func(r *http.Request) (any, int) {
		if q := r.URL.Query(); q.Has("sort") || q.Has("limit") {
			return object{"error": "unknown parameter"}, http.StatusBadRequest
		}
		return f.operations(r), 200
	})
	answer("/api/traces/{id}", f.trace)
	answer("/api/traces/{id}/spans/{span}", f.span)
	mux.Handle("/", http.FileServerFS(os.DirFS(pageDir)))
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	f.url = s.URL
	return f
}

func (f *fake) add(spans ...span) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.version++
	for _, s := range spans {
		if f.traces[s.trace] == nil {
			f.order = append(f.order, s.trace)
		}
		f.traces[s.trace] = append(f.traces[s.trace], len(f.spans))
		f.spans = append(f.spans, s)
	}
}

func (f *fake) summary() object {
	services := map[string]bool{}
	operations := map[[2]string]bool{}
	for _, s := range f.spans {
		services[s.service], operations[[2]string{s.service, s.name}] = true, true
	}
	var named []object
	for o := range operations {
		named = append(named, object{"service": o[0], "name": o[1]})
	}
	return object{
		"version": f.version, "spans": len(f.spans), "traces": len(f.order), "waiting_traces": f.waiting, "bytes": 900 * len(f.spans), "max_bytes": 512 << 20,
		"services": slices.Sorted(maps.Keys(services)), "operations": named,
		"sources":   []object{{"name": "shop.json", "spans": len(f.spans)}, {"name": "gone.json", "spans": 0, "error": "<no such file>"}},
		"receivers": object{"grpc": "127.0.0.1:4317", "http": "http://127.0.0.1:4318"},
	}
}

// findings are those that the traffic was made with.
func (f *fake) findings(traces []string, all bool) []object {
	type key struct{ kind, service, operation string }
	found := map[key]object{}
	add := func(k key, trace, id string, cost, weight float64, advice string) {
		o := found[k]
		if o == nil {
			o = object{"kind": k.kind, "service": k.service, "operation": k.operation, "traces": []string{}, "spans": []string{}, "count": 0.0, "cost_ms": 0.0, "advice": advice}
			found[k] = o
		}
		o["count"], o["cost_ms"] = o["count"].(float64)+weight, o["cost_ms"].(float64)+cost*weight/1000
		if ids := o["traces"].([]string); !slices.Contains(ids, trace) && len(ids) < 5 {
			o["traces"] = append(ids, trace)
		}
		if o["traces"].([]string)[0] == trace && len(o["spans"].([]string)) < 10 {
			o["spans"] = append(o["spans"].([]string), id)
		}
	}
	for _, trace := range traces {
		if all && (trace == largeTrace || trace == deepTrace) {
			continue
		}
		for _, i := range f.traces[trace] {
			s := f.spans[i]
			switch {
			case s.name == "SELECT items":
				add(key{"n_plus_one", s.service, "SELECT * FROM items WHERE cart_id = ? AND position = ?"}, trace, s.id, s.duration, s.weight, "9 queries of one shape ran one after another below \"load cart\": fetch all in one, with IN or a join.")
			case s.name == "GET shipping:8080" || s.name == "GET inventory:8080":
				add(key{"sequential_calls", s.service, "POST /checkout"}, trace, s.id, s.duration/2, s.weight, "The calls to inventory and shipping ran one after another, and nothing orders them: start both, then wait.")
			case s.name == "charge card" && s.failed:
				add(key{"error_origin", s.service, s.name}, trace, s.id, 4*s.duration, s.weight, "The error begins here and fails POST /checkout of gateway: gateway > checkout > payments > charge card.")
			case strings.Contains(s.name, "<img"):
				add(key{"large_attribute", s.service, s.name}, trace, s.id, 0, s.weight, "<img src=x onerror=alert(1)> has an attribute of 1,000,000 characters.")
			}
		}
	}
	list := slices.Collect(maps.Values(found))
	slices.SortFunc(list, func(a, b object) int { return int(b["cost_ms"].(float64) - a["cost_ms"].(float64)) })
	return list
}

func (*fake) matches(r *http.Request, s span) bool {
	q := r.URL.Query()
	within := func(key string, sign float64) bool {
		d, err := time.ParseDuration(q.Get(key))
		return err != nil || sign*(s.duration-float64(d)/1e3) >= 0
	}
	has := func(want string) bool {
		key, value, _ := strings.Cut(want, "=")
		return slices.ContainsFunc(s.attributes, func(a attribute) bool { return a.Key == key && a.Value == value })
	}
	for _, a := range q["attr"] {
		if !has(a) {
			return false
		}
	}
	return (q.Get("service") == "" || q.Get("service") == s.service) && (q.Get("name") == "" || q.Get("name") == s.name) &&
		(q.Get("status") == "" || (q.Get("status") == "error") == s.failed) && within("min", 1) && within("max", -1) &&
		strings.Contains(strings.ToLower(s.name+" "+s.id+" "+s.trace), strings.ToLower(q.Get("q")))
}

func (f *fake) search(r *http.Request) (any, int) {
	q := r.URL.Query()
	if atLeast := q.Get("min"); atLeast != "" {
		if _, err := time.ParseDuration(atLeast); err != nil {
			return object{"error": `min "` + atLeast + `" is no duration`}, http.StatusBadRequest
		}
	}
	limit, _ := strconv.Atoi(q.Get("limit"))
	if limit == 0 {
		limit = 100
	}
	edges := []float64{1e3, 3e3, 1e4, 3e4, 1e5, 3e5, 1e6, 3e6, 1e7}
	weights, errs := make([]float64, len(edges)+1), make([]float64, len(edges)+1)
	traces, points := []object{}, [][4]any{}
	matched, weight := 0, 0.0
	for _, id := range slices.Backward(f.order) {
		all := f.traces[id]
		if !slices.ContainsFunc(all, func(i int) bool { return f.matches(r, f.spans[i]) }) {
			continue
		}
		var kinds []string
		if id != largeTrace && id != deepTrace {
			for _, found := range f.findings([]string{id}, false) {
				kinds = append(kinds, found["kind"].(string))
			}
		}
		if kind := q.Get("finding"); kind != "" && !slices.Contains(kinds, kind) {
			continue
		}
		root, failed := f.spans[all[0]], 0
		if longer, err := time.ParseDuration(q.Get("trace_min")); err == nil && root.duration < float64(longer)/1e3 {
			continue
		}
		if below, err := time.ParseDuration(q.Get("trace_below")); err == nil && root.duration >= float64(below)/1e3 {
			continue
		}
		services := map[string]bool{}
		for _, i := range all {
			services[f.spans[i].service] = true
			if f.spans[i].failed {
				failed++
			}
		}
		matched++
		weight += root.weight
		bucket, _ := slices.BinarySearch(edges, root.duration)
		weights[bucket] += root.weight
		if failed > 0 {
			errs[bucket] += root.weight
		}
		points = append(points, [4]any{f.start + root.start, root.duration, min(failed, 1), id})
		if len(traces) < limit {
			traces = append(traces, object{
				"id": id, "service": root.service, "name": root.name, "start": f.start + root.start, "duration": root.duration, "spans": len(all), "errors": failed,
				"services": slices.Sorted(maps.Keys(services)), "weight": root.weight, "root": true, "findings": kinds,
			})
		}
	}
	if q.Get("sort") == "longest" {
		slices.SortFunc(traces, func(a, b object) int { return int(b["duration"].(float64) - a["duration"].(float64)) })
	}
	return object{
		"version": f.version, "traces_matched": matched, "weight": weight, "took": 4200, "traces": traces, "points": points,
		"histogram": object{"edges": edges, "weights": weights, "errors": errs},
	}, 200
}

func (f *fake) operations(r *http.Request) object {
	type key struct {
		service, name string
		kind          int
	}
	all := map[key][]span{}
	for _, s := range f.spans {
		if k := (key{s.service, s.name, s.kind}); f.matches(r, s) {
			all[k] = append(all[k], s)
		}
	}
	list := []object{}
	for k, spans := range all {
		slices.SortFunc(spans, func(a, b span) int { return int(a.duration - b.duration) })
		count, failed := 0.0, 0.0
		for _, s := range spans {
			count += s.weight
			if s.failed {
				failed += s.weight
			}
		}
		at := func(p float64) float64 { return spans[int(p*float64(len(spans)-1))].duration }
		list = append(list, object{"service": k.service, "name": k.name, "kind": k.kind, "spans": len(spans), "count": count, "rate": count / 900, "errors": failed, "p50": at(0.5), "p95": at(0.95), "p99": at(0.99)})
	}
	return object{"version": f.version, "seconds": 900, "operations": list}
}
