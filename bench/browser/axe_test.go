package browser

import (
	"os"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

const axe = "../../cmd/riffle/internal/viewer/ui/node_modules/axe-core/axe.min.js"

// axeScript is axe-core; without it a test is skipped.
func axeScript(t *testing.T) string {
	t.Helper()
	script, err := os.ReadFile(axe)
	if err != nil {
		if os.Getenv("RIFFLE_BROWSER") != "" {
			t.Fatal("run make page first: ", err)
		}
		t.Skip("make page installs axe-core; CI makes the page first, and sets RIFFLE_BROWSER=1, with which that is a failure: ", err)
	}
	return string(script)
}

// accessible fails the test for what axe-core, which the page has, calls serious or
// critical, and logs the rest.
func (b *tab) accessible(name string, v view) {
	b.t.Helper()
	type violation struct {
		ID, Impact, Help string
		Nodes            []struct {
			HTML, FailureSummary string
		}
	}
	all := eval[[]violation](b, `axe.run({resultTypes: ['violations']}).then(r => r.violations.map(v => ({ID: v.id, Impact: v.impact, Help: v.help, Nodes: v.nodes.slice(0, 3).map(n => ({HTML: n.html.slice(0, 300), FailureSummary: n.failureSummary}))})))`)
	for _, found := range all {
		report := b.t.Logf
		if found.Impact == "serious" || found.Impact == "critical" {
			report = b.t.Errorf
		}
		report("%s, %s, %d pixels: %s: %s: %s\n%v", name, v.theme, v.width, found.Impact, found.ID, found.Help, found.Nodes)
	}
}

// Nothing that axe-core calls serious or critical is in any view, in either theme.
func TestAccessible(t *testing.T) {
	f := serveFake(t, shop())
	script := axeScript(t)
	for _, v := range []view{desktop, desktop.in("dark"), phone, phone.in("dark")} {
		b := open(t, v, f.url)
		b.may = "404"
		b.do(chromedp.Evaluate[chromedp.Void](script + "; ({})"))
		for _, s := range states {
			if s.name == "search" || s.name == "deep" || s.name == "large" {
				continue // they have no parts that others have not, and many of them
			}
			eval[any](b, `void (location.hash = `+quote(strings.Replace(s.hash, "FAILED", failedSpan(f.spans), 1))+`)`)
			b.wait(complete(s.there))
			b.accessible(s.name, v)
		}
		b.keys("?")
		b.wait(`document.querySelector('dialog[open]')`)
		b.accessible("help", v)
	}
}
