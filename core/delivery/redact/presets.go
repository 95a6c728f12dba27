package redact

import (
	"math"
	"math/bits"
	"strings"
)

var presets = map[string]finder{
	"emails":          &preset{needs{6, []byteSet{setOf("@")}}, email, openEmail},
	"bearer_tokens":   &preset{needs{8, []byteSet{setOf("bB"), setOf("rR"), setOf("aA"), setOf(" \t")}}, bearer, openBearer},
	"credit_cards":    &preset{needs{minCard, []byteSet{setOf(digits)}}, card, openCard},
	"url_credentials": &preset{needs{6, []byteSet{setOf("@"), setOf(":"), setOf("/")}}, credentials, openCredentials},
}

const digits = "0123456789"

func isDigit(b byte) bool  { return b-'0' <= 9 }
func isLetter(b byte) bool { return b|0x20-'a' <= 'z'-'a' }

// isWord is a letter, a digit or a part of a character that is not ASCII.
func isWord(b byte) bool { return isDigit(b) || isLetter(b) || b >= 0x80 }

// email finds local@host.domain. Mail servers take more characters than people
// have in their addresses; those would take in what stands before.
func email(s string, from int) (start, end int) {
	for at := from; ; at++ {
		i := strings.IndexByte(s[at:], '@')
		if i < 0 {
			return -1, -1
		}
		at += i
		for start = at; start > from && isLocal(s[start-1]); start-- {
		}
		end = host(s, at+1)
		if start < at && end > 0 {
			return start, end
		}
	}
}

// openEmail finds what may be one: letters at the end, or an address without the end
// of its host.
func openEmail(s string) int {
	start := len(s)
	for start > 0 && (isLocal(s[start-1]) || s[start-1] == '@') {
		start--
	}
	for at := start; ; at++ { // behind every @ that has nothing before it
		i := strings.IndexByte(s[at:], '@')
		switch {
		case i < 0 && at == len(s):
			return -1
		case i != 0 || at == len(s):
			return at
		}
	}
}

func isLocal(b byte) bool { return isWord(b) || strings.IndexByte("._%+-", b) >= 0 }

// host returns the end of a name with a dot at s[start:], or -1.
func host(s string, start int) int {
	end, dot := -1, false
	for i := start; i < len(s); i++ {
		switch b := s[i]; {
		case isWord(b):
			if dot {
				end = i + 1
			}
		case b == '.' && i > start && s[i-1] != '.':
			dot = true
		case b != '-' || i == start:
			return end
		}
	}
	return end
}

// bearer finds the token of "Bearer token", of RFC 6750, without the word.
func bearer(s string, from int) (start, end int) {
	const word = "bearer"
	for i := from; i+len(word)+1 < len(s); i++ {
		if s[i]|0x20 != word[0] || !strings.EqualFold(s[i:i+len(word)], word) || i > 0 && isWord(s[i-1]) {
			continue
		}
		for start = i + len(word); start < len(s) && (s[start] == ' ' || s[start] == '\t'); start++ {
		}
		for end = start; end < len(s) && isToken(s[end]); end++ {
		}
		if start > i+len(word) && end > start {
			return start, end
		}
	}
	return -1, -1
}

// openBearer finds none: any beginning of a token is one.
func openBearer(string) int { return -1 }

func isToken(b byte) bool { return isWord(b) || strings.IndexByte("-._~+/=", b) >= 0 }

// The lengths of card numbers, by ISO/IEC 7812.
const (
	minCard = 13
	maxCard = 19
)

// card finds numbers with a right check digit, also in groups. They begin as
// those of payment cards do, and no letter or digit is next to them: else
// every tenth long number would be one.
func card(s string, from int) (start, end int) {
	if !hasDigits(s[from:], minCard) {
		return -1, -1
	}
	for i := from; i+minCard <= len(s); i++ {
		if !isDigit(s[i]) || i > 0 && isWord(s[i-1]) {
			continue
		}
		if end := cardEnd(s, i); end > 0 {
			return i, end
		}
		for i+1 < len(s) && isDigit(s[i+1]) { // to the end of this group
			i++
		}
	}
	return -1, -1
}

// openCard finds digits at the end, in groups or not, that more could follow.
func openCard(s string) int {
	found := -1
	n := 0
	for i := len(s) - 1; i >= 0; i-- {
		switch b := s[i]; {
		case isDigit(b):
			if n++; n > maxCard {
				return found
			}
			if b >= '2' && b <= '6' && (i == 0 || !isWord(s[i-1])) {
				found = i
			}
		case b != ' ' && b != '-' || i == 0 || !isDigit(s[i-1]):
			return found
		}
	}
	return found
}

// hasDigits reports whether a text has so many digits: most that have any have
// fewer than a card number. It looks at eight bytes at a time.
func hasDigits(s string, n int) bool {
	const each, high = 0x0101010101010101, 0x80 * 0x0101010101010101
	for ; len(s) >= 8 && n > 0; s = s[8:] {
		x := eight(s) ^ '0'*each // now digits, and nothing else, are below 10
		others := (x&^high + (0x80-10)*each | x) & high
		n -= 8 - bits.OnesCount64(others)
	}
	for i := 0; i < len(s) && n > 0; i++ {
		if isDigit(s[i]) {
			n--
		}
	}
	return n <= 0
}

// cardEnd returns the end of the longest card number that begins at i, or -1.
func cardEnd(s string, i int) int {
	var number [maxCard]byte
	n, end := 0, -1
	for j := i; j < len(s); j++ {
		if isDigit(s[j]) {
			if n == maxCard {
				break
			}
			number[n] = s[j] - '0'
			n++
			if (j+1 == len(s) || !isWord(s[j+1])) && isCard(number[:n]) {
				end = j + 1
			}
			continue
		}
		if s[j] != ' ' && s[j] != '-' || !isDigit(s[j-1]) {
			break
		}
	}
	return end
}

func isCard(digits []byte) bool {
	return len(digits) >= minCard && len(digits) <= maxCard && digits[0] >= 2 && digits[0] <= 6 && luhn(digits)
}

// luhn checks the last digit. Source: ISO/IEC 7812-1, annex B.
func luhn(digits []byte) bool {
	sum := 0
	for i, d := range digits {
		n := int(d)
		if (len(digits)-i)%2 == 0 {
			if n *= 2; n > 9 {
				n -= 9
			}
		}
		sum += n
	}
	return sum%10 == 0
}

// cardNumber is card for a number.
func cardNumber(n int64) bool {
	if n < 1e12 {
		return false
	}
	var buf [maxCard]byte
	i := len(buf)
	for ; n > 0; n /= 10 {
		i--
		buf[i] = byte(n % 10)
	}
	return isCard(buf[i:])
}

// endsAuthority are the bytes that no authority of a URL has.
const endsAuthority = "/?# \t\r\n\"'<>"

// cardFloat is card for a number that came as a float.
func cardFloat(f float64) bool {
	return f < math.MaxInt64 && f == math.Trunc(f) && cardNumber(int64(f))
}

// credentials finds user:password in scheme://user:password@host. A password
// may have a @ in it.
func credentials(s string, from int) (start, end int) {
	for {
		i := strings.Index(s[from:], "://")
		if i < 0 {
			return -1, -1
		}
		start = from + i + len("://")
		end = -1
		for j := start; j < len(s) && strings.IndexByte(endsAuthority, s[j]) < 0; j++ {
			if s[j] == '@' {
				end = j
			}
		}
		if end > start {
			return start, end
		}
		from = start
	}
}

// openCredentials finds what stands behind the last scheme, if all of it could stand
// before an @.
func openCredentials(s string) int {
	i := strings.LastIndex(s, "://")
	if i < 0 {
		return -1
	}
	start := i + len("://")
	if start == len(s) || strings.ContainsAny(s[start:], endsAuthority) {
		return -1
	}
	return start
}
