package report

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/riffletrace/riffle/bench"
)

// Text writes a report for a terminal.
func Text(w io.Writer, r *bench.Result) error {
	out := bufio.NewWriter(w)
	for _, line := range append(findings(r), standing(r), headline(r)) {
		fmt.Fprintf(out, "%s\n", line)
	}
	for _, s := range sections(r) {
		fmt.Fprintf(out, "\n%s\n", strings.ToUpper(s.Title))
		if s.About != "" {
			fmt.Fprintf(out, "%s\n", s.About)
		}
		fmt.Fprintln(out)
		for _, line := range s.Lines {
			fmt.Fprintf(out, "- %s\n", line)
		}
		cells := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		if len(s.Rows) > 0 {
			for _, row := range append([][]string{s.Head}, s.Rows...) {
				fmt.Fprintln(cells, strings.TrimRight("  "+strings.Join(row, "\t"), "\t"))
			}
		}
		if err := cells.Flush(); err != nil {
			return err
		}
	}
	return out.Flush()
}

// Markdown writes the same as a page in Markdown.
func Markdown(w io.Writer, r *bench.Result) error {
	out := bufio.NewWriter(w)
	fmt.Fprintf(out, "# What tracing costs: %s\n\n", r.Target)
	for _, line := range findings(r) {
		fmt.Fprintf(out, "**%s**\n\n", line)
	}
	fmt.Fprintf(out, "%s\n\n%s\n", standing(r), headline(r))
	for _, s := range sections(r) {
		fmt.Fprintf(out, "\n## %s\n\n", s.Title)
		if s.About != "" {
			fmt.Fprintf(out, "%s\n\n", s.About)
		}
		for _, line := range s.Lines {
			fmt.Fprintf(out, "- %s\n", line)
		}
		s.markdown(out)
	}
	return out.Flush()
}

// markdown writes the table.
func (s *section) markdown(w io.Writer) {
	if len(s.Rows) == 0 {
		return
	}
	line := func(cells []string) {
		fmt.Fprintln(w, "| "+strings.ReplaceAll(strings.Join(cells, " | "), "|  |", "| |")+" |")
	}
	line(s.Head)
	fmt.Fprintln(w, strings.Repeat("|---", len(s.Head))+"|")
	for _, row := range s.Rows {
		line(row)
	}
}

// README writes the short table of a README.
func README(w io.Writer, r *bench.Result) error {
	short := section{Head: []string{"variant", "allocated over untraced", "CPU over untraced", "of " + stock, "per span", "common claim"}}
	for i := range r.Variants {
		m := &r.Variants[i]
		if len(m.Rounds) == 0 || m.Kind == bench.Off || !isShort(r, m) {
			continue
		}
		ns, more := r.Overhead(m)
		_, bytes := r.AllocOverhead(m)
		short.Rows = append(short.Rows, []string{named(m), kibIn(bytes), shareIn(more), ofStock(r, m), perSpan(r, ns), claim(m)})
	}
	out := bufio.NewWriter(w)
	short.markdown(out)
	fmt.Fprintf(out, "\n%s\n", headline(r))
	return out.Flush()
}

// isShort reports whether a variant is one of a run without flags, or a user's own, which a
// short table has; if there is none of these it has all.
func isShort(r *bench.Result, m *bench.Measured) bool {
	usual := func(m *bench.Measured) bool {
		return m.Own || slices.ContainsFunc(bench.DefaultVariants(), func(v bench.Variant) bool { return v.Name == m.Name })
	}
	return usual(m) || !slices.ContainsFunc(r.Variants, func(m bench.Measured) bool { return m.Kind != bench.Off && usual(&m) })
}
