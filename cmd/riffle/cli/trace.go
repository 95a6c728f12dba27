package cli

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/cmd/riffle/internal/command"
	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/sampling"
	"github.com/riffletrace/riffle/internal/trustedfile"
)

// readTrace reads the spans of a trace from a file, "-" is standard input.
func readTrace(cmd *cobra.Command, file string) ([]core.Case, error) {
	var data []byte
	var err error
	if file == "-" {
		file = "stdin"
		data, err = trustedfile.ReadAll(cmd.InOrStdin(), file, maxTrace)
	} else {
		data, err = command.ReadBounded(file, maxTrace)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the trace: %w", err)
	}
	return parseTrace(file, data)
}

// maxTrace bounds the file of a trace.
const maxTrace = 64 << 20

// traceFile is a JSON list of spans that is being read.
type traceFile struct {
	name     string
	lines    []int             // where each line but the first begins
	places   map[string]string // of spans and their keys, by path: "[1]", "[1].parent"
	mistakes core.ConfigErrors
}

// parseTrace reads the spans of a trace. It finds every mistake, with its place.
func parseTrace(name string, data []byte) ([]core.Case, error) {
	f := traceFile{name: name, places: map[string]string{}}
	for i, c := range data {
		if c == '\n' {
			f.lines = append(f.lines, i+1)
		}
	}
	var all []json.RawMessage
	if err := json.Unmarshal(data, &all); err != nil {
		place := f.place(0)
		if wrong, ok := errors.AsType[*json.SyntaxError](err); ok {
			place = f.place(wrong.Offset - 1)
		} else {
			err = errors.New(`want a list of spans, such as [{"name": "GET /checkout/7"}]`)
		}
		return nil, core.ConfigErrors{{Position: place, Err: err}}
	}
	t := core.Trace{Spans: make([]core.Case, len(all))}
	d := json.NewDecoder(bytes.NewReader(data)) // which knows where it is
	_, _ = d.Token()
	for i := range all {
		var text json.RawMessage
		if err := d.Decode(&text); err != nil {
			return nil, core.ConfigErrors{{Position: name, Err: err}}
		}
		f.parseSpan(fmt.Sprintf("[%d]", i), text, d.InputOffset()-int64(len(text)), &t.Spans[i])
	}
	if len(f.mistakes) == 0 {
		for _, err := range component.FieldErrors(t.Check()) {
			f.mistake(err.Path, err.Err)
		}
	}
	if len(f.mistakes) > 0 {
		return nil, f.mistakes.Sorted()
	}
	return t.Spans, nil
}

// place is that of an offset, for people.
func (f *traceFile) place(offset int64) string {
	at := int(max(offset, 0))
	line, begins := sort.SearchInts(f.lines, at+1), 0
	if line > 0 {
		begins = f.lines[line-1]
	}
	return fmt.Sprintf("%s:%d:%d", f.name, line+1, at-begins+1)
}

// mistake takes an error about a path. If that has no place, what it is in has one.
func (f *traceFile) mistake(path string, err error) {
	place := f.name
	for at := path; at != ""; at = at[:max(strings.LastIndexByte(at, '.'), 0)] {
		if p, ok := f.places[at]; ok {
			place = p
			break
		}
	}
	f.mistakes = append(f.mistakes, &core.ConfigError{Position: place, Path: path, Err: err})
}

// spanKeys are those of a span in a trace file.
var spanKeys = []string{"id", "parent", "name", "kind", "start", "duration", "attributes", "late_attributes", "status"}

// parseSpan reads a span, which is at an offset of the file. A local root with the name
// of a request is one, as with --span.
func (f *traceFile) parseSpan(path string, text json.RawMessage, offset int64, c *core.Case) {
	f.places[path] = f.place(offset)
	members, ok := membersOf(text)
	if !ok {
		f.mistake(path, errors.New(`want an object, such as {"name": "GET /checkout/7"}`))
		return
	}
	for _, m := range members {
		path := path + "." + m.key
		_, twice := f.places[path]
		f.places[path] = f.place(offset + m.offset)
		if twice {
			f.mistake(path, errors.New("it is there twice"))
		}
		for _, err := range component.FieldErrors(parseMember(m, c)) {
			f.mistake(component.JoinPath(path, err.Path), err.Err)
		}
	}
	if kind, attrs := likeRequest(c.Name); c.Parent == "" {
		c.Kind = cmp.Or(c.Kind, kind)
		c.Attributes = append(attrs, c.Attributes...)
	}
	c.Kind = cmp.Or(c.Kind, trace.SpanKindInternal)
}

func parseMember(m member, c *core.Case) (err error) {
	switch m.key {
	case "id":
		c.ID, err = parseText(m.value)
	case "parent":
		c.Parent, err = parseText(m.value)
	case "name":
		c.Name, err = parseText(m.value)
	case "kind":
		if text, wrong := parseText(m.value); wrong != nil {
			err = wrong
		} else {
			c.Kind, err = parseKind(text)
		}
	case "status":
		if text, wrong := parseText(m.value); wrong != nil {
			err = wrong
		} else {
			c.Status, err = parseStatus(text)
		}
	case "start":
		c.Start, err = parseDuration(m.value)
	case "duration":
		c.Duration, err = parseDuration(m.value)
	case "attributes":
		c.Attributes, err = parseAttributes(m.value)
	case "late_attributes":
		c.Late, err = parseAttributes(m.value)
	default:
		err = errors.New(unknownKey(m.key))
	}
	return err
}

// member is one of a JSON object.
type member struct {
	key    string
	value  json.RawMessage
	offset int64 // of the key, in the object
}

// membersOf takes an object apart that is well-formed; not ok if it is none.
func membersOf(object json.RawMessage) (all []member, ok bool) {
	d := json.NewDecoder(bytes.NewReader(object))
	if first, err := d.Token(); err != nil || first != json.Delim('{') {
		return nil, false
	}
	for d.More() {
		var m member
		key, err := d.Token()
		m.offset = d.InputOffset()
		if err == nil {
			err = d.Decode(&m.value)
		}
		if m.key, ok = key.(string); err != nil || !ok {
			return nil, false
		}
		const quotes = 2
		m.offset -= int64(len(m.key) + quotes)
		all = append(all, m)
	}
	return all, true
}

func unknownKey(key string) string {
	if near := component.Nearest(key, spanKeys); near != "" {
		return fmt.Sprintf("unknown key (did you mean %q?)", near)
	}
	return "unknown key: want " + strings.Join(spanKeys, ", ")
}

func parseText(value json.RawMessage) (text string, err error) {
	if value[0] != '"' || json.Unmarshal(value, &text) != nil {
		return "", fmt.Errorf("%s is not a string", value)
	}
	return text, nil
}

func parseDuration(value json.RawMessage) (time.Duration, error) {
	text, err := parseText(value)
	if err == nil {
		var d time.Duration
		if d, err = time.ParseDuration(text); err == nil {
			return d, nil
		}
	}
	return 0, fmt.Errorf(`%s is not a duration: want a string such as "1.5s"`, value)
}

func parseAttributes(value json.RawMessage) (attrs []attribute.KeyValue, err error) {
	members, ok := membersOf(value)
	if !ok {
		return nil, fmt.Errorf(`%s are not attributes: want an object, such as {"tenant": "gold"}`, value)
	}
	var errs []error
	for _, m := range members {
		v, ok := parseValue(m.value)
		if !ok {
			err := fmt.Errorf("%s is not a value: want a string, a number, a boolean or a list of one of them", m.value)
			errs = append(errs, &component.FieldError{Path: m.key, Err: err})
		}
		attrs = append(attrs, attribute.KeyValue{Key: attribute.Key(m.key), Value: v})
	}
	return attrs, errors.Join(errs...)
}

// parseValue reads the value of an attribute. A number without a fraction is an
// integer.
func parseValue(value json.RawMessage) (v attribute.Value, ok bool) {
	var text string
	var truth bool
	var integer int64
	var number float64
	var texts []string
	var truths []bool
	var integers []int64
	var numbers []float64
	is := func(to any) bool { return value[0] != 'n' && json.Unmarshal(value, to) == nil }
	switch {
	case is(&text):
		return attribute.StringValue(text), true
	case is(&truth):
		return attribute.BoolValue(truth), true
	case is(&integer):
		return attribute.Int64Value(integer), true
	case is(&number):
		return attribute.Float64Value(number), true
	case is(&texts):
		return attribute.StringSliceValue(texts), true
	case is(&truths):
		return attribute.BoolSliceValue(truths), true
	case is(&integers):
		return attribute.Int64SliceValue(integers), true
	case is(&numbers):
		return attribute.Float64SliceValue(numbers), true
	}
	return v, false
}

// likeRequest is the kind and the attributes of a span with the name of a request,
// 'GET /x'; nil if it is not.
func likeRequest(name string) (trace.SpanKind, []attribute.KeyValue) {
	method, path, ok := strings.Cut(name, " ")
	if !ok || !strings.HasPrefix(path, "/") {
		return trace.SpanKindInternal, nil
	}
	return trace.SpanKindServer, []attribute.KeyValue{attribute.String("http.request.method", method), attribute.String("url.path", path)}
}

func parseKind(text string) (trace.SpanKind, error) {
	for kind := trace.SpanKindInternal; kind <= trace.SpanKindConsumer; kind++ {
		if kind.String() == text {
			return kind, nil
		}
	}
	return trace.SpanKindInternal, fmt.Errorf("%q: want server, client, producer, consumer or internal", text)
}

func parseStatus(text string) (s sdktrace.Status, err error) {
	word, description, _ := strings.Cut(text, ":")
	switch word {
	case "unset":
	case "ok":
		s.Code = codes.Ok
	case "error":
		s.Code, s.Description = codes.Error, strings.TrimSpace(description)
	default:
		err = fmt.Errorf("%q: want unset, ok, error or error:DESCRIPTION", text)
	}
	return s, err
}

// parseParent reads none, sampled, sampled:TH or unsampled.
func parseParent(text string, t *core.Trace) error {
	word, th, hasTH := strings.Cut(text, ":")
	t.Parent, t.ParentThreshold = core.Parent(word), th
	switch t.Parent {
	case core.NoParent, core.UnsampledParent:
		if !hasTH {
			return nil
		}
	case core.SampledParent:
		if !hasTH {
			return nil
		}
		if _, err := sampling.ParseThreshold(th); err != nil {
			return fmt.Errorf("%q: %w", text, err)
		}
		return nil
	}
	return fmt.Errorf("%q: want none, sampled, sampled:TH or unsampled", text)
}

// parseAttribute reads KEY=VALUE; a value that is a number or a boolean
// becomes one.
func parseAttribute(flag, s string) (attribute.KeyValue, error) {
	key, value, ok := strings.Cut(s, "=")
	if !ok || key == "" {
		return attribute.KeyValue{}, fmt.Errorf("%s %q: want KEY=VALUE", flag, s)
	}
	if n, err := strconv.ParseInt(value, 10, 64); err == nil {
		return attribute.Int64(key, n), nil
	}
	if n, err := strconv.ParseFloat(value, 64); err == nil {
		return attribute.Float64(key, n), nil
	}
	if b, err := strconv.ParseBool(value); err == nil {
		return attribute.Bool(key, b), nil
	}
	return attribute.String(key, value), nil
}
