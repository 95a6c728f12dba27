// Package db knows what spans say about PostgreSQL: their attributes, the
// operation and the table of a statement, and its text without literals.
package db

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"

	"go.opentelemetry.io/otel/attribute"

	"github.com/riffletrace/riffle/internal/bound"
)

// System is what the attributes call PostgreSQL.
const System = "postgresql"

// Names are the generations of OpenTelemetry's database attributes that are
// set.
type Names struct{ Old, Stable bool }

// OptIn reads the value of OTEL_SEMCONV_STABILITY_OPT_IN.
func OptIn(value string) Names {
	n := Names{Old: true}
	for v := range strings.SplitSeq(value, ",") {
		switch strings.TrimSpace(v) {
		case "database/dup": // stronger than database
			return Names{Old: true, Stable: true}
		case "database":
			n = Names{Stable: true}
		}
	}
	return n
}

var fromEnvironment = sync.OnceValue(func() Names { return OptIn(os.Getenv("OTEL_SEMCONV_STABILITY_OPT_IN")) })

// Chosen is what the environment asked for when it was first read.
func Chosen() Names { return fromEnvironment() }

// Append appends the attributes of an operation on a table; either may be
// empty.
func (n Names) Append(attrs []attribute.KeyValue, operation, table string) []attribute.KeyValue {
	add := func(key, value string) {
		if value != "" {
			attrs = append(attrs, attribute.String(key, value))
		}
	}
	if n.Old {
		add("db.system", System)
		add("db.operation", operation)
		add("db.table", table)
	}
	if n.Stable {
		add("db.system.name", System)
		add("db.operation.name", operation)
		add("db.collection.name", table)
	}
	return attrs
}

// Server appends where the database is.
func (n Names) Server(attrs []attribute.KeyValue, host string, port int, database string) []attribute.KeyValue {
	attrs = append(attrs, attribute.String("server.address", host), attribute.Int("server.port", port))
	if n.Old {
		attrs = append(attrs, attribute.String("db.name", database))
	}
	if n.Stable {
		attrs = append(attrs, attribute.String("db.namespace", database))
	}
	return attrs
}

// Parameter is the attribute of the n-th parameter, which counts from 1.
func Parameter(n int, value any) attribute.KeyValue {
	return attribute.String("db.query.parameter."+strconv.Itoa(n), bound.Default.Text(fmt.Sprint(value)))
}
