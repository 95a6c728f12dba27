package plugins

import (
	"context"
	"errors"
	"log/slog"

	"github.com/riffletrace/riffle/core"
	pluginpb "github.com/riffletrace/riffle/plugins/proto"
)

// Plugin is a plugin that runs, for tools and tests. A service names it in its
// configuration instead.
type Plugin struct{}

// OpenSettings say how a plugin is started.
type OpenSettings struct {
	// Logger is where the plugin and its supervision speak; nil: nowhere.
	Logger *slog.Logger
	// Env are names of variables that the plugin may see.
	Env []string
}

// Open starts the program at path, whatever the lock file says, and supervises
// it until Close.
func Open(ctx context.Context, path string, s OpenSettings) (*Plugin, error) {
	return nil, errors.New("not yet")
}

// Join serves the offers in this process, over a connection in memory.
func Join(ctx context.Context, s OpenSettings, offers ...Offer) (*Plugin, error) {
	return nil, errors.New("not yet")
}

// Describe tells what the plugin has.
func (p *Plugin) Describe() *pluginpb.DescribeResponse { return nil }

// PID is that of the process at the moment; 0 if there is none.
func (p *Plugin) PID() int { return 0 }

// Exporter makes an instance of an exporter, as the type "plugin" does. config
// is JSON. Mistakes in it are [core.FieldError]s below "config".
func (p *Plugin) Exporter(ctx context.Context, s core.Settings, component string, config core.JSON) (core.Exporter, error) {
	return nil, errors.New("not yet")
}

// Sampler makes an instance of a sampler likewise.
func (p *Plugin) Sampler(ctx context.Context, s core.Settings, component string, config core.JSON) (core.Sampler, error) {
	return nil, errors.New("not yet")
}

// Close ends the plugin, bounded by ctx: it is asked first, then killed.
func (p *Plugin) Close(ctx context.Context) error { return nil }
