//go:build unix

package host

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/sampling"
	"github.com/riffletrace/riffle/plugins"
	"github.com/riffletrace/riffle/plugins/internal/wire"
)

// killed kills the process of a plugin.
func killed(t *testing.T, p *Plugin) (pid int) {
	t.Helper()
	eventually(t, "there is a process", func() bool { pid = p.PID(); return pid != 0 })
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatalf("killing process %d: %v", pid, err)
	}
	return pid
}

// A copy that somebody deleted is made again from the original; from another file
// it is not, which is said once, however often it is tried.
func TestCopyDeleted(t *testing.T) {
	dir, tmp := program(t, "test", "good"), shortDir(t)
	t.Setenv("TMPDIR", tmp)
	p, logs, err := tryProgram(t, dir, "test", fast)
	if err != nil {
		t.Fatal(err)
	}
	closeAfter(t, p)
	remove := func() {
		t.Helper()
		for _, d := range privateDirs(t, tmp) {
			if err := os.RemoveAll(d); err != nil {
				t.Fatal(err)
			}
		}
	}
	remove()
	pid := killed(t, p)
	eventually(t, "another process", func() bool { return p.PID() != 0 && p.PID() != pid })
	if dirs := privateDirs(t, tmp); len(dirs) != 1 {
		t.Errorf("there are the copies %v, want one", dirs)
	}

	original := filepath.Join(dir, wire.Prefix+"test")
	content, err := os.ReadFile(original)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(original, append(content, "# another\n"...), 0o700); err != nil {
		t.Fatal(err)
	}
	remove()
	pid = killed(t, p)
	// Each attempt makes a copy, and removes it.
	const said = "test is another file than the one that was started: restart the service to run it"
	eventually(t, "the reason is in the log", func() bool { return strings.Contains(logs.String(), said) })
	if err := os.WriteFile(original, content, 0o700); err != nil {
		t.Fatal(err)
	}
	eventually(t, "another process", func() bool { return p.PID() != 0 && p.PID() != pid })
	if n := strings.Count(logs.String(), said); n != 1 {
		t.Errorf("the reason is logged %d times:\n%s", n, logs)
	}
}

// failing is a plugin that exits at its start as long as a file is there, and counts
// its starts in another.
func failing(t *testing.T, change func(*timing)) (p *Plugin, l *logs, fail string, starts func() int) {
	t.Helper()
	dir := program(t, "test", "file")
	path := filepath.Join(dir, wire.Prefix+"test")
	script, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	fail, counted := filepath.Join(dir, "fail"), filepath.Join(dir, "starts")
	text := fmt.Sprintf("#!/bin/sh\necho >> %s\n[ -e %s ] && exit 3\n%s", counted, fail, strings.TrimPrefix(string(script), "#!/bin/sh\n"))
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	limits := fast
	change(&limits)
	if p, l, err = tryProgram(t, dir, "test", limits); err != nil {
		t.Fatal(err)
	}
	closeAfter(t, p)
	return p, l, fail, func() int { b, _ := os.ReadFile(counted); return len(b) }
}

// A plugin that is suspended is tried again soon while spans wait for its exporter,
// and what happens to it is logged once.
func TestSuspendedWhileSpansWait(t *testing.T) {
	p, logs, fail, starts := failing(t, func(l *timing) {
		l.maxExits, l.suspension, l.exporterSuspension = 3, time.Hour, 10*time.Millisecond
	})
	out := filepath.Join(t.TempDir(), "spans")
	e, err := p.Exporter(t.Context(), settings(logs), "", component.JSON(fmt.Sprintf(`{"path": %q}`, out)))
	if err != nil {
		t.Fatal(err)
	}
	defer e.Shutdown(context.Background())
	if err := os.WriteFile(fail, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	killed(t, p)
	eventually(t, "it is suspended", func() bool { return p.Stats().State == Suspended })
	before := starts()
	eventually(t, "it is tried again, three times", func() bool {
		if err := e.ExportSpans(t.Context(), spans(0, 1)); err == nil {
			t.Error("it takes spans")
		}
		return starts() >= before+3
	})
	if n := strings.Count(logs.String(), "plugin exits again and again: it is suspended"); n != 1 {
		t.Errorf("the suspension is logged %d times:\n%s", n, logs)
	}
	if n := strings.Count(logs.String(), "plugin is down and will be restarted"); n != 2 { // killed, exit status 3
		t.Errorf("it is logged %d times that it is down:\n%s", n, logs)
	}
	if !strings.Contains(logs.String(), "for=1h0m0s") || !strings.Contains(logs.String(), "while_spans_wait=10ms") {
		t.Errorf("the log does not say for how long:\n%s", logs)
	}
	if err := os.Remove(fail); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it takes spans", func() bool { return e.ExportSpans(t.Context(), spans(0, 1)) == nil })
}

// Without spans that wait, it is suspended for the whole time.
func TestSuspendedWithoutSpans(t *testing.T) {
	p := newPlugin("here", slog.New(slog.DiscardHandler), timing{suspension: 50 * time.Millisecond, exporterSuspension: time.Millisecond})
	p.want() // before it was suspended
	began := time.Now()
	if !p.sleepSuspended() {
		t.Error("it was closed")
	}
	if took := time.Since(began); took < 50*time.Millisecond {
		t.Errorf("the suspension took %s", took)
	}
	p.cancel()
	if p.sleepSuspended() {
		t.Error("it was not closed")
	}
}

// exiting is how a plugin in this process exits.
type exiting struct {
	gone chan struct{}
	once sync.Once
}

func (e *exiting) exit() { e.once.Do(func() { close(e.gone) }) }

// An instance that is closed while its plugin starts again is closed there too.
func TestClosedWhileRestarting(t *testing.T) {
	for _, when := range []string{"meanwhile", "before or after"} {
		t.Run(when, func(t *testing.T) {
			var made []*countExporter
			making, makeIt := make(chan struct{}), make(chan struct{})
			factory := component.NewFactory("count", struct{}{}, func(context.Context, component.Settings, struct{}) (sdktrace.SpanExporter, error) {
				made = append(made, &countExporter{})
				if len(made) == 2 && when == "meanwhile" {
					making <- struct{}{}
					<-makeIt
				}
				return made[len(made)-1], nil
			})
			// It holds up the restart, before or after the exporter is made: the order
			// is that of a map.
			samplers := 0
			other := component.NewFactory("other", struct{}{}, func(_ context.Context, s component.Settings, _ struct{}) (sampling.Sampler, error) {
				if s.ID == "instance" {
					samplers++ // it is also made to see what it is
				}
				if samplers == 2 {
					making <- struct{}{}
					<-makeIt
				}
				return slowRoot{}, nil
			})
			var processes []*exiting
			p := newPlugin("here", slog.New(slog.DiscardHandler), fast)
			p.dial = func(context.Context) (*connection, error) {
				pipe := wire.NewPipe()
				stop, err := plugins.Serve(pipe, slog.New(slog.DiscardHandler), plugins.Exporter(factory), plugins.Sampler(other))
				if err != nil {
					return nil, err
				}
				conn, err := pipe.Connect()
				process := &exiting{gone: make(chan struct{})}
				processes = append(processes, process)
				return &connection{
					conn: conn, gone: process.gone, why: func() string { return "stopped" }, kill: process.exit,
					stop: func(ctx context.Context) error { return errors.Join(conn.Close(), stop(ctx)) },
				}, err
			}
			p, err := p.begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			closeAfter(t, p)
			e, err := p.Exporter(t.Context(), settings(&logs{}), "", "")
			if err != nil {
				t.Fatal(err)
			}
			if when == "before or after" {
				s, err := p.Sampler(t.Context(), settings(&logs{}), "", "")
				if err != nil {
					t.Fatal(err)
				}
				defer s.(component.Shutdowner).Shutdown(context.Background())
			}
			processes[0].exit()
			<-making
			if err := e.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
			close(makeIt)
			eventually(t, "it runs", func() bool { return p.Stats().State == Running })
			made[1].mu.Lock()
			defer made[1].mu.Unlock()
			if !made[1].shut {
				t.Error("the instance of the second process was not shut down")
			}
		})
	}
}
