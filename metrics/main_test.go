package metrics_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/riffletrace/riffle/config"
	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/exporters/stdout"
	_ "github.com/riffletrace/riffle/metrics"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// parsed reads the keys of a metrics section, and of span_metrics.
func parsed(keys string) (core.Spec, error) {
	exporters := component.NewExporters()
	exporters.MustAdd(stdout.Factory)
	text := "enabled: true\nservice_name: shop\nexporters: [{type: stdout}]\n" + keys + "\n"
	return config.Parse([]byte(text), config.Section(""), config.File("shop.yaml"), config.Exporters(exporters))
}

// started starts what it says, with spans that go nowhere.
func started(t *testing.T, keys string, opts ...core.Option) *core.Provider {
	t.Helper()
	p, err := start(t, keys, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = p.Shutdown(ctx) // a test whose backend is to answer says so itself
	})
	return p
}

func start(t *testing.T, keys string, opts ...core.Option) (*core.Provider, error) {
	t.Helper()
	spec, err := parsed(keys)
	if err != nil {
		t.Fatal(err)
	}
	spec.Exporters = nil
	return core.New(t.Context(), spec, opts...)
}

// span makes one.
func span(t *testing.T, p *core.Provider, name string) {
	t.Helper()
	_, s := p.TracerProvider().Tracer("test").Start(t.Context(), name)
	s.End()
}

func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it does not come to it: " + what)
		}
	}
}

// log is what was logged.
type log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *log) option() core.Option { return core.Logger(slog.New(slog.NewTextHandler(l, nil))) }

func (l *log) count(text string) int { return strings.Count(l.String(), text) }
