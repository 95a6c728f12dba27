package plugins

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/plugins/pin"
)

const (
	defaultTimeout   = core.Duration(10 * time.Second)
	defaultMaxLeases = 10_000
)

// Config is what users set for an exporter or sampler that a plugin serves.
type Config struct {
	Plugin       string        `yaml:"plugin" doc:"name: the program is riffle-plugin-NAME in plugins.dir"`
	Path         string        `yaml:"path" doc:"path of the program, instead of plugin; riffle-plugins.lock beside it pins it"`
	Component    string        `yaml:"component" doc:"which of the plugin's components; needed if it has several of this kind"`
	Config       core.JSON     `yaml:"config" doc:"configuration of the component; riffle plugins list tells its keys"`
	Env          []string      `yaml:"env" doc:"names of the variables that the program sees; it sees no others"`
	StartTimeout core.Duration `yaml:"start_timeout" doc:"longest time that the program takes to start"`

	Timeout   core.Duration `yaml:"-"`
	MaxLeases int           `yaml:"-"`
}

// ExporterConfig is [Config] with what exporters have besides.
type ExporterConfig struct {
	_       struct{} `doc:"an exporter that another program serves"`
	Config  `yaml:",inline"`
	Timeout core.Duration `yaml:"timeout" doc:"longest time for one attempt"`
}

// SamplerConfig is [Config] with what samplers have besides.
type SamplerConfig struct {
	_         struct{} `doc:"a sampler that another program serves; it abstains about what it was not asked about yet"`
	Config    `yaml:",inline"`
	MaxLeases int `yaml:"max_leases" doc:"on a start sampler: how many answers are remembered, one per distinct key"`
}

// ExporterFactory and SamplerFactory make components that a plugin serves; both are registered as
// "plugin".
var (
	ExporterFactory = core.NewFactory("plugin", ExporterConfig{Config: startDefaults, Timeout: defaultTimeout}, NewExporter)
	SamplerFactory  = core.NewFactory("plugin", SamplerConfig{Config: startDefaults, MaxLeases: defaultMaxLeases}, NewSampler)
)

var startDefaults = Config{StartTimeout: core.Duration(defaultLimits.start)}

func init() {
	core.Exporters.MustAdd(ExporterFactory)
	core.Samplers.MustAdd(SamplerFactory)
}

var pluginName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

// Validate checks what can be checked without the program.
func (c *Config) Validate() error {
	var errs []error
	mistake := func(path, format string, args ...any) {
		errs = append(errs, &core.FieldError{Path: path, Err: fmt.Errorf(format, args...)})
	}
	switch {
	case c.Plugin == "" && c.Path == "":
		mistake("plugin", "missing: want the name of a plugin, or path")
	case c.Plugin != "" && c.Path != "":
		mistake("path", "plugin names the program already: keep one of them")
	case c.Plugin != "" && !pluginName.MatchString(c.Plugin):
		mistake("plugin", "%q is not the name of a plugin: want letters, digits, dot, dash and underscore; for a file elsewhere there is path", c.Plugin)
	}
	if c.StartTimeout <= 0 {
		mistake("start_timeout", "%s is not above 0", c.StartTimeout)
	}
	for i, name := range c.Env {
		if name == "" || strings.ContainsAny(name, "=\x00") {
			mistake(fmt.Sprintf("env[%d]", i), "%q is not the name of a variable", name)
		}
	}
	return errors.Join(errs...)
}

// Validate checks the keys of exporters too.
func (c *ExporterConfig) Validate() error {
	err := c.Config.Validate()
	if c.Timeout <= 0 {
		err = errors.Join(err, &core.FieldError{Path: "timeout", Err: fmt.Errorf("%s is not above 0", c.Timeout)})
	}
	return err
}

// Validate checks the keys of samplers too.
func (c *SamplerConfig) Validate() error {
	err := c.Config.Validate()
	if const1M := 1_000_000; c.MaxLeases < 1 || c.MaxLeases > const1M {
		err = errors.Join(err, &core.FieldError{Path: "max_leases", Err: fmt.Errorf("%d is not between 1 and %d", c.MaxLeases, const1M)})
	}
	return err
}

// NewExporter starts the plugin, unless it runs already, and makes an instance
// of its exporter.
func NewExporter(ctx context.Context, s core.Settings, c ExporterConfig) (core.Exporter, error) {
	c.Config.Timeout = c.Timeout
	p, err := running.acquire(ctx, s, c.Config)
	if err != nil {
		return nil, err
	}
	e, err := newExporterClient(ctx, p, s, c.Config)
	if err != nil {
		return nil, errors.Join(err, running.release(ctx, p))
	}
	e.release = func(ctx context.Context) error { return running.release(ctx, p) }
	return e, nil
}

// NewSampler starts the plugin, unless it runs already, and makes an instance
// of its sampler.
func NewSampler(ctx context.Context, s core.Settings, c SamplerConfig) (core.Sampler, error) {
	c.Config.MaxLeases = c.MaxLeases
	p, err := running.acquire(ctx, s, c.Config)
	if err != nil {
		return nil, err
	}
	sampler, err := newSamplerClient(ctx, p, s, c.Config)
	if err != nil {
		return nil, errors.Join(err, running.release(ctx, p))
	}
	sampler.instance().release = func(ctx context.Context) error { return running.release(ctx, p) }
	return sampler, nil
}

// locate tells in which directory the program is, and its name there.
func (c *Config) locate(s core.Settings) (dir, file string, err error) {
	file = Prefix + c.Plugin
	if runtime.GOOS == "windows" {
		file += ".exe"
	}
	dir = s.Plugins.Dir
	switch {
	case c.Path != "":
		dir, file = filepath.Split(c.Path)
		dir = cmp.Or(dir, ".")
	case dir == "":
		return "", "", &core.FieldError{Path: "plugin", Err: errors.New("plugins.dir is not set, which says where plugins are: set it, or give a path")}
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return "", "", err
	}
	return dir, file, nil
}

// environ are the variables that the program sees.
func (c *Config) environ() []string {
	var env []string
	for _, name := range c.Env {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	slices.Sort(env)
	return slices.Compact(env)
}

// pool holds the plugins of this process: one per program and environment,
// for all instances of it.
type pool struct {
	mu      sync.Mutex
	plugins map[string]*pooled
}

// pooled is a plugin with the number of those who use it.
type pooled struct {
	key    string
	users  int
	ready  chan struct{} // closed when it was started
	plugin *Plugin
	err    error
}

var running pool

// acquire returns the plugin that serves the configuration.
func (o *pool) acquire(ctx context.Context, s core.Settings, c Config) (*Plugin, error) {
	dir, file, err := c.locate(s)
	if err != nil {
		return nil, err
	}
	at := "plugin"
	if c.Path != "" {
		at = "path"
	}
	program, err := pin.Copy(dir, file, s.Plugins.RunDir, s.Plugins.AllowUnpinned)
	if err != nil {
		return nil, &core.FieldError{Path: at, Err: explainMissing(err, dir, file)}
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
	e.users++
	o.mu.Unlock()
	if ok {
		if err := program.Remove(); err != nil {
			s.Logger.Debug("removing a copy of a plugin", "error", err)
		}
		<-e.ready
	} else {
		if !program.Pinned {
			s.Logger.Warn("plugin is not pinned and runs all the same: plugins.allow_unpinned is for development", "plugin", programName(file))
		}
		settings := OpenSettings{Logger: s.Logger, Env: env, StartTimeout: time.Duration(c.StartTimeout)}
		e.plugin, e.err = open(ctx, program, dir, settings, defaultLimits)
		close(e.ready)
	}
	if e.err != nil {
		o.drop(e)
		return nil, &core.FieldError{Path: at, Err: e.err}
	}
	return e.plugin, nil
}

// drop gives a use back, and tells whether it was the last.
func (o *pool) drop(e *pooled) (last bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if e.users--; e.users > 0 {
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
		if e.plugin == p {
			found = e
		}
	}
	o.mu.Unlock()
	if found == nil || !o.drop(found) {
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
		select {
		case <-e.ready:
			if e.plugin != nil {
				all = append(all, e.plugin)
			}
		default:
		}
	}
	slices.SortFunc(all, func(a, b *Plugin) int { return strings.Compare(a.name, b.name) })
	return all
}

// explainMissing says what there is instead of a program that is not there.
func explainMissing(err error, dir, file string) error {
	if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	entries, _ := os.ReadDir(dir)
	var names []string
	for _, e := range entries {
		if name, ok := strings.CutPrefix(e.Name(), Prefix); ok {
			names = append(names, strings.TrimSuffix(name, ".exe"))
		}
	}
	path := filepath.Join(dir, file)
	name := programName(file)
	switch near := core.Nearest(name, names); {
	case near != "":
		return fmt.Errorf("there is no %s (did you mean %q?)", path, near)
	case len(names) > 0:
		return fmt.Errorf("there is no %s: the plugins in that directory are %s", path, strings.Join(names, ", "))
	default:
		return fmt.Errorf("there is no %s, nor any other plugin in that directory", path)
	}
}
