package match

import (
	"cmp"
	"math"
	"strconv"

	"go.opentelemetry.io/otel/attribute"
)

// number is an integer, or else a float; not NaN, which compares with nothing.
type number struct {
	integer bool
	i       int64
	f       float64
}

func integer(i int64) number { return number{integer: true, i: i} }

// numberOf is the number that a value is, or that its text says.
func numberOf(v *attribute.Value) (n number, ok bool) {
	switch v.Type() {
	case attribute.INT64:
		return integer(v.AsInt64()), true
	case attribute.FLOAT64:
		f := v.AsFloat64()
		return number{f: f}, !math.IsNaN(f)
	case attribute.STRING:
		return parseNumber(v.AsString())
	default:
		return number{}, false
	}
}

// maxNumber is the length of the longest text that is taken for a number.
const maxNumber = 64

// parseNumber reads a decimal number: what JSON takes for one, with any zeros before
// it, or a sign. It allocates nothing, also where a text is no number, which most are.
func parseNumber(s string) (n number, ok bool) {
	if s == "" || len(s) > maxNumber {
		return number{}, false
	}
	rest := s
	if rest[0] == '-' || rest[0] == '+' {
		rest = rest[1:]
	}
	whole, rest := digits(rest)
	if whole == 0 {
		return number{}, false
	}
	isInteger := rest == ""
	if rest != "" && rest[0] == '.' {
		var n int
		if n, rest = digits(rest[1:]); n == 0 {
			return number{}, false
		}
	}
	if rest != "" && (rest[0] == 'e' || rest[0] == 'E') {
		rest = rest[1:]
		if rest != "" && (rest[0] == '-' || rest[0] == '+') {
			rest = rest[1:]
		}
		// With two digits of an exponent nothing is out of range.
		var n int
		if n, rest = digits(rest); n == 0 || n > 2 {
			return number{}, false
		}
	}
	if rest != "" {
		return number{}, false
	}
	if isInteger {
		if i, ok := parseInteger(s); ok {
			return integer(i), true
		}
	}
	f, err := strconv.ParseFloat(s, 64)
	return number{f: f}, err == nil
}

// parseInteger reads digits, with or without a sign. It is not ok if an int64 has no
// room for them, of which [strconv.ParseInt] makes an error.
func parseInteger(s string) (i int64, ok bool) {
	negative := s[0] == '-'
	if negative || s[0] == '+' {
		s = s[1:]
	}
	for j := range len(s) { // below zero there is room for one more
		d := int64(s[j] - '0')
		if i < (math.MinInt64+d)/10 {
			return 0, false
		}
		i = i*10 - d
	}
	if negative {
		return i, true
	}
	return -i, i != math.MinInt64
}

func digits(s string) (n int, rest string) {
	for n < len(s) && '0' <= s[n] && s[n] <= '9' {
		n++
	}
	return n, s[n:]
}

// text is the number as one writes it.
func (n number) text() string {
	if n.integer {
		return strconv.FormatInt(n.i, 10)
	}
	return strconv.FormatFloat(n.f, 'f', -1, 64)
}

func (n number) compare(m number) int {
	switch {
	case n.integer && m.integer:
		return cmp.Compare(n.i, m.i)
	case n.integer:
		return compareWith(n.i, m.f)
	case m.integer:
		return -compareWith(m.i, n.f)
	default:
		return cmp.Compare(n.f, m.f)
	}
}

// compareWith compares exactly: most integers above 2^53 are no float.
func compareWith(i int64, f float64) int {
	switch {
	case f >= 1<<63:
		return -1
	case f < -1<<63:
		return 1
	}
	whole := math.Trunc(f)
	return cmp.Or(cmp.Compare(i, int64(whole)), cmp.Compare(0, f-whole))
}
