package browser

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// program is riffle, built once.
var program = sync.OnceValues(func() (string, error) {
	path := filepath.Join(built, "riffle")
	cmd := exec.CommandContext(context.Background(), "go", "build", "-o", path, ".")
	cmd.Dir, cmd.Env = filepath.Join("..", "..", "cmd", "riffle"), append(os.Environ(), "GOWORK=off")
	cmd.Stderr = os.Stderr
	return path, cmd.Run()
})

// viewed is riffle view as it runs.
type viewed struct{ page, otlp string }

// runView starts riffle view, and ends it with the test.
func runView(t *testing.T) viewed {
	t.Helper()
	needsChromium(t)
	path, err := program()
	if err != nil {
		t.Fatal("building riffle: ", err)
	}
	// It is interrupted, as people do.
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), path, "view", "--listen", "127.0.0.1:0", "--otlp-grpc", "127.0.0.1:0", "--otlp-http", "127.0.0.1:0")
	cmd.Stderr = t.Output()
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Error(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("riffle view: %v", err)
		}
	})
	var v viewed
	lines := bufio.NewScanner(out)
	for (v.page == "" || v.otlp == "") && lines.Scan() {
		if address, ok := strings.CutPrefix(lines.Text(), "page "); ok {
			v.page = strings.TrimSpace(address)
		}
		if address, ok := strings.CutPrefix(lines.Text(), "OTLP/HTTP "); ok {
			v.otlp = strings.TrimSpace(address) + "/v1/traces"
		}
	}
	if v.page == "" || v.otlp == "" {
		t.Fatalf("riffle view does not say where it listens: %v", lines.Err())
	}
	return v
}

// send sends spans by OTLP, as JSON.
func (v viewed) send(t *testing.T, spans []span) {
	t.Helper()
	start := time.Now().Add(-15 * time.Minute)
	for len(spans) > 0 {
		n, size := 0, 0
		byService := map[string][]object{}
		for n < len(spans) && n < 5000 && size < 1<<20 {
			s := spans[n]
			byService[s.service] = append(byService[s.service], otlpSpan(s, start))
			size += 6 * len(s.name)
			n++
		}
		spans = spans[n:]
		var resources []object
		for service, of := range byService {
			resources = append(resources, object{
				"resource":   object{"attributes": otlpAttributes([]attribute{text("service.name", service), text("host.name", "node-7")})},
				"scopeSpans": []object{{"scope": object{"name": "shop", "version": "1.2.0"}, "spans": of}},
			})
		}
		body, err := json.Marshal(object{"resourceSpans": resources})
		if err != nil {
			t.Fatal(err)
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, v.otlp, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Fatalf("sending %d spans, %d bytes: %s", n, len(body), resp.Status)
		}
	}
}

func otlpSpan(s span, from time.Time) object {
	at := func(us float64) string {
		return strconv.FormatInt(from.Add(time.Duration(us*1e3)).UnixNano(), 10)
	}
	o := object{
		"traceId": s.trace, "spanId": s.id, "parentSpanId": s.parent, "name": s.name, "kind": s.kind, "attributes": otlpAttributes(s.attributes),
		"startTimeUnixNano": at(s.start), "endTimeUnixNano": at(s.start + s.duration),
		"traceState": map[float64]string{1: "ot=th:0", 4: "ot=th:c", 16: "ot=th:f"}[s.weight],
	}
	if s.failed {
		o["status"] = object{"code": 2, "message": s.description}
	}
	var events, links []object
	for _, e := range s.events {
		events = append(events, object{"name": e.Name, "timeUnixNano": at(s.start + e.At), "attributes": otlpAttributes(e.Attributes)})
	}
	for _, l := range s.links {
		if l.Span != "" {
			links = append(links, object{"traceId": l.Trace, "spanId": l.Span})
		}
	}
	o["events"], o["links"] = events, links
	return o
}

func otlpAttributes(all []attribute) (list []object) {
	for _, a := range all {
		value := object{"stringValue": a.Value}
		if a.Type == "int64" {
			value = object{"intValue": a.Value}
		}
		list = append(list, object{"key": a.Key, "value": value})
	}
	return list
}

// The page works with the server that it is made for: what OTLP brings is found, opened
// and read, each view in both themes, with the headers that it is served with.
func TestRiffleView(t *testing.T) {
	v := runView(t)
	b := open(t, desktop, v.page)
	b.wait(`document.querySelector('.empty pre')`)
	v.send(t, shop())
	b.wait(`!document.querySelector('.empty')`)
	b.keys("/")
	b.wait(`document.activeElement.id === 'f-q'`)
	b.keys("charge card", enter)
	b.wait(`document.querySelector('.bar .note').textContent.startsWith('45 traces, by weight 177')`)
	eval[any](b, `void (location.hash = '#/search?name=charge+card&status=error&attr=payment.provider%3Dacme')`)
	b.wait(`document.querySelector('.bar .note').textContent.startsWith('12 traces, by weight 45')`)
	b.wait(`document.querySelectorAll('li.hit').length === 12 && document.querySelector('.scatter path.failed') && document.querySelector('.bars rect.back')`)
	b.picture("real-search")
	eval[any](b, `void (location.hash = '#/operations?service=checkout')`)
	b.wait(`document.querySelector('.operations tbody tr')`)
	b.want(`document.querySelector('.operations tbody th a').textContent`, "SELECT items")
	b.picture("real-operations")

	eval[any](b, `void (location.hash = '#/trace/`+checkoutTrace+`')`)
	b.wait(`document.querySelectorAll('.row').length === 22 && document.querySelector('.row .critical')`)
	b.wait(`document.querySelectorAll('.row .badge').length >= 10`) // as soon as they are found
	b.keys("e", "e", "e", "e", "e", enter)
	b.want(`document.querySelector('.details h2').textContent`, "charge card")
	text := eval[string](b, `document.querySelector('.details').innerText`)
	for _, want := range []string{"card processor: connection reset by peer", "client.go:118", "payment.provider", "acme", "node-7", "is not here", "stands for 1", "status\nerror"} {
		if !strings.Contains(text, want) {
			t.Errorf("the details do not have %q:\n%s", want, text)
		}
	}
	b.picture("real-span")

	eval[any](b, `void (location.hash = '#/trace/`+hostileTrace+`')`)
	b.wait(`document.querySelectorAll('.row').length === 11`)
	b.keys("j", enter)
	b.want(`document.querySelector('.details h2').textContent`, hostileNames[0])

	start := time.Now()
	eval[any](b, `void (location.hash = '#/trace/`+largeTrace+`')`)
	b.wait(`document.querySelector('.waterfall')?.getAttribute('aria-rowcount') === '100001' && document.querySelectorAll('.row').length > 10`)
	t.Logf("rows of %d spans after %s", largeSpans, time.Since(start).Round(time.Millisecond))
	eval[any](b, `void (location.hash = '#/trace/`+deepTrace+`')`)
	b.want(`document.querySelector('.waterfall').getAttribute('aria-rowcount')`, strconv.Itoa(deepSpans+1))
	eval[any](b, `void (location.hash = '#/')`)
	for _, kind := range []string{"N+1 queries", "Sequential calls", "Origin of errors"} {
		b.wait(`[...document.querySelectorAll('.finding .kind')].some(e => e.textContent === ` + quote(kind) + `)`)
	}
	b.picture("real-findings")
}
