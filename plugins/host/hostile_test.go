//go:build unix

package host

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/core/sampling"
	"github.com/riffletrace/riffle/plugins/internal/hostile"
)

// tryHostile starts a plugin that does what none should.
func tryHostile(t *testing.T, kind string, change func(*timing)) (*Plugin, *logs, error) {
	t.Helper()
	l := fast
	if change != nil {
		change(&l)
	}
	path := hostile.Script(t, kind)
	return tryProgram(t, filepath.Dir(path), kind, l)
}

func openHostile(t *testing.T, kind string, change func(*timing)) (*Plugin, *logs) {
	t.Helper()
	p, logs, err := tryHostile(t, kind, change)
	if err != nil {
		t.Fatal(err)
	}
	closeAfter(t, p)
	return p, logs
}

// A plugin that cannot be started is refused with its name and the cause, and
// nothing is left of it.
func TestHostileStart(t *testing.T) {
	tests := []struct{ kind, want string }{
		{"silent", `starting plugin "silent": no handshake within 700ms`},
		{"exits", `starting plugin "exits": it ended before the handshake (exit status 3); it wrote: no license found`},
		{"garbage", `starting plugin "garbage": no handshake on its standard output but "Hello, I am a plugin!?[31m"`},
		{"endless", `starting plugin "endless": no handshake on its standard output but a line of more than 16384 bytes`},
		{"version", `starting plugin "version": it speaks version "99" of the protocol and this riffle version 1`},
		{"plaintext", `starting plugin "plaintext": it sent no certificate with its handshake`},
		{"stranger", `asking plugin "stranger" what it has: connection error: `},
		{"forged", `starting plugin "forged": reading its handshake`},
		{"huge", `asking plugin "huge" what it has: `},
		{"schema", `asking plugin "schema" what it has: the schema of the configuration of exporter "out" is not a JSON Schema`},
		{"nothing", `asking plugin "nothing" what it has: it has 0 components`},
		{"twice", `asking plugin "twice" what it has: `},
	}
	for _, tt := range tests {
		t.Run(tt.kind, func(t *testing.T) {
			before := time.Now()
			p, _, err := tryHostile(t, tt.kind, func(l *timing) {
				if l.start = 10 * time.Second; tt.kind == "silent" {
					l.start = 700 * time.Millisecond
				}
			})
			if err == nil {
				_ = p.Close(t.Context())
				t.Fatal("it was started")
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("the error is\n%v\nwithout\n%s", err, tt.want)
			}
			if took := time.Since(before); took > 9*time.Second {
				t.Errorf("it took %s", took)
			}
		})
	}
}

// Whatever a plugin does, a sampler is prompt; and abstains, if the answers are
// none.
func TestHostileSampler(t *testing.T) {
	for kind, abstains := range map[string]bool{
		"late": true, "bulky": true, "short": true, "never": true, "nonsense": true, "drops": true, "bounds": true, "discards": false, "raises": false,
		"unasked": false, "random": false, "leak": false, "log": false, "chatter": false, "undead": false,
	} {
		t.Run(kind, func(t *testing.T) {
			p, logs := openHostile(t, kind, nil)
			built, err := p.Sampler(t.Context(), settings(logs), "", "")
			if err != nil {
				t.Fatal(err)
			}
			s := built.(sampling.StartSampler)
			for end := time.Now().Add(300 * time.Millisecond); time.Now().Before(end); {
				if a := s.SampleStart(start("acme")); abstains && !a.IsAbstain() {
					t.Fatalf("the answer is %v", a)
				}
			}
			answers := make([]sampling.Answer, 1)
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			before := time.Now()
			built.(sampling.SegmentSampler).SampleSegments(ctx, []sampling.Segment{{TraceID: trace.TraceID{1}}}, answers)
			if took := time.Since(before); took > 5*time.Second {
				t.Errorf("the answer about a segment came after %s", took)
			}
			if silent := kind == "late" || kind == "unasked" || kind == "discards" || kind == "raises"; silent && !answers[0].IsAbstain() {
				t.Errorf("the answer about a segment is %v", answers[0])
			}
			if n := p.Stats().Unsolicited; (n == 1) != (kind == "unasked") {
				t.Errorf("%d answers about other segments were counted", n)
			}
			if err := built.(component.Shutdowner).Shutdown(t.Context()); err != nil {
				t.Errorf("Shutdown: %v", err)
			}
		})
	}
}

func TestHostileConfigure(t *testing.T) {
	for kind, want := range map[string]string{
		"dawdles":  `configuring plugin "dawdles": `,
		"nameless": `configuring plugin "nameless": it returned neither an instance nor a mistake`,
	} {
		t.Run(kind, func(t *testing.T) {
			p, logs := openHostile(t, kind, nil)
			p.timing.start = 300 * time.Millisecond
			if _, err := p.Sampler(t.Context(), settings(logs), "", ""); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("the error is %v without %s", err, want)
			}
		})
	}
}

// An exporter that answers late is worth another attempt.
func TestHostileExporter(t *testing.T) {
	p, logs := openHostile(t, "late", nil)
	e, err := newExporterClient(t.Context(), p, settings(logs), ExporterConfig{Timeout: component.Duration(100 * time.Millisecond)})
	if err != nil {
		t.Fatal(err)
	}
	_, err = e.ExportRequest(t.Context(), delivery.Request{})
	if f := delivery.Classify(err); f.Outcome != delivery.Retry || !strings.Contains(err.Error(), `plugin "late": `) {
		t.Errorf("the error is %v (%+v)", err, f)
	}
	if err := e.Shutdown(t.Context()); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}

// What a plugin starts ends with it, and one that does not end is killed.
func TestHostileEnd(t *testing.T) {
	t.Run("forks", func(t *testing.T) {
		p, _ := openHostile(t, "forks", nil)
		child := childOf(t, p.PID())
		if err := p.Close(t.Context()); err != nil {
			t.Error(err)
		}
		eventually(t, "the child of the plugin has ended", func() bool { return !isAlive(child) })
	})
	t.Run("orphan", func(t *testing.T) {
		p, _ := openHostile(t, "orphan", func(l *timing) { l.stop = 200 * time.Millisecond })
		pid, before := p.PID(), time.Now()
		if err := p.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if took := time.Since(before); took > 5*time.Second || isAlive(pid) {
			t.Errorf("it took %s, and it is alive: %t", took, isAlive(pid))
		}
	})
}

// childOf is the only child of a process.
func childOf(t *testing.T, pid int) int {
	t.Helper()
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		t.Fatal(err)
	}
	var children string
	for _, file := range threads {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		children += string(b)
	}
	child, err := strconv.Atoi(strings.TrimSpace(children))
	if err != nil {
		t.Fatal(err)
	}
	return child
}

// isAlive tells whether there is a process that is no zombie.
func isAlive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return !os.IsNotExist(err)
	}
	_, after, _ := strings.Cut(string(b), ") ")
	return !strings.HasPrefix(after, "Z")
}
