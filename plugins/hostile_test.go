package plugins

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	goplugin "github.com/hashicorp/go-plugin"
	"go.opentelemetry.io/otel/trace"
	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/delivery"
	pluginpb "github.com/riffletrace/riffle/plugins/proto"
)

// playHostile plays a plugin that does what none should.
func playHostile(part string) int {
	part, argument, _ := strings.Cut(part, ":")
	switch part {
	case "silent":
		select {} // no handshake, and standard input is not looked at
	case "exits":
		fmt.Fprintln(os.Stderr, "cannot find the moon")
		return 7
	case "garbage":
		fmt.Println("Hello, I am a plugin!\x1b[31m")
		select {}
	case "endless":
		for { // one line without an end
			if _, err := os.Stdout.WriteString(strings.Repeat("x", 1<<16)); err != nil {
				return 1
			}
		}
	case "old":
		fmt.Println("1|99|unix|/nowhere|grpc|")
		select {}
	case "nobody": // a certificate that is none
		fmt.Printf("1|1|unix|%s|grpc|%s\n", filepath.Join(os.Getenv("PLUGIN_UNIX_SOCKET_DIR"), "nobody"), strings.Repeat("A", 100))
		select {}
	case "panics":
		// go-plugin's host panics on such a line.
		fmt.Fprintln(os.Stderr, `{"@message": 1, "@level": [], "@timestamp": {}}`)
		fmt.Fprintln(os.Stderr, strings.Repeat("y", 1<<20))
		return serveHostile(hostile{})
	case "forks":
		cmd := exec.Command("/bin/sleep", "600")
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		if err := cmd.Start(); err != nil {
			return 1
		}
		if err := os.WriteFile(argument, []byte(strconv.Itoa(cmd.Process.Pid)), 0o600); err != nil {
			return 1
		}
		return serveHostile(hostile{})
	case "leaks":
		go func() {
			var all [][]byte
			for range 64 {
				all = append(all, bytes.Repeat([]byte{1}, 1<<20))
			}
			time.Sleep(time.Hour)
			_ = all
		}()
		return serveHostile(hostile{})
	case "random":
		return serveHostile(hostile{described: sync.OnceFunc(func() {
			time.AfterFunc(time.Duration(50+rand.IntN(100))*time.Millisecond, func() { os.Exit(3) })
		})})
	case "schema":
		return serveHostile(hostile{schema: "a schema, honestly"})
	default:
		return serveHostile(hostile{part: part})
	}
}

// hostile serves a sampler and an exporter that misbehave.
type hostile struct {
	pluginpb.UnimplementedComponentsServer
	pluginpb.UnimplementedStartSamplersServer
	pluginpb.UnimplementedTraceSamplersServer
	pluginpb.UnimplementedExportersServer
	part, schema string
	described    func() // unless nil, called by Describe
}

func serveHostile(h hostile) int {
	goplugin.Serve(&goplugin.ServeConfig{
		HandshakeConfig: handshake,
		VersionedPlugins: map[int]goplugin.PluginSet{1: {"riffle": &grpcPlugin{register: func(r grpc.ServiceRegistrar) {
			pluginpb.RegisterComponentsServer(r, h)
			pluginpb.RegisterStartSamplersServer(r, h)
			pluginpb.RegisterTraceSamplersServer(r, h)
			pluginpb.RegisterExportersServer(r, h)
			r.RegisterService(&traceService, hostileExporter{h})
		}}}},
		GRPCServer: func(opts []grpc.ServerOption) *grpc.Server {
			g := grpc.NewServer(append(opts, serverOptions()...)...)
			go func() {
				_, _ = io.Copy(io.Discard, os.Stdin)
				if h.part != "stays" {
					os.Exit(0)
				}
			}()
			return g
		},
	})
	return 0
}

func (h hostile) Describe(context.Context, *pluginpb.DescribeRequest) (*pluginpb.DescribeResponse, error) {
	if h.described != nil {
		h.described()
	}
	if h.part == "nothing" {
		return &pluginpb.DescribeResponse{}, nil
	}
	return &pluginpb.DescribeResponse{Name: "hostile", Components: []*pluginpb.Component{
		{Kind: pluginpb.Kind_KIND_SAMPLER, Name: "s", ConfigSchema: h.schema}, {Kind: pluginpb.Kind_KIND_EXPORTER, Name: "e"},
	}}, nil
}

func (h hostile) Configure(ctx context.Context, r *pluginpb.ConfigureRequest) (*pluginpb.ConfigureResponse, error) {
	switch {
	case h.part == "configures_late":
		<-ctx.Done()
		return nil, ctx.Err()
	case h.part == "no_instance":
		return &pluginpb.ConfigureResponse{}, nil
	case r.GetKind() == pluginpb.Kind_KIND_EXPORTER:
		return &pluginpb.ConfigureResponse{Instance: "1"}, nil
	}
	return &pluginpb.ConfigureResponse{Instance: "1", Sampler: &pluginpb.SamplerInstance{
		Description: strings.Repeat("long ", 10),
		Start:       &pluginpb.StartSampling{Keys: []string{"tenant"}, IgnoresName: true, IgnoresKind: true},
		Traces:      &pluginpb.TraceSampling{},
	}}, nil
}

func (hostile) Close(context.Context, *pluginpb.CloseRequest) (*pluginpb.CloseResponse, error) {
	return &pluginpb.CloseResponse{}, nil
}

func (hostile) Flush(context.Context, *pluginpb.FlushRequest) (*pluginpb.FlushResponse, error) {
	return &pluginpb.FlushResponse{}, nil
}

func (h hostile) Ask(_ context.Context, r *pluginpb.AskRequest) (*pluginpb.AskResponse, error) {
	switch h.part {
	case "slow":
		time.Sleep(time.Hour)
	case "huge":
		return &pluginpb.AskResponse{Leases: []*pluginpb.Lease{{Answer: &pluginpb.Answer{Reason: strings.Repeat("x", maxAnswer+1)}}}}, nil
	case "too_many":
		return &pluginpb.AskResponse{Leases: make([]*pluginpb.Lease, len(r.GetQuestions())+1)}, nil
	case "nonsense":
		leases := make([]*pluginpb.Lease, len(r.GetQuestions()))
		for i := range leases {
			leases[i] = &pluginpb.Lease{Answer: &pluginpb.Answer{Verdict: 77, Threshold: 1 << 63}, TtlMs: 1<<32 - 1}
		}
		return &pluginpb.AskResponse{Leases: leases}, nil
	}
	return &pluginpb.AskResponse{Leases: make([]*pluginpb.Lease, len(r.GetQuestions()))}, nil
}

func (h hostile) Judge(context.Context, *pluginpb.JudgeRequest) (*pluginpb.JudgeResponse, error) {
	if h.part == "slow" {
		time.Sleep(time.Hour)
	}
	keep := &pluginpb.Answer{Verdict: pluginpb.Verdict_VERDICT_THRESHOLD}
	resp := &pluginpb.JudgeResponse{}
	for i := range 1000 { // about traces that nobody asked about
		resp.Answers = append(resp.Answers, &pluginpb.TraceAnswer{TraceId: []byte{9, byte(i)}, Answer: keep})
	}
	return resp, nil
}

type hostileExporter struct{ hostile }

func (h hostileExporter) export(ctx context.Context, _ rawMessage) (*coltracepb.ExportTraceServiceResponse, error) { //nolint:unparam // the signature is that of the others
	if h.part == "slow" {
		<-ctx.Done()
		time.Sleep(50 * time.Millisecond) // and answers after all
	}
	return &coltracepb.ExportTraceServiceResponse{}, nil
}

// A plugin that cannot be started is refused with its name and the cause, and
// nothing is left of it.
func TestHostileStart(t *testing.T) {
	tests := []struct{ part, want string }{
		{"silent", `starting plugin "test": no handshake within 700ms`},
		{"exits", `starting plugin "test": it ended before the handshake (exit status 7); it wrote: cannot find the moon`},
		{"garbage", `starting plugin "test": no handshake on its standard output but "Hello, I am a plugin!` + "\ufffd" + `[31m"`},
		{"endless", `starting plugin "test": no handshake on its standard output but a line of more than 16384 bytes`},
		{"old", `starting plugin "test": it speaks version "99" of the protocol and this riffle version 1`},
		{"nobody", `starting plugin "test": reading its handshake`},
		{"schema", `asking plugin "test" what it has: the schema of the configuration of sampler "s" is not a JSON Schema`},
		{"nothing", `asking plugin "test" what it has: it has 0 components`},
	}
	for _, tt := range tests {
		t.Run(tt.part, func(t *testing.T) {
			l := fast
			l.start = 700 * time.Millisecond
			if tt.part != "silent" {
				l.start = 10 * time.Second
			}
			before := time.Now()
			p, _, err := tryOpen(t, tt.part, l)
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

// Whatever a plugin answers, a sampler abstains and is prompt.
func TestHostileSampler(t *testing.T) {
	for _, part := range []string{"slow", "huge", "too_many", "nonsense", "random", "panics", "leaks"} {
		t.Run(part, func(t *testing.T) {
			p, logs := opened(t, part, nil)
			built, err := p.Sampler(t.Context(), settings(logs), "", "")
			if err != nil && part == "random" {
				return // it ended before it was configured, which is an error of the start
			}
			if err != nil {
				t.Fatal(err)
			}
			s := built.(core.StartSampler)
			for end := time.Now().Add(300 * time.Millisecond); time.Now().Before(end); {
				if a := s.SampleStart(start("acme")); !a.IsAbstain() {
					t.Fatalf("the answer is %v", a)
				}
			}
			answers := make([]core.Answer, 1)
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			before := time.Now()
			built.(core.TraceSampler).SampleTraces(ctx, []core.Trace{{TraceID: trace.TraceID{1}}}, answers)
			if took := time.Since(before); !answers[0].IsAbstain() || took > 5*time.Second {
				t.Errorf("the answer about a trace is %v after %s", answers[0], took)
			}
			if part == "nonsense" {
				if n := p.Stats().Strays; n != 1000 {
					t.Errorf("%d answers about other traces were counted of 1000", n)
				}
			}
			if err := built.(core.Shutdowner).Shutdown(t.Context()); err != nil {
				t.Errorf("Shutdown: %v", err)
			}
		})
	}
}

func TestHostileConfigure(t *testing.T) {
	for part, want := range map[string]string{
		"configures_late": `configuring plugin "test": `,
		"no_instance":     `configuring plugin "test": it returned neither an instance nor a mistake`,
	} {
		t.Run(part, func(t *testing.T) {
			p, logs := opened(t, part, nil)
			p.limits.start = 300 * time.Millisecond
			if _, err := p.Sampler(t.Context(), settings(logs), "", ""); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("the error is %v without %s", err, want)
			}
		})
	}
}

// An exporter that answers late is worth another attempt.
func TestHostileExporter(t *testing.T) {
	p, logs := opened(t, "slow", nil)
	e, err := newExporterClient(t.Context(), p, settings(logs), Config{Timeout: core.Duration(100 * time.Millisecond)})
	if err != nil {
		t.Fatal(err)
	}
	_, err = e.ExportRequest(t.Context(), delivery.Request{})
	if f := delivery.Classify(err); f.Verdict != delivery.Retry || !strings.Contains(err.Error(), `plugin "test": `) {
		t.Errorf("the error is %v (%+v)", err, f)
	}
	if err := e.Shutdown(t.Context()); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}

// What a plugin starts ends with it, and one that does not end is killed.
func TestHostileEnd(t *testing.T) {
	t.Run("forks", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "child")
		p, _ := opened(t, "forks:"+file, nil)
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		child, err := strconv.Atoi(string(b))
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Close(t.Context()); err != nil {
			t.Error(err)
		}
		eventually(t, "the child of the plugin has ended", func() bool { return !isAlive(child) })
	})
	t.Run("stays", func(t *testing.T) {
		p, _ := opened(t, "stays", func(l *limits) { l.stop = 200 * time.Millisecond })
		pid, before := p.PID(), time.Now()
		if err := p.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if took := time.Since(before); took > 5*time.Second || isAlive(pid) {
			t.Errorf("it took %s, and it is alive: %t", took, isAlive(pid))
		}
	})
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
