// Package untrusted makes fit to be shown what others have said: backends, plugins,
// clients, and whoever can write a file that is read. Every log line, error and
// command passes such text through here, and so none of it can flood a log, forge a
// line of it, or give orders to a terminal.
package untrusted

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Line is how many bytes of one text are shown where nothing else is said.
const Line = 1 << 10

// Text returns s as one line, of no more than most bytes of s: valid UTF-8 in which each
// run of white space is one space, and every other character that is not printable,
// those that change the direction of writing included, is "?". Where s is longer,
// a note of how long it is follows. It looks at no more of s than it returns.
func Text(s string, most int) string {
	shown := s
	if len(s) > most {
		shown = whole(s[:max(0, most)])
	}
	if !isClean(shown) {
		shown = clean(shown)
	}
	if len(s) > most {
		return fmt.Sprintf("%s... (%d bytes)", shown, len(s))
	}
	return shown
}

// Lines is [Text] for what has several lines, which it keeps, with their indentation:
// for commands, not for a log. It is of about most bytes.
func Lines(s string, most int) string {
	var b strings.Builder
	for line := range strings.SplitSeq(s, "\n") {
		if b.Len() > 0 {
			b.WriteByte('\n')
		}
		if b.Len() >= most {
			fmt.Fprintf(&b, "... (%d bytes)", len(s))
			break
		}
		indented := strings.TrimLeft(line[:min(len(line), Line)], " ")
		b.WriteString(line[:min(len(line), Line)-len(indented)])
		b.WriteString(Text(line, min(Line, most-b.Len())))
	}
	return b.String()
}

// whole leaves out the beginning of a character at the end of s.
func whole(s string) string {
	for i := len(s) - 1; i >= 0 && i >= len(s)-utf8.UTFMax; i-- {
		if utf8.RuneStart(s[i]) {
			if !utf8.FullRuneInString(s[i:]) {
				return s[:i]
			}
			break
		}
	}
	return s
}

func isClean(s string) bool {
	before := ' '
	for i, r := range s {
		if r == utf8.RuneError {
			if _, width := utf8.DecodeRuneInString(s[i:]); width == 1 {
				return false
			}
		}
		if !unicode.IsPrint(r) || r == ' ' && before == ' ' {
			return false
		}
		before = r
	}
	return s == "" || before != ' '
}

func clean(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	space := false
	for i, r := range s {
		_, width := utf8.DecodeRuneInString(s[i:])
		switch {
		case unicode.IsSpace(r):
			space = b.Len() > 0
			continue
		case r == utf8.RuneError && width == 1, !unicode.IsPrint(r):
			r = '?'
		}
		if space {
			b.WriteByte(' ')
			space = false
		}
		b.WriteRune(r)
	}
	return b.String()
}
