package cli

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/status"
	"github.com/riffletrace/riffle/internal/untrusted"
)

// statusWidth is what a terminal has at least.
const statusWidth = 80

// printStatus prints a status for people. All of it may be what somebody else says.
func printStatus(out io.Writer, s *core.Status, config bool) error {
	w := bufio.NewWriter(out)
	fmt.Fprintln(w, line(status.Headline(s)))
	if len(s.Problems) == 0 {
		fmt.Fprintln(w, "Nothing needs a person.")
	} else {
		fmt.Fprintln(w, "Look at this:")
		for _, p := range s.Problems {
			wrap(w, "  ! ", p.About+": "+p.Text)
		}
	}
	for _, section := range status.Sections(s) {
		fmt.Fprintf(w, "\n%s\n", section.Title)
		switch {
		case len(section.Facts) > 0:
			printFacts(w, section.Facts)
		case len(section.Table.Rows) > 0:
			printTable(w, &section.Table)
		default:
			fmt.Fprintln(w, "  "+section.Empty)
		}
	}
	if config && len(s.Configuration) > 0 {
		fmt.Fprintln(w, "\nConfiguration in force")
		for _, c := range s.Configuration {
			text := strings.TrimLeft(c.Line, " ")
			indent := min(len(c.Line)-len(text), statusWidth/2)
			fmt.Fprint(w, "  ", strings.Repeat(" ", indent), line(text))
			if c.Origin != "" {
				fmt.Fprint(w, "  # ", line(c.Origin))
			}
			fmt.Fprintln(w)
		}
	}
	return w.Flush()
}

// line is a text that others have written, in one line.
func line(s string) string { return untrusted.Text(s, untrusted.Line) }

func printFacts(w io.Writer, facts []status.Fact) {
	widest := 0
	for _, f := range facts {
		widest = max(widest, len(f.Name))
	}
	for _, f := range facts {
		wrap(w, fmt.Sprintf("  %-*s  ", widest, f.Name), f.Value)
	}
}

// printTable gives numbers what they need, and the names what is left.
func printTable(w io.Writer, t *status.Table) {
	widths := make([]int, len(t.Head))
	for i, head := range t.Head {
		widths[i] = len(head)
		for _, row := range t.Rows {
			if i < len(row.Cells) {
				widths[i] = max(widths[i], utf8.RuneCountInString(line(row.Cells[i])))
			}
		}
	}
	const least, indent = 16, 2
	left := statusWidth - 2*indent
	for _, n := range widths[1:] {
		left -= n + 2
	}
	widths[0] = min(widths[0]+indent, max(left, least))
	printRow(w, widths, t.Head, t.Head, indent)
	for _, row := range t.Rows {
		depth := indent
		if row.Below {
			depth *= 2
		}
		printRow(w, widths, t.Head, row.Cells, depth)
		for _, note := range row.Notes {
			wrap(w, strings.Repeat(" ", 3*indent), note)
		}
	}
}

func printRow(w io.Writer, widths []int, head, cells []string, indent int) {
	var b strings.Builder
	for i, cell := range cells {
		text := line(cell)
		switch {
		case i == 0: // what is too long for its column has a line to itself
			room := widths[0] + 2 - indent
			b.WriteString(strings.Repeat(" ", indent) + text)
			if n := utf8.RuneCountInString(text); n > room {
				b.WriteString("\n" + strings.Repeat(" ", widths[0]+2))
			} else {
				b.WriteString(strings.Repeat(" ", room-n))
			}
		case head[i] == "state":
			fmt.Fprintf(&b, "  %-*s", widths[i], text)
		default:
			fmt.Fprintf(&b, "  %*s", widths[i], text)
		}
	}
	fmt.Fprintln(w, strings.TrimRight(b.String(), " "))
}

// wrap prints a text behind a lead, in lines that fit where words do.
func wrap(w io.Writer, lead, text string) {
	indent := strings.Repeat(" ", utf8.RuneCountInString(lead))
	for paragraph := range strings.SplitSeq(untrusted.Lines(text, untrusted.Attribute), "\n") {
		at := lead
		for word := range strings.FieldsSeq(paragraph) {
			if n := utf8.RuneCountInString(at); n > len(indent) && n+1+utf8.RuneCountInString(word) > statusWidth {
				fmt.Fprintln(w, at)
				at = indent
			}
			if utf8.RuneCountInString(at) > len(indent) {
				at += " "
			}
			at += word
		}
		fmt.Fprintln(w, strings.TrimRight(at, " "))
		lead = indent
	}
}
