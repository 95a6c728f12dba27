package riffle_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel"

	"github.com/riffletrace/riffle"
	"github.com/riffletrace/riffle/config"
	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/exporters/otlp"
	"github.com/riffletrace/riffle/internal/otlptest"
)

// Two endpoints, one of the configuration and one of OpenTelemetry's variables: what the
// variables say of headers, protocol and so on reaches the one that they are about, and
// never the other.
func TestOneSource(t *testing.T) {
	const overHTTP = "type: otlp, protocol: http/protobuf"
	for _, typ := range []string{"type: otlp, protocol: grpc", overHTTP, "type: otlptracegrpc", "type: otlptracehttp"} {
		receiver := func(t *testing.T) *otlptest.Receiver {
			if strings.Contains(typ, "grpc") {
				return otlptest.GRPC(t, nil)
			}
			return otlptest.HTTP(t, nil, "/v1/traces")
		}
		const agent = " HEADERS=key=agent COMPRESSION=gzip"
		for _, tt := range []struct {
			name         string
			file, env    string // OURS and THEIRS are the two endpoints
			ours, theirs bool   // which of them get spans
		}{
			{"entry", "exporters: [{TYPE, endpoint: OURS}]", "ENDPOINT=THEIRS" + agent, true, false},
			{"for traces", "exporters: [{TYPE, endpoint: OURS}]", "ENDPOINT=OURS TRACES_ENDPOINT=THEIRS/ TRACES_HEADERS=key=agent" + agent, true, false},
			{"no endpoint", "exporters: [{TYPE, endpoint: OURS}]", agent, true, false},
			{"application's variable", "exporters: [{TYPE}]", "FLUXBASE=OURS ENDPOINT=THEIRS" + agent, true, false},
			{"two entries", "exporters: [{TYPE, name: a, endpoint: OURS}, {TYPE, name: b}]", "ENDPOINT=THEIRS" + agent, true, true},
			{"theirs", "exporters: [{TYPE}]", "ENDPOINT=THEIRS" + agent, false, true},
			{"the same", "exporters: [{TYPE, endpoint: THEIRS}]", "ENDPOINT=THEIRS" + agent, false, true},
		} {
			if strings.Contains(tt.env, "FLUXBASE") && strings.HasPrefix(typ, "type: otlptrace") {
				continue // the application's variable is about the other type
			}
			t.Run(typ+"/"+tt.name, func(t *testing.T) {
				ours, theirs := receiver(t), receiver(t)
				replace := strings.NewReplacer("OURS", "http://"+ours.Address, "THEIRS", "http://"+theirs.Address, "TYPE", typ).Replace
				var env []string
				for v := range strings.FieldsSeq(replace(tt.env)) {
					name, value, _ := strings.Cut(v, "=")
					if name == "FLUXBASE" {
						env = append(env, "FLUXBASE_OBSERVABILITY_TRACING_ENDPOINT="+value)
						continue
					}
					t.Setenv("OTEL_EXPORTER_OTLP_"+name, value)
				}
				file := configFile(t, "observability: {tracing: {enabled: true, "+replace(tt.file)+"}}")
				tracing, err := riffle.Start(t.Context(), file, riffle.App("fluxbase"), riffle.Logger(slog.New(slog.DiscardHandler)), riffle.Config(config.Environ(env)))
				if err != nil {
					t.Fatal(err)
				}
				_, span := otel.Tracer("test").Start(t.Context(), "work")
				span.End()
				if err := tracing.Shutdown(t.Context()); err != nil {
					t.Fatal(err)
				}
				if got := len(ours.Requests()) > 0; got != tt.ours {
					t.Errorf("ours has got spans: %v", got)
				}
				for _, r := range ours.Requests() {
					// Over HTTP, gzip is riffle's own default.
					if r.Headers.Get("key") != "" || typ != overHTTP && r.Encoding == "gzip" {
						t.Errorf("ours has got what is meant for another: %v, %q", r.Headers, r.Encoding)
					}
				}
				if got := len(theirs.Requests()) > 0; got != tt.theirs {
					t.Errorf("theirs has got spans: %v", got)
				}
				for _, r := range theirs.Requests() {
					if r.Headers.Get("key") != "agent" || r.Encoding != "gzip" {
						t.Errorf("theirs has not got what is meant for it: %v, %q", r.Headers, r.Encoding)
					}
				}
			})
		}
	}
}

// childVariable makes the test binary a service that traces.
const childVariable = "RIFFLE_TEST_OTEL_CHILD"

// TestServiceOfVariables is what [TestStandardError] starts.
func TestServiceOfVariables(t *testing.T) {
	ctx := context.Background()
	switch os.Getenv(childVariable) {
	case "":
		return // it is started by another test
	case "file":
		tracing, err := riffle.Start(ctx, "", riffle.App("fluxbase"))
		if err != nil {
			t.Fatal(err)
		}
		_, span := otel.Tracer("test").Start(ctx, "work")
		span.End()
		if err := tracing.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	default:
		p, err := core.New(ctx, core.Spec{Enabled: true, Exporters: []core.ExporterEntry{
			core.UseExporter(otlp.Factory, "a", otlp.Config{}), core.UseExporter(otlp.Factory, "b", otlp.Config{}),
		}})
		if err != nil {
			t.Fatal(err)
		}
		_, span := p.TracerProvider().Tracer("test").Start(ctx, "work")
		span.End()
		if err := p.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	}
}

// What is wrong with OpenTelemetry's variables is told by riffle, each once, and by
// nobody else: the SDK has nothing to say on standard error. And the service traces.
func TestStandardError(t *testing.T) {
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	bad := []string{
		"OTEL_RESOURCE_ATTRIBUTES=team=a,s3cret,x=%zz", "OTEL_SERVICE_NAME=shop",
		"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=:::", "OTEL_EXPORTER_OTLP_PROTOCOL=http/json", "OTEL_EXPORTER_OTLP_COMPRESSION=lzma",
		"OTEL_EXPORTER_OTLP_TIMEOUT=10s", "OTEL_EXPORTER_OTLP_HEADERS=key=agent,s3cret", "OTEL_EXPORTER_OTLP_CERTIFICATE=absent.pem",
		"OTEL_EXPORTER_OTLP_CLIENT_KEY=absent.pem",
		"OTEL_BSP_SCHEDULE_DELAY=1s", "OTEL_BSP_EXPORT_TIMEOUT=-1", "OTEL_BSP_MAX_QUEUE_SIZE=0", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE=x",
		"OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT=-1", "OTEL_ATTRIBUTE_COUNT_LIMIT=x", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT=x", "OTEL_SPAN_EVENT_COUNT_LIMIT=x",
		"OTEL_SPAN_LINK_COUNT_LIMIT=x", "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT=x", "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT=x",
	}
	more := []string{"OTEL_SDK_DISABLED=no", "OTEL_PROPAGATORS=b4", "OTEL_TRACES_SAMPLER=xray", "OTEL_TRACES_EXPORTER=otlp,zipkin"}
	for mode, bad := range map[string][]string{"file": append(more, bad...), "core": bad} {
		t.Run(mode, func(t *testing.T) {
			r := otlptest.HTTP(t, nil, "/v1/traces")
			cmd := exec.CommandContext(t.Context(), executable, "-test.run=^TestServiceOfVariables$")
			for _, v := range os.Environ() {
				if !strings.HasPrefix(v, "OTEL_") {
					cmd.Env = append(cmd.Env, v)
				}
			}
			cmd.Env = append(append(cmd.Env, bad...), childVariable+"="+mode,
				"OTEL_EXPORTER_OTLP_ENDPOINT=http://"+r.Address, "FLUXBASE_OBSERVABILITY_TRACING_ENABLED=true")
			var stdout, stderr bytes.Buffer
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			if err := cmd.Run(); err != nil {
				t.Fatalf("%v\n%s%s", err, &stdout, &stderr)
			}
			var want []string
			for _, v := range bad {
				if name, _, _ := strings.Cut(v, "="); name != "OTEL_SERVICE_NAME" {
					want = append(want, name)
				}
			}
			told := map[string]int{}
			for line := range strings.Lines(stderr.String()) {
				_, name, ok := strings.Cut(strings.TrimSpace(line), " position=")
				switch {
				case ok && strings.Contains(line, " WARN OpenTelemetry tracing: "):
					told[name]++
				case strings.Contains(line, " WARN invalid limit environment variable "):
					// go.opentelemetry.io/auto/sdk, a part of the API, says so before main.
				case !strings.Contains(line, " INFO OpenTelemetry tracing initialized "):
					t.Errorf("a line that is not riffle's: %s", line)
				}
			}
			wanted := map[string]int{}
			for _, name := range want {
				wanted[name] = 1
			}
			if diff := cmp.Diff(wanted, told); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
			if strings.Contains(stderr.String(), "s3cret") {
				t.Errorf("a secret is shown:\n%s", &stderr)
			}
			requests := r.Requests()
			if len(requests) == 0 || requests[0].Headers.Get("key") != "agent" {
				t.Errorf("got %+v, want the span, and the header that can be read", requests)
			}
		})
	}
}
