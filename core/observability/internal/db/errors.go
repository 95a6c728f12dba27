package db

import (
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/internal/bound"
)

// RecordError makes err part of the span of a database operation, unless it
// is nil or says that there are no rows.
func RecordError(span trace.Span, err error) {
	if err == nil || !span.IsRecording() || errors.Is(err, sql.ErrNoRows) {
		return
	}
	message := bound.Default.Text(Message(err))
	if state := State(err); state != "" {
		span.SetAttributes(attribute.String("db.response.status_code", state), attribute.String("error.type", state))
	}
	span.AddEvent("exception", trace.WithAttributes(
		attribute.String("exception.type", fmt.Sprintf("%T", err)),
		attribute.String("exception.message", message),
	))
	span.SetStatus(codes.Error, message)
}

// State is the SQLSTATE of an error; "" if it has none.
func State(err error) string {
	var s interface{ SQLState() string }
	if errors.As(err, &s) {
		return s.SQLState()
	}
	return ""
}

// Message is what an error says, without the values that PostgreSQL quotes
// where it complains about data or about syntax.
func Message(err error) string {
	message := err.Error()
	if s := State(err); !strings.HasPrefix(s, "22") && s != "42601" {
		return message
	}
	// A value may have quotes itself, which are not doubled.
	first, last := strings.IndexByte(message, '"'), strings.LastIndexByte(message, '"')
	switch {
	case first < 0:
		return message
	case first == last:
		return message[:first] + `"?"`
	default:
		return message[:first] + `"?"` + message[last+1:]
	}
}
