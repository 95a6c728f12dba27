// Command commandline is the command line of a service that has a sampler of its own:
// riffle's commands, which know that sampler, and read the service's configuration as
// the service does.
//
//	GOWORK=off go run ./commandline validate commandline/fluxbase.yaml
//	GOWORK=off go run ./commandline explain --config commandline/fluxbase.yaml --span 'GET /x' --attr tenant=gold
package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/riffletrace/riffle/cmd/riffle/cli"
	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/sampling"
	_ "github.com/riffletrace/riffle/exporters/standard"
	_ "github.com/riffletrace/riffle/samplers/standard"
)

// tenantConfig is what users set of the sampler.
type tenantConfig struct {
	_    struct{} `doc:"keeps every trace of a tenant"`
	Name string   `yaml:"tenant" doc:"the tenant's name; required"`
}

// Validate finds mistakes before anything starts.
func (c *tenantConfig) Validate() error {
	if c.Name == "" {
		return &component.FieldError{Path: "tenant", Err: errors.New("missing: want the name of a tenant")}
	}
	return nil
}

type tenant string

func (t tenant) SampleStart(p sampling.StartParameters) sampling.Answer {
	for _, kv := range p.Attributes {
		if kv.Key == "tenant" && kv.Value.AsString() == string(t) {
			return sampling.At(sampling.Always).Because("tenant " + string(t))
		}
	}
	return sampling.Abstain()
}

func (t tenant) Traits() sampling.Traits {
	return sampling.Traits{Description: fmt.Sprintf("all of tenant %s", string(t))}
}

// In a service, this stands in a package that the service and its command line import.
func init() {
	sampling.Samplers.MustAdd(component.NewFactory("tenant", tenantConfig{}, func(_ context.Context, _ component.Settings, c tenantConfig) (sampling.Sampler, error) {
		return tenant(c.Name), nil
	}))
}

func main() {
	os.Exit(cli.Main(cli.Name("fluxbase-tracing"), cli.App("fluxbase"), cli.Section("tracing")))
}
