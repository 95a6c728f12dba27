package redact

import "regexp"

// finder finds what a rule is about.
type finder interface {
	// needs is what the text has if there is anything to find.
	wants() needs
	// in reports whether there is anything. It allocates nothing.
	in(s string) bool
	// all returns where it is, in order and without overlap.
	all(s string) [][]int
	// open returns where something begins that ends with s or may go on behind it,
	// or -1.
	open(s string) int
}

// pattern is a regular expression.
type pattern struct {
	re     *regexp.Regexp
	prefix func(s string) int
	needs  needs
}

func (p *pattern) wants() needs         { return p.needs }
func (p *pattern) in(s string) bool     { return p.re.MatchString(s) }
func (p *pattern) all(s string) [][]int { return p.re.FindAllStringIndex(s, -1) }
func (p *pattern) open(s string) int    { return p.prefix(s) }

// preset finds with functions: the first at or after from, or -1; and what may go on
// behind the end.
type preset struct {
	needs  needs
	next   func(s string, from int) (start, end int)
	prefix func(s string) int
}

func (p *preset) wants() needs { return p.needs }

func (p *preset) open(s string) int { return p.prefix(s) }

func (p *preset) in(s string) bool {
	start, _ := p.next(s, 0)
	return start >= 0
}

func (p *preset) all(s string) (found [][]int) {
	for from := 0; ; {
		start, end := p.next(s, from)
		if start < 0 {
			return found
		}
		found = append(found, []int{start, end})
		from = end
	}
}
