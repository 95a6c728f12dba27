package route

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/riffletrace/riffle/core/component"
)

// methods are those that requests have, those of WebDAV left out.
var methods = []string{
	http.MethodConnect, http.MethodDelete, http.MethodGet, http.MethodHead, http.MethodOptions,
	http.MethodPatch, http.MethodPost, http.MethodPut, "QUERY", http.MethodTrace,
}

// anyMethod are words with which other routers mean every method.
var anyMethod = []string{"ALL", "ANY", "*"}

// Doubt returns what is no mistake in a pattern, but hardly what was meant: a wildcard
// in the syntax of another router, which matches nothing but itself, a query, a method
// that no request has. It tells the pattern to write instead. It is nil for a pattern
// that [Table.Add] refuses.
func Doubt(text string) error {
	p, err := parse(text)
	if err != nil {
		return nil //nolint:nilerr // it is told as a mistake
	}
	meant, why := translated(text)
	switch {
	case meant != "":
		return fmt.Errorf("%s: write %q", why, meant)
	case p.method == "" || slices.Contains(methods, p.method):
		return nil
	}
	if near := component.Nearest(strings.ToLower(p.method), lower(methods)); near != "" {
		return fmt.Errorf("no request has the method %s (did you mean %s?)", p.method, strings.ToUpper(near))
	}
	return fmt.Errorf("hardly a request has the method %s: known are %s", p.method, strings.Join(methods, ", "))
}

func lower(words []string) []string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = strings.ToLower(w)
	}
	return out
}

// translated returns the pattern that was meant by one in the syntax of another
// router, and what it has of that; "" if it has nothing of that, or nobody can tell.
func translated(text string) (meant, why string) {
	note := func(s string) {
		if why == "" {
			why = s
		}
	}
	method, path := splitPattern(text)
	switch upper := strings.ToUpper(method); {
	case slices.Contains(anyMethod, upper):
		note(fmt.Sprintf("a pattern without a method is of every one, and none is called %s", method))
		method = ""
	case upper != method:
		note("a method is written in capitals")
		method = upper
	}
	if i := strings.Index(path, "://"); i >= 0 && i < maxStart {
		note("a pattern is of the path alone, not of a URL")
		rest := path[i+len("://"):]
		path = "/"
		if slash := strings.IndexByte(rest, '/'); slash >= 0 {
			path = rest[slash:]
		}
	}
	if trimmed := strings.TrimPrefix(path, "^"); trimmed != path || strings.HasSuffix(path, "$") {
		note("a pattern is no regular expression: it is of the whole path anyway")
		path = strings.TrimSuffix(trimmed, "$")
	}
	if i := queryOf(path); i >= 0 {
		note("a pattern is of the path alone: a query is never a part of it")
		path = path[:i]
	}
	if !isPath(path) || len(path) > MaxPath {
		return "", ""
	}
	segments := strings.Split(path[1:], "/")
	var names []string
	for i, seg := range segments {
		wildcard, rest, ok := foreign(seg, i == len(segments)-1)
		if !ok {
			continue
		}
		note(fmt.Sprintf("%q matches nothing but itself: a wildcard of net/http is {name}, and {name...} at the end", seg))
		segments[i] = "{" + unused(wildcard, &names) + rest + "}"
	}
	if why == "" {
		return "", ""
	}
	meant = strings.TrimLeft(method+" /"+strings.Join(segments, "/"), " ")
	if _, err := parse(meant); err != nil {
		return "", ""
	}
	return meant, why
}

// splitPattern splits as parse does.
func splitPattern(text string) (method, path string) {
	if i := strings.IndexAny(text, " \t"); i >= 0 {
		return text[:i], strings.TrimLeft(text[i:], " \t")
	}
	return "", text
}

// queryOf is where the query of a path begins; -1 if it has none. The question mark
// behind an optional wildcard, /:id?, and one inside parentheses are none.
func queryOf(path string) int {
	i := strings.IndexByte(path, '?')
	if i < 0 || strings.IndexByte(path[i:], '=') < 0 || strings.ContainsAny(path[:i], "()<") {
		return -1
	}
	return i
}

// foreign finds the wildcard of another router in a segment. rest is "..." where it
// stands for all that follows.
func foreign(seg string, last bool) (name, rest string, ok bool) {
	all := func(is bool) string {
		if is && last {
			return "..."
		}
		return ""
	}
	switch {
	case seg == "":
		return "", "", false
	case seg == "*", seg == "**":
		return "rest", all(true), true
	case seg[0] == ':' && len(seg) > 1: // gin, echo, fiber, httprouter, Express
		name = seg[1:]
		end := strings.IndexFunc(name, func(r rune) bool { return r != '-' && !isIdentifier("x"+string(r)) })
		if end < 0 {
			return name, "", true
		}
		return name[:end], all(name[end] == '*' || name[end] == '+'), true
	case seg[0] == '*': // httprouter, gin
		if !isIdentifier(seg[1:]) {
			return "part", "", true
		}
		return seg[1:], all(true), true
	case seg[0] == '<' && seg[len(seg)-1] == '>': // Flask
		kind, id, typed := strings.Cut(seg[1:len(seg)-1], ":")
		if !typed {
			kind, id = "", kind
		}
		return id, all(kind == "path"), true
	case seg[0] == '[' && seg[len(seg)-1] == ']': // Next.js
		id := strings.Trim(seg, "[]")
		spread := strings.HasPrefix(id, "...")
		return strings.TrimPrefix(id, "..."), all(spread), true
	case seg[0] == '{' && strings.ContainsAny(seg, ":*?"): // gorilla, chi, Spring, ASP.NET
		id := strings.Trim(seg, "{}?")
		id, pattern, _ := strings.Cut(id, ":")
		return strings.TrimLeft(id, "*"), all(strings.HasPrefix(id, "*") || strings.Contains(pattern, ".*")), true
	case seg[0] == '(' || strings.Contains(seg, `\`) || strings.Contains(seg, ".*"), strings.Contains(seg, "[^"):
		return "part", "", true
	case strings.Contains(seg, "*"):
		return "part", "", true
	default:
		return "", "", false
	}
}

// unused makes a Go identifier of a name that is none of names, and adds it there.
func unused(name string, names *[]string) string {
	name = strings.ReplaceAll(name, "-", "_")
	if !isIdentifier(name) {
		name = "part"
	}
	for i, base := 2, name; slices.Contains(*names, name); i++ {
		name = base + strconv.Itoa(i)
	}
	*names = append(*names, name)
	return name
}
