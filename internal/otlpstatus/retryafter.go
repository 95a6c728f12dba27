package otlpstatus

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Longest is a time that is longer than any bound.
const Longest time.Duration = math.MaxInt64

// RetryAfter is how long a response asks to be left alone, 0 if it does not. It asks in
// seconds or with a date, or, as Azure does, in milliseconds. Of several headers, as
// proxies make them, the first counts that can be read.
func RetryAfter(resp *http.Response, now time.Time) time.Duration {
	for _, name := range []string{"Retry-After-Ms", "X-Ms-Retry-After-Ms"} {
		for _, text := range resp.Header.Values(name) {
			if d, ok := times(text, time.Millisecond); ok {
				return d
			}
		}
	}
	for _, text := range resp.Header.Values("Retry-After") {
		if d, ok := times(text, time.Second); ok {
			return d
		}
		if date, err := http.ParseTime(strings.TrimSpace(text)); err == nil {
			return max(date.Sub(now), 0)
		}
	}
	return 0
}

// times reads a decimal number of a unit. One that is too large is [Longest], a
// negative one is nothing.
func times(text string, unit time.Duration) (d time.Duration, ok bool) {
	text = strings.TrimSpace(text)
	digits, negative := strings.CutPrefix(text, "-")
	digits = strings.TrimPrefix(digits, "+")
	whole, fraction, _ := strings.Cut(digits, ".")
	if whole+fraction == "" || strings.Trim(whole+fraction, "0123456789") != "" {
		return 0, false
	}
	if negative {
		return 0, true
	}
	const enough = 9 // digits: in seconds thirty years, and what a nanosecond is of one
	whole = strings.TrimLeft(whole, "0")
	if len(whole) > enough {
		return Longest, true
	}
	f, _ := strconv.ParseFloat(whole+"."+fraction[:min(len(fraction), enough)]+"0", 64)
	return time.Duration(math.Round(f * float64(unit))), true
}
