package browser

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"

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
		})
	}
}
