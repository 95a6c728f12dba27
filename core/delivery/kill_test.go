package delivery_test

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/delivery"
)

var rounds = flag.Int("rounds", 3, "rounds of killing a process")

const (
	killedDir  = "RIFFLE_TEST_QUEUE"
	killedName = "RIFFLE_TEST_ROUND"

	killFsync  = 50 * time.Millisecond
	killMaxAge = 20 * time.Millisecond
	// What a busy machine adds, and the disk.
	killSlack = time.Second
)

func toKill(dir string) func(*delivery.Config) {
	return func(c *delivery.Config) {
		c.Queue.Storage, c.Queue.Dir, c.Queue.Fsync = delivery.StorageDisk, dir, delivery.Fsync(killFsync.String())
		c.Batch.MaxAge, c.Batch.MaxSpans = 20e6, 500
	}
}

// toBeKilled hands over spans, as fast as the disk takes them, to a backend that is
// away. It tells how many are stored, and how many of those that it hands over had
// to be by then.
func toBeKilled(dir string) {
	c := delivery.Defaults()
	toKill(dir)(&c)
	f := &delivery.Lines{}
	l := f.Add(dead(), c, delivery.Settings{Name: "backend", Type: "fake"})
	type mark struct {
		n  int
		at time.Time
	}
	var ended []mark
	due, n := 0, 0
	// The longest that this goroutine had to wait tells how busy the machine is.
	lag, last := time.Duration(0), time.Now()
	for {
		s := l.Stats()
		if s.Dropped.Total() > 0 {
			panic(fmt.Sprintf("%+v", s))
		}
		now := time.Now()
		if s.Stored == 0 { // the disk is not open yet
			for i := range ended {
				ended[i].at = now
			}
		}
		lag, last = max(lag, now.Sub(last)), now
		for len(ended) > 0 && time.Since(ended[0].at) > killMaxAge+2*killFsync+killSlack+10*lag {
			due, ended = ended[0].n, ended[1:]
		}
		if _, err := fmt.Println("stored", s.Stored, "due", due, "."); err != nil {
			os.Exit(1)
		}
		if n > int(s.Stored)+20_000 {
			time.Sleep(time.Millisecond) // the disk is behind
			continue
		}
		batch := make([]sdktrace.ReadOnlySpan, 100)
		for i := range batch {
			batch[i] = tracetest.SpanStub{
				Name:        fmt.Sprint(os.Getenv(killedName), "/", n),
				SpanContext: trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{1}}),
				EndTime:     time.Now(),
			}.Snapshot()
			n++
		}
		f.HandOver(batch...)
		ended = append(ended, mark{n, time.Now()})
	}
}

// A process is killed at any time. No start fails, what was reported stored
// arrives, and what ended some time before was reported stored.
func TestKill(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	want := map[string]bool{} // since the last process that had its backend
	total := 0
	for round := range *rounds {
		cmd := exec.CommandContext(t.Context(), program)
		cmd.Env = append(os.Environ(), killedDir+"="+dir, fmt.Sprint(killedName, "=", round))
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		stored := 0
		kill := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
		for lines := bufio.NewScanner(out); lines.Scan(); {
			var now, due int
			if n, _ := fmt.Sscanf(lines.Text(), "stored %d due %d .", &now, &due); n != 2 || !strings.HasSuffix(lines.Text(), ".") {
				continue // the last one may be cut short
			}
			if stored == 0 && now > 0 {
				kill.Reset(rand.N(2 * time.Second))
			}
			stored = now
			if due > stored {
				t.Errorf("round %d: %d spans had to be stored, %d are", round, due, stored)
			}
		}
		kill.Stop()
		if err := cmd.Wait(); cmd.ProcessState.ExitCode() >= 0 || stored == 0 {
			t.Fatalf("round %d: the process ended by itself: %v", round, err)
		}
		for i := range stored {
			want[fmt.Sprint(round, "/", i)] = true
		}
		if round%4 < 3 && round+1 < *rounds {
			continue
		}
		b := &backend{}
		drain(t, b, dir)
		lost := 0
		for name := range want {
			if b.received()[name] == 0 {
				lost++
			}
		}
		if lost > 0 {
			t.Errorf("round %d: %d of %d spans are lost", round, lost, len(want))
		}
		total += len(want)
		clear(want)
	}
	t.Logf("%d spans stored in %d rounds", total, *rounds)
}

// drain sends what waits in dir.
func drain(t *testing.T, b *backend, dir string) {
	t.Helper()
	_, l := one(t, b, &journal{}, toKill(dir))
	until(t, "sent", func() bool { s := l.Stats(); return s.TakenOver > 0 && s.Waiting == 0 })
	if s := l.Stats(); s.Lost > 0 {
		t.Errorf("%+v", s)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := l.Shutdown(ctx); err != nil {
		t.Error(err)
	}
}
