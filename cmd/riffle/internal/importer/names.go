package importer

import (
	"maps"
	"slices"
	"strings"
)

// older are the names of attributes that OpenTelemetry has other ones for.
// Source: https://opentelemetry.io/docs/specs/semconv/non-normative/http-migration/ and
// https://opentelemetry.io/docs/specs/semconv/non-normative/db-migration/
var older = map[string]string{
	"http.method":            "http.request.method",
	"http.status_code":       "http.response.status_code",
	"http.target":            "url.path and url.query",
	"http.url":               "url.full",
	"http.scheme":            "url.scheme",
	"http.user_agent":        "user_agent.original",
	"http.host":              "server.address and server.port",
	"http.client_ip":         "client.address",
	"net.peer.name":          "server.address",
	"net.host.name":          "server.address",
	"db.system":              "db.system.name",
	"db.statement":           "db.query.text",
	"db.operation":           "db.operation.name",
	"db.name":                "db.namespace",
	"deployment.environment": "deployment.environment.name",
}

// olderNames is a note about the names among the keys of the entries; "" without any.
func (c *config) olderNames() string {
	found := map[string]bool{}
	for _, e := range c.samplers {
		mark(e.keys, found)
	}
	var all []string
	for _, name := range slices.Sorted(maps.Keys(found)) {
		all = append(all, name+" ("+older[name]+")")
	}
	if len(all) == 0 {
		return ""
	}
	return "OpenTelemetry has newer names for these attributes, look which your spans have: " + strings.Join(all, ", ") + "."
}

func mark(v any, found map[string]bool) {
	switch v := v.(type) {
	case fields:
		for _, f := range v {
			if older[f.key] != "" {
				found[f.key] = true
			}
			mark(f.value, found)
		}
	case []any:
		for _, x := range v {
			mark(x, found)
		}
	}
}
