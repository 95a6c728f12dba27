package report

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/riffletrace/riffle/bench"
)

// Text writes a report for a terminal.
func Text(w io.Writer, r *bench.Result) error {
	out := bufio.NewWriter(w)
	fmt.Fprintf(out, "%s\n", headline(r))
	for _, line := range method(r) {
		fmt.Fprintf(out, "- %s\n", line)
	}
	for _, t := range tables(r) {
		fmt.Fprintf(out, "\n%s\n%s\n\n", strings.ToUpper(t.Title), t.About)
		cells := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		for _, row := range append([][]string{t.Head}, t.Rows...) {
			fmt.Fprintln(cells, strings.TrimRight("  "+strings.Join(row, "\t"), "\t"))
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
	fmt.Fprintf(out, "# What tracing costs: %s\n\n%s\n\n", r.Target, headline(r))
	for _, line := range method(r) {
		fmt.Fprintf(out, "- %s\n", line)
	}
	for _, t := range tables(r) {
		fmt.Fprintf(out, "\n## %s\n\n%s\n\n", t.Title, t.About)
		t.markdown(out)
	}
	fmt.Fprintf(out, "\n## Versions\n\n| module | version |\n|---|---|\n")
	for _, row := range versions(r) {
		fmt.Fprintf(out, "| %s | %s |\n", row[0], row[1])
	}
	return out.Flush()
}

func (t *table) markdown(w io.Writer) {
	line := func(cells []string) {
		fmt.Fprintln(w, "| "+strings.ReplaceAll(strings.Join(cells, " | "), "|  |", "| |")+" |")
	}
	line(t.Head)
	fmt.Fprintln(w, strings.Repeat("|---", len(t.Head))+"|")
	for _, row := range t.Rows {
		line(row)
	}
}

// README writes the short table of a README.
func README(w io.Writer, r *bench.Result) error {
	t := overhead(r)
	short := table{Head: []string{"variant", "CPU of a request", "over untraced", "per span", "common claim"}}
	for _, row := range t.Rows {
		short.Rows = append(short.Rows, []string{row[0], row[1], row[3], row[4], row[8]})
	}
	out := bufio.NewWriter(w)
	short.markdown(out)
	fmt.Fprintf(out, "\n%s\n", headline(r))
	return out.Flush()
}
