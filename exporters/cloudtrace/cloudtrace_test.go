package cloudtrace_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/exporters/cloudtrace"
	"github.com/riffletrace/riffle/exporters/exportertest"
	"github.com/riffletrace/riffle/internal/googletest"
	"github.com/riffletrace/riffle/internal/otlpclient"
	"github.com/riffletrace/riffle/internal/otlptest"
)

// to is a configuration for a fake.
func to(f *googletest.Fake) cloudtrace.Config {
	return cloudtrace.Config{Endpoint: f.Address, Compression: delivery.Gzip, Timeout: component.Duration(5 * time.Second)}
}

func build(t testing.TB, c cloudtrace.Config) sdktrace.SpanExporter {
	t.Helper()
	e, err := component.Use(cloudtrace.Factory, "", c).Build(t.Context(), component.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Shutdown(context.WithoutCancel(t.Context())); err != nil {
			t.Errorf("shutdown: %v", err)
		}
	})
	return e
}

func export(t testing.TB, e sdktrace.SpanExporter, names ...string) error {
	t.Helper()
	return e.ExportSpans(t.Context(), otlptest.Spans(names...))
}

// of is a span of a resource that names its project, if any.
func of(project string) []sdktrace.ReadOnlySpan {
	stub := tracetest.SpanStub{Name: "a"}
	if project != "" {
		stub.Resource = resource.NewSchemaless(attribute.String("service.name", "fluxbase"), attribute.String("gcp.project_id", project))
	}
	return tracetest.SpanStubs{stub}.Snapshots()
}

// Who sends is found where Google's libraries find it, and so is whose the
// spans are.
func TestCredentials(t *testing.T) {
	tests := []struct {
		name    string
		env     map[string]string
		config  func(*cloudtrace.Config, *googletest.Fake)
		span    string // project of its resource
		project string
		quota   string
	}{
		{name: "metadata server", project: googletest.OfMachine},
		{name: "file", config: func(c *cloudtrace.Config, f *googletest.Fake) { c.CredentialsFile = f.KeyFile(t, nil) }, project: googletest.OfKey},
		{name: "resource", span: "fluxbase-own", project: "fluxbase-own"},
		{name: "variable", env: map[string]string{"GOOGLE_CLOUD_PROJECT": "fluxbase-env"}, project: "fluxbase-env"},
		{name: "set", config: func(c *cloudtrace.Config, _ *googletest.Fake) { c.ProjectID = "fluxbase-set" }, span: "fluxbase-own", project: "fluxbase-set"},
		{name: "quota", config: func(c *cloudtrace.Config, _ *googletest.Fake) { c.QuotaProject = "fluxbase-paid" }, project: googletest.OfMachine, quota: "fluxbase-paid"},
		{name: "quota variable", env: map[string]string{"GOOGLE_CLOUD_QUOTA_PROJECT": "fluxbase-env"}, project: googletest.OfMachine, quota: "fluxbase-env"},
		{name: "quota of the file", config: func(c *cloudtrace.Config, f *googletest.Fake) {
			c.CredentialsFile = f.KeyFile(t, func(m map[string]string) { m["quota_project_id"] = "fluxbase-paid" })
		}, project: googletest.OfKey, quota: "fluxbase-paid"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := googletest.New(t).OnGCE(t)
			for name, value := range tt.env {
				t.Setenv(name, value)
			}
			c := to(f)
			if tt.config != nil {
				tt.config(&c, f)
			}
			e := build(t, c)
			for range 2 {
				if err := e.ExportSpans(t.Context(), of(tt.span)); err != nil {
					t.Fatal(err)
				}
			}
			names, projects, quotas := f.Received()
			got := [][]string{names, projects, quotas}
			want := [][]string{{"a", "a"}, {tt.project, tt.project}, {tt.quota, tt.quota}}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if n := f.Issued(); n != 1 {
				t.Errorf("%d tokens were issued", n)
			}
		})
	}
}

// The file that a variable names, and nothing else, is read when the exporter is
// built; nobody is asked.
func TestFileOfEnvironment(t *testing.T) {
	f := googletest.New(t)
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", f.KeyFile(t, nil))
	e := build(t, to(f))
	if n := f.Issued(); n != 0 {
		t.Errorf("%d tokens were issued for nothing", n)
	}
	if err := export(t, e, "a"); err != nil {
		t.Error(err)
	}
}

// A start does not wait for a metadata server, and what it holds up is no more
// than the attempt.
func TestSilentMetadataServer(t *testing.T) {
	f := googletest.New(t).OnGCE(t)
	f.Silent = make(chan struct{})
	began := time.Now()
	e := build(t, to(f))
	if took := time.Since(began); took > time.Second {
		t.Errorf("the start took %v", took)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err := e.ExportSpans(ctx, of(""))
	wantError(t, err, delivery.Retry, f.Address+" was sent nothing: there are no credentials: there is no response yet: context deadline exceeded")
	close(f.Silent)
	if err := e.ExportSpans(t.Context(), of("")); err != nil {
		t.Error(err)
	}
}

// A token that ends in the middle costs an attempt, not a span.
func TestTokenEnds(t *testing.T) {
	f := googletest.New(t).OnGCE(t)
	e := build(t, to(f))
	if err := export(t, e, "a"); err != nil {
		t.Fatal(err)
	}
	f.Revoke()
	wantError(t, export(t, e, "b"), delivery.Retry, f.Address+" refused the credentials (Request had invalid authentication credentials: ***.)")
	if err := export(t, e, "b"); err != nil {
		t.Error(err)
	}
	if n := f.Issued(); n != 2 {
		t.Errorf("%d tokens were issued", n)
	}
}

func wantError(t *testing.T, err error, outcome delivery.Outcome, text string) {
	t.Helper()
	f := (*delivery.ExportError)(nil)
	if !errors.As(err, &f) || f.Outcome != outcome {
		t.Errorf("outcome of %#v is not %v", err, outcome)
	}
	if err == nil || err.Error() != text {
		t.Errorf("got  %v\nwant %s", err, text)
	}
	if err != nil && strings.Contains(err.Error(), "s3cret") {
		t.Errorf("a secret is in %v", err)
	}
}

func write(t testing.TB, content []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "key.json")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func detailed(code codes.Code, message string, details ...protoadapt.MessageV1) error {
	s, err := status.New(code, message).WithDetails(details...)
	if err != nil {
		panic(err)
	}
	return s.Err()
}

// Refusals say what to do. Nothing is lost for what a person can put right.
func TestRefusals(t *testing.T) {
	disabled := &errdetails.ErrorInfo{Reason: "SERVICE_DISABLED", Domain: "googleapis.com", Metadata: map[string]string{"consumer": "projects/123", "service": "telemetry.googleapis.com"}}
	tests := []struct {
		name     string
		set      func(*googletest.Fake)
		file     func(map[string]string)
		response error
		want     string
		outcome  delivery.Outcome
	}{
		{
			name: "API is off", response: detailed(codes.PermissionDenied, "Telemetry API has not been used", disabled), outcome: delivery.Retry,
			want: "takes no traces yet: switch the API on (gcloud services enable telemetry.googleapis.com cloudtrace.googleapis.com), in project 123",
		},
		{
			name: "no role", response: status.Error(codes.PermissionDenied, "Permission 'telemetry.traces.write' denied"), outcome: delivery.Retry,
			want: "does not let these credentials send: grant them roles/telemetry.tracesWriter in the project (Permission 'telemetry.traces.write' denied)",
		},
		{
			name: "quota project", response: detailed(codes.PermissionDenied, "Caller does not have required permission", &errdetails.ErrorInfo{Reason: "USER_PROJECT_DENIED"}), outcome: delivery.Retry,
			file: func(m map[string]string) { m["quota_project_id"] = "fluxbase-paid" },
			want: "does not let these credentials use the quota of fluxbase-paid: grant them roles/serviceusage.serviceUsageConsumer there, or set quota_project (Caller does not have required permission)",
		},
		{
			name: "invalid", response: status.Error(codes.InvalidArgument, "bad"), outcome: delivery.Invalid,
			want: "rpc error: code = InvalidArgument desc = bad",
		},
		{
			name: "slow clock", set: func(f *googletest.Fake) { f.Skew = 2 * time.Hour }, outcome: delivery.Retry,
			want: "was sent nothing: there are no credentials: the clock of this machine is 2h0m0s behind Google's: set it right (invalid JWT: token must be a short-lived token (60 minutes) and in a reasonable timeframe)",
		},
		{
			name: "fast clock", set: func(f *googletest.Fake) { f.Skew = -10 * time.Minute }, outcome: delivery.Retry,
			want: "was sent nothing: there are no credentials: the clock of this machine is 10m0s ahead of Google's: set it right (invalid JWT: token must be a short-lived token (60 minutes) and in a reasonable timeframe)",
		},
		{
			name: "revoked key", file: func(m map[string]string) { m["private_key_id"] = "key-2" }, outcome: delivery.Retry,
			want: "was sent nothing: there are no credentials: Google gives no token: header {Alg:RS256 Typ:JWT Kid:key-2}",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := googletest.New(t)
			if tt.set != nil {
				tt.set(f)
			}
			f.Refuse = func(int, string) error { return tt.response }
			c := to(f)
			c.CredentialsFile = f.KeyFile(t, tt.file)
			e := build(t, c)
			want := f.Address + " " + tt.want
			if tt.name == "invalid" {
				want = "sending to " + f.Address + ": " + tt.want
			}
			wantError(t, export(t, e, "a"), tt.outcome, want)
		})
	}
}

// A quota that is used up is there again in the next minute, though Google says
// only that it is used up.
func TestQuota(t *testing.T) {
	f := googletest.New(t)
	f.Refuse = func(int, string) error {
		return detailed(codes.ResourceExhausted, "Quota exceeded for quota metric 'Ingested bytes'",
			&errdetails.ErrorInfo{Reason: "RATE_LIMIT_EXCEEDED", Domain: "googleapis.com"})
	}
	c := to(f)
	c.CredentialsFile = f.KeyFile(t, nil)
	err := export(t, build(t, c), "a")
	if e := (*delivery.ExportError)(nil); !errors.As(err, &e) || e.Outcome != delivery.Retry || !e.Throttled || e.RetryAfter != 0 {
		t.Errorf("%#v", e)
	}
}

func TestMachineErrors(t *testing.T) {
	t.Run("nobody is there", func(t *testing.T) {
		f := googletest.New(t)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		err := build(t, to(f)).ExportSpans(ctx, of("fluxbase-own"))
		if err == nil || !strings.Contains(err.Error(), "was sent nothing: there are no credentials: there is no file with any, and the metadata server does not answer: set credentials_file or GOOGLE_APPLICATION_CREDENTIALS (") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("no account", func(t *testing.T) {
		f := googletest.New(t).OnGCE(t)
		f.NoAccount = true
		wantError(t, export(t, build(t, to(f)), "a"), delivery.Retry,
			f.Address+" was sent nothing: there are no credentials: the metadata server knows no service account of this machine: give it one, or set credentials_file")
	})
	t.Run("no project", func(t *testing.T) {
		f := googletest.New(t).OnGCE(t)
		f.NoProject = true
		e := build(t, to(f))
		wantError(t, export(t, e, "a"), delivery.Retry,
			f.Address+" was sent nothing: whose the spans are is unknown: set project_id, or GOOGLE_CLOUD_PROJECT")
		if err := e.ExportSpans(t.Context(), of("fluxbase-own")); err != nil {
			t.Errorf("a resource that names its project: %v", err)
		}
	})
}

func TestConfigErrors(t *testing.T) {
	f := googletest.New(t)
	tests := []struct {
		name   string
		change func(*cloudtrace.Config)
		want   string
	}{
		{"project", func(c *cloudtrace.Config) { c.ProjectID = "My Project" }, `project_id: "My Project" is not the ID of a project, such as my-project-123`},
		{"quota", func(c *cloudtrace.Config) { c.QuotaProject = "p" }, `quota_project: "p" is not the ID of a project, such as my-project-123`},
		{"no file", func(c *cloudtrace.Config) { c.CredentialsFile = "/nowhere/key.json" }, "credentials_file: open /nowhere/key.json: no such file or directory"},
		{"no JSON", func(c *cloudtrace.Config) { c.CredentialsFile = write(t, []byte("s3cret")) }, "holds no JSON: invalid character 's' looking for beginning of value"},
		{"another type", func(c *cloudtrace.Config) { c.CredentialsFile = write(t, []byte(`{"web":{"client_secret":"s3cret"}}`)) }, `holds no credentials that can be used: its type is "", not service_account, authorized_user or external_account`},
		{"compression", func(c *cloudtrace.Config) { c.Compression = delivery.Zstd }, `compression: "zstd" is not one of none, gzip`},
		{"plain text", func(c *cloudtrace.Config) { c.Endpoint = "http://telemetry.example.com:4317" }, "endpoint: a token would be sent in plain text: write https://"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := to(f)
			tt.change(&c)
			err := c.Validate()
			if err == nil || !strings.HasSuffix(err.Error(), tt.want) || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
			if _, err := cloudtrace.New(t.Context(), component.Settings{}, c); err == nil {
				t.Error("New takes it")
			}
		})
	}
}

// Delivery's receivers that misbehave, each with a token from the fake.
func TestMisbehavingReceiver(t *testing.T) {
	file := googletest.New(t).KeyFile(t, nil)
	for _, m := range otlptest.Misbehaviours() {
		if m.Protocol == string(otlpclient.HTTP) {
			continue
		}
		switch m.Name {
		case codes.Unauthenticated.String(), codes.PermissionDenied.String():
			m.Lost = 0 // what a person can put right
		}
		t.Run(m.Name, func(t *testing.T) {
			t.Parallel()
			m.Misbehave(t, string(otlpclient.GRPC), func(t testing.TB, address string) sdktrace.SpanExporter {
				return build(t, cloudtrace.Config{Endpoint: address, CredentialsFile: file, Compression: delivery.None, Timeout: component.Duration(500 * time.Millisecond)})
			})
		})
	}
}

func TestConformance(t *testing.T) {
	f := googletest.New(t).OnGCE(t)
	for backend, address := range map[string]string{
		"works": f.Address, "is dead": otlptest.Dead(t), "is silent": otlptest.Silent(t), "hangs up": otlptest.HangsUp(t),
	} {
		t.Run("backend "+backend, func(t *testing.T) {
			c := to(f)
			c.Endpoint = address
			exportertest.Run(t, exportertest.Plan(component.Use(cloudtrace.Factory, "", c)))
		})
	}
	t.Run("silent metadata server", func(t *testing.T) {
		t.Setenv("GCE_METADATA_HOST", otlptest.Silent(t))
		exportertest.Run(t, exportertest.Plan(component.Use(cloudtrace.Factory, "", to(f))))
	})
}

// Through a line: tokens end again and again, and each span arrives once.
func TestLine(t *testing.T) {
	f := googletest.New(t).OnGCE(t)
	f.Refuse = func(n int, _ string) error {
		if n%3 == 1 {
			f.Revoke()
			return status.Error(codes.Unauthenticated, "ended")
		}
		return nil
	}
	var log bytes.Buffer
	c := delivery.Defaults()
	c.Batch.MaxSpans, c.Send.Workers = 10, 1
	c.Send.Backoff = delivery.Backoff{Initial: component.Duration(time.Millisecond), Max: component.Duration(5 * time.Millisecond)}
	lines := &delivery.Lines{}
	l := lines.Add(build(t, to(f)), c, delivery.Settings{Name: "google", Logger: slog.New(slog.NewTextHandler(&log, nil))})
	var want []string
	for i := range 100 {
		want = append(want, fmt.Sprintf("%03d", i))
	}
	lines.HandOver(otlptest.Spans(want...)...)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := l.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	if names, _, _ := f.Received(); !cmp.Equal(want, names) {
		t.Errorf("-want +got:\n%s", cmp.Diff(want, names))
	}
	if s := l.Stats(); s.Sent != 100 || s.Lost != 0 || s.Retried == 0 {
		t.Errorf("%+v", s)
	}
	if strings.Contains(log.String(), "s3cret") || !strings.Contains(log.String(), "refused the credentials") {
		t.Errorf("log:\n%s", log.String())
	}
}
