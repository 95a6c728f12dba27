package config

import (
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/internal/otelenv"
)

// traces reads tracer_provider: exporters and samplers.
func (f *otelFile) traces() {
	m := f.file.member("tracer_provider")
	if m.value == nil {
		f.warn(f.file.pos, "tracer_provider is missing: tracing is off")
		f.tree.put("enabled", f.file.as("false"))
		return
	}
	enabled := m.value.as("true")
	if disabled := f.get(f.file, "disabled"); disabled != nil {
		off, _ := yamlBool(disabled.text)
		enabled = disabled.as(strconv.FormatBool(!off))
	}
	f.tree.put("enabled", enabled)
	if f.wrong[m.value] && m.value.kind != mapping {
		return
	}
	exporters := &node{kind: list, pos: m.pos, path: m.value.path}
	if list := f.get(m.value, "processors"); list != nil {
		exporters.pos, exporters.path = m.value.member("processors").pos, list.path
		for _, p := range list.items {
			if e := f.processor(p); e != nil {
				exporters.items = append(exporters.items, e)
			}
		}
	}
	f.tree.put("exporters", exporters)
	f.readSamplers(m)
}

// exporterKey is what the file calls an exporter, without what says that it is
// experimental.
func exporterKey(e *node) string {
	var key string
	for rest := e.path; rest != ""; {
		key, _, rest = cutPath(rest)
	}
	return strings.TrimSuffix(key, experimental)
}

// processor returns the entry of a span processor; nil if it cannot be read.
func (f *otelFile) processor(p *node) *node {
	m := f.only(p)
	n := m.value
	if m.key == "" || n.kind != mapping {
		return nil
	}
	line := n.section()
	switch m.key {
	case "batch":
		line.putIn("batch", "max_age", f.milliseconds(n, "schedule_delay", 5000, "0s"))
		line.putIn("send", "timeout", f.milliseconds(n, "export_timeout", 30_000, unlimited))
		line.putIn("batch", "max_spans", f.bounded(n, "max_export_batch_size", 512, 1, 1<<16))
		if f.get(n, "max_queue_size") != nil {
			line.putIn("queue", "max_bytes", f.bounded(n, "max_queue_size", 0, 64, 1<<20))
			size := line.member("queue").value.member("max_bytes").value
			size.text += "KiB"
		}
	case "simple":
		line.putIn("batch", "max_spans", n.as("1"))
		line.putIn("batch", "max_age", n.as("0s"))
	default:
		return nil
	}
	e := f.exporter(f.get(n, "exporter"))
	if e == nil {
		return nil
	}
	for _, s := range line.members {
		own := e.member(s.key).value
		switch {
		case own == nil || own.kind == null:
			e.set(s)
		case own.kind == mapping:
			e.set(member{key: s.key, pos: own.pos, value: s.value.with(own.members...)})
		}
	}
	return e
}

// unlimited is as long as what has no limit takes.
const unlimited = "24h"

// milliseconds returns a duration; zero is what 0 means.
func (f *otelFile) milliseconds(n *node, key string, without int64, zero string) *node {
	v, ms := n, without
	if set := f.get(n, key); set != nil {
		v = set
		ms, _ = otelInt(set)
	}
	if ms == 0 {
		return v.as(zero)
	}
	return v.as(strconv.FormatInt(min(ms, 1<<31), 10) + "ms")
}

// bounded returns a whole number.
func (f *otelFile) bounded(n *node, key string, without, least, most int64) *node {
	if set := f.get(n, key); set != nil {
		x, _ := otelInt(set)
		return set.as(strconv.FormatInt(max(least, min(x, most)), 10))
	}
	return n.as(strconv.FormatInt(without, 10))
}

// exporter returns the entry of an exporter; nil if it cannot be read.
func (f *otelFile) exporter(exporter *node) *node {
	m := f.only(exporter)
	if m.key == "" {
		return nil
	}
	e := &node{kind: mapping, pos: m.pos, path: m.value.path}
	typ := func(name string) { e.put("type", e.as(name)) }
	switch m.key {
	case "console":
		typ("stdout")
	case "otlp_file/development":
		f.otlpFile(e, m.value)
	case "otlp_http":
		typ("otlp")
		if encoding := f.get(m.value, "encoding"); encoding != nil && encoding.text == "json" {
			typ("otlptracehttp")
			f.copy(e, m.value, "encoding", "encoding")
		} else {
			e.put("protocol", e.as("http/protobuf"))
		}
		f.otlp(e, m.value, "http://localhost:4318/v1/traces")
	case "otlp_grpc":
		typ("otlp")
		e.put("protocol", e.as("grpc"))
		f.otlp(e, m.value, "http://localhost:4317")
	default:
		f.component(e, m)
	}
	return e
}

// component takes a component of riffle's with its keys.
func (f *otelFile) component(e *node, m member) {
	e.put("type", e.as(m.key))
	for _, k := range m.value.members {
		if k.key == "type" {
			(&decoder{hide: f.hide}).hideUnknown(k, nil)
			f.fail(k.value, k.pos, "unknown key: the type is said by %q already", m.key)
			continue
		}
		e.set(k)
	}
}

// copy takes a value over, if there is one.
func (f *otelFile) copy(e, n *node, key, as string) {
	if v := f.get(n, key); v != nil {
		e.set(member{key: as, pos: n.member(key).pos, value: v})
	}
}

func (f *otelFile) otlp(e, n *node, endpoint string) {
	at := e.as(endpoint)
	if set := f.get(n, "endpoint"); set != nil {
		at = set
	}
	scheme, rest, hasScheme := strings.Cut(at.text, "://")
	if e.member("protocol").value == nil || e.member("protocol").value.text != "grpc" {
		// The whole URL counts, while the exporter's endpoint is a base unless it ends so.
		if i := strings.IndexAny(rest, "/?"); hasScheme && (i < 0 || !strings.HasSuffix(strings.TrimRight(pathOf(rest[i:]), "/"), "/v1/traces")) {
			path := "/"
			if i >= 0 {
				path = "/" + strings.TrimPrefix(rest[i:], "/")
				rest = rest[:i]
			}
			e.put("url_path", at.as(path))
			at = at.as(scheme + "://" + rest)
		}
	}
	e.set(member{key: "endpoint", pos: posOf(n, "endpoint", e.pos), value: at})
	f.tls(e, n, strings.EqualFold(scheme, "http"), hasScheme)
	f.headers(e, n)
	e.put("compression", e.as("none"))
	f.copy(e, n, "compression", "compression")
	e.put("timeout", f.milliseconds(n, "timeout", 10_000, unlimited))
	if e.member("timeout").value.path == n.path {
		e.put("timeout", e.as("10s")) // n may be null
	}
}

// pathOf is a path without its query.
func pathOf(s string) string {
	path, _, _ := strings.Cut(s, "?")
	return path
}

func posOf(n *node, key, otherwise string) string {
	if m := n.member(key); m.value != nil {
		return m.pos
	}
	return otherwise
}

// tls takes the certificates, which an endpoint in plain text has no use for.
func (f *otelFile) tls(e, n *node, plaintext, hasScheme bool) {
	t := f.get(n, "tls")
	if e.member("type").value.text == "otlp" && e.member("protocol").value.text == "grpc" && !hasScheme {
		e.put("insecure", e.as("false"))
		f.copy(e, t, "insecure", "insecure")
		insecure, _ := yamlBool(e.member("insecure").value.text)
		plaintext = insecure
	}
	if t == nil {
		return
	}
	out, unused := t.section(), []string(nil)
	for _, key := range []string{"ca_file", "cert_file", "key_file"} {
		file := f.get(t, key)
		switch {
		case file == nil:
		case !filepath.IsAbs(file.text):
			f.fail(file, t.member(key).pos, "%s is not an absolute path", file.shown())
		case plaintext:
			unused = append(unused, key)
		default:
			f.copy(out, t, key, key)
		}
	}
	if len(unused) > 0 {
		f.warn(n.member("tls").pos, "not used, as the endpoint is one of plain text: %s", strings.Join(unused, ", "))
	}
	if len(out.members) > 0 {
		e.set(member{key: "tls", pos: n.member("tls").pos, value: out})
	}
}

// headers takes those of both forms.
func (f *otelFile) headers(e, n *node) {
	out := e.section()
	if text := f.get(n, "headers_list"); text != nil {
		out.pos, out.path = n.member("headers_list").pos, text.path
		pairs, err := pairsOf(text.text)
		if err != nil {
			f.fail(text, out.pos, "%w", err)
		}
		for _, p := range pairs {
			out.members = append(out.members, member{key: p.Key, pos: text.pos, value: text.secret(p.Value)})
		}
	}
	if all := f.get(n, "headers"); all != nil {
		out.pos, out.path = n.member("headers").pos, all.path
		for _, h := range all.items {
			if name, value := f.get(h, "name"), f.get(h, "value"); name != nil && value != nil {
				out.members = slices.DeleteFunc(out.members, func(m member) bool { return strings.EqualFold(m.key, name.text) })
				secret := value.secret(value.text)
				secret.path = h.path // the mistake can be in the name
				out.set(member{key: name.text, pos: h.pos, value: secret})
			}
		}
	}
	if len(out.members) > 0 {
		e.put("headers", out)
	}
}

// secret makes a hidden text of what another says.
func (n *node) secret(text string) *node {
	c := n.as(text)
	c.quoted, c.hidden = true, true
	return c
}

// pairsOf takes key=value,key=value apart, whose values are percent-encoded, and the last
// of each key counts. A comma may stand at its end. Its errors show none of it.
func pairsOf(text string) ([]otelenv.Pair, error) {
	if text = strings.TrimRight(text, ", \t\n"); text == "" {
		return nil, nil
	}
	pairs, err := otelenv.Pairs(text)
	at := map[string]int{}
	last := pairs[:0]
	for _, p := range pairs {
		if i, again := at[p.Key]; again {
			last[i] = p
			continue
		}
		at[p.Key] = len(last)
		last = append(last, p)
	}
	return last, err
}

func (f *otelFile) otlpFile(e, n *node) {
	e.put("format", e.as("otlp_json"))
	stream := f.get(n, "output_stream")
	if stream == nil || stream.text == "stdout" {
		e.put("type", e.as("stdout"))
		return
	}
	u, err := url.Parse(stream.text)
	if err != nil || u.Scheme != "file" || u.Host != "" || !filepath.IsAbs(u.Path) || u.RawQuery+u.Fragment != "" {
		f.fail(stream, n.member("output_stream").pos, "%s is neither stdout nor file:// and an absolute path, such as file:///var/log/traces.jsonl", component.Shown(stream.text))
		e.put("type", e.as("stdout"))
		return
	}
	e.put("type", e.as("file"))
	e.set(member{key: "path", pos: n.member("output_stream").pos, value: stream.as(u.Path)})
	e.put("max_size", e.as("0"))
}
