package route

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode"
)

// pattern is the parsed form of "[METHOD ]/path".
type pattern struct {
	text     string
	method   string
	segments []pathSegment
}

// pathSegment is what a pattern says about one path segment, or about what
// is left of it.
type pathSegment struct {
	kind    kind
	literal string
}

type kind uint8

const (
	literal kind = iota // this text
	single              // {name}: any one path segment
	slash               // {$}: the trailing slash
	rest                // {name...} or a trailing slash: all that follows
)

// refused is a mistake, with what to write instead if that can be told.
func refused(text string, err error) error {
	if meant, _ := translated(text); meant != "" && meant != text {
		return fmt.Errorf("%w: write %q", err, meant)
	}
	return err
}

func parse(text string) (*pattern, error) {
	p := &pattern{text: text}
	path := text
	if i := strings.IndexAny(text, " \t"); i >= 0 {
		p.method, path = text[:i], strings.TrimLeft(text[i:], " \t")
	}
	switch {
	case path == "":
		return nil, errors.New("a pattern is missing: want [METHOD ]/path")
	case strings.ContainsFunc(p.method, notInMethod):
		return nil, fmt.Errorf("pattern %q: %q is not a method: want capitals, as in GET", text, p.method)
	case path[0] != '/' && path[0] != '{' && strings.Contains(path, "/"):
		return nil, fmt.Errorf("pattern %q: the host %q cannot be told from a span: the path starts with a slash", text, path[:strings.IndexByte(path, '/')])
	case path[0] != '/':
		return nil, fmt.Errorf("pattern %q: the path %q does not start with a slash", text, path)
	}
	var names []string
	for path != "" {
		var seg string
		seg, path = cut(path[1:])
		s, name, err := parsePathSegment(seg, path == "")
		if err == nil && name != "" && slices.Contains(names, name) {
			err = fmt.Errorf("two wildcards are called %q", name)
		}
		if err != nil {
			return nil, fmt.Errorf("pattern %q: %w", text, err)
		}
		names = append(names, name)
		p.segments = append(p.segments, s)
	}
	return p, nil
}

func parsePathSegment(seg string, last bool) (s pathSegment, name string, err error) {
	switch {
	case seg == "" && last:
		return pathSegment{kind: rest}, "", nil
	case seg == "" || seg == "." || seg == "..":
		return s, "", fmt.Errorf("a segment %q is cleaned from a path before it is routed", seg)
	case !strings.Contains(seg, "{"):
		return pathSegment{kind: literal, literal: decode(seg)}, "", nil
	case seg[0] != '{' || seg[len(seg)-1] != '}':
		return s, "", fmt.Errorf("the wildcard in %q does not fill its segment", seg)
	}
	name = seg[1 : len(seg)-1]
	if name == "$" {
		if !last {
			return s, "", errors.New("{$} stands before the end")
		}
		return pathSegment{kind: slash}, "", nil
	}
	s.kind = single
	if n, ok := strings.CutSuffix(name, "..."); ok {
		if !last {
			return s, "", fmt.Errorf("%s stands before the end", seg)
		}
		name, s.kind = n, rest
	}
	if !isIdentifier(name) {
		return s, "", fmt.Errorf("%q is not a wildcard's name: want a Go identifier", name)
	}
	return s, name, nil
}

// cut cuts a path, without the slash it starts with, before its next slash.
func cut(path string) (segment, rest string) {
	if i := strings.IndexByte(path, '/'); i >= 0 {
		return path[:i], path[i:]
	}
	return path, ""
}

// decode undoes percent-encoding. Text that is not percent-encoded is left as
// it is.
func decode(segment string) string {
	if decoded, ok := appendDecoded(nil, segment); ok {
		return string(decoded)
	}
	return segment
}

func appendDecoded(dst []byte, s string) ([]byte, bool) {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '%' {
			if len(s)-i < 3 {
				return dst, false
			}
			high, low := hexDigit(s[i+1]), hexDigit(s[i+2])
			if high|low > 0xf {
				return dst, false
			}
			c, i = high<<4|low, i+2
		}
		dst = append(dst, c)
	}
	return dst, true
}

// hexDigit returns the value of a hex digit, above 0xf if c is none.
func hexDigit(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10
	default:
		return 0xff
	}
}

func notInMethod(r rune) bool { return r != '-' && r != '_' && (r < 'A' || r > 'Z') }

func isIdentifier(s string) bool {
	for i, r := range s {
		if r != '_' && !unicode.IsLetter(r) && (i == 0 || !unicode.IsDigit(r)) {
			return false
		}
	}
	return s != ""
}

// String is the path segment that it matches.
func (s pathSegment) String() string {
	switch s.kind {
	case literal:
		return "/" + url.PathEscape(s.literal)
	case single:
		return "/x"
	default:
		return "/"
	}
}
