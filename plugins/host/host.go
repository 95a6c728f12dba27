package host

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
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/sampling"
	"github.com/riffletrace/riffle/plugins/internal/wire"
)

const (
	defaultTimeout   = component.Duration(10 * time.Second)
	defaultMaxLeases = 10_000
)

// Config is what users set for an exporter or sampler that a plugin serves.
type Config struct {
	Plugin       string             `yaml:"plugin" doc:"name: the program is riffle-plugin-NAME in dir"`
	Path         string             `yaml:"path" doc:"path of the program, instead of plugin; riffle-plugins.lock beside it pins it"`
	Component    string             `yaml:"component" doc:"which of the plugin's components; needed if it has several of this kind"`
	Config       component.JSON     `yaml:"config" doc:"configuration of the component; riffle plugins list tells its keys"`
	Env          []string           `yaml:"env" doc:"names of the variables that the program sees; it sees no others"`
	StartTimeout component.Duration `yaml:"start_timeout" doc:"longest time that the program takes to start"`

	Dir           string `yaml:"dir" shared:"plugins" doc:"directory of the programs, called riffle-plugin-NAME, and of riffle-plugins.lock, which pins them"`
	AllowUnpinned bool   `yaml:"allow_unpinned" shared:"plugins" doc:"runs programs that riffle-plugins.lock does not pin; for development"`
	RunDir        string `yaml:"run_dir" shared:"plugins" doc:"where the private copies that run are made; by default the directory for temporary files, which may not allow programs"`
}

// ExporterConfig is [Config] with what exporters have besides.
type ExporterConfig struct {
	_       struct{} `doc:"an exporter that another program serves; the service imports _ github.com/riffletrace/riffle/plugins/host"`
	Config  `yaml:",inline"`
	Timeout component.Duration `yaml:"timeout" doc:"longest time for one attempt"`
}

// SamplerConfig is [Config] with what samplers have besides.
type SamplerConfig struct {
	_         struct{} `doc:"a sampler that another program serves; it abstains about what it was not asked about yet; the service imports _ github.com/riffletrace/riffle/plugins/host"`
	Config    `yaml:",inline"`
	MaxLeases int `yaml:"max_leases" doc:"on a start sampler: how many answers are remembered, one per distinct key"`
}

// ExporterFactory and SamplerFactory make components that a plugin serves; both are
// registered as "plugin".
var (
	ExporterFactory = component.NewFactory("plugin", ExporterConfig{Config: startDefaults, Timeout: defaultTimeout}, NewExporter)
	SamplerFactory  = component.NewFactory("plugin", SamplerConfig{Config: startDefaults, MaxLeases: defaultMaxLeases}, NewSampler)
)

var startDefaults = Config{StartTimeout: component.Duration(defaultTiming.start)}

func init() {
	component.Exporters.MustAdd(ExporterFactory)
	sampling.Samplers.MustAdd(SamplerFactory)
}

var pluginName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

// Validate checks what can be checked without the program.
func (c *Config) Validate() error {
	var errs []error
	mistake := func(path, format string, args ...any) {
		errs = append(errs, &component.FieldError{Path: path, Err: fmt.Errorf(format, args...)})
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
		err = errors.Join(err, &component.FieldError{Path: "timeout", Err: fmt.Errorf("%s is not above 0", c.Timeout)})
	}
	return err
}

// BuiltToCheck tells that only the plugin knows whether its configuration is right.
func (*ExporterConfig) BuiltToCheck() {}

// Validate checks the keys of samplers too.
func (c *SamplerConfig) Validate() error {
	err := c.Config.Validate()
	if const1M := 1_000_000; c.MaxLeases < 1 || c.MaxLeases > const1M {
		err = errors.Join(err, &component.FieldError{Path: "max_leases", Err: fmt.Errorf("%d is not between 1 and %d", c.MaxLeases, const1M)})
	}
	return err
}

// NewExporter starts the plugin, unless it runs already, and makes an instance
// of its exporter.
func NewExporter(ctx context.Context, s component.Settings, c ExporterConfig) (sdktrace.SpanExporter, error) {
	p, err := running.acquire(ctx, s, c.Config)
	if err != nil {
		return nil, err
	}
	e, err := newExporterClient(ctx, p, s, c)
	if err != nil {
		return nil, errors.Join(err, running.release(ctx, p))
	}
	e.release = func(ctx context.Context) error { return running.release(ctx, p) }
	return e, nil
}

// NewSampler starts the plugin, unless it runs already, and makes an instance
// of its sampler.
func NewSampler(ctx context.Context, s component.Settings, c SamplerConfig) (sampling.Sampler, error) {
	p, err := running.acquire(ctx, s, c.Config)
	if err != nil {
		return nil, err
	}
	sampler, err := newSamplerClient(ctx, p, s, c)
	if err != nil {
		return nil, errors.Join(err, running.release(ctx, p))
	}
	sampler.instance().release = func(ctx context.Context) error { return running.release(ctx, p) }
	return sampler, nil
}

// locate tells in which directory the program is, and its name there.
func (c *Config) locate() (dir, file string, err error) {
	file = wire.Prefix + c.Plugin
	if runtime.GOOS == "windows" {
		file += ".exe"
	}
	dir = c.Dir
	switch {
	case c.Path != "":
		dir, file = filepath.Split(c.Path)
		dir = cmp.Or(dir, ".")
	case dir == "":
		return "", "", &component.FieldError{Path: "plugin", Err: errors.New("plugins.dir is not set, which says where plugins are: set it, or give a path")}
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

// adviseMissing says what there is instead of a program that is not there.
func adviseMissing(err error, dir, file string) error {
	path := filepath.Join(dir, file)
	if _, missing := os.Lstat(path); !errors.Is(missing, os.ErrNotExist) {
		return err
	}
	entries, _ := os.ReadDir(dir)
	var names []string
	for _, e := range entries {
		if name, ok := strings.CutPrefix(e.Name(), wire.Prefix); ok {
			names = append(names, strings.TrimSuffix(name, ".exe"))
		}
	}
	name := wire.ProgramName(file)
	switch near := component.Nearest(name, names); {
	case near != "":
		return fmt.Errorf("there is no %s (did you mean %q?)", path, near)
	case len(names) > 0:
		return fmt.Errorf("there is no %s: the plugins in that directory are %s", path, strings.Join(names, ", "))
	default:
		return fmt.Errorf("there is no %s, nor any other plugin in that directory", path)
	}
}
