package azuretest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"
)

// field is one of the public schema: whether it is required, of what kind, and
// how long it may be.
type field struct {
	required bool
	kind     string // string, number, bool, properties, tags, exceptions
	max      int
}

// schemas are those of ApplicationInsights-Home, EndpointSpecs/Schemas/Bond,
// read in November 2026.
var schemas = map[string]map[string]field{
	"RequestData": {
		"ver": {true, "number", 0}, "id": {true, "string", 128}, "duration": {true, "duration", 0}, "responseCode": {true, "string", 1024},
		"success": {true, "bool", 0}, "source": {false, "string", 1024}, "name": {false, "string", 1024}, "url": {false, "string", 2048},
		"properties": {false, "properties", 0}, "measurements": {false, "properties", 0},
	},
	"RemoteDependencyData": {
		"ver": {true, "number", 0}, "name": {true, "string", 1024}, "id": {false, "string", 128}, "resultCode": {false, "string", 1024},
		"duration": {true, "duration", 0}, "success": {false, "bool", 0}, "data": {false, "string", 8192}, "type": {false, "string", 1024},
		"target": {false, "string", 1024}, "properties": {false, "properties", 0}, "measurements": {false, "properties", 0},
	},
	"ExceptionData": {
		"ver": {true, "number", 0}, "exceptions": {true, "exceptions", 0}, "severityLevel": {false, "number", 0},
		"problemId": {false, "string", 1024}, "properties": {false, "properties", 0}, "measurements": {false, "properties", 0},
	},
	"MessageData": {
		"ver": {true, "number", 0}, "message": {true, "string", 32768}, "severityLevel": {false, "number", 0},
		"properties": {false, "properties", 0}, "measurements": {false, "properties", 0},
	},
	"envelope": {
		"ver": {false, "number", 0}, "name": {true, "string", 1024}, "time": {true, "time", 64}, "sampleRate": {false, "number", 0},
		"seq": {false, "string", 64}, "iKey": {false, "string", 40}, "tags": {false, "tags", 0}, "data": {false, "data", 0},
	},
	"exception": {
		"id": {false, "number", 0}, "outerId": {false, "number", 0}, "typeName": {true, "string", 1024}, "message": {true, "string", 32768},
		"hasFullStack": {false, "bool", 0}, "stack": {false, "string", 32768}, "parsedStack": {false, "stack", 0},
	},
}

// tagLengths are of ContextTagKeys.
var tagLengths = map[string]int{
	"ai.application.ver": 1024, "ai.location.ip": 45, "ai.operation.id": 128, "ai.operation.name": 1024, "ai.operation.parentId": 128,
	"ai.cloud.role": 256, "ai.cloud.roleInstance": 256, "ai.internal.sdkVersion": 64,
}

var timeSpan = regexp.MustCompile(`^[0-9]{2,}\.[0-2][0-9]:[0-5][0-9]:[0-5][0-9]\.[0-9]{7}$`)

// Item is a telemetry item that was received.
type Item struct {
	Name string
	Time string
	IKey string
	Tags map[string]string
	Data struct {
		BaseType string
		BaseData map[string]any
	}
	SampleRate float64
}

// Title is what tells an item from others: the name of its span, or what it
// says.
func (i *Item) Title() string {
	switch i.Data.BaseType {
	case "ExceptionData":
		return fmt.Sprint(i.Data.BaseData["exceptions"].([]any)[0].(map[string]any)["message"])
	case "MessageData":
		return fmt.Sprint(i.Data.BaseData["message"])
	default:
		return fmt.Sprint(i.Data.BaseData["name"])
	}
}

// IsSpan tells an item of a span from those of its events.
func (i *Item) IsSpan() bool {
	return i.Data.BaseType == "RequestData" || i.Data.BaseType == "RemoteDependencyData"
}

// Parse checks an item by the schema, as the endpoint does.
func Parse(line []byte) (*Item, error) {
	if len(line) > 64<<10 {
		return nil, fmt.Errorf("an item of %d bytes", len(line))
	}
	var fields map[string]any
	if err := json.Unmarshal(line, &fields); err != nil {
		return nil, err
	}
	if err := follow("envelope", fields); err != nil {
		return nil, err
	}
	var i Item
	if err := json.Unmarshal(line, &i); err != nil {
		return nil, err
	}
	if i.Name != "Microsoft.ApplicationInsights."+strings.TrimSuffix(i.Data.BaseType, "Data") {
		return nil, fmt.Errorf("item %q of type %q", i.Name, i.Data.BaseType)
	}
	if schemas[i.Data.BaseType] == nil || i.Data.BaseType == "envelope" {
		return nil, fmt.Errorf("type %q", i.Data.BaseType)
	}
	return &i, follow(i.Data.BaseType, i.Data.BaseData)
}

func follow(schema string, fields map[string]any) error {
	for name, f := range schemas[schema] {
		if _, ok := fields[name]; !ok && f.required {
			return fmt.Errorf("Field '%s' on type '%s' is required but missing", name, schema) //nolint:staticcheck // as the real one says it
		}
	}
	for name, value := range fields {
		f, ok := schemas[schema][name]
		if !ok {
			return fmt.Errorf("type %q has no field %q", schema, name)
		}
		if err := f.check(value); err != nil {
			return fmt.Errorf("field %q of type %q: %w", name, schema, err)
		}
	}
	return nil
}

func (f field) check(value any) error {
	text, _ := value.(string)
	good := true
	switch f.kind {
	case "number":
		_, good = value.(float64)
	case "bool":
		_, good = value.(bool)
	case "string":
		good = len(text) > 0 && utf8.RuneCountInString(text) <= f.max
	case "duration":
		good = timeSpan.MatchString(text)
	case "time":
		_, err := time.Parse("2006-01-02T15:04:05.0000000Z", text)
		good = err == nil
	case "properties", "tags":
		for k, v := range value.(map[string]any) {
			s, ok := v.(string)
			limit := 8192
			if f.kind == "tags" {
				if limit = tagLengths[k]; limit == 0 {
					return fmt.Errorf("tag %q", k)
				}
			}
			if !ok || utf8.RuneCountInString(k) > 150 || k == "" || utf8.RuneCountInString(s) > limit {
				return fmt.Errorf("%.30q: %.30q", k, v)
			}
		}
	case "exceptions":
		all, _ := value.([]any)
		good = len(all) > 0
		for _, x := range all {
			if err := follow("exception", x.(map[string]any)); err != nil {
				return err
			}
		}
	}
	if !good {
		return fmt.Errorf("%.40v is not a good %s", value, f.kind)
	}
	return nil
}

// ParseAll reads the items of a body.
func ParseAll(body []byte) (all []*Item, err error) {
	for line := range bytes.SplitSeq(bytes.TrimSuffix(body, []byte("\n")), []byte("\n")) {
		i, e := Parse(line)
		all, err = append(all, i), errors.Join(err, e)
	}
	return all, err
}

// SpanNames are the names of the spans in a body.
func SpanNames(body []byte) (names []string, err error) {
	all, err := ParseAll(body)
	if err != nil {
		return nil, err
	}
	for _, i := range all {
		if i.IsSpan() {
			names = append(names, i.Title())
		}
	}
	return names, nil
}
