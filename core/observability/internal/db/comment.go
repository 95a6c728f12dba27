package db

import (
	"context"
	"net/url"
	"strings"

	"go.opentelemetry.io/otel/propagation"
)

// Commented returns sql with the trace context of ctx in a comment, as
// sqlcommenter has it: values are URL-encoded, so that none can end the
// comment. Without a span it returns sql.
//
// Source: https://google.github.io/sqlcommenter/spec/
func Commented(ctx context.Context, sql string) string {
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	parent := carrier.Get("traceparent")
	if parent == "" {
		return sql
	}
	comment := "traceparent='" + parent + "'"
	if state := carrier.Get("tracestate"); state != "" {
		comment += ",tracestate='" + strings.ReplaceAll(url.QueryEscape(state), "+", "%20") + "'"
	}
	return sql + " /*" + comment + "*/"
}
