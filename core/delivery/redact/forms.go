package redact

import (
	"cmp"
	"slices"
	"strings"
)

// form is what a text says to those who decode it, and where each byte of that
// stands in the text.
type form struct {
	text string
	at   []int // one more than text has bytes: where it ends; nil: the text itself
}

// maxDecoded is how often a text can be percent-encoded and is still read.
const maxDecoded = 3

// formsOf returns the forms of a text, itself first: percent-decoded once and
// again, and the same with + for a space at one of these steps, as in a query. Of one
// that is cut, an escape that is not whole is no part of any form but the first.
func formsOf(s string, cut bool) []form {
	forms := form{text: s}.decodings(maxDecoded, cut)
	for i, f := range forms {
		if strings.IndexByte(f.text, '+') >= 0 {
			f.text = strings.ReplaceAll(f.text, "+", " ")
			forms = append(forms, f.decodings(maxDecoded-i, cut)...)
		}
	}
	return forms
}

// decodings returns a form and what it is decoded up to n times.
func (f form) decodings(n int, cut bool) []form {
	all := []form{f}
	for ok := strings.IndexByte(f.text, '%') >= 0; ok && n > 0; n-- {
		if f, ok = f.decoded(cut); ok {
			all = append(all, f)
		}
	}
	return all
}

// decoded undoes percent-encoding once; not ok, if there is none.
func (f form) decoded(cut bool) (d form, ok bool) {
	end := len(f.text)
	if i := strings.LastIndexByte(f.text, '%'); cut && i >= 0 && len(f.text)-i < len("%XX") {
		end, ok = i, true
	}
	for i := 0; i < end && !ok; i++ {
		_, ok = escaped(f.text, i)
	}
	if !ok {
		return form{}, false
	}
	text, at := make([]byte, 0, end), make([]int, 0, end+1)
	for i := 0; i < end; i++ {
		b, escape := escaped(f.text, i)
		if !escape {
			b = f.text[i]
		}
		text, at = append(text, b), append(at, f.origin(i))
		if escape {
			i += len("XX")
		}
	}
	return form{string(text), append(at, f.origin(len(f.text)))}, true
}

// origin is where a byte of the form stands in the text.
func (f form) origin(i int) int {
	if f.at == nil {
		return i
	}
	return f.at[i]
}

// escaped reads an escape, %XX, at s[i:].
func escaped(s string, i int) (b byte, ok bool) {
	if s[i] != '%' || len(s)-i < len("%XX") {
		return 0, false
	}
	high, low := hexDigit(s[i+1]), hexDigit(s[i+2])
	return high<<4 | low, high|low <= 0xf
}

// hexDigit returns the value of a hex digit, above 0xf if b is none.
func hexDigit(b byte) byte {
	switch {
	case isDigit(b):
		return b - '0'
	case b|0x20 >= 'a' && b|0x20 <= 'f':
		return b | 0x20 - 'a' + 10
	default:
		return 0xff
	}
}

// place is something that was found: where it stands in the text, and what it
// says, decoded.
type place struct {
	start, end int
	says       string
}

// find finds in the forms of a text what a rule is about, in order and without
// overlap.
func find(f finder, forms []form) []place {
	var found []place
	for _, form := range forms {
		for _, at := range f.all(form.text) {
			found = append(found, form.place(at[0], at[1]))
		}
	}
	// The longest first of those that start at one place, and of those of one
	// length the one that is decoded most.
	slices.Reverse(found)
	slices.SortStableFunc(found, func(a, b place) int {
		return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(b.end, a.end))
	})
	merged := found[:0]
	for _, p := range found {
		if n := len(merged); n > 0 && p.start < merged[n-1].end {
			merged[n-1].end = max(merged[n-1].end, p.end)
			continue
		}
		merged = append(merged, p)
	}
	return merged
}

// open returns where in a text something begins that ends with it or may go on
// behind it, in any of its forms; the length of the text if nothing does.
func open(f finder, forms []form) int {
	first := len(forms[0].text)
	for _, form := range forms {
		if i := f.open(form.text); i >= 0 {
			first = min(first, form.origin(i))
		}
	}
	return first
}

func (f form) place(start, end int) place {
	return place{f.origin(start), f.origin(end), f.text[start:end]}
}
