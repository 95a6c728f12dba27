package browser

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

func newRandom() *rand.Rand { return rand.New(rand.NewPCG(3, 4)) }

func (b *tab) clickAt(x, y float64) {
	b.t.Helper()
	b.do(chromedp.MouseClickXY(x, y))
}

const activeName = `document.querySelector('.row.active .text bdi').textContent`

// A trace is moved through by keys alone.
func TestKeys(t *testing.T) {
	f := serveFake(t, shop())
	b := open(t, desktop, f.url+"/#/trace/"+checkoutTrace)
	b.want(activeName, "POST /checkout")
	// Costs overlap, and are those of all traces that this one stands for: no sum of them
	// is lost in this one.
	b.want(`document.querySelector('.trace-findings summary').textContent`, "3 findings")
	rows := `String(document.querySelectorAll('.row').length)`
	b.want(rows, "22")
	b.keys("j", down, "j")
	b.want(activeName, "load cart")
	b.keys(left)
	b.want(rows, "12")
	b.want(`document.querySelector('.row.active').getAttribute('aria-expanded')`, "false")
	b.keys(right)
	b.want(rows, "22")
	b.keys(right)
	b.want(activeName, "SELECT carts")
	b.keys("k", left, left)
	b.want(activeName, "POST /checkout")
	b.keys(right, right)
	b.want(rows, "22")

	b.keys("e", "e", "e") // the next ones that failed
	b.want(activeName, "charge card")
	b.wait(`document.querySelector('.row.active .mark[role=img]')`)
	b.keys(enter)
	b.wait(`document.querySelector('.details .text .value').textContent.includes('client.go:118')`)
	b.want(`location.hash`, "#/trace/"+checkoutTrace+"/"+failedSpan(f.spans))
	b.keys("f")
	b.want(activeName, "SELECT items")
	b.wait(`document.querySelector('.details h2').textContent === 'SELECT items'`)
	b.keys("z")
	b.wait(`location.hash.includes('from=')`)
	b.keys("0")
	b.wait(`!location.hash.includes('from=')`)
	b.keys("?")
	b.wait(`document.querySelector('dialog[open] kbd')`)
	b.picture("help")
	b.keys("j") // goes nowhere while the help is open
	b.keys(escape)
	b.wait(`!document.querySelector('dialog[open]')`)
	b.want(activeName, "SELECT items")
	b.keys(escape)
	b.wait(`!document.querySelector('.details')`)
	b.keys(escape)
	b.wait(`document.querySelector('.finding')`)
}

// A span says all that it has: attributes, events, links that lead on or nowhere.
func TestDetails(t *testing.T) {
	f := serveFake(t, shop())
	b := open(t, desktop, f.url+"/#/trace/"+checkoutTrace+"/"+failedSpan(f.spans))
	b.wait(`document.querySelector('.details dl')`)
	text := eval[string](b, `document.querySelector('.details').innerText`)
	for _, want := range []string{"charge card", "connection reset by peer", "payment.provider", "acme", "is not here", "host.name", "node-7", "stands for 1", "The error begins here"} {
		if !strings.Contains(text, want) {
			t.Errorf("the details do not have %q:\n%s", want, text)
		}
	}
	b.click(`.details .event a`)
	b.wait(`location.hash.startsWith('#/trace/` + deepTrace + `/')`)
	b.wait(`document.querySelector('.row .text').textContent.includes('recurse')`)
	eval[any](b, `history.back()`)
	b.click(`.details .find`)
	b.wait(`document.querySelectorAll('.hit').length === 45`)
}

// Names and values of spans are text, whatever they are, and break nothing.
func TestHostileNames(t *testing.T) {
	f := serveFake(t, shop())
	for _, v := range []view{desktop, phone} {
		b := open(t, v, f.url+"/#/trace/"+hostileTrace)
		eval[any](b, `void (window.alert = () => { throw new Error('a name of a span is run') })`)
		b.wait(`document.querySelectorAll('.row').length === 11`)
		for range hostileNames {
			b.keys("j", enter)
			b.wait(`location.hash.endsWith('/' + document.querySelector('.details section:last-of-type dd').textContent)`)
			if tall := eval[float64](b, `Math.max(...[...document.querySelectorAll('.row')].map(r => r.getBoundingClientRect().height))`); tall > 45 {
				t.Errorf("a row is %v pixels high", tall)
			}
			if wide := eval[int](b, `document.documentElement.scrollWidth`); wide > int(v.width) {
				t.Errorf("the page is %d pixels wide", wide)
			}
		}
		if made := eval[string](b, `[...document.querySelectorAll('#app script, #app img, #app b, #app [onerror], #app [onload], #app a:not([href^="#"])')].map(e => e.outerHTML).filter(h => !h.includes('preact.LICENSE')).join()`); made != "" {
			t.Errorf("names became elements: %.300s", made)
		}
		names := eval[string](b, `document.querySelector('.waterfall').innerText`)
		if !strings.Contains(names, "<script>alert(1)</script>") || strings.Contains(names, "\u202e") || !strings.Contains(names, "⟨202E⟩gnp.exe") {
			t.Errorf("the names are shown as %.600q", names)
		}
		for _, hash := range []string{"#/", "#/search?q=%3Cimg", "#/operations"} {
			eval[any](b, `void (location.hash = `+quote(hash)+`)`)
			b.wait(`document.body.innerText.includes('<img src=x onerror=alert(1)>') || document.body.innerText.includes('<script>')`)
			if wide := eval[int](b, `document.documentElement.scrollWidth`); wide > int(v.width) {
				t.Errorf("%s: the page is %d pixels wide", hash, wide)
			}
		}
	}
}

// 100,000 spans scroll: the page has the rows that are seen, and no others.
func TestLargeTrace(t *testing.T) {
	f := serveFake(t, shop())
	for _, v := range []view{desktop, phone} {
		b := open(t, v, f.url)
		b.wait(`document.querySelector('.finding')`)
		start := time.Now()
		eval[any](b, `void (location.hash = '#/trace/`+largeTrace+`')`)
		b.wait(`document.querySelectorAll('.row').length > 10`)
		t.Logf("%d pixels: rows of %d spans after %s", v.width, largeSpans, time.Since(start).Round(time.Millisecond))
		b.want(`document.querySelector('.waterfall').getAttribute('aria-rowcount')`, "100001")

		type frames struct {
			Rows              int
			Median, P95, Most float64
			Top               float64
		}
		got := eval[frames](b, `new Promise(done => {
			const grid = document.querySelector('.waterfall');
			const times = [];
			let [rows, last] = [0, performance.now()];
			const step = now => {
				times.push(now - last);
				last = now;
				rows = Math.max(rows, document.querySelectorAll('.row').length);
				if (times.length > 150) {
					times.sort((a, b) => a - b);
					return done({Rows: rows, Median: times[75], P95: times[142], Most: times[150], Top: grid.scrollTop});
				}
				grid.scrollTop += times.length % 2 ? 700 : 16000;
				requestAnimationFrame(step);
			};
			requestAnimationFrame(step);
		})`)
		t.Logf("%d pixels: frames of %.1f ms, 95 in 100 within %.1f ms, the longest %.1f ms; at most %d rows", v.width, got.Median, got.P95, got.Most, got.Rows)
		if got.Rows > 120 || got.Top < 1e6 {
			t.Errorf("%d rows are in the page after %g pixels", got.Rows, got.Top)
		}
		b.keys(kbEnd)
		b.wait(`document.querySelector('.row.active').getAttribute('aria-rowindex') === '100001'`)
		b.wait(`document.querySelector('.row.active').getBoundingClientRect().bottom <= innerHeight + 1`)
		b.keys("e")
		b.wait(`document.querySelector('.row.active .mark')`)
		b.click(`.tools button`)
		b.want(`document.querySelector('.waterfall').getAttribute('aria-rowcount')`, "1002")
		b.click(`.tools button`)
		b.want(`document.querySelector('.waterfall').getAttribute('aria-rowcount')`, "100001")
	}
}

// The first paint of the page, and the findings, are there soon.
func TestFirstPaint(t *testing.T) {
	f := serveFake(t, shop())
	b := open(t, desktop, f.url)
	b.wait(`document.querySelector('.finding')`)
	paint := eval[float64](b, `performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? -1`)
	t.Logf("first contentful paint after %.0f ms", paint)
	if paint < 0 || paint > 10_000 {
		t.Errorf("the first paint is after %.0f ms", paint)
	}
}
