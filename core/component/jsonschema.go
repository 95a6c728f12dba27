package component

import (
	"encoding/json"
	"strings"
)

// JSONSchema returns the JSON Schema (2020-12) of a section with these fields, as what
// [encoding/json] writes as an object.
//
// It is about a YAML file that is read strictly, and takes all that is taken there: null
// leaves the default, a scalar that is text can be written as a number, and ${NAME} can
// stand for any value. Of a number it does not tell the range.
// Source: https://json-schema.org/draft/2020-12
func JSONSchema(fields []Field, doc string) map[string]any {
	properties, patterns := map[string]any{}, map[string]any{}
	for _, f := range fields {
		s := f.Schema.json("null")
		if f.Doc != "" {
			s["description"] = f.Doc
		}
		if d := f.defaultJSON(); d != nil {
			s["default"] = d
		}
		if f.Dotted {
			patterns[dottedPattern] = s
		} else {
			properties[f.Key] = s
		}
	}
	s := map[string]any{"type": "object", "properties": properties, "additionalProperties": false}
	if len(patterns) > 0 {
		s["patternProperties"] = patterns
	}
	if doc != "" {
		s["description"] = doc
	}
	return s
}

// The texts that stand for something else, as regular expressions of both Go and
// ECMAScript.
const (
	// variablePattern finds ${NAME}, which any scalar can have in it.
	variablePattern = `\$\{`

	// dottedPattern finds a dot.
	dottedPattern = `\.`

	digits    = `[0-9](?:_?[0-9])*`
	hexDigits = `[0-9a-fA-F](?:_?[0-9a-fA-F])*`
	decimal   = `(?:` + digits + `(?:\.(?:` + digits + `)?)?|\.` + digits + `)(?:[eE][-+]?` + digits + `)?`
	hex       = `0[xX](?:_?` + hexDigits + `(?:\.(?:` + hexDigits + `)?)?|\.` + hexDigits + `)[pP][-+]?` + digits

	// numberPattern matches what [strconv.ParseFloat] takes and YAML reads as text.
	numberPattern = `^[-+]?(?:[nN][aA][nN]|[iI][nN][fF](?:[iI][nN][iI][tT][yY])?|` + hex + `|[0-9.][-+0-9.eE]*_[-+0-9._eE]*)$`
	// quotedPattern matches what ParseFloat takes.
	quotedPattern = `^[-+]?(?:` + decimal + `|` + hex + `)$`

	// durationPattern matches what [Duration] takes, but for its range.
	durationPattern = `^[-+]?(?:0|(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:ns|us|µs|μs|ms|s|m|h))+)$`

	// sizePattern matches what [Size] takes, but for its range. The spaces are those
	// of [strings.TrimSpace].
	sizePattern = `^` + spaces + `\+?(?:` + decimal + `|` + hex + `)` + spaces + `(?:[GMK]iB|[GMkK]?B)?` + spaces + `$`
	spaces      = "[\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]*"
)

// json is the schema of a value that, if null is "null", may be left out by writing
// nothing. It puts into one object what is asked of each type, so that editors need
// not try alternatives to say what is wrong.
func (s Schema) json(null ...string) map[string]any {
	types := func(names ...string) []string { return append(names, null...) }
	// Also where a scalar cannot stand: an empty ${NAME} is null.
	out := map[string]any{"type": types("string"), "pattern": variablePattern}
	switch s.Kind {
	case Boolean:
		out["type"] = types("boolean", "string")
	case Integer:
		out["type"] = types("integer", "string")
	case Number:
		if len(s.Enum) > 0 {
			return s.orElse(map[string]any{"type": types("number", "string"), "pattern": either(quotedPattern, variablePattern)})
		}
		return map[string]any{"type": types("number", "string"), "pattern": either(numberPattern, variablePattern)}
	case List:
		out["type"] = types("array", "string")
		out["items"] = s.Elem.json()
	case Map:
		out["type"] = types("object", "string")
		out["additionalProperties"] = s.Elem.json()
	case Section:
		if len(s.Fields) > 0 { // none: it holds itself
			out = JSONSchema(s.Fields, "")
			out["pattern"] = variablePattern
		}
		out["type"] = types("object", "string")
	case Any:
		return map[string]any{}
	default:
		return s.text(types)
	}
	return out
}

func (s Schema) text(types func(...string) []string) map[string]any {
	switch {
	case len(s.Enum) > 0:
		return s.orElse(map[string]any{"type": types("string"), "pattern": either("^$", variablePattern)})
	case s.Unit == Time: // of which 0 needs no unit
		return map[string]any{"type": types("string", "number"), "pattern": either(durationPattern, variablePattern), "minimum": 0, "maximum": 0}
	case s.Unit == Bytes:
		return map[string]any{"type": types("string", "number"), "pattern": either(sizePattern, variablePattern), "minimum": 0}
	}
	scalar := map[string]any{"type": types("string", "number", "boolean")}
	if s.Secret {
		scalar["writeOnly"] = true
	}
	return scalar
}

// orElse is the schema of the enum, or what other takes.
func (s Schema) orElse(other map[string]any) map[string]any {
	var values []any
	for _, v := range s.Enum {
		if values = append(values, v); json.Valid([]byte(v)) { // 1.2, which needs no quotes
			values = append(values, json.RawMessage(v))
		}
	}
	return map[string]any{"anyOf": []any{map[string]any{"enum": values}, other}}
}

func either(patterns ...string) string { return strings.Join(patterns, "|") }

// defaultJSON is the default as a value; nil if there is none.
func (f Field) defaultJSON() any {
	switch {
	case f.Default == "" || f.Schema.Secret || f.Schema.Kind == Map:
		return nil
	case f.Schema.Kind == List:
		return strings.Split(strings.Trim(f.Default, "[]"), ", ")
	case f.Schema.Kind != Text && json.Valid([]byte(f.Default)):
		return json.RawMessage(f.Default)
	default:
		return f.Default
	}
}
