package status

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/component"
)

const hostile = `</td><script>alert(1)</script>"' onload=x &amp; <img src=x>`

// full is a status in which every text is hostile.
func full(text string) core.Status {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	return core.Status{
		Version: core.StatusVersion, At: at, Started: at.Add(-26 * time.Hour), State: core.Running, Service: text,
		Problems: []core.Problem{{About: text, Text: text}},
		Segments: core.SegmentStatus{Started: 1234567, Kept: 3, KeptBy: map[string]uint64{text: 1, "": 2}, NotKept: 9, Discarded: 4, Probability: 0.125, HeldBytes: 3 << 20, MaxBytes: 64 << 20},
		Samplers: []core.SamplerStatus{{
			Name: text, Description: text, SuspendedFor: text, SuspendedUntil: at.Add(7 * time.Second), Suspensions: 1, Cut: 2, MatchIdle: true,
			Rules: []core.RuleStatus{{Name: text, Answered: 5, Kept: 1}, {Name: "never"}, {Name: "idle", Idle: true}},
		}},
		Exporters: []core.ExporterStatus{{
			Name: text, Type: text, Endpoint: text, State: text, LastError: text, LastErrorAt: at.Add(-time.Minute), LastSuccess: at.Add(-time.Hour),
			FailingSince: at.Add(-2 * time.Minute), BackingOffUntil: at.Add(90 * time.Second), WaitingSpans: 3, OldestSeconds: 0.25, Lost: 2, Dropped: map[string]uint64{"queue_full": 2},
		}},
		Plugins:       []component.PluginStatus{{Name: text, State: text}},
		Reloads:       core.ReloadStatus{Failed: 1, Last: at, LastError: text},
		LongestOpen:   []core.OpenStatus{{Name: text, Route: text + "r", AgeSeconds: 3.5e5, RootEnded: true}},
		Configuration: []core.Setting{{Line: "  " + text, Origin: text}},
	}
}

// Whatever a text says, the page has the tags of one with harmless texts, and no others.
func TestHostileTextsStayTexts(t *testing.T) {
	tags := regexp.MustCompile(`<[^>]*>`)
	harmless, hostilePage := full("harmless"), full(hostile)
	want, got := string(render(&harmless)), string(render(&hostilePage))
	clean := func(s string) []string {
		all := tags.FindAllString(strings.Replace(s, style, "", 1), -1)
		for i := range all {
			all[i] = strings.Replace(all[i], ` class="wide"`, "", 1) // for what is long
		}
		return all
	}
	if d := cmp.Diff(clean(want), clean(got)); d != "" {
		t.Error(d)
	}
	if n := strings.Count(want, "harmless"); n != strings.Count(got, "&lt;/td&gt;&lt;script&gt;") || n < 15 {
		t.Errorf("%d texts in one page, and %d in the other", n, strings.Count(got, "&lt;/td&gt;&lt;script&gt;"))
	}
}

func get(t *testing.T, h http.Handler, method, target string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, target, nil))
	return w
}

func TestHandler(t *testing.T) {
	h := New(func() core.Status { return full("x") })
	for _, tt := range []struct {
		method, target string
		code           int
		contentType    string
	}{
		{"GET", "/", 200, "text/html; charset=utf-8"},
		{"HEAD", "/", 200, "text/html; charset=utf-8"},
		{"GET", "/any/path?format=html", 200, "text/html; charset=utf-8"},
		{"GET", "/?format=json", 200, "application/json"},
		{"GET", "/?format=xml", 400, "text/plain; charset=utf-8"},
		{"POST", "/", 405, "text/plain; charset=utf-8"},
		{"OPTIONS", "/", 405, "text/plain; charset=utf-8"},
		{"DELETE", "/?format=json", 405, "text/plain; charset=utf-8"},
	} {
		r := get(t, h, tt.method, tt.target)
		header := r.Header()
		if r.Code != tt.code || header.Get("Content-Type") != tt.contentType {
			t.Errorf("%s %s: %d, %q", tt.method, tt.target, r.Code, header.Get("Content-Type"))
		}
		if header.Get("X-Content-Type-Options") != "nosniff" || !strings.HasPrefix(header.Get("Content-Security-Policy"), "default-src 'none'; style-src 'sha256-") {
			t.Errorf("%s %s: %v", tt.method, tt.target, header)
		}
		if (tt.method == "HEAD") != (r.Body.Len() == 0) {
			t.Errorf("%s %s: %d bytes", tt.method, tt.target, r.Body.Len())
		}
	}
	var back core.Status
	want := full("x")
	if err := json.NewDecoder(get(t, h, "GET", "/?format=json").Body).Decode(&back); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, back); d != "" {
		t.Error(d)
	}
}

// However many ask, the status is made four times a second, and less often where it takes
// long.
func TestSnapshotIsShared(t *testing.T) {
	for _, tt := range []struct {
		takes time.Duration
		who   int // asks at once; a mutex holds up the clock of the test
		most  int32
	}{{0, 50, 40}, {100 * time.Millisecond, 1, 10}} {
		synctest.Test(t, func(t *testing.T) {
			var made, within atomic.Int32
			h := New(func() core.Status {
				if within.Add(1) > 1 {
					t.Error("two at a time")
				}
				time.Sleep(tt.takes)
				made.Add(1)
				within.Add(-1)
				return core.Status{}
			})
			v := NewVar(New(func() core.Status { return core.Status{Version: 1} }))
			var all sync.WaitGroup
			for range tt.who {
				all.Go(func() {
					for range 100 {
						get(t, h, "GET", "/?format=json")
						if s := v.String(); !json.Valid([]byte(s)) {
							t.Error(s)
						}
						time.Sleep(100 * time.Millisecond)
					}
				})
			}
			all.Wait()
			if n := made.Load(); n > tt.most || n < tt.most/2 {
				t.Errorf("it was made %d times in ten seconds, want %d", n, tt.most)
			}
		})
	}
}

func TestWords(t *testing.T) {
	for f, want := range map[float64]string{-1: "0s", 0: "0s", 0.0123: "12ms", 59.9: "59s", 200: "3m20s", 18600: "5h10m", 273600: "3d4h", 1e300: "11574d1h"} {
		if got := seconds(f); got != want {
			t.Errorf("%v s: %q, want %q", f, got, want)
		}
	}
	for n, want := range map[int64]string{0: "0", -1234: "-1,234", 999: "999", 1000: "1,000", 1234567: "1,234,567"} {
		if got := count(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
	for n, want := range map[int64]string{0: "0B", 1023: "1023B", 1536: "1.5KiB", 3 << 20: "3MiB", 5 << 30: "5GiB"} {
		if got := size(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
	many := map[string]uint64{}
	for i := range uint64(100) {
		many[strings.Repeat("n", int(i))] = i
	}
	if got := by(many); strings.Count(got, ", ") != maxBy || !strings.Contains(got, "others") {
		t.Errorf("%q", got)
	}
}
