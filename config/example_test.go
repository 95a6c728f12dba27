package config_test

import (
	"fmt"

	"github.com/riffletrace/riffle/config"
	_ "github.com/riffletrace/riffle/exporters/standard"
	_ "github.com/riffletrace/riffle/samplers/standard"
)

// Every mistake is found at once, with its position and the line that it is in.
func ExampleParse() {
	_, err := config.Parse([]byte(`observability:
  tracing:
    enabled: true
    samplers:
      - type: slow
        treshold: 1s
      - {type: ratio, rate: 2}
`), config.File("fluxbase.yaml"), config.Environ(nil))
	fmt.Println(err)
	// Output:
	// fluxbase.yaml:6:9: observability.tracing.samplers[0].treshold: unknown key (did you mean "threshold"?)
	//         treshold: 1s
	//         ^
	// fluxbase.yaml:7:23: observability.tracing.samplers[1].rate: 2 is not a rate: want a number from 0 to 1
	//       - {type: ratio, rate: 2}
	//                       ^
}

// What was read says which entries there are; nothing is built yet.
func ExampleFromEnv() {
	spec, err := config.FromEnv(config.App("fluxbase"), config.Environ([]string{
		"FLUXBASE_OBSERVABILITY_TRACING_ENABLED=true",
		"FLUXBASE_OBSERVABILITY_TRACING_ENDPOINT=collector:4317",
		"FLUXBASE_OBSERVABILITY_TRACING_SAMPLE_RATE=0.1",
	}))
	fmt.Println(spec.Enabled, spec.ServiceNamespace, spec.Samplers, spec.Exporters[0].Plan, err)
	// Output: true fluxbase [ratio "ratio"] otlp "otlp" <nil>
}
