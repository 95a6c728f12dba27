package browser

import (
	"math"
	"strings"
	"sync"
	"testing"
)

// shop is the server that most tests share: none of them changes what it holds.
var shop = sync.OnceValue(traffic)

// states are a URL of each view, with what is there when it is complete.
var states = []struct{ name, hash, there string }{
	{"findings", "#/", `document.querySelectorAll('.finding').length > 0`},
	{"search", "#/search", `document.querySelector('.scatter path.fine') && document.querySelectorAll('.hit').length > 0`},
	{"search-more", "#/search?attr=http.route%3D%2Fcheckout&min=100ms&status=error&limit=20", `document.querySelectorAll('.hit').length > 0`},
	{"operations", "#/operations", `document.querySelectorAll('.operations tbody tr').length > 0`},
	{"trace", "#/trace/" + checkoutTrace, `document.querySelectorAll('.row').length > 10`},
	{"span", "#/trace/" + checkoutTrace + "/FAILED", `document.querySelector('.details dl') && document.querySelector('.details .status')`},
	{"large", "#/trace/" + largeTrace, `document.querySelectorAll('.row').length > 10`},
	{"deep", "#/trace/" + deepTrace, `document.querySelectorAll('.row').length > 10`},
	{"hostile", "#/trace/" + hostileTrace, `document.querySelectorAll('.row').length === 11`},
	{"gone", "#/trace/00000000000000000000000000000000", `document.querySelector('.message a')`},
	{"unknown", "#/nowhere", `document.querySelector('.message a')`},
}

// complete is when something is there, and nothing else is asked for.
func complete(there string) string {
	return there + ` && !document.querySelector('[aria-busy=true]')`
}

// failedSpan is the one at which the error of the checkout begins.
func failedSpan(spans []span) string {
	for _, s := range spans {
		if s.trace == checkoutTrace && s.name == "charge card" {
			return s.id
		}
	}
	return ""
}

// Every view fits the window, at every width and in both themes.
func TestViews(t *testing.T) {
	f := serveFake(t, shop())
	for _, v := range []view{desktop, desktop.in("dark"), phone, phone.in("dark")} {
		b := open(t, v, f.url)
		b.may = "404" // of the trace that is gone
		for _, s := range states {
			hash := strings.Replace(s.hash, "FAILED", failedSpan(f.spans), 1)
			eval[any](b, `void (location.hash = `+quote(hash)+`)`)
			b.wait(complete(s.there))
			if wide := eval[int](b, `document.documentElement.scrollWidth`); wide > int(v.width) {
				b.t.Errorf("%s: the page is %d pixels wide in a window of %d: %s", s.name, wide, v.width, eval[string](b, widest))
			}
			b.picture(s.name + "-" + v.theme + map[bool]string{true: "-phone", false: ""}[v == phone.in(v.theme)])
		}
		want := map[string]string{"light": "rgb(255, 255, 255)", "dark": "rgb(20, 23, 26)"}[v.theme]
		if got := eval[string](b, `getComputedStyle(document.documentElement).backgroundColor`); got != want {
			t.Errorf("the background is %s in the %s theme, want %s", got, v.theme, want)
		}
	}
}

// widest names what sticks out.
const widest = `[...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > innerWidth + 1).map(e => e.tagName + '.' + e.getAttribute('class')).slice(0, 8).join(' ')`

// The findings are there first, the most time lost first, and lead to their spans.
func TestFindings(t *testing.T) {
	f := serveFake(t, shop())
	b := open(t, desktop, f.url)
	b.wait(`document.querySelectorAll('.finding').length >= 3`)
	b.want(`document.title`, "Findings · riffle")
	b.want(`[...document.querySelectorAll('.finding .kind')].map(e => e.textContent).slice(0, 3).join()`, "Origin of errors,N+1 queries,Sequential calls")
	b.click(`.chip:nth-of-type(2)`)
	b.wait(`[...document.querySelectorAll('.finding .kind')].every(e => e.textContent === 'N+1 queries')`)
	b.want(`location.hash`, "#/?kind=n_plus_one")
	b.keys("j", enter)
	b.wait(`document.querySelector('.details dl')`)
	if hash := eval[string](b, `location.hash`); !strings.HasPrefix(hash, "#/trace/") || strings.Count(hash, "/") != 3 {
		t.Errorf("the finding leads to %s", hash)
	}
	b.wait(`document.querySelector('.row.active .badge')`)
	b.wait(`document.querySelector('.details .advice').textContent.includes('9 queries')`)
}

// A busy server answers with the findings that it had: the page asks again, though
// nothing changes any more.
func TestFindingsThatAreBehind(t *testing.T) {
	f := serveFake(t, shop())
	f.version, f.waiting, f.behind = 7, 3, object{"version": 6, "findings": []object{}}
	b := open(t, desktop, f.url)
	b.wait(`document.querySelector('main .title').textContent === 'Nothing was found yet'`)
	b.want(`document.querySelector('main .note').textContent`, "3 traces not looked at yet.")
	f.mu.Lock()
	f.behind = nil
	f.mu.Unlock()
	b.wait(`document.querySelectorAll('.finding').length >= 3`)
}

// A search finds, is a URL, and survives back, forward and reload.
func TestSearch(t *testing.T) {
	f := serveFake(t, shop())
	b := open(t, desktop, f.url)
	b.wait(`document.querySelector('.finding')`)
	b.keys("/")
	b.wait(`document.activeElement.id === 'f-q'`)
	b.keys("charge card", enter)
	b.want(`location.hash`, "#/search?q=charge+card")
	b.wait(`document.querySelector('.bar .note').textContent.startsWith('45 traces')`)

	eval[any](b, `(() => { const s = document.getElementById('f-status'); s.value = 'error'; s.dispatchEvent(new Event('change', {bubbles: true})) })()`)
	b.wait(`document.querySelector('.bar .note').textContent.startsWith('12 traces, by weight 45')`)
	b.want(`location.hash`, "#/search?q=charge+card&status=error")
	if n := eval[int](b, `document.querySelectorAll('.hit .failed').length`); n != 12 {
		t.Errorf("%d hits have errors, want 12", n)
	}

	eval[any](b, `document.activeElement.blur()`)
	b.keys("j", "j", enter)
	b.wait(`document.querySelectorAll('.row').length > 10`)
	trace := eval[string](b, `location.hash`)
	b.keys(enter)
	b.wait(`document.querySelector('.details dl')`)
	b.keys(escape)
	b.wait(`!document.querySelector('.details')`)
	b.keys(escape)
	b.wait(`document.querySelectorAll('.hit').length === 12`)
	b.want(`document.activeElement.getAttribute('href')`, trace) // where it was left

	eval[any](b, `history.back()`)
	b.want(`location.hash`, trace)
	b.wait(`document.querySelector('.row')`)
	eval[any](b, `history.forward()`)
	b.wait(`document.querySelectorAll('.hit').length === 12`)
	b.want(`document.getElementById('f-q').value`, "charge card")
	eval[any](b, `location.reload()`)
	b.wait(`document.querySelectorAll('.hit').length === 12 && document.getElementById('f-status').value === 'error'`)
}

// The server says what is wrong with a query.
func TestRefusedQuery(t *testing.T) {
	f := serveFake(t, shop())
	b := open(t, desktop, f.url+"/#/search?min=soon")
	b.may = "400"
	b.wait(`document.querySelector('[role=alert]').textContent.includes('"soon" is no duration')`)
}

// The points of the scatter and the bars of the histogram lead to what they stand for.
func TestCharts(t *testing.T) {
	f := serveFake(t, shop())
	b := open(t, desktop, f.url+"/#/search?service=payments")
	b.wait(`document.querySelector('.scatter path.fine')`)
	shapes := eval[[]string](b, `[...document.querySelectorAll('.scatter .plot path')].map(p => getComputedStyle(p).fill + (p.getAttribute('d').includes('a3 3') ? ' circle' : ' diamond'))`)
	if len(shapes) != 2 || shapes[0] == shapes[1] || !strings.HasSuffix(shapes[0], "circle") || !strings.HasSuffix(shapes[1], "diamond") {
		t.Errorf("points are drawn as %q", shapes)
	}
	b.click(`.bars g:has(rect.back) rect.area`)
	b.wait(`new URLSearchParams(location.hash.split('?')[1]).get('trace_min') === '300ms'`)
	b.wait(`document.querySelectorAll('.bars g rect.fine').length > 0 && [...document.querySelectorAll('.bars g rect.fine')].filter(r => +r.getAttribute('height') > 0).length === 1`)
	b.wait(`document.querySelector('.scatter path.failed')`)
	at := eval[[2]float64](b, `(() => { const p = document.querySelector('.scatter .plot path.failed'); const [x, y] = p.getAttribute('d').match(/[\d.]+/g).map(Number); const r = p.ownerSVGElement.getBoundingClientRect(); return [r.x + x, r.y + y] })()`)
	b.clickAt(at[0], at[1])
	b.wait(`location.hash.startsWith('#/trace/') && document.querySelector('.row.bad')`)
}

// The table of operations can be sorted by each column.
func TestOperations(t *testing.T) {
	f := serveFake(t, shop())
	b := open(t, desktop, f.url+"/#/operations?sort=longest&limit=9") // what is a search's counts for nothing
	b.wait(`document.querySelector('.operations tbody th a')`)
	eval[any](b, `void (location.hash = '#/operations?service=checkout')`)
	b.wait(`document.querySelectorAll('.operations tbody tr').length > 0 && document.getElementById('f-service').value === 'checkout' && !document.querySelector('[aria-busy=true]')`)
	first := `document.querySelector('.operations tbody th a').textContent`
	b.want(first, "SELECT items")
	b.click(`.operations thead .p99 button`)
	b.want(first, "POST /checkout")
	b.want(`document.querySelector('.operations thead .p99').getAttribute('aria-sort')`, "descending")
	b.click(`.operations thead .p99 button`)
	b.want(first, "SELECT carts")
	b.keys("j", enter)
	b.wait(`document.querySelectorAll('.hit').length > 0`)
	b.want(`location.hash`, "#/search?service=checkout&name=SELECT+carts")
}

// The theme follows the system until somebody chooses, and then stays.
func TestTheme(t *testing.T) {
	f := serveFake(t, shop())
	b := open(t, desktop.in("dark"), f.url)
	background := `getComputedStyle(document.documentElement).backgroundColor`
	b.want(background, "rgb(20, 23, 26)")
	b.wait(`document.querySelector('.finding')`)
	b.keys("t")
	b.want(background, "rgb(255, 255, 255)")
	eval[any](b, `location.reload()`)
	b.wait(`document.querySelector('.finding')`)
	b.want(background, "rgb(255, 255, 255)")
}

// What arrives is shown, and moves neither the list nor the focus; not while it is paused.
func TestLive(t *testing.T) {
	f := serveFake(t, nil)
	b := open(t, desktop, f.url)
	b.wait(`document.querySelector('.empty pre').textContent.includes('OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4317')`)
	b.wait(`document.querySelector('.empty li .bad').textContent.includes('<no such file>')`)
	b.picture("empty")
	f.add(shop()...)
	b.wait(`document.querySelectorAll('.finding').length > 0`)
	eval[any](b, `void (location.hash = '#/search?q=products')`)
	b.wait(`document.querySelectorAll('.hit').length === 100`)
	eval[any](b, `(() => { const a = document.querySelectorAll('.hit a')[60]; a.focus(); scrollTo(0, 1500) })()`)
	place := `[document.activeElement.getAttribute('href'), document.activeElement.getBoundingClientRect().top]`
	was := eval[[2]any](b, place)
	more := &trafficker{random: newRandom(), made: 1 << 30}
	more.lookup("feed0000000000000000000000000001", 900e6)
	f.add(more.spans...)
	b.wait(`document.querySelector('.hit a').getAttribute('href') === '#/trace/feed0000000000000000000000000001'`)
	if got := eval[[2]any](b, place); got[0] != was[0] || math.Abs(got[1].(float64)-was[1].(float64)) > 3 {
		t.Errorf("the focus and the scroll are at %v, were at %v", got, was)
	}

	b.keys("p")
	b.wait(`[...document.querySelectorAll('.top button')].some(x => x.textContent === 'Paused')`)
	more.lookup("feed0000000000000000000000000002", 901e6)
	f.add(more.spans[2:]...)
	b.keys("p")
	b.wait(`document.querySelector('.hit a').getAttribute('href') === '#/trace/feed0000000000000000000000000002'`)
}
