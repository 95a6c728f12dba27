package browser

import (
	"os"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

const axe = "../../cmd/riffle/internal/viewer/ui/node_modules/axe-core/axe.min.js"

// Nothing that axe-core calls serious or critical is in any view, in either theme.
func TestAccessible(t *testing.T) {
	f := serveFake(t, shop())
	script, err := os.ReadFile(axe)
	if err != nil {
		if os.Getenv("RIFFLE_BROWSER") != "" {
			t.Fatal("run make page first: ", err)
		}
		t.Skip("make page installs axe-core; CI makes the page first, and sets RIFFLE_BROWSER=1, with which that is a failure: ", err)
	}
	type violation struct {
		ID, Impact, Help string
		Nodes            []struct {
			HTML, FailureSummary string
		}
	}
	for _, v := range []view{desktop, desktop.in("dark"), phone, phone.in("dark")} {
		b := open(t, v, f.url)
		b.may = "404"
		b.do(chromedp.Evaluate[chromedp.Void](string(script) + "; ({})"))
		look := func(name string) {
			t.Helper()
			all := eval[[]violation](b, `axe.run({resultTypes: ['violations']}).then(r => r.violations.map(v => ({ID: v.id, Impact: v.impact, Help: v.help, Nodes: v.nodes.slice(0, 3).map(n => ({HTML: n.html.slice(0, 300), FailureSummary: n.failureSummary}))})))`)
			for _, found := range all {
				report := t.Logf
				if found.Impact == "serious" || found.Impact == "critical" {
					report = t.Errorf
				}
				report("%s, %s, %d pixels: %s: %s: %s\n%v", name, v.theme, v.width, found.Impact, found.ID, found.Help, found.Nodes)
			}
		}
		for _, s := range states {
			if s.name == "search" || s.name == "deep" || s.name == "large" {
				continue // they have no parts that others have not, and many of them
			}
			eval[any](b, `void (location.hash = `+quote(strings.Replace(s.hash, "FAILED", failedSpan(f.spans), 1))+`)`)
			b.wait(complete(s.there))
			look(s.name)
		}
		b.keys("?")
		b.wait(`document.querySelector('dialog[open]')`)
		look("help")
	}
}
