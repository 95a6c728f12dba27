package plugins

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/riffletrace/riffle/plugins/internal/descendants"
	"github.com/riffletrace/riffle/plugins/internal/wire"
	pluginpb "github.com/riffletrace/riffle/plugins/proto"
)

// DirVariable names the directory that the program was found in, to itself: what
// runs is a copy somewhere else.
const DirVariable = wire.DirVariable

// Prefix leads the file names of plugins.
const Prefix = wire.Prefix

// Started reports whether a host started this program, so that it must be a plugin.
func Started() bool { return os.Getenv(wire.MagicCookieKey) == wire.MagicCookieValue }

// The exit codes of [Main].
const (
	exitFine   = 0
	exitFailed = 1 // it cannot serve what it offers
	exitUsage  = 2 // it was run by hand
)

// lastWork is what instances have to finish in when the host has gone.
const lastWork = time.Second

// Main serves the components to the host that started the program, until the host
// closes standard input, and returns the exit code. It finds what cannot be
// served before anything else and says so by name. Run by hand, the program says
// what it is; with --describe it lists its components as JSON.
//
// The default loggers of slog and of log go to the host from then on;
// what is written to standard output is logged too.
func Main(components ...Component) int {
	name, version := wire.ProgramName(os.Args[0]), programVersion()
	if err := checkComponents(context.Background(), components); err != nil {
		fmt.Fprintf(os.Stderr, "%s cannot be served:\n%v\n", name, err)
		return exitFailed
	}
	logger := newLogger(os.Stderr) // go-plugin will replace the variable
	s := newServer(name, version, logger, components)
	switch {
	case len(os.Args) == 2 && os.Args[1] == "--describe":
		return printDescription(os.Stdout, s.describe())
	case !Started():
		printUsage(os.Stderr, s.describe())
		return exitUsage
	}
	slog.SetDefault(logger)
	stderr := os.Stderr
	s.first = func() { takeOutput(logger, stderr) }
	serve(s)
	return exitFine
}

// headroom is memory that is never touched and so takes none. With it, the garbage
// collector runs when there is as much garbage, instead of each time a few batches
// have passed a heap that is as small as a plugin's.
const headroom = 16 << 20

// serve serves until the host is gone.
func serve(s *server) {
	defer runtime.KeepAlive(make([]byte, headroom))
	// The host ends a plugin by closing its standard input. Signals that a
	// terminal sends to everybody are not the end.
	signal.Ignore(os.Interrupt, syscall.SIGHUP)
	var stop sync.Once
	served := make(chan struct{})
	goplugin.Serve(&goplugin.ServeConfig{
		HandshakeConfig:  wire.Handshake,
		VersionedPlugins: map[int]goplugin.PluginSet{wire.ProtocolVersion: {"riffle": &grpcPlugin{register: s.register}}},
		Logger:           hclog.New(&hclog.LoggerOptions{Level: hclog.Error, Output: os.Stderr, JSONFormat: true}),
		GRPCServer: func(opts []grpc.ServerOption) *grpc.Server {
			g := grpc.NewServer(append(opts, wire.ServerOptions()...)...)
			go func() {
				_, _ = io.Copy(io.Discard, os.Stdin) // nothing is sent; it ends
				stop.Do(g.Stop)
				select {
				case <-served:
				case <-time.After(2 * lastWork):
					os.Exit(exitFailed) //nolint:forbidigo // a component that hangs must not outlive the host
				}
			}()
			return g
		},
	})
	defer close(served)
	ctx, cancel := context.WithTimeout(context.Background(), lastWork)
	defer cancel()
	if err := s.shutdown(ctx); err != nil {
		s.logger.Warn("shutting down", "error", err)
	}
	descendants.EndMine()
}

// takeOutput logs what the program writes to standard output from now on, and
// gives it its standard error back. go-plugin has replaced both with pipes that
// nobody reads before a host asks for them, and a full pipe blocks the writer.
func takeOutput(logger *slog.Logger, stderr *os.File) {
	r, w, err := os.Pipe()
	if err != nil {
		logger.Warn("standard output is not logged", "error", err)
		return
	}
	os.Stdout, os.Stderr = w, stderr
	go func() { // until the process ends
		for lines := bufio.NewReader(r); ; {
			line, _, err := lines.ReadLine()
			if err != nil {
				return
			}
			logger.Info(string(line), "stream", "stdout")
		}
	}()
}

// grpcPlugin is what go-plugin knows of a plugin: nothing but how to add the
// services.
type grpcPlugin struct {
	goplugin.NetRPCUnsupportedPlugin
	register func(grpc.ServiceRegistrar)
}

func (p *grpcPlugin) GRPCServer(_ *goplugin.GRPCBroker, s *grpc.Server) error {
	p.register(s)
	return nil
}

// GRPCClient returns the connection.
func (*grpcPlugin) GRPCClient(_ context.Context, _ *goplugin.GRPCBroker, c *grpc.ClientConn) (any, error) {
	return c, nil
}

// programVersion is that of the main module.
func programVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		return info.Main.Version
	}
	return ""
}

// description is what --describe prints.
type description struct {
	Name       string                 `json:"name"`
	Version    string                 `json:"version,omitempty"`
	Protocol   int                    `json:"protocol"`
	Components []componentDescription `json:"components"`
}

type componentDescription struct {
	Kind   string          `json:"kind"`
	Name   string          `json:"name"`
	Doc    string          `json:"doc"`
	Config json.RawMessage `json:"config_schema"`
}

func printDescription(w io.Writer, d *pluginpb.DescribeResponse) int {
	out := description{Name: d.GetName(), Version: d.GetVersion(), Protocol: wire.ProtocolVersion}
	for _, c := range d.GetComponents() {
		out.Components = append(out.Components, componentDescription{
			Kind: wire.KindName(c.GetKind()), Name: c.GetName(), Doc: c.GetDoc(), Config: json.RawMessage(c.GetConfigSchema()),
		})
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(out); err != nil {
		return exitFailed
	}
	return exitFine
}

// printUsage says what the program is.
func printUsage(w io.Writer, d *pluginpb.DescribeResponse) {
	fmt.Fprintf(w, "%s%s is a plugin of riffle, started by a service that riffle traces. It serves:\n\n", wire.Prefix, d.GetName())
	list := "samplers"
	for _, c := range d.GetComponents() {
		fmt.Fprintf(w, "  %s %s: %s\n", wire.KindName(c.GetKind()), c.GetName(), c.GetDoc())
		if c.GetKind() == pluginpb.Kind_KIND_EXPORTER {
			list = "exporters"
		}
	}
	fmt.Fprintf(w, `
To use it, put it into a directory and pin it there:

  riffle plugins pin --dir DIR %[1]s

and name it in the configuration of the service:

  plugins: {dir: DIR}
  %[2]s:
    - type: plugin
      plugin: %[1]s

--describe lists the components and their configuration as JSON.
`, d.GetName(), list)
}

// Interface guards.
var _ goplugin.GRPCPlugin = (*grpcPlugin)(nil)
