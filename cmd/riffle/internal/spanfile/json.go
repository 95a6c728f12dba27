package spanfile

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/riffletrace/riffle/core/otlp"
)

// nesting follows JSON byte by byte, as far as is needed to find the end of a value.
type nesting struct {
	depth            int
	inString, escape bool
}

// next reports whether c ends an object or array that is in no other.
func (n *nesting) next(c byte) bool {
	switch {
	case n.escape:
		n.escape = false
	case n.inString:
		n.escape, n.inString = c == '\\', c != '"'
	case c == '"':
		n.inString = true
	case c == '{' || c == '[':
		n.depth++
	case c == '}' || c == ']':
		n.depth--
		return n.depth <= 0
	}
	return false
}

// json reads values, one after the other: a line each, or over many lines. A line that
// was cut, when its process was killed, costs itself and no other.
func (s *source) json() error {
	if head, err := s.in.Peek(len(byteOrderMark)); err == nil && bytes.Equal(head, byteOrderMark) {
		_, _ = s.in.Discard(len(byteOrderMark))
	}
	var line []byte // what is left of one
	for {
		if len(bytes.TrimLeft(line, space)) == 0 {
			if s.isJaeger() {
				if err := s.jaeger(); err != nil {
					return err
				}
			}
			var err error
			if line, err = s.readLine(); errors.Is(err, io.EOF) {
				return nil
			} else if errors.Is(err, errLong) {
				s.lose(s.line-1, err)
			} else if err != nil {
				return s.ends(err)
			}
			continue
		}
		at := s.line - 1
		value, rest, err := s.value(line)
		line = rest
		switch {
		case errors.Is(err, errNoObject) && at == 1: // nor will the others be any
			return fmt.Errorf("%s: %w", s.atLine(at), err)
		case errors.Is(err, errCut) || errors.Is(err, errLong) || errors.Is(err, errNoObject):
			s.lose(at, err)
		case err != nil:
			return s.ends(err)
		default:
			spans, err := decodeJSON(value)
			if err := s.decoded(s.atLine(at), spans, err); err != nil {
				return err
			}
		}
	}
}

var (
	errLong     = fmt.Errorf("longer than %d MiB", maxLine>>20)
	errNoObject = errors.New("want a JSON object: OTLP's with resourceSpans, the SDK's with SpanContext, or Jaeger's with data")
)

func (s *source) atLine(n int) string { return fmt.Sprintf("%s:%d", s.name, n) }

func (s *source) lose(line int, err error) {
	s.lost.add(fmt.Errorf("%s: %w", s.atLine(line), err))
}

// ends is an error that ends the file. What its end has cut is a loss.
func (s *source) ends(err error) error {
	if err = cut(err); errors.Is(err, errCut) {
		s.lose(s.line, err)
		return nil
	}
	return fmt.Errorf("%s: %w", s.atLine(s.line), err)
}

// readLine reads a line with its end. One that is too long is skipped, and errLong.
func (s *source) readLine() ([]byte, error) {
	var line []byte
	long := false
	for {
		part, err := s.in.ReadSlice('\n')
		if len(line)+len(part) > maxLine {
			long, line = true, nil
		}
		if !long {
			line = append(line, part...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err != nil && (!errors.Is(err, io.EOF) || len(line) == 0 && !long):
			return nil, err
		}
		s.line++
		if long {
			return nil, errLong
		}
		return line, nil
	}
}

// value is the object that line begins with, and what follows it on the line where it
// ends.
func (s *source) value(line []byte) (value, rest []byte, err error) {
	line = bytes.TrimLeft(line, space)
	if line[0] != '{' {
		return nil, nil, errNoObject
	}
	var n nesting
	for {
		for i, c := range line {
			if n.next(c) {
				if value == nil {
					return line[:i+1], line[i+1:], nil
				}
				return append(value, line[:i+1]...), line[i+1:], nil
			}
		}
		if n.inString { // no text of JSON goes over the end of a line
			return nil, nil, errCut
		}
		if value = append(value, line...); len(value) > maxLine {
			return nil, nil, errLong
		}
		line, err = s.readLine()
		switch {
		case errors.Is(err, io.EOF):
			return nil, nil, errCut
		case err != nil:
			return nil, nil, err
		case beginsValue(line):
			return nil, line, errCut
		}
	}
}

// beginsValue tells that a line begins a new value, and none in another: that one was
// cut then.
func beginsValue(line []byte) bool {
	for _, name := range []string{`{"resourceSpans":`, `{"resource_spans":`, `{"Name":`} {
		if bytes.HasPrefix(line, []byte(name)) {
			return true
		}
	}
	return false
}

var firstKey = regexp.MustCompile(`^\s*\{\s*"([^"\\]{1,32})"\s*:`)

// decodeJSON reads the spans of an object, whatever wrote it.
func decodeJSON(value []byte) ([]sdktrace.ReadOnlySpan, error) {
	if err := checkObjects(value); err != nil {
		return nil, err
	}
	key := ""
	if m := firstKey.FindSubmatch(value); m != nil {
		key = string(m[1])
	}
	switch key { // most often it tells, and nothing has to be read twice
	case "resourceSpans", "resource_spans":
		return otlp.DecodeJSON(value)
	case "Name":
		return decodeSDK(value)
	}
	var of struct {
		ResourceSpans  json.RawMessage `json:"resourceSpans"`
		ResourceSpans2 json.RawMessage `json:"resource_spans"`
		ScopeSpans     json.RawMessage `json:"scopeSpans"`
		Logs           json.RawMessage `json:"resourceLogs"`
		Metrics        json.RawMessage `json:"resourceMetrics"`
		Profiles       json.RawMessage `json:"resourceProfiles"`
		SpanContext    json.RawMessage
		Result         json.RawMessage `json:"result"`
		Data           json.RawMessage `json:"data"`
		TraceID        json.RawMessage `json:"traceID"`
		Spans          json.RawMessage `json:"spans"`
	}
	if err := json.Unmarshal(value, &of); err != nil {
		return nil, fmt.Errorf("not JSON: %w", err)
	}
	switch {
	case of.ResourceSpans != nil || of.ResourceSpans2 != nil:
		return otlp.DecodeJSON(value)
	case of.ScopeSpans != nil: // a line of Java's exporter "logging-otlp"
		return otlp.DecodeJSON(slices.Concat([]byte(`{"resourceSpans":[`), value, []byte("]}")))
	case of.Logs != nil || of.Metrics != nil || of.Profiles != nil: // a pipeline of several signals
		return nil, nil
	case of.SpanContext != nil:
		return decodeSDK(value)
	case of.Result != nil: // of version 3 of Jaeger's API
		return otlp.DecodeJSON(of.Result)
	case of.Data != nil:
		return decodeJaegerTraces(of.Data)
	case of.TraceID != nil && of.Spans != nil:
		return decodeJaeger(value)
	default:
		return nil, errNoObject
	}
}
