package otlp

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
)

// Here is how the values of single fields are read.

func parseString(token json.Token) (string, error) {
	s, ok := token.(string)
	if !ok {
		return "", mismatch(token, "a string")
	}
	return s, nil
}

func parseBool(token json.Token) (bool, error) {
	b, ok := token.(bool)
	if !ok {
		return false, mismatch(token, "a boolean")
	}
	return b, nil
}

func parseTraceID(token json.Token) ([]byte, error) { return parseID(token, 16) }
func parseSpanID(token json.Token) ([]byte, error)  { return parseID(token, 8) }

// parseID takes an empty string, which is as good as an absent one.
func parseID(token json.Token, size int) ([]byte, error) {
	s, err := parseString(token)
	if err != nil || s == "" {
		return nil, err
	}
	id, err := hex.DecodeString(s)
	if err != nil || len(id) != size {
		return nil, fmt.Errorf("%.40q is not %d hex digits", s, 2*size)
	}
	return id, nil
}

// parseBytes takes both alphabets of base64, padded or not.
func parseBytes(token json.Token) ([]byte, error) {
	s, err := parseString(token)
	if err != nil {
		return nil, err
	}
	b, err := base64.RawStdEncoding.DecodeString(unURL.Replace(strings.TrimRight(s, "=")))
	if err != nil {
		return nil, fmt.Errorf("not base64: %w", err)
	}
	return b, nil
}

var unURL = strings.NewReplacer("-", "+", "_", "/")

func parseKind(token json.Token) (tracepb.Span_SpanKind, error) {
	return parseEnum[tracepb.Span_SpanKind](token, tracepb.Span_SpanKind_value)
}

func parseStatusCode(token json.Token) (tracepb.Status_StatusCode, error) {
	return parseEnum[tracepb.Status_StatusCode](token, tracepb.Status_StatusCode_value)
}

// parseEnum takes numbers, which OTLP demands, and names, which protobuf allows.
func parseEnum[E ~int32](token json.Token, names map[string]int32) (E, error) {
	if s, ok := token.(string); ok {
		if n, ok := names[s]; ok {
			return E(n), nil
		}
	}
	return parseInteger[E](token)
}

// parseInteger takes numbers and strings that hold one. With a fraction or an
// exponent, it must be whole and below 2⁵³.
func parseInteger[T ~int32 | ~uint32 | ~int64 | ~uint64](token json.Token) (T, error) {
	s, err := number(token)
	if err != nil {
		return 0, err
	}
	if n, err := strconv.ParseUint(s, 10, 64); err == nil {
		if v := T(n); v >= 0 && uint64(v) == n {
			return v, nil
		}
	} else if n, ok := parseSigned(s); ok {
		if v := T(n); int64(v) == n && (v < 0) == (n < 0) {
			return v, nil
		}
	}
	return 0, fmt.Errorf("%.40q is not an integer in range", s)
}

func parseSigned(s string) (int64, bool) {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return n, true
	}
	f, err := strconv.ParseFloat(s, 64)
	whole := err == nil && f == math.Trunc(f) && math.Abs(f) < 1<<53
	return int64(f), whole
}

func parseDouble(token json.Token) (float64, error) {
	switch token {
	case "NaN":
		return math.NaN(), nil
	case "Infinity":
		return math.Inf(1), nil
	case "-Infinity":
		return math.Inf(-1), nil
	}
	s, err := number(token)
	if err != nil {
		return 0, err
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return 0, fmt.Errorf("%.40q is not a double", s)
	}
	return f, nil
}

// number returns the text of a number, which may stand in a string.
func number(token json.Token) (string, error) {
	switch token := token.(type) {
	case json.Number:
		return token.String(), nil
	case string:
		// strconv knows more: hexadecimal, words, underscores.
		if token == "" || strings.Trim(token, "0123456789+-.eE") != "" {
			return "", fmt.Errorf("%.40q is not a number", token)
		}
		return token, nil
	default:
		return "", mismatch(token, "a number")
	}
}

func mismatch(token json.Token, want string) error {
	got := "null"
	switch token := token.(type) {
	case json.Delim:
		if got = "an array"; token == '{' {
			got = "an object"
		}
	case string:
		got = "a string"
	case json.Number:
		got = "a number"
	case bool:
		got = "a boolean"
	}
	return fmt.Errorf("%s instead of %s", got, want)
}
