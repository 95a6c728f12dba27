package viewer

import (
	"errors"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/riffletrace/riffle/findings"
	"github.com/riffletrace/riffle/internal/untrusted"
)

// What a query can say at most.
const (
	maxQuery     = 16 << 10 // bytes, encoded
	maxText      = 1 << 10  // of a value
	maxAttrs     = 16
	defaultLimit = 100
	maxLimit     = 1000
)

// query is what somebody looks for.
type query struct {
	service, name string // "": any
	status        int    // anyStatus: any
	min, max      int64  // nanoseconds, of a span
	atLeast, less int64  // nanoseconds, of the trace: at least, and less than
	attrs         []wanted
	text          string
	from, to      float64 // microseconds since 1970
	finding       findings.Kind
	sort          string
	limit         int
}

// wanted is an attribute that a span must have.
type wanted struct{ key, value string }

const anyStatus = -1

// The parameters of a query, and those of a search besides.
var (
	queryKeys  = []string{"service", "name", "status", "min", "max", "trace_min", "trace_below", "attr", "q", "from", "to", "finding"}
	searchKeys = append(slices.Clone(queryKeys), "sort", "limit")
)

// The orders of a search.
const (
	sortRecent  = "recent"
	sortLongest = "longest"
	sortSpans   = "spans"
)

// parseQuery reads the parameters that are allowed. An empty one is as if it was absent.
func parseQuery(raw string, allowed []string) (query, error) {
	q := query{status: anyStatus, max: math.MaxInt64, less: math.MaxInt64, from: math.Inf(-1), to: math.Inf(1), sort: sortRecent, limit: defaultLimit}
	if len(raw) > maxQuery {
		return q, fmt.Errorf("the query is longer than %d bytes", maxQuery)
	}
	values, err := url.ParseQuery(raw)
	if err != nil {
		return q, fmt.Errorf("reading the query: %s", untrusted.Text(err.Error(), maxText))
	}
	for key, all := range values {
		if !slices.Contains(allowed, key) {
			return q, fmt.Errorf("unknown parameter %q: want %s", untrusted.Text(key, maxText), strings.Join(allowed, ", "))
		}
		most := 1
		if key == "attr" {
			most = maxAttrs
		}
		if len(all) > most {
			return q, fmt.Errorf("%s is there %d times: want %d at most", key, len(all), most)
		}
		for _, value := range all {
			if value == "" {
				continue
			}
			if len(value) > maxText {
				return q, fmt.Errorf("%s is longer than %d bytes", key, maxText)
			}
			if err := q.set(key, value); err != nil {
				return q, fmt.Errorf("%s: %w", key, err)
			}
		}
	}
	if q.min > q.max {
		return q, errors.New("min is above max")
	}
	if q.atLeast >= q.less {
		return q, errors.New("trace_min is not below trace_below")
	}
	if q.from > q.to {
		return q, errors.New("from is after to")
	}
	return q, nil
}

func (q *query) set(key, value string) (err error) {
	switch key {
	case "service":
		q.service = value
	case "name":
		q.name = value
	case "status":
		q.status, err = parseStatus(value)
	case "min":
		q.min, err = parseDuration(value)
	case "max":
		q.max, err = parseDuration(value)
	case "trace_min":
		q.atLeast, err = parseDuration(value)
	case "trace_below":
		q.less, err = parseDuration(value)
	case "attr":
		k, v, ok := strings.Cut(value, "=")
		if !ok || k == "" {
			return fmt.Errorf("%q: want KEY=VALUE", untrusted.Text(value, maxText))
		}
		q.attrs = append(q.attrs, wanted{k, v})
	case "q":
		q.text = value
	case "from":
		q.from, err = parseTime(value)
	case "to":
		q.to, err = parseTime(value)
	case "finding":
		q.finding, err = oneOf(findings.Kind(value), findings.Kinds())
	case "sort":
		q.sort, err = oneOf(value, []string{sortRecent, sortLongest, sortSpans})
	case "limit":
		q.limit, err = parseLimit(value)
	}
	return err
}

func oneOf[S ~string](value S, all []S) (S, error) {
	if slices.Contains(all, value) {
		return value, nil
	}
	names := make([]string, len(all))
	for i, s := range all {
		names[i] = string(s)
	}
	return "", fmt.Errorf("%q: want one of %s", untrusted.Text(string(value), maxText), strings.Join(names, ", "))
}

func parseStatus(value string) (int, error) {
	switch value {
	case "error":
		return statusError, nil
	case "ok": // all but errors: few say that they are fine
		return statusOK, nil
	}
	return 0, fmt.Errorf("%q: want error or ok", untrusted.Text(value, maxText))
}

func parseDuration(value string) (int64, error) {
	d, err := time.ParseDuration(value)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%q: want a duration such as 250ms", untrusted.Text(value, maxText))
	}
	return int64(d), nil
}

func parseTime(value string) (float64, error) {
	t, err := strconv.ParseFloat(value, 64)
	if err != nil || math.IsNaN(t) || math.IsInf(t, 0) {
		return 0, fmt.Errorf("%q: want microseconds since 1970", untrusted.Text(value, maxText))
	}
	return t, nil
}

func parseLimit(value string) (int, error) {
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 || n > maxLimit {
		return 0, fmt.Errorf("%q: want 1 to %d", untrusted.Text(value, maxText), maxLimit)
	}
	return n, nil
}
