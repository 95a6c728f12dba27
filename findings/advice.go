package findings

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/sampling"
)

// How long texts of spans are in findings, in bytes.
const (
	maxName  = 1 << 10
	maxShort = 80
)

// shortened cuts a text where a character ends.
func shortened(text string, most int) string {
	if len(text) <= most {
		return text
	}
	const cut = "..."
	end := most - len(cut)
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + cut
}

// short is a name in a sentence.
func short(text string) string { return cmp.Or(shortened(text, maxShort), "unknown") }

// took is a duration with as many digits as anybody needs.
func took[N int64 | float64 | time.Duration](n N) string {
	d := time.Duration(n)
	switch {
	case d >= 10*time.Second:
		d = d.Round(100 * time.Millisecond)
	case d >= time.Second:
		d = d.Round(10 * time.Millisecond)
	case d >= 10*time.Millisecond:
		d = d.Round(time.Millisecond)
	case d >= time.Millisecond:
		d = d.Round(10 * time.Microsecond)
	}
	return d.String()
}

func adviseNPlusOne(calls int, sum float64, c *call) string {
	how := "fetch all in one, with IN or a join"
	if c.writes {
		how = "send all in one statement or one batch"
	}
	return fmt.Sprintf("%d times the same statement below one span, one after another, %s; %s.", calls, took(sum), how)
}

func adviseSequential(calls int, targets []string, sum, longest float64) string {
	return fmt.Sprintf("%d calls one after another, to %s, %s; nothing in them tells an order, and side by side they take %s: if none needs what another answers, start them together and wait for all.",
		calls, listed(targets), took(sum), took(longest))
}

// listed names the first of some.
func listed(all []string) string {
	const most = 4
	var out []string
	for _, s := range first(all, most) {
		out = append(out, short(s))
	}
	if len(all) > most {
		return strings.Join(out, ", ") + " and " + strconv.Itoa(len(all)-most) + " more"
	}
	if n := len(out) - 1; n > 0 {
		return strings.Join(out[:n], ", ") + " and " + out[n]
	}
	return strings.Join(out, "")
}

func adviseSlowQuery(d, most time.Duration, c *call) string {
	how := "an index may be missing, or it reads more than is needed; where there is EXPLAIN, ask for its plan"
	if c.control {
		how = "look for locks, for a full disk, and for who waits for a connection"
	}
	return fmt.Sprintf("It takes %s, where %s is the limit; %s.", took(d), took(most), how)
}

func adviseSlowCall(d, most time.Duration, c *call, failed bool) string {
	ends := "give it a timeout, and cache what it answers or make the call where nobody waits for it"
	if failed {
		ends = "it fails then, so that a shorter timeout would fail sooner"
	}
	return fmt.Sprintf("%s takes %s to answer, where %s is the limit, and nothing of it is traced; %s.", short(c.target), took(d), took(most), ends)
}

// adviseOrigin tells the path, from the origin up.
func (t *tree) adviseOrigin(path []int32) string {
	origin := &t.spans[path[len(path)-1]]
	text := "The error begins here"
	if why := reason(origin); why != "" {
		text += ": " + shortened(why, 2*maxShort)
	}
	if len(path) == 1 {
		return text + "; nothing above it fails."
	}
	const most = 6
	var steps []string
	for n, i := range path {
		if n >= most/2 && n < len(path)-most/2 {
			if n == most/2 {
				steps = append(steps, fmt.Sprintf("%d more", len(path)-most))
			}
			continue
		}
		s := &t.spans[i]
		steps = append(steps, short(s.process.service)+" "+short(s.Name()))
	}
	what := "what has no end"
	if top := &t.spans[path[0]]; top.ended {
		what = "what took " + took(top.duration())
	}
	return fmt.Sprintf("%s; %s fails by it: %s.", text, what, strings.Join(steps, " > "))
}

// reason is what a span says of why it failed.
func reason(s *span) string {
	if d := s.Status().Description; d != "" {
		return d
	}
	for _, e := range s.Events() {
		if e.Name != "exception" {
			continue
		}
		kind, message := "", ""
		for i := range e.Attributes {
			switch kv := &e.Attributes[i]; kv.Key {
			case "exception.type":
				kind = text(kv)
			case "exception.message":
				message = text(kv)
			}
		}
		if kind != "" || message != "" {
			return joined(kind, message)
		}
	}
	for i := range s.attributes {
		if kv := &s.attributes[i]; kv.Key == "error.type" {
			return text(kv)
		}
	}
	return ""
}

func adviseRetry(repetitions int, cost float64, storm bool, c *call) string {
	out := fmt.Sprintf("The same call again, %s after it failed, for %s", times(repetitions), took(cost))
	if storm {
		return out + ": a storm. Wait longer before each, with jitter, and give up sooner; " + short(c.target) + " gets the more calls the worse it is."
	}
	return out + "; mend why the first one fails, and retry only what may pass."
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return strconv.Itoa(n) + " times"
}

func adviseGap(free, whole time.Duration) string {
	return fmt.Sprintf("%s of %s (%.0f %%) is in no span below it: work that has no span, or waiting for a lock, a connection or the processor. Give what happens there a span, or take a profile.",
		took(free), took(whole), 100*float64(free)/float64(max(whole, 1)))
}

func adviseFanOut(calls, concurrent int, c *call) string {
	return fmt.Sprintf("%d calls below one span, up to %d of them at once, such as to %s; bound how many run, or ask for all in one call.", calls, concurrent, short(c.target))
}

func adviseChatty(calls int, outside float64, to, root string) string {
	return fmt.Sprintf("%d calls to %s below one %s, of which %s is the way there and back; ask for all in one call.", calls, short(to), short(root), took(outside))
}

func adviseUnended(s *span) string {
	if s.unfinished {
		return "It was open when the service shut down; wait for what runs, or end the span in a defer."
	}
	return "It has no end; end each span in a defer, on all paths."
}

func adviseSkew(early, late time.Duration, client string) string {
	if early > 0 {
		return fmt.Sprintf("It starts %s before the call of %s that it answers; set the clocks of both machines by NTP.", took(early), short(client))
	}
	return fmt.Sprintf("It ends %s after the call of %s that it answers; set the clocks of both machines by NTP.", took(late), short(client))
}

func adviseMissing(s *span) string {
	for i := range s.attributes {
		if s.attributes[i].Key == sampling.ParentMissingKey && s.attributes[i].Value.AsBool() {
			return "Its caller did not keep its part of the trace; let both decide alike, by the same rate or by what the caller decides."
		}
	}
	if s.circular {
		return "By what it says of its parents it is above itself; whoever made these spans repeats span IDs."
	}
	if s.Parent().IsRemote() || s.kind == trace.SpanKindServer || s.kind == trace.SpanKindConsumer {
		return "Its parent, in the service that called, is not here: that service does not export it, samples otherwise, or something between the two starts spans of its own."
	}
	return "Its parent, in the same service, is not here: it was never ended, was dropped before it was exported, or is in another file."
}

func adviseLarge(key string, size int) string {
	return fmt.Sprintf("%s has %s; leave it out, cut it, or log it instead.", short(key), component.Size(size))
}

func adviseBroken(from *openCall, d time.Duration) string {
	return fmt.Sprintf("A call of %s (%s) was open all of its %s and has nothing below it: the call does not carry traceparent, or this service does not read it. Set the propagators of both, and instrument the client and the server.",
		short(from.process.service), short(from.name), took(d))
}
