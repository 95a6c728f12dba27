package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"

	"github.com/riffletrace/riffle/core/delivery/disk"
	"github.com/riffletrace/riffle/core/otlp"
	"github.com/riffletrace/riffle/internal/otlptest"
)

const overHTTP, overGRPC = "http/protobuf", "grpc"

// leave stores batches as an exporter with that endpoint, each of two spans, and
// returns the names of the spans.
func leave(t *testing.T, dir, endpoint string, batches int) (names []string) {
	t.Helper()
	store, _, err := disk.Open(disk.OS{}, dir, disk.Identity{Name: "otlp", Type: "otlp", Endpoint: endpoint})
	if err != nil {
		t.Fatal(err)
	}
	for i := range batches {
		pair := []string{fmt.Sprintf("%s %d a", endpoint, i), fmt.Sprintf("%s %d b", endpoint, i)}
		names = append(names, pair...)
		b := disk.Batch{Meta: disk.Meta{Spans: 2, FirstEnd: time.Now()}, Payload: otlp.AppendRequest(nil, otlptest.Spans(pair...))}
		if _, err := store.Write([]disk.Batch{b}, false); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	return names
}

// namesLeft are those of the spans that wait, sorted.
func namesLeft(t *testing.T, dir string) (names []string) {
	t.Helper()
	spans, _ := stored(t, dir)
	for _, s := range spans {
		names = append(names, s.Name())
	}
	slices.Sort(names)
	return names
}

func receiver(t *testing.T, protocol string, script otlptest.Script) *otlptest.Scripted {
	t.Helper()
	r := &otlptest.Scripted{Address: otlptest.Dead(t), Script: script}
	r.Start(t, protocol)
	return r
}

// send runs the command here.
func send(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	code = newProgram(nil).run(t.Context(), append([]string{"queue", "send"}, args...), &out, &err)
	return code, out.String(), err.String()
}

func TestQueueSend(t *testing.T) {
	t.Setenv("RIFFLE_TEST_TOKEN", "secret")
	for _, protocol := range []string{overHTTP, overGRPC} {
		t.Run(protocol, func(t *testing.T) {
			dir := t.TempDir()
			names := slices.Concat(leave(t, dir, "old:4317", 3), leave(t, dir, "older:4317", 1))
			slices.Sort(names)
			r := receiver(t, protocol, otlptest.Script{})
			code, stdout, stderr := send(t, dir, "--to", r.Address, "--protocol", protocol, "--header", "a=b=c", "--header-env", "token=RIFFLE_TEST_TOKEN", "--exporter", "otlp")
			if code != exitFine || stdout != "sent 4 batches with 8 spans\n" || stderr != "" {
				t.Errorf("exit code %d\n%s%s", code, stdout, stderr)
			}
			if diff := cmp.Diff(names, r.Names()); diff != "" {
				t.Errorf("received:\n%s", diff)
			}
			if left := namesLeft(t, dir); len(left) > 0 {
				t.Errorf("%v are left", left)
			}
			if h := r.Headers(); protocol == overHTTP && (h.Get("a") != "b=c" || h.Get("token") != "secret") {
				t.Errorf("the headers are %v", h)
			}
			code, stdout, _ = send(t, dir, "--to", r.Address, "--protocol", protocol)
			if code != exitFine || stdout != "sent 0 batches with 0 spans\n" {
				t.Errorf("of an empty queue: %d, %s", code, stdout)
			}
		})
	}
}

// What is not accepted stays.
func TestQueueSendLeaves(t *testing.T) {
	refuses := func(code int) otlptest.Script {
		return otlptest.Script{HTTP: func(_ int64, w http.ResponseWriter, _ *http.Request) bool {
			w.WriteHeader(code)
			return true
		}}
	}
	for _, tt := range []struct {
		name   string
		script *otlptest.Script // nil: nobody listens
		args   []string
		left   int // batches of 5
		stdout string
		stderr string
	}{
		{"nobody listens", nil, []string{"--timeout", "100ms"}, 5, "sent 0 batches", "5 batches with 10 spans are left: "},
		{"unauthorized", new(refuses(http.StatusUnauthorized)), []string{"--timeout", "1s"}, 5, "sent 0 batches", "5 batches with 10 spans are left: "},
		{"away", new(refuses(http.StatusServiceUnavailable)), []string{"--timeout", "2s"}, 5, "sent 0 batches", "503"},
		{"another exporter", new(otlptest.Script{}), []string{"--exporter", "other"}, 5, "sent 0 batches", ""},
		{"another endpoint", new(otlptest.Script{}), []string{"--exporter", "otlp", "--endpoint", "new:4317"}, 5, "sent 0 batches", ""},
		{"this endpoint", new(otlptest.Script{}), []string{"--endpoint", "OLD:4317"}, 0, "sent 5 batches", ""},
		{"rejects all", &otlptest.Script{Respond: func(n int) *coltracepb.ExportTraceServiceResponse {
			return &coltracepb.ExportTraceServiceResponse{PartialSuccess: &coltracepb.ExportTracePartialSuccess{RejectedSpans: int64(n), ErrorMessage: "no"}}
		}}, nil, 5, "sent 0 batches", "5 batches with 10 spans are left: 2 spans were lost: the backend rejected 2 of 2 spans: no"},
		{"rejects one of each", &otlptest.Script{Respond: func(int) *coltracepb.ExportTraceServiceResponse {
			return &coltracepb.ExportTraceServiceResponse{PartialSuccess: &coltracepb.ExportTracePartialSuccess{RejectedSpans: 1}}
		}}, nil, 0, "sent 5 batches with 10 spans\n5 spans of them were rejected by the endpoint and are lost\n", ""},
		{"refuses some", &otlptest.Script{Decode: func(body []byte) ([]string, error) {
			if bytes.Contains(body, []byte("old:4317 1 ")) || bytes.Contains(body, []byte("old:4317 3 ")) {
				return nil, errors.New("no")
			}
			return nil, nil
		}}, []string{"--timeout", "1m"}, 2, "sent 3 batches with 6 spans\n", "2 batches with 4 spans are left: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir, address := t.TempDir(), otlptest.Dead(t)
			leave(t, dir, "old:4317", 5)
			if tt.script != nil {
				address = receiver(t, overHTTP, *tt.script).Address
			}
			code, stdout, stderr := send(t, append([]string{dir, "--to", address, "--protocol", overHTTP}, tt.args...)...)
			if _, files := stored(t, dir); files != tt.left {
				t.Errorf("%d batches are left, want %d", files, tt.left)
			}
			if (code == exitFine) != (tt.stderr == "") || !strings.Contains(stdout, tt.stdout) || !strings.Contains(stderr, tt.stderr) {
				t.Errorf("exit code %d\n%s%s", code, stdout, stderr)
			}
			if strings.Contains(stderr, "left behind") {
				t.Errorf("what stays on the disk is said to be lost:\n%s", stderr)
			}
		})
	}
}

// What a process works with is left to it; damaged files cost themselves.
func TestQueueSendInUseAndDamaged(t *testing.T) {
	dir := t.TempDir()
	leave(t, dir, "used:4317", 2)
	leave(t, dir, "old:4317", 3)
	var file string
	queues, err := disk.Inspect(disk.OS{}, dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range queues {
		if q.Endpoint == "old:4317" {
			file = q.Parts[0].Path(q.Parts[0].Ready[1])
		}
	}
	if err := os.Truncate(file, 60); err != nil {
		t.Fatal(err)
	}
	used, _, err := disk.Open(disk.OS{}, dir, disk.Identity{Name: "otlp", Type: "otlp", Endpoint: "used:4317"})
	if err != nil {
		t.Fatal(err)
	}
	r := receiver(t, overGRPC, otlptest.Script{})
	code, stdout, stderr := send(t, dir, "--to", "http://"+r.Address)
	if code != exitFailed || stdout != "sent 2 batches with 4 spans\n" || len(r.Names()) != 4 {
		t.Errorf("exit code %d\n%s", code, stdout)
	}
	for _, want := range []string{
		`skipped: part-`, `of exporter "otlp" (used:4317) is in use: the process that has it sends what is there`,
		filepath.Base(file) + ": damaged: ", "riffle: 3 batches with 6 spans are left, 2 batches with 4 spans of them in use, 1 of them damaged\n",
	} {
		if !strings.Contains(stderr, want) {
			t.Errorf("stderr is\n%s\nwithout\n%s", stderr, want)
		}
	}
	if err := used.Close(); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr = send(t, dir, "--to", "http://"+r.Address)
	if code != exitFine || stdout != "sent 2 batches with 4 spans\n" {
		t.Errorf("once it is not in use: exit code %d\n%s%s", code, stdout, stderr)
	}
}

// A process that is killed or interrupted while it sends loses nothing.
func TestQueueSendEnds(t *testing.T) {
	for name, signal := range map[string]os.Signal{"killed": os.Kill, "interrupted": os.Interrupt} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			names := leave(t, dir, "old:4317", 9)
			const before = 4 // batches that are accepted
			reached, ended := make(chan struct{}), make(chan struct{})
			r := receiver(t, overHTTP, otlptest.Script{HTTP: func(n int64, _ http.ResponseWriter, req *http.Request) bool {
				if n != before {
					return false
				}
				close(reached)
				select {
				case <-ended:
				case <-req.Context().Done():
				}
				return true
			}})
			var stdout, stderr bytes.Buffer
			cmd := riffleCommand(t, "queue", "send", dir, "--to", r.Address, "--protocol", overHTTP, "--timeout", "1m")
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			select {
			case <-reached:
			case <-time.After(time.Minute):
				t.Fatalf("it sends nothing: %s", &stderr)
			}
			if err := cmd.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait()
			close(ended)
			left := namesLeft(t, dir)
			if diff := cmp.Diff(names, union(r.Names(), left)); diff != "" {
				t.Errorf("lost:\n%s", diff)
			}
			if len(left) != len(names)-2*before {
				t.Errorf("%d spans are left of %d", len(left), len(names))
			}
			if name == "interrupted" && (cmd.ProcessState.ExitCode() != exitFailed || stdout.String() != "sent 4 batches with 8 spans\n" ||
				!strings.Contains(stderr.String(), "5 batches with 10 spans are left: interrupted\n")) {
				t.Errorf("exit code %d\n%s%s", cmd.ProcessState.ExitCode(), &stdout, &stderr)
			}
			if out, err := riffleCommand(t, "queue", "send", dir, "--to", r.Address, "--protocol", overHTTP).CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
			if diff := cmp.Diff(names, r.Names()); diff != "" {
				t.Errorf("received in the end:\n%s", diff)
			}
			if left := namesLeft(t, dir); len(left) > 0 {
				t.Errorf("%v are left", left)
			}
		})
	}
}

// union are those in either, sorted.
func union(a, b []string) []string {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

func TestQueueSendUsage(t *testing.T) {
	dir := t.TempDir()
	for _, tt := range []struct {
		args string
		code int
		want string
	}{
		{dir, exitUsage, "want --to ENDPOINT"},
		{dir + " --to a:b:c", exitUsage, "--to a:b:c: endpoint: "},
		{dir + " --to a:1 --protocol smoke", exitUsage, `protocol: "smoke" is not one of grpc, http/protobuf`},
		{dir + " --to a:1 --header x", exitUsage, "--header x: want NAME=VALUE"},
		{dir + " --to a:1 --header-env x=RIFFLE_TEST_ABSENT", exitUsage, "--header-env x=RIFFLE_TEST_ABSENT: the variable is not set"},
		{dir + " --to a:1 --timeout 0s", exitUsage, "--timeout 0s: want more than 0s"},
		{filepath.Join(dir, "absent") + " --to a:1", exitFailed, "no such file"},
	} {
		var stdout, stderr bytes.Buffer
		code := newProgram(nil).run(context.Background(), append([]string{"queue", "send"}, strings.Fields(tt.args)...), &stdout, &stderr)
		if code != tt.code || !strings.Contains(stderr.String(), tt.want) {
			t.Errorf("%s: exit code %d\n%s", tt.args, code, &stderr)
		}
	}
}
