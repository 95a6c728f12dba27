package component

import (
	"fmt"
	"regexp"
	"strconv"
	"unicode/utf8"
)

var (
	shownWord   = regexp.MustCompile(`^[a-z][a-z_/-]{0,15}$`)
	shownNumber = regexp.MustCompile(`^[+-]?[0-9.]{1,8}(?:[eE][+-]?[0-9]{1,3})?(?: ?[a-zA-Zµ%]{1,3})?$`)
)

// maxHarmless is how many characters of any text can be shown: no secret is that
// short.
const maxHarmless = 4

// Shown quotes a text of a configuration for a message about it, if it looks like a
// word or a number. Of any other it tells the length: it may be a secret that
// stands in the wrong place. Texts for places where secrets belong are not to be
// given to it at all.
func Shown(text string) string {
	n := utf8.RuneCountInString(text)
	if n <= maxHarmless || shownWord.MatchString(text) || len(text) <= 10 && shownNumber.MatchString(text) {
		return strconv.Quote(text)
	}
	return Hidden(text)
}

// Hidden tells the length of a text that is not shown.
func Hidden(text string) string {
	if n := utf8.RuneCountInString(text); n != 1 {
		return fmt.Sprintf("a text of %d characters", n)
	}
	return "a text of one character"
}
