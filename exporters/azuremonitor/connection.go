package azuremonitor

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// connection is what a connection string says that matters.
type connection struct {
	key      string
	endpoint string // URL
}

const (
	maxConnection   = 4096
	maxKey          = 40 // characters of an instrumentation key
	defaultEndpoint = "https://dc.services.visualstudio.com"
)

// parseConnection reads a connection string: keys and values with semicolons
// between. Its errors show none of the values.
func parseConnection(s string) (connection, error) {
	if len(s) > maxConnection {
		return connection{}, fmt.Errorf("it is of %d characters, none is of more than %d", len(s), maxConnection)
	}
	values := make(map[string]string)
	for i, pair := range strings.Split(s, ";") {
		if strings.TrimSpace(pair) == "" {
			continue
		}
		key, value, ok := strings.Cut(pair, "=")
		key = strings.ToLower(strings.TrimSpace(key))
		switch _, twice := values[key]; {
		case !ok || key == "":
			return connection{}, fmt.Errorf("part %d of it is not of the form Key=Value: want InstrumentationKey=...;IngestionEndpoint=https://... and so on", i+1)
		case twice:
			return connection{}, fmt.Errorf("part %d of it is there before: is it two connection strings?", i+1)
		}
		values[key] = strings.TrimSpace(value)
	}
	if auth := values["authorization"]; auth != "" && !strings.EqualFold(auth, "ikey") {
		return connection{}, errors.New("its Authorization is not ikey, which is the only one there is")
	}
	c := connection{key: values["instrumentationkey"]}
	switch {
	case c.key == "":
		return connection{}, errors.New("it has no InstrumentationKey: copy the whole connection string")
	case len(c.key) > maxKey || strings.ContainsFunc(c.key, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`"\`, r) }):
		return connection{}, fmt.Errorf("its InstrumentationKey is longer than %d characters, or has blanks or quotes: copy the whole connection string", maxKey)
	}
	switch suffix := strings.Trim(values["endpointsuffix"], "."); {
	case values["ingestionendpoint"] != "":
		c.endpoint = values["ingestionendpoint"]
	case suffix != "":
		host := slices.DeleteFunc([]string{strings.Trim(values["location"], "."), "dc", suffix}, func(s string) bool { return s == "" })
		c.endpoint = "https://" + strings.Join(host, ".")
	default:
		c.endpoint = defaultEndpoint
	}
	if !strings.HasPrefix(c.endpoint, "https://") && !strings.HasPrefix(c.endpoint, "http://") {
		return connection{}, errors.New("its IngestionEndpoint is no URL")
	}
	return c, nil
}
