package azuremonitor

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

const schemaVersion = 2

// envelope is a telemetry item. The names of its fields, and of those below, are
// the schema's.
type envelope struct {
	Ver        int               `json:"ver"`
	Name       string            `json:"name"`
	Time       string            `json:"time"`
	SampleRate float64           `json:"sampleRate,omitempty"`
	IKey       string            `json:"iKey"`
	Tags       map[string]string `json:"tags"`
	Data       data              `json:"data"`
}

type data struct {
	BaseType string `json:"baseType"`
	BaseData any    `json:"baseData"`
}

type request struct {
	Ver          int               `json:"ver"`
	ID           string            `json:"id"`
	Duration     string            `json:"duration"`
	ResponseCode string            `json:"responseCode"`
	Success      bool              `json:"success"`
	Source       string            `json:"source,omitempty"`
	Name         string            `json:"name,omitempty"`
	URL          string            `json:"url,omitempty"`
	Properties   map[string]string `json:"properties,omitempty"`
}

type dependency struct {
	Ver        int               `json:"ver"`
	Name       string            `json:"name"`
	ID         string            `json:"id"`
	ResultCode string            `json:"resultCode,omitempty"`
	Duration   string            `json:"duration"`
	Success    bool              `json:"success"`
	Data       string            `json:"data,omitempty"`
	Type       string            `json:"type,omitempty"`
	Target     string            `json:"target,omitempty"`
	Properties map[string]string `json:"properties,omitempty"`
}

type exception struct {
	Ver           int                `json:"ver"`
	Exceptions    []exceptionDetails `json:"exceptions"`
	SeverityLevel int                `json:"severityLevel"`
	Properties    map[string]string  `json:"properties,omitempty"`
}

type exceptionDetails struct {
	TypeName     string `json:"typeName"`
	Message      string `json:"message"`
	HasFullStack bool   `json:"hasFullStack"`
	Stack        string `json:"stack,omitempty"`
}

type message struct {
	Ver           int               `json:"ver"`
	Message       string            `json:"message"`
	SeverityLevel int               `json:"severityLevel"`
	Properties    map[string]string `json:"properties,omitempty"`
}

const (
	information = 1
	severe      = 3
)

// The lengths of the schema, in characters, and of an item, in bytes.
const (
	maxID       = 128
	maxText     = 1024
	maxURL      = 2048
	maxCommand  = 8192 // data of a dependency
	maxMessage  = 32768
	maxPropKey  = 150
	maxPropText = 8192
	maxRole     = 256
	maxIP       = 45
	maxItem     = 64_000
)

// cut is the beginning of s, of at most n characters.
func cut(s string, n int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= n || utf8.RuneCountInString(s) <= n {
		return s
	}
	for i := range s {
		if n == 0 {
			return s[:i]
		}
		n--
	}
	return s
}

// timestamp is a time as the schema has it.
func timestamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.0000000Z") }

// droppedKey counts attributes that are not there.
const droppedKey = "otel.dropped_attributes_count"

// encode makes an item of at most maxItem bytes: properties go first, the
// largest before the others, then what is long by nature.
func encode(e *envelope, p *properties, long ...*string) []byte {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false) // it would triple the size of some
	for {
		out.Reset()
		if err := encoder.Encode(e); err != nil {
			return nil // of strings, and numbers that are finite: it cannot be
		}
		b := bytes.TrimSuffix(out.Bytes(), []byte("\n"))
		excess := len(b) - maxItem
		switch {
		case excess <= 0:
			return b
		case p.shed(excess):
		case !shorten(long, excess):
			return b
		}
	}
}

// shorten cuts the longest text, to a half at most: what is escaped is longer
// than it looks.
func shorten(long []*string, excess int) bool {
	if len(long) == 0 {
		return false
	}
	s := slices.MaxFunc(long, func(a, b *string) int { return len(*a) - len(*b) })
	if len(*s) < maxID {
		return false
	}
	*s = strings.ToValidUTF8((*s)[:max(len(*s)/2, len(*s)-excess)], "")
	return true
}
