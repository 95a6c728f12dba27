package status

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // the page's style
	"encoding/base64"
	"fmt"
	"html"
	"sync"
	"time"

	"github.com/riffletrace/riffle/core"
)

//go:embed page.css
var style string

// contentSecurityPolicy allows the style of the page, by its sum, and nothing else.
var contentSecurityPolicy = sync.OnceValue(func() string {
	sum := sha256.Sum256([]byte(style))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
})

// page writes HTML: every text goes through text.
type page struct{ bytes.Buffer }

func (p *page) raw(s string)  { p.WriteString(s) }
func (p *page) text(s string) { p.WriteString(html.EscapeString(s)) }

// element writes a text in an element without attributes.
func (p *page) element(tag, text string) {
	p.raw("<" + tag + ">")
	p.text(text)
	p.raw("</" + tag + ">")
}

// render makes the page. It has no script, and everything in it.
func render(s *core.Status) []byte {
	var p page
	p.raw("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>")
	p.text(Headline(s))
	p.raw("</title><style>" + style + "</style></head>\n<body>\n")
	p.element("h1", Headline(s))
	p.problems(s)
	for _, section := range Sections(s) {
		p.section(&section)
	}
	p.configuration(s)
	p.raw("<footer>")
	p.text("As of " + s.At.UTC().Format(time.RFC3339) + ". Counters are since the start. ")
	p.raw(`<a href="?format=json">JSON</a></footer>` + "\n</body></html>\n")
	return p.Bytes()
}

func (p *page) problems(s *core.Status) {
	if len(s.Problems) == 0 {
		p.raw("<p class=\"well\">")
		p.text("Nothing needs a person.")
		p.raw("</p>\n")
		return
	}
	p.raw("<div class=\"problems\"><strong>")
	p.text("Look at this")
	p.raw("</strong><ul>")
	for _, problem := range s.Problems {
		p.element("li", problem.About+": "+problem.Text)
	}
	p.raw("</ul></div>\n")
}

func (p *page) section(s *Section) {
	p.element("h2", s.Title)
	switch {
	case len(s.Facts) > 0:
		p.raw("<dl>")
		for _, f := range s.Facts {
			const long = 28 // characters that a column has room for
			if p.raw("<div"); len(f.Value) > long {
				p.raw(` class="wide"`)
			}
			p.raw(">")
			p.element("dt", f.Name)
			p.element("dd", f.Value)
			p.raw("</div>")
		}
		p.raw("</dl>\n")
	case len(s.Table.Rows) > 0:
		p.table(&s.Table)
	default:
		p.raw(`<p class="muted">`)
		p.text(s.Empty)
		p.raw("</p>\n")
	}
}

func (p *page) table(t *Table) {
	p.raw(`<div class="table" tabindex="0"><table><thead><tr>`)
	for i, head := range t.Head {
		fmt.Fprintf(p, `<th scope="col"%s>`, class(i, head))
		p.text(head)
		p.raw("</th>")
	}
	p.raw("</tr></thead><tbody>")
	for _, row := range t.Rows {
		switch {
		case row.Below:
			p.raw(`<tr class="below">`)
		case row.Alarm:
			p.raw(`<tr class="alarm">`)
		default:
			p.raw("<tr>")
		}
		for i, cell := range row.Cells {
			if i == 0 {
				p.raw(`<th scope="row">`)
				p.text(cell)
				p.raw("</th>")
				continue
			}
			fmt.Fprintf(p, "<td%s>", class(i, t.Head[i]))
			p.text(cell)
			p.raw("</td>")
		}
		p.raw("</tr>\n")
		if len(row.Notes) > 0 {
			fmt.Fprintf(p, `<tr class="notes"><td colspan="%d">`, len(t.Head))
			for _, note := range row.Notes {
				p.element("small", note)
			}
			p.raw("</td></tr>\n")
		}
	}
	p.raw("</tbody></table></div>\n")
}

// class is that of a column: all but names and states are numbers.
func class(i int, head string) string {
	switch {
	case i == 0:
		return ""
	case head == "state":
		return ` class="state"`
	default:
		return ` class="n"`
	}
}

func (p *page) configuration(s *core.Status) {
	if len(s.Configuration) == 0 {
		return
	}
	p.raw("<details><summary>Configuration in force</summary><pre tabindex=\"0\">")
	for _, line := range s.Configuration {
		p.text(line.Line)
		if line.Origin != "" {
			p.raw("  ")
			p.element("i", "# "+line.Origin)
		}
		p.raw("\n")
	}
	p.raw("</pre></details>\n")
}
