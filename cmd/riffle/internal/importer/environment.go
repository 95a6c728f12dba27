package importer

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/riffletrace/riffle/cmd/riffle/internal/command"
	"github.com/riffletrace/riffle/core"
)

// variablesOf are the variables in a file. No value of one that is not known is shown:
// there are keys among them.
type variablesOf struct {
	values map[string]string
	order  []string
	read   map[string]bool
}

// get returns a value, without the spaces around it; ok tells that it is not empty.
func (v *variablesOf) get(name string) (string, bool) {
	v.read[name] = true
	s := strings.TrimSpace(v.values[name])
	return s, s != ""
}

// has reports whether one of the names is set.
func (v *variablesOf) has(names ...string) bool {
	return slices.ContainsFunc(names, func(name string) bool { _, ok := v.get(name); return ok })
}

// environment reads the variables of Datadog's tracers and of OpenTelemetry.
func (c *config) environment(data []byte) error {
	// Other lines are no matter of this: what env prints may go over several.
	var lines strings.Builder
	for line := range strings.Lines(string(data)) {
		if !variables.MatchString(line) {
			line = "\n"
		}
		lines.WriteString(line)
	}
	all, err := command.ParseEnv(cmp.Or(c.options.File, "stdin"), lines.String())
	if err != nil {
		return err
	}
	v := &variablesOf{values: map[string]string{}, read: map[string]bool{}}
	datadog, otel := false, false
	for _, kv := range all {
		name, value, _ := strings.Cut(kv, "=")
		v.values[name] = value
		v.order = append(v.order, name)
		datadog = datadog || strings.HasPrefix(name, "DD_")
		otel = otel || strings.HasPrefix(name, "OTEL_")
	}
	if !datadog && !otel {
		return errors.New("there is no variable DD_* or OTEL_* in the file")
	}
	c.identity(v)
	sampled := false
	if datadog {
		sampled = c.datadog(v)
	}
	if otel {
		c.openTelemetry(v, sampled)
	} else if !sampled {
		c.raise(1, "nothing says otherwise")
	}
	c.unread(v)
	return nil
}

// unread names what is left out.
func (c *config) unread(v *variablesOf) {
	var rest []string
	for _, name := range v.order {
		if v.values[name] != "" && !v.read[name] {
			rest = append(rest, name)
		}
	}
	if len(rest) > 0 {
		c.note("Not read, since there is nothing in riffle's section of the file for them: %s.", strings.Join(rest, ", "))
	}
}

// identity says what the service is called.
func (c *config) identity(v *variablesOf) {
	resource := map[string]string{}
	var order []string
	add := func(key, value string) {
		if _, ok := resource[key]; !ok {
			order = append(order, key)
		}
		resource[key] = value
	}
	if list, ok := v.get("OTEL_RESOURCE_ATTRIBUTES"); ok {
		for pair := range strings.SplitSeq(list, ",") {
			key, value, ok := strings.Cut(pair, "=")
			key, value = strings.TrimSpace(key), strings.TrimSpace(value)
			decoded, err := url.PathUnescape(value)
			if !ok || key == "" || err != nil {
				c.note("OTEL_RESOURCE_ATTRIBUTES: an entry that is no key=value, percent-encoded, is left out.")
				continue
			}
			add(key, decoded)
		}
	}
	if list, ok := v.get("DD_TAGS"); ok {
		for pair := range strings.FieldsFuncSeq(list, func(r rune) bool { return r == ',' || r == ' ' }) {
			key, value, ok := strings.Cut(pair, ":")
			if !ok || key == "" {
				c.note("DD_TAGS: an entry that is no key:value is left out.")
				continue
			}
			add(key, value)
		}
	}
	for _, key := range []struct {
		key, attribute string
		names          []string
	}{
		{"service_name", "service.name", []string{"DD_SERVICE", "OTEL_SERVICE_NAME"}},
		{"service_version", "service.version", []string{"DD_VERSION"}},
		{"environment", "deployment.environment.name", []string{"DD_ENV"}},
	} {
		value := resource[key.attribute]
		delete(resource, key.attribute)
		for _, name := range slices.Backward(key.names) {
			if set, ok := v.get(name); ok {
				value = set
			}
		}
		if value != "" {
			c.keys = c.keys.with(key.key, value)
		}
	}
	var rest fields
	for _, key := range order {
		if value, ok := resource[key]; ok && value != "" {
			rest = rest.with(key, value)
		}
	}
	if len(rest) > 0 {
		c.keys = c.keys.with("resource", rest)
	}
}

// openTelemetry reads OTEL_*; sampled says that another variable has the samplers.
func (c *config) openTelemetry(v *variablesOf, sampled bool) {
	if s, _ := v.get("OTEL_SDK_DISABLED"); strings.EqualFold(s, "true") {
		c.off = true
	}
	var itself []string
	for _, name := range v.order {
		if strings.HasPrefix(name, "OTEL_EXPORTER_OTLP_") || strings.HasPrefix(name, "OTEL_BSP_") || strings.HasPrefix(name, "OTEL_") && strings.HasSuffix(name, "_LIMIT") {
			if v.has(name) {
				itself = append(itself, name)
			}
		}
	}
	if len(itself) > 0 {
		c.note("riffle reads these variables itself, leave them set: %s.", strings.Join(itself, ", "))
	}
	if list, ok := v.get("OTEL_PROPAGATORS"); ok && c.keys.get("propagators") == nil {
		c.propagators("OTEL_PROPAGATORS", strings.Split(list, ","))
	}
	if s, ok := v.get("OTEL_TRACES_EXPORTER"); ok {
		c.note("OTEL_TRACES_EXPORTER=%s: riffle reads it itself, where the file has no exporters.", oneLine(s))
	}
	if !sampled {
		c.openTelemetrySampler(v)
	}
}

func (c *config) openTelemetrySampler(v *variablesOf) {
	name, ok := v.get("OTEL_TRACES_SAMPLER")
	if !ok {
		c.raise(1, "OTEL_TRACES_SAMPLER is not set")
		return
	}
	arg, hasArg := v.get("OTEL_TRACES_SAMPLER_ARG")
	name = strings.ToLower(name)
	kind, parentBased := strings.CutPrefix(name, "parentbased_")
	if !parentBased && slices.Contains([]string{"always_on", "always_off", "traceidratio", "jaeger_remote"}, kind) {
		c.keys = c.keys.with("remote_parent", "ask")
		c.note("%s without parentbased_ is asked below remote parents too: remote_parent: ask.", kind)
	}
	switch kind {
	case "always_on":
		c.raise(1, name)
	case "always_off":
		c.raise(0, name)
	case "traceidratio":
		rate, ok := share(arg)
		if !ok {
			rate = 1
			if hasArg {
				c.note("OTEL_TRACES_SAMPLER_ARG is no share from 0 to 1: 1 is taken, as the specification says.")
			}
		}
		c.raise(rate, name)
	case "jaeger_remote":
		c.jaegerRemote(arg)
	default:
		c.note("OTEL_TRACES_SAMPLER=%s is none of OpenTelemetry's that riffle has: everything is kept.", oneLine(name))
		c.raise(1, "parentbased_always_on, the default")
	}
}

func (c *config) jaegerRemote(arg string) {
	keys := fields{{"type", "jaeger_remote"}}
	for pair := range strings.SplitSeq(arg, ",") {
		key, value, _ := strings.Cut(pair, "=")
		value = strings.TrimSpace(value)
		switch strings.TrimSpace(key) {
		case "endpoint":
			if u, err := url.Parse(value); err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" {
				keys = keys.with("endpoint", value)
				continue
			}
			c.note("OTEL_TRACES_SAMPLER_ARG: the endpoint is no URL with http or https.")
		case "pollingIntervalMs":
			if ms, err := strconv.Atoi(value); err == nil && ms >= 1000 && ms < 1e9 {
				keys = keys.with("interval", milliseconds(int64(ms)))
			}
		case "initialSamplingRate":
			if rate, ok := share(value); ok {
				keys = keys.with("initial", rate)
			}
		}
	}
	if keys.get("endpoint") == nil {
		c.leftOut("jaeger_remote", []string{"OTEL_TRACES_SAMPLER_ARG has no endpoint that can be asked"})
		c.raise(1, "in place of jaeger_remote")
		return
	}
	c.samplers = append(c.samplers, entry{keys: keys})
	c.complete = true
}

// share is a number from 0 to 1.
func share(s string) (float64, bool) {
	p, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	return p, err == nil && !math.IsNaN(p) && p >= 0 && p <= 1
}

// propagators sets those that riffle has.
func (c *config) propagators(name string, list []string) {
	var known []any
	for _, p := range list {
		p = strings.ToLower(strings.TrimSpace(p))
		p = cmp.Or(map[string]string{"b3 single header": "b3", "b3multi": "b3multi"}[p], p)
		switch {
		case p == "" || slices.Contains(known, any(p)):
		case slices.Contains(core.PropagatorNames(), p):
			known = append(known, p)
		default:
			c.note("%s has %s: riffle has %s.", name, oneLine(p), strings.Join(core.PropagatorNames(), ", "))
		}
	}
	if len(known) > 1 && slices.Contains(known, any("none")) {
		known = []any{"none"}
	}
	if len(known) > 0 {
		c.keys = c.keys.with("propagators", known)
	}
}

// agent is where an Agent takes OTLP, if the variables say where it is.
func agent(v *variablesOf) (endpoint, why string) {
	host, isSet := v.get("DD_AGENT_HOST")
	if s, ok := v.get("DD_TRACE_AGENT_URL"); ok {
		u, err := url.Parse(s)
		if err != nil || u.Hostname() == "" {
			return "", "DD_TRACE_AGENT_URL is no URL with a host, as one of a socket is none: riffle sends OTLP over TCP"
		}
		host = u.Hostname()
	} else if !isSet {
		return "", ""
	}
	if strings.ContainsAny(host, "/ @?#") {
		return "", "DD_AGENT_HOST is no host"
	}
	return "http://" + net.JoinHostPort(strings.Trim(host, "[]"), "4317"), fmt.Sprintf("The Agent on %s takes OTLP on port 4317 where otlp_config.receiver.protocols.grpc.endpoint is set; 8126 is of Datadog's own protocol.", oneLine(host))
}
