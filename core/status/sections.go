package status

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/component"
)

// Section is a part of what is shown: facts, or a table.
type Section struct {
	Title string
	Facts []Fact
	Table Table
	// Empty is said where there is neither.
	Empty string
}

// Fact is one figure, or several of a kind.
type Fact struct{ Name, Value string }

// Table has a name in each row's first cell.
type Table struct {
	Head []string
	Rows []Row
}

// Row is one of a table, with what is said below it.
type Row struct {
	Cells []string
	Notes []string
	// Below tells that it is a part of the row above it, Alarm that a person should look at
	// it.
	Below, Alarm bool
}

// Sections are what a status says, in the order in which a person wants it, but for its
// problems and its configuration.
func Sections(s *core.Status) []Section {
	if s.State == core.Off {
		return []Section{reloads(s)}
	}
	all := []Section{segments(s), samplers(s), exporters(s)}
	if len(s.Plugins) > 0 {
		all = append(all, plugins(s))
	}
	return append(all, longestOpen(s), reloads(s))
}

func segments(s *core.Status) Section {
	g := &s.Segments
	facts := []Fact{
		{"started", count(g.Started)},
		{"dropped by rule", count(g.Dropped)},
		{"kept", count(g.Kept) + by(g.KeptBy)},
		{"not kept", count(g.NotKept) + parts(
			part{"discarded", g.Discarded}, part{"over budget", g.OverBudget},
			part{"let go for lack of memory", g.UnderPressure}, part{"too large", g.TooLarge})},
		{"not recorded for lack of memory", count(g.Unrecorded)},
		{"decided early", count(g.Overdue+g.Thinned+g.Crowded) + parts(
			part{"overdue", g.Overdue}, part{"thinned", g.Thinned}, part{"crowded", g.Crowded})},
		{"spans kept", count(g.SpansKept)},
		{"spans not kept", count(g.SpansNotKept)},
		{"open now", count(g.Open)},
		{"waiting for segment samplers", count(g.Waiting)},
		{"traces remembered", count(g.RememberedTraces)},
		{"memory held", fmt.Sprintf("%s of %s", size(g.HeldBytes), size(g.MaxBytes))},
		{"probability under pressure", strconv.FormatFloat(g.Probability, 'g', 3, 64)},
	}
	if n := g.NoThreshold + g.ImpossibleThreshold; n > 0 {
		facts = append(facts, Fact{"below parents that cannot be weighed", count(n)})
	}
	return Section{Title: "Segments", Facts: facts}
}

// part is a count that is a part of another.
type part struct {
	name string
	n    uint64
}

func parts(all ...part) string {
	var said []string
	for _, p := range all {
		if p.n > 0 {
			said = append(said, p.name+" "+count(p.n))
		}
	}
	if len(said) == 0 {
		return ""
	}
	return " (" + strings.Join(said, ", ") + ")"
}

// maxBy is for how many names kept segments are told apart.
const maxBy = 20

func by(counts map[string]uint64) string {
	names := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	var all []part
	for i, name := range names {
		if i < maxBy {
			all = append(all, part{cmp.Or(name, "remote parent or nobody"), counts[name]})
			continue
		}
		if i == maxBy {
			all = append(all, part{name: "others"})
		}
		all[maxBy].n += counts[name]
	}
	return parts(all...)
}

func samplers(s *core.Status) Section {
	out := Section{Title: "Samplers", Empty: "none", Table: Table{Head: []string{"sampler", "asked", "answered", "kept", "state"}}}
	for i := range s.Samplers {
		p := &s.Samplers[i]
		row := Row{
			Cells: []string{
				p.Name, count(p.Asked.Starts + p.Asked.Ends + p.Asked.Segments),
				count(p.Answered.Thresholds + p.Answered.Drops + p.Answered.AtMost + p.Answered.ByParent), count(p.Kept), "asked",
			},
		}
		if p.Description != p.Name {
			row.Notes = append(row.Notes, p.Description)
		}
		var notes []string
		for _, note := range []string{
			parts(part{"starts", p.Asked.Starts}, part{"ends", p.Asked.Ends}, part{"segments", p.Asked.Segments}),
			parts(part{"thresholds", p.Answered.Thresholds}, part{"drops", p.Answered.Drops}, part{"at most", p.Answered.AtMost}, part{"by parent", p.Answered.ByParent}),
		} {
			if note != "" {
				notes = append(notes, strings.Trim(note, " ()"))
			}
		}
		if len(notes) > 0 {
			row.Notes = append(row.Notes, "asked: "+strings.Join(notes, "; answered: "))
		}
		if p.Cut > 0 {
			row.Notes = append(row.Notes, "its limit has cut "+count(p.Cut))
		}
		if p.MatchIdle {
			row.Notes = append(row.Notes, "its match has met nothing for an hour or longer")
		}
		if p.Suspensions > 0 {
			row.Notes = append(row.Notes, "suspended "+count(p.Suspensions)+" times so far")
		}
		if p.SuspendedFor != "" {
			row.Alarm, row.Cells[4] = true, "suspended"
			row.Notes = append(row.Notes, fmt.Sprintf("suspended for another %s: %s", until(s, p.SuspendedUntil), p.SuspendedFor))
		}
		out.Table.Rows = append(out.Table.Rows, row)
		for _, r := range p.Rules {
			out.Table.Rows = append(out.Table.Rows, ruleRow(&r))
		}
	}
	return out
}

func ruleRow(r *core.RuleStatus) Row {
	state := ""
	switch {
	case r.Idle:
		state = "idle"
	case r.Uncounted:
		return Row{Below: true, Cells: []string{r.Name, "", "?", "?", "not counted"}}
	case r.Answered == 0:
		state = "no match yet"
	}
	return Row{Below: true, Cells: []string{r.Name, "", count(r.Answered), count(r.Kept), state}}
}

func exporters(s *core.Status) Section {
	out := Section{Title: "Exporters", Empty: "none", Table: Table{Head: []string{"exporter", "state", "waiting", "sent", "lost"}}}
	for i := range s.Exporters {
		e := &s.Exporters[i]
		row := Row{
			Alarm: !e.FailingSince.IsZero() || e.Lost > 0,
			Cells: []string{e.Name, strings.ReplaceAll(e.State, "_", " "), count(e.WaitingSpans), count(e.Sent), count(e.Lost)},
		}
		note := func(format string, args ...any) { row.Notes = append(row.Notes, fmt.Sprintf(format, args...)) }
		if e.Endpoint == "" {
			note("%s", e.Type)
		} else {
			note("%s to %s", e.Type, e.Endpoint)
		}
		success := "nothing accepted so far"
		if !e.LastSuccess.IsZero() {
			success = "last success " + since(s, e.LastSuccess) + " ago"
		}
		if !e.FailingSince.IsZero() {
			success = "failing for " + since(s, e.FailingSince) + ", " + success
		}
		if !e.BackingOffUntil.IsZero() {
			success += ", next attempt in " + until(s, e.BackingOffUntil)
		}
		note("%s", success)
		if e.WaitingSpans > 0 {
			note("queue: %s, oldest waits for %s, %s spans under way", size(e.QueueBytes), seconds(e.OldestSeconds), count(e.SendingSpans))
		}
		if e.LastError != "" {
			note("last error %s ago: %s", since(s, e.LastErrorAt), e.LastError)
		}
		if e.Lost > 0 {
			note("lost: %s", strings.Join(e.LossCauses(), ", "))
		}
		if more := parts(part{"filtered", e.Filtered}, part{"stored on disk", e.Stored}, part{"taken over", e.TakenOver},
			part{"attempts", e.Attempts}, part{"retried", e.Retried}, part{"split", e.Split}); more != "" {
			note("%s", strings.Trim(more, " ()"))
		}
		out.Table.Rows = append(out.Table.Rows, row)
	}
	return out
}

func plugins(s *core.Status) Section {
	out := Section{Title: "Plugins", Table: Table{Head: []string{"plugin", "state", "restarts", "calls", "failed"}}}
	for _, p := range s.Plugins {
		out.Table.Rows = append(out.Table.Rows, Row{
			Cells: []string{p.Name, p.State, count(p.Restarts), count(p.Calls), count(p.Failures)}, Alarm: p.State != "running",
		})
	}
	return out
}

func longestOpen(s *core.Status) Section {
	out := Section{Title: "Longest open", Empty: "no segment is open", Table: Table{Head: []string{"local root", "age", "open", "ended"}}}
	for _, o := range s.LongestOpen {
		row := Row{Cells: []string{o.Name, seconds(o.AgeSeconds), count(o.OpenSpans), count(o.EndedSpans)}}
		if o.Route != "" && !strings.HasSuffix(o.Name, o.Route) {
			row.Notes = append(row.Notes, "route "+o.Route)
		}
		if o.RootEnded {
			row.Notes = append(row.Notes, "the local root has ended, something below it has not")
		}
		out.Table.Rows = append(out.Table.Rows, row)
	}
	return out
}

func reloads(s *core.Status) Section {
	r := &s.Reloads
	out := Section{Title: "Reloads", Facts: []Fact{{"succeeded", count(r.Succeeded)}, {"failed", count(r.Failed)}}}
	if !r.Last.IsZero() {
		out.Facts = append(out.Facts, Fact{"last", since(s, r.Last) + " ago"})
	}
	if r.LastError != "" {
		out.Facts = append(out.Facts, Fact{"its error", r.LastError})
	}
	return out
}

// Headline is the first line: which service, what it does, and for how long.
func Headline(s *core.Status) string {
	name := cmp.Or(s.Service, "tracing")
	line := name + ": " + strings.ReplaceAll(s.State, "_", " ")
	if s.Started.IsZero() {
		return line
	}
	return line + ", started " + since(s, s.Started) + " ago"
}

// count is a number with its thousands apart.
func count[N int | int64 | uint64](n N) string {
	digits := fmt.Sprint(n)
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 && digits[i-1] != '-' {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return b.String()
}

// size is a number of bytes, with three digits or so.
func size(n int64) string {
	const kib = 1 << 10
	switch f := float64(n); {
	case n < kib:
		return component.Size(n).String()
	case n < kib*kib:
		return fmt.Sprintf("%.3gKiB", f/kib)
	case n < kib*kib*kib:
		return fmt.Sprintf("%.4gMiB", f/kib/kib)
	default:
		return fmt.Sprintf("%.4gGiB", f/kib/kib/kib)
	}
}

func since(s *core.Status, at time.Time) string { return seconds(s.At.Sub(at).Seconds()) }
func until(s *core.Status, at time.Time) string { return seconds(at.Sub(s.At).Seconds()) }

// seconds is a duration as people say it: 350ms, 12s, 3m20s, 5h10m, 3d4h.
func seconds(f float64) string {
	f = min(max(f, 0), 1e9) // a service does not live that long, and a span may have any time
	d := time.Duration(f * float64(time.Second))
	const day = 24 * time.Hour
	switch {
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm%ds", d/time.Minute, d%time.Minute/time.Second)
	case d < day:
		return fmt.Sprintf("%dh%dm", d/time.Hour, d%time.Hour/time.Minute)
	default:
		return fmt.Sprintf("%dd%dh", d/day, d%day/time.Hour)
	}
}
