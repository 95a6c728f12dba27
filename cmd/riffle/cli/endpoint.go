package cli

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/riffletrace/riffle/cmd/riffle/internal/command"
	"github.com/riffletrace/riffle/core/component"
)

// endpointFlags name an OTLP endpoint.
type endpointFlags struct {
	endpoint, protocol  string
	headers, headersEnv []string
	insecure            bool
}

func (e *endpointFlags) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&e.endpoint, "to", "", "the `ENDPOINT`: host:port or a URL, as in the configuration of an exporter")
	f.StringVar(&e.protocol, "protocol", "", "grpc or http/protobuf; default grpc")
	f.BoolVar(&e.insecure, "insecure", false, "in plaintext; default as in the configuration")
	f.StringArrayVar(&e.headers, "header", nil, "a header of each request, `NAME=VALUE`; can be repeated")
	f.StringArrayVar(&e.headersEnv, "header-env", nil, "a header whose value is in a variable, which others do not see, `NAME=VARIABLE`")
}

// plan plans the exporter that sends there. What is wrong with the flags is a mistake in
// the command line.
func (e *endpointFlags) plan(cmd *cobra.Command, source *command.Source) (component.Plan[sdktrace.SpanExporter], error) {
	keys := map[string]any{"endpoint": e.endpoint}
	if e.protocol != "" {
		keys["protocol"] = e.protocol
	}
	if cmd.Flags().Changed("insecure") {
		keys["insecure"] = e.insecure
	}
	var err error
	if keys["headers"], err = headersOf(e.headers, e.headersEnv); err != nil {
		return component.Plan[sdktrace.SpanExporter]{}, command.Usage(err)
	}
	plan, err := command.OTLP(source.Exporters, "send", keys)
	switch {
	case errors.Is(err, command.ErrNoOTLP):
		return plan, err
	case err != nil:
		return plan, command.Usage(fmt.Errorf("--to %s: %w", e.endpoint, err))
	}
	for _, w := range plan.IgnoredVariables() {
		fmt.Fprintf(cmd.ErrOrStderr(), "warning: %v\n", w)
	}
	return plan, nil
}

// headersOf are the headers of the flags.
func headersOf(given, fromEnv []string) (map[string]string, error) {
	all := make(map[string]string)
	for _, text := range given {
		name, value, ok := strings.Cut(text, "=")
		if !ok { // a value may be in it
			return nil, fmt.Errorf("--header %s: want NAME=VALUE", strings.Trim(component.Shown(text), `"`))
		}
		all[name] = value
	}
	for _, text := range fromEnv {
		name, variable, ok := strings.Cut(text, "=")
		value, set := os.LookupEnv(variable)
		switch {
		case !ok:
			return nil, fmt.Errorf("--header-env %s: want NAME=VARIABLE", text)
		case !set:
			return nil, fmt.Errorf("--header-env %s: the variable is not set", text)
		}
		all[name] = value
	}
	return all, nil
}
