package host

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/internal/untrusted"
	"github.com/riffletrace/riffle/plugins/internal/wire"
	pluginpb "github.com/riffletrace/riffle/plugins/proto"
)

// instanceClient is the host's end of an instance. It is made anew in each
// process that the plugin has.
type instanceClient struct {
	plugin   *Plugin
	settings component.Settings
	request  *pluginpb.ConfigureRequest
	about    *pluginpb.ConfigureResponse // of the first time
	binding  atomic.Pointer[binding]     // nil while it is closed
	metrics  *metrics
	release  func(context.Context) error // of the plugin, when the instance is closed; may be nil
	closed   atomic.Bool
}

// binding is an instance in a process.
type binding struct {
	*connection
	id string
}

// newInstance makes an instance of a component.
func newInstance(ctx context.Context, p *Plugin, s component.Settings, kind pluginpb.Kind, c Config) (*instanceClient, error) {
	name, err := p.component(kind, c.Component)
	if err != nil {
		return nil, &component.FieldError{Path: "component", Err: err}
	}
	in := &instanceClient{
		plugin: p, settings: s,
		request: &pluginpb.ConfigureRequest{Kind: kind, Component: name, Config: string(c.Config), Id: wire.ValidText(s.ID)},
	}
	p.configuring.Lock() // so that no restart misses the instance
	defer p.configuring.Unlock()
	current := p.current.Load()
	if current == nil {
		return nil, p.down()
	}
	id, err := in.configure(ctx, current)
	if err != nil {
		return nil, err
	}
	in.bind(ctx, current, id)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.instances[in] = struct{}{}
	return in, nil
}

// component is the name of the one that is meant.
func (p *Plugin) component(kind pluginpb.Kind, name string) (string, error) {
	var names []string
	for _, c := range p.about.GetComponents() {
		if c.GetKind() == kind {
			names = append(names, c.GetName())
			if c.GetName() == name {
				return name, nil
			}
		}
	}
	what := wire.KindName(kind)
	switch {
	case len(names) == 0:
		return "", fmt.Errorf("plugin %q has no %s", p.name, what)
	case name != "":
		return "", fmt.Errorf("plugin %q has no %s %q: it has %s", p.name, what, name, strings.Join(names, ", "))
	case len(names) > 1:
		return "", fmt.Errorf("plugin %q has several %ss: want one of %s", p.name, what, strings.Join(names, ", "))
	}
	return names[0], nil
}

// configure makes the instance in a process. Mistakes in the configuration are
// [component.FieldError]s.
func (in *instanceClient) configure(ctx context.Context, c *connection) (id string, err error) {
	ctx, cancel := context.WithTimeout(ctx, in.plugin.timing.start)
	defer cancel()
	r, err := pluginpb.NewComponentsClient(c.conn).Configure(ctx, in.request)
	if err != nil {
		return "", fmt.Errorf("configuring plugin %q: %w", in.plugin.name, wire.Plain(err))
	}
	errs := mistakesOf(r.GetErrors())
	switch {
	case len(errs) > 0:
		return "", errors.Join(errs...)
	case r.GetInstance() == "":
		return "", fmt.Errorf("configuring plugin %q: it returned neither an instance nor a mistake", in.plugin.name)
	}
	if in.about == nil {
		in.about = r
	}
	return r.GetInstance(), nil
}

// mistakesOf are the mistakes that a plugin finds in a configuration, as many as
// somebody reads.
func mistakesOf(found []*pluginpb.FieldError) []error {
	const mistakes, text = 20, 300
	var errs []error
	for _, e := range found[:min(len(found), mistakes)] {
		path := component.JoinPath("config", untrusted.Text(e.GetPath(), text))
		message := untrusted.Text(cmpText(e.GetMessage(), "is wrong, the plugin does not say why"), text)
		errs = append(errs, &component.FieldError{Path: path, Err: errors.New(message)})
	}
	if more := len(found) - mistakes; more > 0 {
		errs = append(errs, &component.FieldError{Path: "config", Err: fmt.Errorf("the plugin finds %d more mistakes", more)})
	}
	return errs
}

func cmpText(s, otherwise string) string {
	if strings.TrimSpace(s) == "" {
		return otherwise
	}
	return s
}

// down says that there is no process.
func (p *Plugin) down() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return fmt.Errorf("plugin %q is %s", p.name, p.state)
}

// ready returns the instance in the process that runs; nil if there is none.
func (in *instanceClient) ready() *binding {
	b := in.binding.Load()
	if b == nil || b.connection != in.plugin.current.Load() {
		return nil
	}
	return b
}

// await waits for a process that is another than last, until ctx is done.
func (in *instanceClient) await(ctx context.Context, last *binding) *binding {
	for {
		changed := in.plugin.change()
		if b := in.ready(); b != nil && b != last {
			return b
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
}

// called counts a call to the plugin.
func (in *instanceClient) called(ctx context.Context, method string, began time.Time, err error) {
	took := time.Since(began)
	c := &in.plugin.counts
	c.calls.Add(1)
	c.nanos.Add(uint64(took))
	if err != nil {
		c.failures.Add(1)
	}
	in.metrics.called(ctx, method, took, err)
}

// bind makes it the instance of a process. If it was closed meanwhile, the process
// is told: who takes the binding out does so, that is bind or close.
func (in *instanceClient) bind(ctx context.Context, c *connection, id string) {
	b := &binding{connection: c, id: id}
	in.binding.Store(b)
	if in.closed.Load() && in.binding.CompareAndSwap(b, nil) {
		if err := in.tellClosed(ctx, b); err != nil {
			in.plugin.logger.Warn("an instance that is not used any more stays in the plugin", "error", err)
		}
	}
}

// tellClosed releases the instance in its process, if that lives.
func (in *instanceClient) tellClosed(ctx context.Context, b *binding) error {
	select {
	case <-b.gone:
		return nil
	default:
	}
	ctx, cancel := context.WithTimeout(ctx, in.plugin.timing.stop)
	defer cancel()
	_, err := pluginpb.NewComponentsClient(b.conn).Close(ctx, &pluginpb.CloseRequest{Instance: b.id})
	if err != nil {
		return fmt.Errorf("closing an instance of plugin %q: %w", in.plugin.name, wire.Plain(err))
	}
	return nil
}

// close releases the instance, bounded by ctx, and the plugin with it if it is
// the last.
func (in *instanceClient) close(ctx context.Context) error {
	if !in.closed.CompareAndSwap(false, true) {
		return nil
	}
	p := in.plugin
	p.mu.Lock()
	delete(p.instances, in)
	p.mu.Unlock()
	var err error
	if b := in.binding.Swap(nil); b != nil {
		// A process that is being ended takes the instance with it.
		if failed := in.tellClosed(ctx, b); p.current.Load() == b.connection {
			err = failed
		}
	}
	in.metrics.close()
	if in.release != nil {
		err = errors.Join(err, in.release(ctx))
	}
	return err
}
