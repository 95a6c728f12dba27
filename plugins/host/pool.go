package host

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/plugins/internal/wire"
	"github.com/riffletrace/riffle/plugins/pin"
)

// pool holds the plugins of this process: one per program and environment,
// for all instances of it.
type pool struct {
	mu      sync.Mutex
	plugins map[string]*pooled
}

// pooled is a plugin with the number of those who use it.
type pooled struct {
	key    string
	refs   int
	ready  chan struct{} // closed when it was started, or could not be
	plugin *Plugin       // this and err are read when ready is closed
	err    error
}

func (e *pooled) started() bool {
	select {
	case <-e.ready:
		return true
	default:
		return false
	}
}

var running pool

// acquire returns the plugin that serves the configuration.
func (o *pool) acquire(ctx context.Context, s component.Settings, c Config) (*Plugin, error) {
	dir, file, err := c.locate()
	if err != nil {
		return nil, err
	}
	at := "plugin"
	if c.Path != "" {
		at = "path"
	}
	program, err := pin.Copy(dir, file, c.RunDir, c.AllowUnpinned)
	if err != nil {
		return nil, &component.FieldError{Path: at, Err: adviseMissing(err, dir, file)}
	}
	env := c.environ()
	key := strings.Join(append([]string{program.SHA256, dir, file}, env...), "\x00")

	o.mu.Lock()
	e, ok := o.plugins[key]
	if !ok {
		if o.plugins == nil {
			o.plugins = map[string]*pooled{}
		}
		e = &pooled{key: key, ready: make(chan struct{})}
		o.plugins[key] = e
	}
	e.refs++
	o.mu.Unlock()
	if ok {
		if err := program.Remove(); err != nil {
			s.Logger.Debug("removing a copy of a plugin", "error", err)
		}
		<-e.ready
	} else {
		if !program.Pinned {
			s.Logger.Warn("plugin is not pinned and runs all the same: plugins.allow_unpinned is for development", "plugin", wire.ProgramName(file))
		}
		settings := OpenOptions{Logger: s.Logger, Env: env, StartTimeout: time.Duration(c.StartTimeout)}
		e.plugin, e.err = open(ctx, program, dir, settings, defaultTiming)
		close(e.ready)
	}
	if e.err != nil {
		o.unref(e)
		return nil, &component.FieldError{Path: at, Err: e.err}
	}
	return e.plugin, nil
}

// unref gives a use back, and tells whether it was the last.
func (o *pool) unref(e *pooled) (last bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if e.refs--; e.refs > 0 {
		return false
	}
	if o.plugins[e.key] == e {
		delete(o.plugins, e.key)
	}
	return true
}

// release gives a plugin back; the last one ends it.
func (o *pool) release(ctx context.Context, p *Plugin) error {
	o.mu.Lock()
	var found *pooled
	for _, e := range o.plugins {
		if e.started() && e.plugin == p {
			found = e
		}
	}
	o.mu.Unlock()
	if found == nil || !o.unref(found) {
		return nil
	}
	return p.Close(ctx)
}

// all are the plugins that run.
func (o *pool) all() []*Plugin {
	o.mu.Lock()
	defer o.mu.Unlock()
	var all []*Plugin
	for _, e := range o.plugins {
		if e.started() && e.plugin != nil {
			all = append(all, e.plugin)
		}
	}
	slices.SortFunc(all, func(a, b *Plugin) int { return strings.Compare(a.name, b.name) })
	return all
}
