package otlp

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/delivery"
)

// preset is what a vendor's documentation says of its endpoint. All of them
// take OTLP over HTTP. What a vendor does not say is left out.
type preset struct {
	// endpoint is a URL with {region} and {account} where the user's go; empty:
	// each user has one of their own.
	endpoint string
	// regions are the values of region and what stands for them in the endpoint;
	// nil: any, as it is.
	regions       map[string]string
	defaultRegion string
	// account and dataset say what these keys are; empty: there is none.
	account, dataset string
	// header carries the key, behind prefix; with basic, as a password of the
	// account.
	header, prefix string
	basic          bool
	// headers go along, with {dataset}.
	headers map[string]string
	limits  delivery.Limits
	// sources say where the facts are from, in the order of what they are.
	sources []source
}

// source is where facts are from.
type source struct {
	facts, url, seen string
}

const seen = "2026-11-25"

var presets = map[string]preset{
	"axiom": {
		endpoint:      "https://{region}.aws.edge.axiom.co",
		regions:       map[string]string{"us-east-1": "us-east-1", "eu-central-1": "eu-central-1"},
		defaultRegion: "us-east-1",
		dataset:       "the dataset for traces",
		header:        "Authorization", prefix: "Bearer ",
		headers: map[string]string{"X-Axiom-Dataset": "{dataset}"},
		sources: []source{
			{"protocol, header, path", "https://axiom.co/docs/send-data/opentelemetry", seen},
			{"endpoint by region", "https://github.com/axiomhq/axiom-go", seen},
		},
	},
	"datadog": {
		endpoint:      "https://otlp.{region}", // Datadog calls it the site
		defaultRegion: "datadoghq.com",
		header:        "dd-api-key",
		headers:       map[string]string{"compute_stats": "true"}, // else there are no metrics of traces
		limits:        delivery.Limits{MaxBytes: 3_200_000},
		sources:       []source{{"endpoint, protocol, headers, size of requests", "https://docs.datadoghq.com/opentelemetry/setup/otlp_ingest/traces", seen}},
	},
	"dynatrace": {
		endpoint: "https://{account}.live.dynatrace.com/api/v2/otlp",
		account:  "the environment ID",
		header:   "Authorization", prefix: "Api-Token ",
		limits: delivery.Limits{MaxBytes: 8_000_000, MaxAge: time.Hour, MaxAhead: 10 * time.Minute},
		sources: []source{
			{"endpoint, protocol, header", "https://docs.dynatrace.com/docs/shortlink/api-otlp-traces", seen},
			{"size of requests, age of spans", "https://docs.dynatrace.com/docs/shortlink/opentelemetry-traces-ingest", seen},
		},
	},
	"elastic": {
		header: "Authorization", prefix: "ApiKey ",
		sources: []source{{"endpoint, protocol, header", "https://www.elastic.co/docs/reference/opentelemetry/motlp", seen}},
	},
	"grafana_cloud": {
		endpoint: "https://otlp-gateway-{region}.grafana.net/otlp",
		account:  "the instance ID",
		header:   "Authorization", prefix: "Basic ", basic: true,
		sources: []source{{"endpoint, protocol, header", "https://grafana.com/docs/grafana-cloud/send-data/otlp/send-data-otlp/", seen}},
	},
	"honeycomb": {
		endpoint:      "https://{region}",
		regions:       map[string]string{"us": "api.honeycomb.io", "eu": "api.eu1.honeycomb.io"},
		defaultRegion: "us",
		header:        "x-honeycomb-team",
		sources:       []source{{"endpoint, protocol, header", "https://docs.honeycomb.io/send-data/opentelemetry/", seen}},
	},
	"newrelic": {
		endpoint:      "https://{region}",
		regions:       map[string]string{"us": "otlp.nr-data.net", "eu": "otlp.eu01.nr-data.net", "gov": "gov-otlp.nr-data.net"},
		defaultRegion: "us",
		header:        "api-key",
		// Of what is sent; that this is before compression is to be safe.
		limits:  delivery.Limits{MaxBytes: 1_000_000},
		sources: []source{{"endpoint, protocol, header, size of requests", "https://docs.newrelic.com/docs/opentelemetry/best-practices/opentelemetry-otlp/", seen}},
	},
	"signoz": {
		endpoint: "https://ingest.{region}.signoz.cloud",
		header:   "signoz-ingestion-key",
		sources:  []source{{"endpoint, protocol, header", "https://signoz.io/docs/ingestion/signoz-cloud/overview/", seen}},
	},
	"uptrace": {
		endpoint: "https://api.uptrace.dev",
		header:   "uptrace-dsn", // the key is a DSN, as the project's page shows it
		sources: []source{
			{"endpoint, protocol", "https://uptrace.dev/get", seen},
			{"header", "https://github.com/uptrace/uptrace-go", seen},
		},
	},
}

// applied returns the configuration with what its preset says, and the limits
// of the vendor.
func (c Config) applied() (Config, delivery.Limits, error) {
	var errs []error
	fail := func(path, format string, args ...any) {
		errs = append(errs, &core.FieldError{Path: path, Err: fmt.Errorf(format, args...)})
	}
	if c.Preset == "" {
		for path, set := range map[string]bool{"region": c.Region != "", "account": c.Account != "", "dataset": c.Dataset != "", "key": c.Key != ""} {
			if set {
				fail(path, "only an entry with a preset has one")
			}
		}
		return c, delivery.Limits{}, errors.Join(errs...)
	}
	p, ok := presets[c.Preset]
	if !ok {
		names := slices.Sorted(maps.Keys(presets))
		msg := fmt.Sprintf("unknown preset %q", c.Preset)
		if near := core.Nearest(c.Preset, names); near != "" {
			msg += fmt.Sprintf(" (did you mean %q?)", near)
		}
		fail("preset", "%s: known are %s", msg, strings.Join(names, ", "))
		return c, delivery.Limits{}, errors.Join(errs...)
	}
	if c.Protocol != "" && c.Protocol != HTTP {
		fail("protocol", "%s is sent to over %s: leave protocol out", c.Preset, HTTP)
	}
	if c.Insecure != nil {
		fail("insecure", "%s is sent to with TLS: leave insecure out; for a server of your own, write http:// in endpoint", c.Preset)
	}
	if c.Key == "" {
		fail("key", "missing: %s wants one, in its header %s; ${NAME} takes it from a variable", c.Preset, p.header)
	}
	// An endpoint of the user's own needs nothing to be put into the preset's.
	own := c.Endpoint != ""
	region := p.region(c, own, fail)
	for _, of := range []struct {
		key, value, what string
		needed           bool
	}{
		{"account", c.Account, p.account, p.basic || !own},
		{"dataset", c.Dataset, p.dataset, true},
	} {
		switch {
		case of.what == "" && of.value != "":
			fail(of.key, "%s has none: leave it out", c.Preset)
		case of.what != "" && of.value == "" && of.needed:
			fail(of.key, "missing: want %s", of.what)
		case of.key == "account" && !own && !p.basic && strings.ContainsAny(of.value, "/.:@?# "):
			fail(of.key, "%q is not %s: want the part of the address that is yours, alone", of.value, of.what)
		}
	}
	switch {
	case !own && p.endpoint == "":
		fail("endpoint", "missing: %s shows the one that is yours", c.Preset)
	case !own:
		c.Endpoint = strings.NewReplacer("{region}", region, "{account}", c.Account).Replace(p.endpoint)
	case !strings.Contains(c.Endpoint, "://"):
		fail("endpoint", "want a URL, such as https://otlp.example.com")
	}
	c.Protocol = HTTP
	c.Headers = p.with(c, fail)
	return c, p.limits, errors.Join(errs...)
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
func (p *preset) with(c Config, fail func(path, format string, args ...any)) map[string]core.Secret {
	key := string(c.Key)
	if p.basic {
		key = base64.StdEncoding.EncodeToString([]byte(c.Account + ":" + key))
	}
	headers := map[string]core.Secret{p.header: core.Secret(p.prefix + key)}
	for name, value := range p.headers {
		headers[name] = core.Secret(strings.ReplaceAll(value, "{dataset}", c.Dataset))
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
