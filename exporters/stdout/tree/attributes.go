package tree

import (
	"slices"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/riffletrace/riffle/core/sampling"
	"github.com/riffletrace/riffle/internal/untrusted"
)

// maxErrors is how many errors of one span are told.
const maxErrors = 3

// attr returns the first of the attributes that the span has.
func attr(s sdktrace.ReadOnlySpan, keys ...attribute.Key) (string, bool) {
	return find(s.Attributes(), keys...)
}

func find(attrs []attribute.KeyValue, keys ...attribute.Key) (string, bool) {
	for _, k := range keys {
		for _, a := range attrs {
			if a.Key == k {
				return a.Value.String(), true
			}
		}
	}
	return "", false
}

// statusText is the code that the span's protocol answered with, "" if there is
// none worth telling.
func statusText(s sdktrace.ReadOnlySpan) string {
	if code, ok := attr(s, "http.response.status_code", "http.status_code"); ok {
		return untrusted.Text(code, maxText)
	}
	if code, ok := attr(s, "rpc.response.status_code", "rpc.grpc.status_code"); ok && code != "0" && code != "OK" {
		return untrusted.Text(code, maxText)
	}
	return ""
}

// facts are the attributes that matter, in the order of reading, without what
// the name has said already. Each is fit to be shown.
func facts(s sdktrace.ReadOnlySpan) []string {
	var all []string
	add := func(fact string, ok bool) {
		fact = untrusted.Text(fact, maxText)
		if ok && fact != "" && !strings.Contains(s.Name(), fact) && !slices.Contains(all, fact) {
			all = append(all, fact)
		}
	}
	first := func(keys ...attribute.Key) { add(attr(s, keys...)) }

	if method, ok := attr(s, "http.request.method", "http.method"); ok {
		if !strings.Contains(s.Name(), method) {
			add(method, true)
		}
		first("http.route")
		if _, ok := attr(s, "http.route"); !ok {
			first("url.full", "http.url", "url.path", "http.target")
		}
	}
	if _, ok := attr(s, "db.system.name", "db.system"); ok {
		first("db.system.name", "db.system")
		first("db.namespace", "db.name")
		if _, ok := attr(s, "db.query.text", "db.statement"); ok {
			first("db.query.text", "db.statement")
		} else {
			first("db.operation.name", "db.operation")
			first("db.collection.name", "db.sql.table")
		}
	}
	if _, ok := attr(s, "rpc.system.name", "rpc.system"); ok {
		first("rpc.system.name", "rpc.system")
		service, _ := attr(s, "rpc.service")
		method, ok := attr(s, "rpc.method")
		add(strings.TrimPrefix(service+"/"+method, "/"), ok)
	}
	if _, ok := attr(s, "messaging.system"); ok {
		first("messaging.system")
		first("messaging.operation.name", "messaging.operation")
		first("messaging.destination.name", "messaging.destination")
	}
	if _, ok := attr(s, sampling.PartialKey); ok {
		add("not complete", true)
	}
	if n, ok := attr(s, sampling.SpansForgottenKey); ok {
		add(n+" spans forgotten", true)
	}
	return all
}

// errorsOf tells what went wrong, fit to be shown.
func errorsOf(s sdktrace.ReadOnlySpan) []string {
	var all []string
	add := func(text string) {
		text = untrusted.Text(text, maxText)
		said := slices.ContainsFunc(all, func(other string) bool { return strings.Contains(other, text) })
		if text != "" && !said && len(all) < maxErrors {
			all = append(all, text)
		}
	}
	for _, e := range s.Events() {
		if e.Name != "exception" {
			continue
		}
		kind, _ := find(e.Attributes, "exception.type")
		message, _ := find(e.Attributes, "exception.message")
		add(strings.Trim(kind+": "+message, ": "))
	}
	if s.Status().Code == codes.Error {
		add(s.Status().Description)
		if kind, ok := attr(s, "error.type"); ok && kind != statusText(s) {
			add(kind)
		}
	}
	return all
}

// samplerOf is the sampler that kept the trace, if this span says so.
func samplerOf(s sdktrace.ReadOnlySpan) string {
	name, _ := attr(s, sampling.SamplerKey)
	return untrusted.Text(name, maxText)
}
