package metrics

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	client "github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/otlptranslator"
	"go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/metric"
	"golang.org/x/net/netutil"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/internal/untrusted"
	"github.com/riffletrace/riffle/metrics/bound"
)

// Anybody who reaches the port may ask, so that what one client costs, and how many there
// are, is bounded.
const (
	headerTimeout  = 5 * time.Second
	readTimeout    = 10 * time.Second
	writeTimeout   = 30 * time.Second
	idleTimeout    = 2 * time.Minute // above the usual intervals of scrapes
	scrapeTimeout  = 10 * time.Second
	maxHeaderBytes = 16 << 10
	maxConnections = 64
	maxScrapes     = 4 // at a time
)

// PrometheusConfig is what users set of the exporter prometheus.
type PrometheusConfig struct {
	_      struct{} `doc:"for Prometheus to scrape, with exemplars where it asks for OpenMetrics"`
	Listen string   `yaml:"listen" doc:"host:port to serve at; a host that is not of this machine's loopback lets others read; empty: no port is opened, and the service mounts metrics.Handler itself"`
	Path   string   `yaml:"path" doc:"of the URL that is scraped"`
}

// Validate checks everything short of opening the port.
func (c *PrometheusConfig) Validate() error {
	var errs []error
	if c.Listen != "" {
		if err := checkListen(c.Listen); err != nil {
			errs = append(errs, &component.FieldError{Path: "listen", Err: err})
		}
	}
	if !strings.HasPrefix(c.Path, "/") || strings.ContainsAny(c.Path, " ?#%") {
		errs = append(errs, &component.FieldError{Path: "path", Err: fmt.Errorf("%s is not a path: want one such as /metrics", component.Shown(c.Path))})
	}
	return errors.Join(errs...)
}

// Connection says where it is scraped.
func (c *PrometheusConfig) Connection() component.Connection {
	if c.Listen == "" {
		return component.Connection{}
	}
	return component.Connection{Endpoint: "http://" + c.Listen + c.Path}
}

func checkListen(address string) error {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("%s is not host:port, such as localhost:9464", component.Shown(address))
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("port %s is not a number from 0 to 65535", component.Shown(port))
	}
	return nil
}

// Prometheus starts a MeterProvider that is scraped; it is registered as "prometheus".
var Prometheus = component.NewFactory("prometheus", PrometheusConfig{Listen: "localhost:9464", Path: "/metrics"}, NewPrometheus)

// NewPrometheus starts it. When it returns, its port takes scrapes.
func NewPrometheus(ctx context.Context, s component.Settings, c PrometheusConfig) (component.MeterProvider, error) {
	registry, producer := client.NewRegistry(), &bound.Producer{}
	exporter, err := prometheus.New(
		prometheus.WithRegisterer(registry),
		prometheus.WithProducer(producer),
		prometheus.WithTranslationStrategy(otlptranslator.UnderscoreEscapingWithSuffixes),
	)
	if err != nil {
		return nil, err
	}
	p := &scraped{provider: newProvider(s.Metrics, exporter, producer), handler: handlerFor(registry, s.Logger)}
	if c.Listen == "" {
		return p, nil
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", c.Listen)
	if err != nil {
		return nil, errors.Join(&component.FieldError{Path: "listen", Err: err}, p.Shutdown(ctx))
	}
	p.release = serve(listener, at(c.Path, p.handler), s.Logger)
	return p, nil
}

// scraped is a provider with what answers scrapes.
type scraped struct {
	*provider
	handler http.Handler
	ended   atomic.Bool
}

// Shutdown ends everything. A page after that would have no metric on it, which to
// Prometheus is a service that answers.
func (s *scraped) Shutdown(ctx context.Context) error {
	err := s.provider.Shutdown(ctx)
	s.ended.Store(true)
	return err
}

// scrape answers one.
func (s *scraped) scrape(w http.ResponseWriter, r *http.Request) {
	if s.ended.Load() {
		http.Error(w, "tracing has shut down, and its metrics with it", http.StatusServiceUnavailable)
		return
	}
	s.handler.ServeHTTP(w, r)
}

// handlerFor answers scrapes. An instrument that Prometheus cannot have is left out, and
// told: the others are not lost for it. A page is held until it is read, which takes as
// long as its reader likes, so that pages are as few as scrapes; what a scrape that timed
// out goes on with is counted too.
func handlerFor(registry *client.Registry, logger *slog.Logger) http.Handler {
	pages := make(chan struct{}, maxScrapes)
	log := &limited{logger: logger}
	h := promhttp.HandlerFor(told{registry, log}, promhttp.HandlerOpts{
		ErrorLog:            log,
		ErrorHandling:       promhttp.ContinueOnError,
		EnableOpenMetrics:   true,
		MaxRequestsInFlight: maxScrapes,
		Timeout:             scrapeTimeout,
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case pages <- struct{}{}:
			defer func() { <-pages }()
			h.ServeHTTP(w, r)
		default:
			http.Error(w, fmt.Sprintf("%d scrapes are answered already", maxScrapes), http.StatusServiceUnavailable)
		}
	})
}

// told is a registry whose mistakes are for the log alone: they have values of labels, and
// the stack of a callback that panicked, which are not for who scrapes.
type told struct {
	*client.Registry
	log *limited
}

// Gather returns what there is, and an error only if that is nothing.
func (t told) Gather() ([]*dto.MetricFamily, error) {
	all, err := t.Registry.Gather()
	if err == nil {
		return all, nil
	}
	t.log.Println(err)
	if len(all) > 0 {
		return all, nil
	}
	return nil, errors.New("nothing can be collected: the log of the service says why")
}

// limited logs at most once a minute: a mistake that a scrape meets, the next one meets too.
type limited struct {
	logger *slog.Logger

	mu   sync.Mutex
	last time.Time
}

// Println is for promhttp.
func (l *limited) Println(v ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := time.Now(); l.last.IsZero() || now.Sub(l.last) >= reminder {
		l.last = now
		l.logger.Warn("metrics are left out of what Prometheus scrapes", "error", untrusted.Text(strings.TrimSpace(fmt.Sprintln(v...)), untrusted.Line))
	}
}

// at has the handler at one path, to be read.
func at(path string, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path != path:
			http.NotFound(w, r)
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		default:
			h.ServeHTTP(w, r)
		}
	})
}

// serve answers until the function that it returns is called.
func serve(listener net.Listener, h http.Handler, logger *slog.Logger) (release func(context.Context) error) {
	server := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelDebug), // what clients do wrong
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := server.Serve(netutil.LimitListener(listener, maxConnections)); !errors.Is(err, http.ErrServerClosed) {
			logger.Error("metrics are not served to Prometheus any more", "error", err)
		}
	})
	return func(ctx context.Context) error {
		err := server.Shutdown(ctx)
		if err != nil {
			_ = server.Close() // who scrapes for longer than that waits in vain
		}
		serving.Wait()
		return err
	}
}

// Handler answers scrapes of what the metrics section of a configuration has started, for
// a service that serves it itself, beside what else it has at that port:
//
//	mux.Handle("GET /metrics", metrics.Handler(tracing.Provider().MeterProvider()))
//
// Where that section does not say exporter: prometheus, or tracing is off, it answers 404;
// after Shutdown 503.
func Handler(m metric.MeterProvider) http.Handler {
	if s, ok := m.(*scraped); ok {
		return http.HandlerFunc(s.scrape)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "there is nothing to scrape: the configuration has no metrics: {exporter: prometheus}, or tracing is off", http.StatusNotFound)
	})
}

func init() { component.MeterProviders.MustAdd(Prometheus) }
