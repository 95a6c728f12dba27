package otlp

import (
	"time"

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
	// statistics is the header with which the vendor makes figures of what it gets, if its
	// value is true, without reading weights.
	statistics string
	limits     delivery.Limits
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
		statistics:    "compute_stats",
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
