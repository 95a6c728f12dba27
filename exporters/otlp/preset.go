package otlp

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/delivery"
)

// applied returns the configuration with what its preset says, and the limits
// of the vendor.
func (c Config) applied() (Config, delivery.Limits, error) {
	var errs []error
	fail := func(path, format string, args ...any) {
		errs = append(errs, &component.FieldError{Path: path, Err: fmt.Errorf(format, args...)})
	}
	p, ok := presets[c.Preset]
	switch {
	case ok:
		c = p.apply(c, fail)
	case c.Preset != "":
		names := slices.Sorted(maps.Keys(presets))
		msg := fmt.Sprintf("unknown preset %q", c.Preset)
		if near := component.Nearest(c.Preset, names); near != "" {
			msg += fmt.Sprintf(" (did you mean %q?)", near)
		}
		fail("preset", "%s: known are %s", msg, strings.Join(names, ", "))
	default:
		for _, of := range []struct{ key, value string }{
			{"region", c.Region}, {"account", c.Account}, {"dataset", c.Dataset}, {"key", string(c.Key)},
		} {
			if of.value != "" {
				fail(of.key, "only an entry with a preset has one")
			}
		}
	}
	return c, p.limits, errors.Join(errs...)
}

func (p *preset) apply(c Config, fail func(path, format string, args ...any)) Config {
	if c.Protocol != "" && c.Protocol != HTTP {
		fail("protocol", "%s is sent to over %s: leave protocol out", c.Preset, HTTP)
	}
	if c.Insecure != nil {
		fail("insecure", "%s is sent to with TLS: leave insecure out; for a server of your own, write http:// in endpoint", c.Preset)
	}
	switch {
	case c.Key == "":
		fail("key", "missing: %s wants one, in its header %s; ${NAME} takes it from a variable", c.Preset, p.header)
	case strings.ContainsFunc(string(c.Key), unicode.IsControl):
		fail("key", "there is a control character in it (a line break at its end?)")
	}
	// An endpoint of the user's own needs nothing to be put into the preset's.
	own := c.Endpoint != ""
	region := p.region(c, own, fail)
	p.check("account", c.Account, p.account, p.basic || !own, c, fail)
	p.check("dataset", c.Dataset, p.dataset, true, c, fail)
	switch {
	case !own && p.endpoint == "":
		fail("endpoint", "missing: %s shows the one that is yours", c.Preset)
	case !own:
		if strings.Contains(p.endpoint, "{account}") && strings.ContainsAny(c.Account, "/.:@?# ") {
			fail("account", "%q is not %s: want the part of the address that is yours, alone", c.Account, p.account)
		}
		c.Endpoint = strings.NewReplacer("{region}", region, "{account}", c.Account).Replace(p.endpoint)
	case !strings.Contains(c.Endpoint, "://"):
		fail("endpoint", "want a URL, such as https://otlp.example.com")
	}
	c.Protocol = HTTP
	c.Headers = p.with(c, fail)
	return c
}

// check finds out whether a key is there if, and only if, the preset has it.
func (*preset) check(key, value, what string, needed bool, c Config, fail func(path, format string, args ...any)) {
	switch {
	case what == "" && value != "":
		fail(key, "%s has none: leave it out", c.Preset)
	case what != "" && value == "" && needed:
		fail(key, "missing: want %s", what)
	}
}

// region is what stands for the user's in the endpoint.
func (p *preset) region(c Config, own bool, fail func(path, format string, args ...any)) string {
	const is = "abcdefghijklmnopqrstuvwxyz0123456789-."
	switch {
	case !strings.Contains(p.endpoint, "{region}"):
		if c.Region != "" {
			fail("region", "%s has none: leave it out", c.Preset)
		}
		return ""
	case own:
		if c.Region != "" {
			fail("region", "the endpoint says it: leave one of them out")
		}
		return ""
	}
	region := cmp.Or(c.Region, p.defaultRegion)
	switch {
	case p.regions == nil && region == "":
		fail("region", "missing: it is a part of the address that %s shows", c.Preset)
	case p.regions == nil && strings.Trim(region, is) != "":
		fail("region", "%q is not a region of %s", region, c.Preset)
	case p.regions == nil:
		return region
	case p.regions[region] == "":
		fail("region", "%q is not one of %s", region, strings.Join(slices.Sorted(maps.Keys(p.regions)), ", "))
	}
	return p.regions[region]
}

// with returns the user's headers and those of the preset.
func (p *preset) with(c Config, fail func(path, format string, args ...any)) map[string]component.Secret {
	key := string(c.Key)
	if p.basic {
		key = base64.StdEncoding.EncodeToString([]byte(c.Account + ":" + key))
	}
	headers := map[string]component.Secret{p.header: component.Secret(p.prefix + key)}
	for name, value := range p.headers {
		headers[name] = component.Secret(strings.ReplaceAll(value, "{dataset}", c.Dataset))
	}
	for name, value := range c.Headers {
		if strings.EqualFold(name, p.header) {
			fail("headers."+name, "key says it: leave it out")
			continue
		}
		for ours := range headers {
			if strings.EqualFold(name, ours) {
				delete(headers, ours)
			}
		}
		headers[name] = value
	}
	return headers
}
