package viewer

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/findings"
)

type response struct {
	status int
	header http.Header
	body   string
}

func get(t *testing.T, method, url string, change func(*http.Request)) response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(req)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response{resp.StatusCode, resp.Header, string(body)}
}

func getJSON(t *testing.T, url string, into any) {
	t.Helper()
	r := get(t, http.MethodGet, url, nil)
	if r.status != http.StatusOK || r.header.Get("Content-Type") != "application/json" {
		t.Fatalf("%s: status %d, %s: %.200s", url, r.status, r.header.Get("Content-Type"), r.body)
	}
	if err := json.Unmarshal([]byte(r.body), into); err != nil {
		t.Fatalf("%s: %v in %.200s", url, err, r.body)
	}
}

func TestAPI(t *testing.T) {
	detect := noDetector
	detect.Trace = func(spans []sdktrace.ReadOnlySpan) []findings.Finding {
		return []findings.Finding{{Kind: findings.Gap, Service: "shop", Spans: []string{spans[0].SpanContext().SpanID().String()}}}
	}
	v, at := startViewer(t, Options{MaxBytes: 1 << 20, Detector: detect, Sources: []Source{{Name: "some.json", Read: func(_ context.Context, take func([]sdktrace.ReadOnlySpan) error) error {
		if err := take(spans(t, stub{trace: 9, id: 1, service: "shop", name: "from a file"})); err != nil {
			return err
		}
		return io.ErrUnexpectedEOF
	}}}})
	until(t, "the source", func() bool { return v.sourceStatus()[0].Error != "" })
	v.Add(spans(t,
		stub{trace: 1, id: 1, service: "shop", name: "<script>alert(1)</script>", kind: 2, to: 100 * ms, state: "ot=th:8"},
		stub{
			trace: 1, id: 2, parent: 1, service: "shop", name: "SELECT", kind: 3, from: 10 * ms, to: 40 * ms, failed: true, state: "ot=th:8,x=y",
			attrs:  []attribute.KeyValue{attribute.Int("n", 7), attribute.String("bad", "\xff<b>"), attribute.BoolSlice("list", []bool{true})},
			events: []sdktrace.Event{{Name: "exception", Time: epoch.Add(15 * ms), Attributes: []attribute.KeyValue{attribute.String("exception.type", "E")}}},
			links: []sdktrace.Link{
				{SpanContext: trace.NewSpanContext(trace.SpanContextConfig{TraceID: traceID(9), SpanID: spanID(1)})},
				{SpanContext: trace.NewSpanContext(trace.SpanContextConfig{TraceID: traceID(8), SpanID: spanID(1)})},
			},
		},
	))
	until(t, "the look", func() bool {
		o, _ := v.store.open(traceID(1))
		return len(o.found) > 0
	})

	var sum summary
	getJSON(t, at.page+"api/summary", &sum)
	if sum.Version == 0 || sum.Bytes == 0 {
		t.Errorf("%+v", sum)
	}
	sum.Version, sum.Bytes = 0, 0
	start := float64(epoch.UnixMicro())
	want := summary{
		Spans: 3, Traces: 2, MaxBytes: 1 << 20, Services: []string{"shop"}, From: start, To: start + 100_000,
		Operations: []operationKey{{"shop", "<script>alert(1)</script>"}, {"shop", "SELECT"}, {"shop", "from a file"}},
		Sources:    []sourceStatus{{"some.json", 1, "unexpected EOF"}},
		Receivers:  receivers{GRPC: at.grpc, HTTP: strings.TrimSuffix(at.http, "/")},
	}
	if diff := cmp.Diff(want, sum); diff != "" {
		t.Errorf("summary (-want +got):\n%s", diff)
	}

	two := 2.0
	var whole wholeTrace
	getJSON(t, at.page+"api/traces/"+traceID(1).String(), &whole)
	wantWhole := wholeTrace{
		ID: traceID(1).String(), Start: start, Duration: 100_000, Weight: &two,
		Services: []string{"shop"}, Names: []string{"<script>alert(1)</script>", "SELECT"}, Kinds: kinds,
		Spans: columns{
			ID: []string{spanID(1).String(), spanID(2).String()}, Parent: []int32{-1, 0}, Depth: []int32{0, 1}, Service: []int{0, 0}, Name: []int{0, 1},
			Kind: []int{2, 3}, Start: []float64{0, 10_000}, Duration: []float64{100_000, 30_000}, Status: []int{0, 2}, Children: []int32{1, 0}, Missing: []int32{},
		},
		Critical: [][3]float64{{0, 0, 10_000}, {1, 10_000, 40_000}, {0, 40_000, 100_000}},
		Findings: []findings.Finding{{Kind: findings.Gap, Service: "shop", Spans: []string{spanID(1).String()}}},
	}
	if diff := cmp.Diff(wantWhole, whole); diff != "" {
		t.Errorf("trace (-want +got):\n%s", diff)
	}

	var details spanDetails
	getJSON(t, at.page+"api/traces/"+traceID(1).String()+"/spans/"+spanID(2).String(), &details)
	wantDetails := spanDetails{
		ID: spanID(2).String(), Parent: spanID(1).String(), Name: "SELECT", Service: "shop", Kind: "client", Start: start + 10_000, Duration: 30_000,
		Status: statusDetails{2, "it broke"}, Weight: &two, TraceState: "ot=th:8,x=y",
		Attributes: []attributeJSON{{"n", "int64", "7"}, {"bad", "string", "\ufffd<b>"}, {"list", "bool[]", "[true]"}},
		Resource:   []attributeJSON{{"host.name", "string", "shop-1"}, {"service.name", "string", "shop"}},
		Events:     []eventDetails{{"exception", 5000, []attributeJSON{{"exception.type", "string", "E"}}}},
		Links:      []linkDetails{{traceID(9).String(), spanID(1).String(), true, []attributeJSON{}}, {traceID(8).String(), spanID(1).String(), false, []attributeJSON{}}},
	}
	if diff := cmp.Diff(wantDetails, details); diff != "" {
		t.Errorf("span (-want +got):\n%s", diff)
	}

	var all struct {
		Findings []findings.Finding `json:"findings"`
	}
	until(t, "both findings", func() bool {
		getJSON(t, at.page+"api/findings", &all)
		return len(all.Findings) == 2
	})
	var got found
	if getJSON(t, at.page+"api/search?q=alert(1)&finding=gap", &got); got.Matched != 1 {
		t.Errorf("%+v", got)
	}
	var ops operations
	if getJSON(t, at.page+"api/operations?status=error", &ops); len(ops.Operations) != 1 {
		t.Errorf("%+v", ops)
	}
}

// Names of megabytes are not sent again and again.
func TestLongNames(t *testing.T) {
	v, at := startViewer(t, Options{MaxBytes: 512 << 20, Detector: noDetector})
	long := strings.Repeat("ä", 1<<18)
	for n := range byte(5) {
		v.Add(spans(t, stub{trace: n + 1, id: 1, service: "shop", name: string('a'+n) + long}, stub{trace: n + 1, id: 2, service: long + string('a'+n), name: "short"}))
	}
	var sum summary
	getJSON(t, at.page+"api/summary", &sum)
	if !slices.Equal(sum.Services, []string{"shop"}) || len(sum.Operations) != 0 {
		t.Errorf("%d services, %d operations", len(sum.Services), len(sum.Operations))
	}
	for _, path := range []string{"search", "operations", "traces/" + traceID(1).String()} {
		got := get(t, http.MethodGet, at.page+"api/"+path, nil)
		if len(got.body) > 64<<10 || !strings.Contains(got.body, "ää…") || strings.Contains(got.body, "\ufffd") {
			t.Errorf("%s: %d bytes: %.200s", path, len(got.body), got.body)
		}
	}
	var whole spanDetails
	getJSON(t, at.page+"api/traces/"+traceID(1).String()+"/spans/"+spanID(1).String(), &whole)
	if whole.Name != "a"+long {
		t.Errorf("the details have %d bytes of the name", len(whole.Name))
	}
}

func TestAPIMistakes(t *testing.T) {
	_, at := startViewer(t, Options{MaxBytes: 1 << 20, Detector: noDetector})
	some := traceID(1).String()
	for path, want := range map[string]int{
		"api/search?nope=1":                                   http.StatusBadRequest,
		"api/operations?limit=1":                              http.StatusBadRequest,
		"api/summary?x=1":                                     http.StatusBadRequest,
		"api/findings?x=1":                                    http.StatusBadRequest,
		"api/traces/xyz":                                      http.StatusBadRequest,
		"api/traces/" + strings.ToUpper(some):                 http.StatusBadRequest,
		"api/traces/" + some + "?x":                           http.StatusBadRequest,
		"api/traces/" + some:                                  http.StatusNotFound,
		"api/traces/" + some + "/spans/x":                     http.StatusBadRequest,
		"api/traces/" + some + "/spans/" + spanID(1).String(): http.StatusNotFound,
		"api/nothing":                                         http.StatusNotFound,
	} {
		r := get(t, http.MethodGet, at.page+path, nil)
		var mistake struct {
			Error string `json:"error"`
		}
		if err := json.Unmarshal([]byte(r.body), &mistake); err != nil || r.status != want || mistake.Error == "" {
			t.Errorf("%s: %d %q, want %d", path, r.status, r.body, want)
		}
	}
}

func TestPageIsServedSafely(t *testing.T) {
	_, at := startViewer(t, Options{MaxBytes: 1 << 20, Detector: noDetector, Page: fstest.MapFS{
		"index.html": {Data: []byte("<!doctype html>the page")}, "app.js": {Data: []byte("1")},
	}})
	for path, want := range map[string]string{"": "<!doctype html>the page", "app.js": "1", "api/summary": "", "api/absent": ""} {
		r := get(t, http.MethodGet, at.page+path, nil)
		if want != "" && r.body != want {
			t.Errorf("/%s: %q", path, r.body)
		}
		for name, value := range map[string]string{
			"Content-Security-Policy":      "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'",
			"X-Content-Type-Options":       "nosniff",
			"X-Frame-Options":              "DENY",
			"Referrer-Policy":              "no-referrer",
			"Cross-Origin-Opener-Policy":   "same-origin",
			"Cross-Origin-Resource-Policy": "same-origin",
			"Cache-Control":                "no-store",
			"Access-Control-Allow-Origin":  "",
		} {
			if got := r.header.Get(name); got != value {
				t.Errorf("/%s: %s: %q, want %q", path, name, got, value)
			}
		}
	}
	if r := get(t, http.MethodHead, at.page, nil); r.status != http.StatusOK || r.body != "" {
		t.Errorf("HEAD: %d %q", r.status, r.body)
	}
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodOptions, http.MethodPatch} {
		if r := get(t, method, at.page+"api/summary", nil); r.status != http.StatusMethodNotAllowed {
			t.Errorf("%s: %d", method, r.status)
		}
	}
	if r := get(t, http.MethodGet, at.page+"api/summary", func(r *http.Request) { r.Host = "evil.example.com" }); r.status != http.StatusForbidden {
		t.Errorf("another host: %d", r.status)
	}
	if r := get(t, http.MethodPost, at.http+"v1/traces", func(r *http.Request) { r.Header.Set("Origin", "https://evil.example.com") }); r.status != http.StatusForbidden {
		t.Errorf("a page that sends spans: %d", r.status)
	}
}

// A client that says nothing is not waited for at the end.
func TestCloseEndsEverything(t *testing.T) {
	v, at := startViewer(t, Options{MaxBytes: 1 << 20, Detector: noDetector})
	for _, address := range []string{strings.Trim(at.page[len("http://"):], "/"), at.grpc} {
		c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	done := make(chan struct{})
	go func() { defer close(done); v.Close(); v.Close() }()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatal("it does not end")
	}
}

func TestAddressesOfAViewer(t *testing.T) {
	const free = "127.0.0.1:0"
	_, at := startViewer(t, Options{MaxBytes: 1 << 20, Detector: noDetector})
	_, taken, _ := strings.Cut(at.grpc, ":")
	for _, test := range []struct {
		opts Options
		want string
	}{
		{Options{Listen: "0.0.0.0:0"}, "--listen 0.0.0.0:0: not an address of loopback"},
		{Options{Listen: free, OTLPHTTP: "example.com:4318"}, "--otlp-http example.com:4318: not an address of loopback"},
		{Options{Listen: free, OTLPGRPC: ":4317"}, "--otlp-grpc :4317: not an address of loopback"},
		{Options{Listen: free, OTLPGRPC: "localhost:" + taken}, "--otlp-grpc localhost:" + taken + ": port " + taken + " is taken: end the process that listens there, or choose another port with --otlp-grpc 127.0.0.1:PORT; --otlp-grpc \"\" receives nothing there"},
		{Options{Listen: free, OTLPHTTP: at.grpc}, "--otlp-http " + at.grpc + ": port " + taken + " is taken"},
		{Options{Listen: at.grpc}, "--listen " + at.grpc + ": port " + taken + " is taken"},
	} {
		test.opts.Detector = noDetector
		v, err := Start(t.Context(), test.opts)
		if err == nil {
			v.Close()
		}
		if err == nil || !strings.HasPrefix(err.Error(), test.want) {
			t.Errorf("%+v: %v, want %s", test.opts, err, test.want)
		}
	}
	v, err := Start(t.Context(), Options{Listen: free, Detector: noDetector})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	if g, h := v.Receivers(); g != "" || h != "" {
		t.Errorf("it receives at %q and %q", g, h)
	}
}
