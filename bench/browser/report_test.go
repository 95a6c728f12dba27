package browser

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// page is a report of riffle bench: the tests of package report hold it to what that writes.
const page = "../report/testdata/report.html"

// A report of riffle bench fits the window in both themes, is readable, and asks for
// nothing else.
func TestBenchReport(t *testing.T) {
	needsChromium(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.ServeFile(w, r, filepath.FromSlash(page))
	}))
	defer server.Close()
	for _, v := range []view{desktop, desktop.in("dark"), phone, phone.in("dark")} {
		t.Run(fmt.Sprintf("%d %s", v.width, v.theme), func(t *testing.T) {
			b := open(t, v, server.URL)
			b.wait(`document.querySelectorAll('figure svg').length > 4`)
			b.picture(fmt.Sprintf("report-%s-%d", v.theme, v.width))
			if wide := eval[int](b, `document.documentElement.scrollWidth`); wide > int(v.width) {
				t.Errorf("the page is %d pixels wide in a window of %d: %s", wide, v.width, eval[string](b, widest))
			}
			cut := eval[string](b, `[...document.querySelectorAll('.scroll')].filter(e => e.scrollWidth > e.clientWidth).map(e => e.ariaLabel).join()`)
			if v.width == desktop.width && cut != "" {
				t.Errorf("tables that have to be scrolled on a desk: %s", cut)
			}
			if asked := eval[[]string](b, `performance.getEntriesByType('resource').map(e => e.name).filter(n => !n.endsWith('/favicon.ico'))`); len(asked) > 0 {
				t.Errorf("the page asks for %q", asked)
			}
			t.Run("axe", func(t *testing.T) {
				b.do(chromedp.Evaluate[chromedp.Void](axeScript(t) + "; ({})"))
				b.accessible("report", v)
			})
			if v.width == desktop.width {
				b.printed(v) // last, because it leaves the window as wide as a sheet
			}
		})
	}
}

// a4 is the width of a sheet without its margins, in pixels of CSS.
const a4 = 703

// printed looks at the page as it is printed, whatever its theme: dark on white, with
// nothing that a reader would have to scroll.
func (b *tab) printed(v view) {
	b.t.Helper()
	b.do(func(context.Context, *chromedp.Target) (chromedp.Void, error) {
		_, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Media: "print", Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: v.theme}},
		})
		return chromedp.Void{}, err
	})
	b.do(chromedp.EmulateViewport(a4, v.height))
	if got := eval[string](b, `getComputedStyle(document.body).backgroundColor`); got != "rgb(255, 255, 255)" {
		b.t.Errorf("it is printed on %s", got)
	}
	if cut := eval[string](b, `[document.documentElement, ...document.querySelectorAll('.scroll')].filter(e => e.scrollWidth > e.clientWidth).map(e => e.ariaLabel ?? 'the page').join()`); cut != "" {
		b.t.Errorf("wider than the sheet: %s", cut)
	}
	b.picture("report-printed-" + v.theme)
}
