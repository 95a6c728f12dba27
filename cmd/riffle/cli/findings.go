package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/cmd/riffle/internal/command"
	"github.com/riffletrace/riffle/cmd/riffle/internal/spanfile"
	"github.com/riffletrace/riffle/config"
	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/findings"
	"github.com/riffletrace/riffle/internal/untrusted"
)

// search is one run of findings.
type search struct {
	read   func(ctx context.Context, name string, stdin io.Reader, take func([]sdktrace.ReadOnlySpan) error) error
	json   bool
	failOn []string
	set    []string
}

func (p *program) newFindings() *cobra.Command { return (&search{read: spanfile.Read}).command(p.name) }

func (s *search) command(name string) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "findings FILE...",
		Short: "find what is wrong in recorded traces: N+1 queries, slow calls, where errors begin",
		Long: `findings reads the spans of files and directories, and lists what is wrong with the
services that made them, what costs most time first. A FILE is OTLP as protobuf, as
JSON or as JSON lines, Jaeger's JSON, what the exporter file writes, a queue
directory or a batch of one, or a directory of such files, compressed with gzip or zstd
or not; - is standard input.

What it finds, with the thresholds that --set changes, as n_plus_one.min_calls:

` + findingsHelp() + `
Count and cost are those of all traces, each span with the weight that its tracestate
says. In a finding of several traces the advice is about the one that costs most,
which is the one whose ID stands below it.

The exit code is 0 if the files were read, 1 if one could not be, or if something of
a kind of --fail-on was found, 2 for a mistake in the command line.`,
		Example: "  " + name + " findings spans.jsonl\n" +
			"  " + name + " findings --set slow_query.min_duration=250ms --set examples=10 --json queue/\n" +
			"  " + name + " findings --fail-on n_plus_one,missing_parent spans.jsonl",
		Args: cobra.MinimumNArgs(1),
		RunE: s.run,
	}
	f := cmd.Flags()
	f.BoolVar(&s.json, "json", false, "print one JSON list")
	f.StringSliceVar(&s.failOn, "fail-on", nil, "exit with 1 if one of these `KINDS` is found; any is all of them")
	f.StringArrayVar(&s.set, "set", nil, "set a threshold, as `KEY=VALUE`: slow_query.min_duration=250ms")
	return cmd
}

// findingsHelp says what the kinds are, with the defaults of their thresholds.
func findingsHelp() string {
	fields, _ := component.FieldsOf(findings.Defaults())
	var b strings.Builder
	for _, k := range findings.Kinds() {
		var keys []string
		for _, f := range fields {
			if f.Key == string(k) {
				for _, key := range f.Fields() {
					keys = append(keys, key.Key+" "+key.Default)
				}
			}
		}
		fmt.Fprintf(&b, "  %-18s  %s\n", k, k.Doc())
		if len(keys) > 0 {
			fmt.Fprintf(&b, "  %-18s  (%s)\n", "", strings.Join(keys, ", "))
		}
	}
	return b.String()
}

func (s *search) run(cmd *cobra.Command, files []string) error {
	if slices.Index(files, "-") != lastIndex(files, "-") {
		return command.Usage(errors.New("-: standard input can be read once"))
	}
	c, err := thresholds(s.set)
	if err == nil {
		err = checkKinds(s.failOn)
	}
	if err == nil && len(s.failOn) == 0 && cmd.Flags().Changed("fail-on") { // as of a variable that is empty
		err = errors.New("--fail-on: no kind is named")
	}
	if err != nil {
		return command.Usage(err)
	}
	ctx, stdin := cmd.Context(), cmd.InOrStdin()
	done := make(chan seen, 1)
	go func() { done <- s.look(ctx, c, files, stdin) }()
	var got seen
	select {
	case got = <-done:
	case <-ctx.Done():
	}
	if ctx.Err() != nil { // a pipe in which nothing comes can be left in no other way
		return errors.New("interrupted")
	}
	switch {
	case len(got.spans) == 0 && got.broken != nil:
		return got.broken
	case s.json:
		err = command.WriteJSON(cmd.OutOrStdout(), shownFindings(got.found))
	default:
		err = printFindings(cmd.OutOrStdout(), got.found, got.spans)
	}
	return errors.Join(err, got.broken, unwanted(got.found, s.failOn))
}

// seen is what was read, what was found in it, and what could not be read.
type seen struct {
	spans  []sdktrace.ReadOnlySpan
	found  []findings.Finding
	broken error
}

func (s *search) look(ctx context.Context, c findings.Config, files []string, stdin io.Reader) (got seen) {
	for _, file := range files {
		err := s.read(ctx, file, stdin, func(some []sdktrace.ReadOnlySpan) error {
			got.spans = append(got.spans, some...)
			return nil
		})
		got.broken = errors.Join(got.broken, err)
	}
	// Of a file that breaks off, what was read is looked at all the same.
	got.found = findings.Find(c, got.spans)
	return got
}

// anyKind stands for all kinds in --fail-on.
const anyKind = "any"

func checkKinds(names []string) error {
	known := []string{anyKind}
	for _, k := range findings.Kinds() {
		known = append(known, string(k))
	}
	for _, name := range names {
		if slices.Contains(known, name) {
			continue
		}
		if near := component.Nearest(name, known); near != "" {
			return fmt.Errorf("--fail-on %s: unknown kind (did you mean %q?)", name, near)
		}
		return fmt.Errorf("--fail-on %s: unknown kind: want %s", name, strings.Join(known, ", "))
	}
	return nil
}

// unwanted tells which kinds were found that are a failure.
func unwanted(found []findings.Finding, failOn []string) error {
	var names []string
	for _, k := range findings.Kinds() {
		n := 0
		for i := range found {
			if found[i].Kind == k {
				n++
			}
		}
		if n > 0 && (slices.Contains(failOn, anyKind) || slices.Contains(failOn, string(k))) {
			names = append(names, fmt.Sprintf("%s (%d)", k, n))
		}
	}
	if len(names) == 0 {
		return nil
	}
	return fmt.Errorf("found %s, which --fail-on names", strings.Join(names, ", "))
}

// thresholds returns the defaults with what is set, as KEY=VALUE, the last of one key.
func thresholds(set []string) (findings.Config, error) {
	c := findings.Defaults()
	for _, text := range set {
		if err := setThreshold(&c, text); err != nil {
			return c, fmt.Errorf("--set %s: %w", text, err)
		}
	}
	if err := c.Check(); err != nil {
		return c, fmt.Errorf("--set: %w", component.FieldErrors(err)[0])
	}
	return c, nil
}

func setThreshold(c *findings.Config, text string) error {
	key, value, ok := strings.Cut(text, "=")
	if !ok || key == "" {
		return errors.New("want KEY=VALUE, such as slow_query.min_duration=250ms")
	}
	var tree any = value
	if _, err := strconv.ParseFloat(value, 64); err == nil && json.Valid([]byte(value)) {
		tree = json.Number(value)
	}
	for _, part := range slices.Backward(strings.Split(key, ".")) {
		tree = map[string]any{part: tree}
	}
	data, err := json.Marshal(tree)
	if err != nil {
		return err
	}
	decode, err := config.DecodeJSON(data)
	if err != nil {
		return err
	}
	if err := decode(c); err != nil {
		return component.FieldErrors(err)[0]
	}
	return nil
}

// shownFindings are fit for a terminal: what they hold, others have said.
func shownFindings(found []findings.Finding) []findings.Finding {
	out := slices.Clone(found)
	for i := range out {
		f := &out[i]
		f.Service, f.Operation = untrusted.Text(f.Service, untrusted.Line), untrusted.Text(f.Operation, untrusted.Line)
		f.Advice = untrusted.Text(f.Advice, untrusted.Attribute)
	}
	return out
}

// How findings are printed.
const (
	mostFindings = 50
	columns      = 80
	indent       = 10 // of what stands below a finding
)

func printFindings(w io.Writer, found []findings.Finding, spans []sdktrace.ReadOnlySpan) error {
	type id struct {
		trace.TraceID
		trace.SpanID
	}
	traces, once := map[trace.TraceID]bool{}, map[id]bool{}
	for _, s := range spans {
		c := s.SpanContext()
		traces[c.TraceID()], once[id{c.TraceID(), c.SpanID()}] = true, true
	}
	in := fmt.Sprintf("%s of %s", number(len(once), "span"), number(len(traces), "trace"))
	if len(found) == 0 {
		_, err := fmt.Fprintf(w, "nothing found in %s\n", in)
		return err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s in %s\n\n%8s  %7s  %-18s  %s\n", number(len(found), "finding"), in, "COST", "COUNT", "KIND", "WHERE")
	shown := shownFindings(found[:min(len(found), mostFindings)])
	for i := range shown {
		f := &shown[i]
		if i > 0 {
			b.WriteByte('\n')
		}
		row := fmt.Sprintf("%8s  %7s  %-18s  ", costOf(f.CostMS), countOf(f.Count), f.Kind)
		where := cmp.Or(f.Service, "-") + ": " + f.Operation
		fmt.Fprintf(&b, "%s%s\n", row, cutTo(where, columns-utf8.RuneCountInString(row)))
		for _, line := range wrapped(f.Advice, columns-indent) {
			fmt.Fprintf(&b, "%*s%s\n", indent, "", line)
		}
		if len(f.Traces) > 0 {
			fmt.Fprintf(&b, "%*strace %s\n", indent, "", f.Traces[0])
		}
	}
	if more := len(found) - len(shown); more > 0 {
		fmt.Fprintf(&b, "\nand %d more, which --json prints\n", more)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func number(n int, of string) string {
	if n == 1 {
		return "1 " + of
	}
	return strconv.Itoa(n) + " " + of + "s"
}

// costOf is a time in as many digits as anybody compares.
func costOf(ms float64) string {
	d := time.Duration(min(ms, math.MaxInt64/2/float64(time.Millisecond)) * float64(time.Millisecond))
	switch {
	case d == 0:
		return "-"
	case d >= time.Hour:
		return strconv.FormatFloat(d.Hours(), 'f', 1, 64) + "h"
	case d >= 10*time.Second:
		d = d.Round(time.Second)
	case d >= time.Second:
		d = d.Round(10 * time.Millisecond)
	case d >= 10*time.Millisecond:
		d = d.Round(time.Millisecond)
	default:
		d = d.Round(10 * time.Microsecond)
	}
	return d.String()
}

func countOf(n float64) string {
	switch {
	case n >= 1e7:
		return strconv.FormatFloat(n, 'g', 2, 64)
	case n == math.Trunc(n), n >= 100:
		return strconv.FormatFloat(n, 'f', 0, 64)
	}
	return strconv.FormatFloat(n, 'f', 1, 64)
}

// cutTo cuts a text to so many characters.
func cutTo(text string, most int) string {
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	const cut = "..."
	return string([]rune(text)[:most-len(cut)]) + cut
}

// wrapped breaks a text into lines, between words where there are any.
func wrapped(text string, width int) (lines []string) {
	line := []rune{}
	for word := range strings.FieldsSeq(text) {
		letters := []rune(word)
		if len(line) > 0 && len(line)+1+len(letters) > width {
			lines, line = append(lines, string(line)), nil
		}
		if len(line) > 0 {
			line = append(line, ' ')
		}
		for line = append(line, letters...); len(line) > width; line = line[width:] {
			lines = append(lines, string(line[:width]))
		}
	}
	if len(line) > 0 {
		lines = append(lines, string(line))
	}
	return lines
}
