package bench

import (
	"fmt"
	"strconv"
	"strings"
)

// Kind says who makes the spans of a variant.
type Kind string

// The kinds.
const (
	// Off makes none: OpenTelemetry's no-op provider. Every cost is told over it.
	Off Kind = "off"
	// Floor records every span with the SDK and throws it away: what is left of
	// any tracing that looks at whole traces, whatever it does with them.
	Floor Kind = "floor"
	// Stock is the SDK: ParentBased(TraceIDRatioBased), BatchSpanProcessor and
	// the SDK's OTLP exporter, with their defaults.
	Stock Kind = "stock"
	// Riffle is riffle, as a configuration says.
	Riffle Kind = "riffle"
)

// Protocol is how spans travel.
type Protocol string

// The protocols. HTTP is compressed with gzip; gRPC is not, as is the default of
// both.
const (
	HTTP Protocol = "http"
	GRPC Protocol = "grpc"
)

// Variant is one way to trace the service.
type Variant struct {
	Name     string   `json:"name"`
	Kind     Kind     `json:"kind"`
	Rate     float64  `json:"rate"`
	Keeps    bool     `json:"keeps,omitempty"` // errors and slow requests too
	Protocol Protocol `json:"protocol,omitempty"`
	// Traced tells that its requests have a sampled parent, as from clients that trace
	// too.
	Traced bool `json:"traced,omitempty"`
	// Config is riffle's configuration in YAML. ${RIFFLE_BENCH_HTTP} and
	// ${RIFFLE_BENCH_GRPC} in it are where the backend listens,
	// ${RIFFLE_BENCH_DIR} is a directory of the service's own, and
	// ${RIFFLE_BENCH_PLUGIN} a plugin with the sampler ratio.
	Config string `json:"config,omitempty"`
	// Own tells that Config is a user's: it has the user's environment, in which
	// App names the application, and what the backend counts of its spans says
	// nothing, because they may go elsewhere.
	Own bool   `json:"own,omitempty"`
	App string `json:"app,omitempty"`
	// Section is where the configuration has its section.
	Section string `json:"section,omitempty"`

	copies int // of the SDK's processor and exporter; 0 is 1
}

// Names that the goals are about.
const (
	nameOff   = "off"
	nameFloor = "floor"
)

func off() Variant   { return Variant{Name: nameOff, Kind: Off} }
func floor() Variant { return Variant{Name: nameFloor, Kind: Floor} }

// StockAt is the SDK at a rate.
func StockAt(rate float64, p Protocol) Variant {
	return Variant{Name: "stock " + percent(rate) + over(p), Kind: Stock, Rate: rate, Protocol: p}
}

// RiffleAt is riffle at a rate; keeps makes it keep every error and every slow
// request as well.
func RiffleAt(rate float64, keeps bool, p Protocol) Variant {
	v := Variant{Name: "riffle " + percent(rate), Kind: Riffle, Rate: rate, Keeps: keeps, Protocol: p}
	if keeps {
		v.Name += " + error + slow"
	}
	v.Name += over(p)
	v.Config = configuration(rate, keeps, p, "")
	return v
}

// RiffleOnDisk is [RiffleAt] with the disk queue.
func RiffleOnDisk(rate float64, keeps bool) Variant {
	v := RiffleAt(rate, keeps, HTTP)
	v.Name += ", disk queue"
	v.Config = configuration(rate, keeps, HTTP, "        queue: {storage: disk, dir: \"${RIFFLE_BENCH_DIR}\"}\n")
	return v
}

// RiffleWithPlugin is [RiffleAt] with the rate in a sampler of the type plugin.
// Behind it is the same rate, which decides until the plugin has answered.
func RiffleWithPlugin(rate float64, keeps bool) Variant {
	v := RiffleAt(rate, keeps, HTTP)
	v.Name += ", plugin"
	v.Config = strings.Replace(v.Config, "    samplers:\n", "    plugins: {allow_unpinned: true}\n    samplers:\n", 1)
	v.Config = strings.Replace(v.Config, "      - {type: ratio,", fmt.Sprintf(`      - type: plugin
        path: "${RIFFLE_BENCH_PLUGIN}"
        env: [%s]
        config: {rate: %s}
      - {type: ratio,`, roleVariable, strconv.FormatFloat(rate, 'f', -1, 64)), 1)
	return v
}

// RiffleWithMetrics is [RiffleAt] with span metrics: every span is counted and timed,
// kept or not.
func RiffleWithMetrics(rate float64, keeps bool) Variant {
	v := RiffleAt(rate, keeps, HTTP)
	v.Name += ", span metrics"
	v.Config = strings.Replace(v.Config, "    samplers:\n", "    span_metrics: {}\n    metrics: {exporter: prometheus, listen: \"\"}\n    samplers:\n", 1)
	return v
}

// RiffleForAnybody is [RiffleAt] as a service on the internet has it: its clients send a
// trace that they call sampled, and remote_parent: ignore does not believe them.
func RiffleForAnybody(rate float64, keeps bool) Variant {
	v := RiffleAt(rate, keeps, HTTP)
	v.Name += ", ignore"
	v.Traced = true
	v.Config = strings.Replace(v.Config, "    samplers:\n", "    remote_parent: ignore\n    samplers:\n", 1)
	return v
}

// RiffleConfigured is riffle as a user's configuration says, with the variables
// of the environment that are the application's, as [config.App] and [config.Section]
// have them, and OTEL_*. Its spans go where that says. name is that of the variant and
// of the file.
func RiffleConfigured(name, app, section, text string) Variant {
	return Variant{Name: name, Kind: Riffle, Config: text, Own: true, App: app, Section: section}
}

func configuration(rate float64, keeps bool, p Protocol, more string) string {
	samplers := ""
	if keeps {
		samplers = "      - type: error\n      - {type: slow, threshold: 250ms}\n"
	}
	endpoint := "endpoint: \"${RIFFLE_BENCH_HTTP}\"\n        protocol: http/protobuf"
	if p == GRPC {
		endpoint = "endpoint: \"${RIFFLE_BENCH_GRPC}\""
	}
	return fmt.Sprintf(`observability:
  tracing:
    enabled: true
    service_name: riffle-bench
    samplers:
%s      - {type: ratio, rate: %s}
    exporters:
      - type: otlp
        insecure: true
        %s
%s`, samplers, strconv.FormatFloat(rate, 'f', -1, 64), endpoint, more)
}

// DefaultVariants are those of a run of about six minutes.
func DefaultVariants() []Variant {
	return []Variant{
		off(),
		RiffleAt(0.01, true, HTTP),
		RiffleAt(1, false, HTTP),
		StockAt(0.1, HTTP),
		StockAt(1, HTTP),
		floor(),
	}
}

// FullRates are the sampling rates of [FullVariants].
func FullRates() []float64 { return []float64{0, 0.01, 0.1, 1} }

// RateVariants compare riffle and the SDK at rates.
func RateVariants(rates []float64) []Variant {
	all := []Variant{off()}
	for _, rate := range rates {
		all = append(all, RiffleAt(rate, false, HTTP))
		if rate < 1 { // at 100 % there is nothing left to keep
			all = append(all, RiffleAt(rate, true, HTTP))
		}
		all = append(all, StockAt(rate, HTTP))
	}
	return all
}

// FullVariants are everything there is.
func FullVariants(rates []float64) []Variant {
	all := append(RateVariants(rates), floor())
	return append(all,
		RiffleAt(0.01, true, GRPC),
		RiffleAt(1, false, GRPC),
		StockAt(1, GRPC),
		RiffleOnDisk(0.01, true),
		RiffleOnDisk(1, false),
		RiffleWithPlugin(0.01, false),
		RiffleWithMetrics(0.01, true),
		RiffleForAnybody(0.01, true),
	)
}

func percent(rate float64) string { return strconv.FormatFloat(100*rate, 'g', 6, 64) + " %" }

func over(p Protocol) string {
	if p == GRPC {
		return ", gRPC"
	}
	return ""
}
