package config_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/riffletrace/riffle/config"
	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/record"
	"github.com/riffletrace/riffle/samplers/jaegerremote"
)

// OTEL_TRACES_SAMPLER can name Jaeger's sampler, and OTEL_TRACES_SAMPLER_ARG configures it.
func TestJaegerRemote(t *testing.T) {
	for _, tt := range []struct {
		name, sampler, arg, file string

		want     string // endpoint, interval and initial rate; "" if it is not there
		warnings []string
	}{
		{name: "defaults", sampler: "jaeger_remote", want: "http://localhost:5778/sampling 1m 0.001"},
		{name: "with parents", sampler: "PARENTBASED_jaeger_remote", want: "http://localhost:5778/sampling 1m 0.001"},
		{
			name: "all", sampler: "jaeger_remote", arg: "endpoint=http://localhost:14268/x?a=b, pollingIntervalMs=5000 ,initialSamplingRate=0.25",
			want: "http://localhost:14268/x?a=b 5s 0.25",
		},
		{
			name: "mistakes", sampler: "jaeger_remote", arg: "endpoint=localhost:1,pollingIntervalMs=5s,initialSamplingRate=2,x=y",
			want: "http://localhost:5778/sampling 1m 0.001", warnings: []string{
				"OTEL_TRACES_SAMPLER_ARG: endpoint: want a URL that begins with http:// or https://, such as http://localhost:5778/sampling: ignored",
				"OTEL_TRACES_SAMPLER_ARG: pollingIntervalMs is not a number of milliseconds: ignored",
				"OTEL_TRACES_SAMPLER_ARG: initialSamplingRate: 2 is not a rate: want a number from 0 to 1: ignored",
				"OTEL_TRACES_SAMPLER_ARG: entry 4 is none of endpoint=, pollingIntervalMs=, initialSamplingRate=: ignored",
			},
		},
		{
			name: "too often", sampler: "jaeger_remote", arg: "pollingIntervalMs=0", want: "http://localhost:5778/sampling 1m 0.001",
			warnings: []string{"OTEL_TRACES_SAMPLER_ARG: pollingIntervalMs: 0s is too short: want 100ms or more: ignored"},
		},
		{name: "a rate in the file", sampler: "jaeger_remote", file: "sample_rate: 0.5"},
		{name: "samplers in the file", sampler: "jaeger_remote", file: "samplers: [{type: ratio}]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			samplers := samplersWithout()
			samplers.MustAdd(jaegerremote.Factory)
			lines := []string{"enabled: true"}
			if tt.file != "" {
				lines = append(lines, tt.file)
			}
			opts := append(registries(t), config.Samplers(samplers), config.Environ([]string{"OTEL_TRACES_SAMPLER=" + tt.sampler, "OTEL_TRACES_SAMPLER_ARG=" + tt.arg}))
			spec, err := config.Parse([]byte(tracing(lines...)), opts...)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, s := range spec.Samplers {
				if c, ok := s.Config().(jaegerremote.Config); ok {
					got = append(got, fmt.Sprintf("%s %v %v", c.Endpoint, c.Interval, c.Initial))
				}
			}
			if strings.Join(got, "; ") != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if said := firstLines(warnings(spec)); strings.Join(said, "\n") != strings.Join(tt.warnings, "\n") {
				t.Errorf("warnings:\n%s", strings.Join(said, "\n"))
			}
		})
	}
	_, err := parse(t, tracing("enabled: true"), "OTEL_TRACES_SAMPLER=jaeger_remote")
	if err != nil {
		t.Errorf("without the sampler: %v", err)
	}
}

// firstLines are the first lines of what is said.
func firstLines(all core.ConfigErrors) (lines []string) {
	for _, e := range all {
		line, _, _ := strings.Cut(e.Error(), "\n")
		lines = append(lines, line)
	}
	return lines
}

// A sampler that is not based on parents is asked below them, where it is in force.
func TestSamplerVariableBelowParents(t *testing.T) {
	samplers := samplersWithout()
	samplers.MustAdd(jaegerremote.Factory)
	for _, tt := range []struct {
		sampler, file string
		want          record.RemoteParent
	}{
		{"always_on", "", record.Ask},
		{"always_off", "", record.Ask},
		{"traceidratio", "", record.Ask},
		{"jaeger_remote", "", record.Ask},
		{"PARENTBASED_always_on", "", record.Watch},
		{"parentbased_traceidratio", "", record.Watch},
		{"parentbased_jaeger_remote", "", record.Watch},
		{"what", "", record.Watch},
		{"always_on", "remote_parent: follow", record.Follow},
		{"always_on", "sample_rate: 0.5", record.Watch},
		{"always_on", "samplers: [{type: ratio}]", record.Watch},
	} {
		opts := append(registries(t), config.Samplers(samplers), config.Environ([]string{"OTEL_TRACES_SAMPLER=" + tt.sampler}))
		spec, err := config.Parse([]byte(tracing("enabled: true", tt.file)), opts...)
		if err != nil {
			t.Fatal(err)
		}
		if spec.RemoteParent != tt.want {
			t.Errorf("%s, %q: remote_parent is %s, want %s", tt.sampler, tt.file, spec.RemoteParent, tt.want)
		}
	}
}
