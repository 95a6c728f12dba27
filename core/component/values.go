package component

import (
	"encoding"
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"strings"
	"time"
)

// Duration is a duration in a configuration: "1s", "250ms".
type Duration time.Duration

// UnmarshalText parses the form of [time.ParseDuration].
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("%s is not a duration: want a number with a unit, such as 250ms, 1s or 5m", Shown(string(text)))
	}
	*d = Duration(v)
	return nil
}

// MarshalText writes the form of [time.Duration].
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// String writes the shortest form: "30s", "1m", "1h30m".
func (d Duration) String() string {
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}

// ConfigSchema is a text that measures time.
func (Duration) ConfigSchema() Schema { return Schema{Unit: Time} }

// Size is a number of bytes in a configuration: "64MiB", "5MB", "512".
type Size int64

var sizeUnits = []struct {
	suffix string
	bytes  int64
}{
	{"GiB", 1 << 30},
	{"MiB", 1 << 20},
	{"KiB", 1 << 10},
	{"GB", 1e9},
	{"MB", 1e6},
	{"kB", 1e3},
	{"KB", 1e3},
	{"B", 1},
}

// UnmarshalText parses a number with an optional unit of bytes.
func (s *Size) UnmarshalText(text []byte) error {
	number, unit := strings.TrimSpace(string(text)), int64(1)
	for _, u := range sizeUnits {
		if n, ok := strings.CutSuffix(number, u.suffix); ok {
			number, unit = strings.TrimSpace(n), u.bytes
			break
		}
	}
	v, err := strconv.ParseFloat(number, 64)
	if err != nil || math.Signbit(v) || math.IsNaN(v) || v*float64(unit) >= math.MaxInt64 {
		return fmt.Errorf("%s is not a size: want a number of bytes with a unit, such as 512KiB or 64MiB", Shown(string(text)))
	}
	*s = Size(v * float64(unit))
	return nil
}

// MarshalText is String.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// String writes it in the largest unit that divides it: "64MiB".
func (s Size) String() string {
	for _, u := range sizeUnits[:3] {
		if s != 0 && int64(s)%u.bytes == 0 {
			return strconv.FormatInt(int64(s)/u.bytes, 10) + u.suffix
		}
	}
	return strconv.FormatInt(int64(s), 10) + "B"
}

// ConfigSchema is a text that measures bytes.
func (Size) ConfigSchema() Schema { return Schema{Unit: Bytes} }

// Secret is a value that is never printed: a key, a header's value. Convert
// it to string to use it.
type Secret string

const hiddenSecret = "***"

// String hides the value.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return hiddenSecret
}

// GoString hides the value from %#v.
func (s Secret) GoString() string { return strconv.Quote(s.String()) }

// MarshalText hides the value from encoders.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue hides the value from slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// UnmarshalText takes the value as it is.
func (s *Secret) UnmarshalText(text []byte) error {
	*s = Secret(text)
	return nil
}

// ConfigSchema is a text that is secret.
func (Secret) ConfigSchema() Schema { return Schema{Secret: true} }

// JSON is a part of a configuration that is somebody else's to read, as JSON.
// Numbers are written as they were in the file.
type JSON string

// ConfigSchema is whatever somebody else reads.
func (JSON) ConfigSchema() Schema { return Schema{Kind: Any} }

// Interface guards.
var (
	_ encoding.TextUnmarshaler = (*Duration)(nil)
	_ encoding.TextUnmarshaler = (*Size)(nil)
	_ encoding.TextUnmarshaler = (*Secret)(nil)
	_ fmt.GoStringer           = Secret("")
	_ slog.LogValuer           = Secret("")
)
