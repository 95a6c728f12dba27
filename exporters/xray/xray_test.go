package xray_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/exporters/exportertest"
	"github.com/riffletrace/riffle/exporters/xray"
	"github.com/riffletrace/riffle/internal/otlpclient"
	"github.com/riffletrace/riffle/internal/otlptest"
)

// to is a configuration that signs for the address of a fake.
func to(address string) xray.Config {
	sign := true
	return xray.Config{Region: region, Endpoint: "http://" + address, Sign: &sign, Compression: delivery.Gzip, Timeout: component.Duration(5 * time.Second)}
}

func build(t testing.TB, c xray.Config) sdktrace.SpanExporter {
	t.Helper()
	e, err := component.Use(xray.Factory, "", c).Build(t.Context(), component.Settings{})
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
	return e.ExportSpans(t.Context(), otlptest.SpansAt(time.Now(), names...))
}

// outcomeOf is what a line does after the error.
func outcomeOf(err error) delivery.Outcome {
	if f := (*delivery.ExportError)(nil); errors.As(err, &f) {
		return f.Outcome
	}
	return -1
}

func TestSigned(t *testing.T) {
	for _, compression := range []delivery.Compression{delivery.None, delivery.Gzip} {
		t.Run(string(compression), func(t *testing.T) {
			f := newFake(t)
			c := to(f.Listener.Addr().String())
			c.Compression = compression
			if err := export(t, build(t, c), "a", "b"); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{"a", "b"}, f.received()); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// Whatever byte of a request is changed, it is refused: all of it is signed,
// but for the name of the program that sends it.
func TestEveryByteIsSigned(t *testing.T) {
	f := newFake(t)
	c := to(f.Listener.Addr().String())
	c.Compression = delivery.None
	if err := export(t, build(t, c), "a"); err != nil {
		t.Fatal(err)
	}
	f.mu.Lock()
	raw := f.raw
	f.mu.Unlock()
	agent := bytes.Index(raw, []byte("User-Agent: "))
	if agent < 0 {
		t.Fatalf("no agent in %q", raw)
	}
	end := agent + bytes.IndexByte(raw[agent:], '\n')
	taken := func(raw []byte) error {
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(raw)))
		if err != nil {
			return err
		}
		_, err = f.take(r)
		return err
	}
	if err := taken(raw); err != nil {
		t.Fatalf("as it was: %v", err)
	}
	for i := range raw {
		if i >= agent && i <= end {
			continue
		}
		changed := bytes.Clone(raw)
		changed[i] ^= 1
		if taken(changed) == nil {
			t.Errorf("taken with byte %d changed: %q", i, changed[max(0, i-20):min(len(raw), i+20)])
		}
	}
}

// Refusals say what to do. Nothing is lost for what a person can put right.
func TestRefusals(t *testing.T) {
	tests := []struct {
		name    string
		set     func(*fake)
		config  func(*xray.Config)
		fails   []any
		want    string // after the address
		outcome delivery.Outcome
	}{
		{
			name: "no Transaction Search", fails: []any{400, "InvalidRequestException", "The OTLP API is supported with CloudWatch Logs as a Trace Segment Destination."},
			want: "takes no traces yet: switch on Transaction Search in CloudWatch, in region eu-central-1 " +
				"(aws xray update-trace-segment-destination --destination CloudWatchLogs)", outcome: delivery.Retry,
		},
		{name: "slow clock", set: func(f *fake) { f.skew = 10 * time.Minute }, want: "refused the signature because of its time: the clock of this machine is 10m0s behind AWS's: set it right", outcome: delivery.Retry},
		{name: "fast clock", set: func(f *fake) { f.skew = -10 * time.Minute }, want: "refused the signature because of its time: the clock of this machine is 10m0s ahead of AWS's: set it right", outcome: delivery.Retry},
		{name: "another region", config: func(c *xray.Config) { c.Region = "us-east-1" }, want: "is of another region than us-east-1: set region to that of the endpoint (Credential should be scoped to a valid region, not 'us-east-1'.)", outcome: delivery.Retry},
		{name: "unknown key", set: func(f *fake) { f.keys = nil }, want: "refused the credentials (The security token included in the request is invalid.)", outcome: delivery.Retry},
		{
			name: "not allowed", fails: []any{403, "AccessDeniedException", "User: arn:aws:iam::1:user/u is not authorized to perform: xray:PutSpans"},
			want:    "does not let these credentials send: allow it, as the managed policy AWSXrayWriteOnlyAccess does (User: arn:aws:iam::1:user/u is not authorized to perform: xray:PutSpans)",
			outcome: delivery.Retry,
		},
		{name: "invalid", fails: []any{400, "InvalidRequestException", "bad"}, want: `400 Bad Request: {"message":"bad"}`, outcome: delivery.Invalid},
		{name: "throttled", fails: []any{400, "ThrottlingException", "Rate exceeded"}, want: `400 Bad Request: {"message":"Rate exceeded"}`, outcome: delivery.Retry},
		{name: "not throttled", fails: []any{400, "InvalidRequestException", "attribute http.SlowDown: Throttling"}, want: `400 Bad Request: {"message":"attribute http.SlowDown: Throttling"}`, outcome: delivery.Invalid},
		{name: "time", fails: []any{408, "RequestTimeoutException", "slow"}, want: `408 Request Timeout: {"message":"slow"}`, outcome: delivery.Retry},
		{name: "broken", fails: []any{500, "InternalFailure", "oops"}, want: `500 Internal Server Error: {"message":"oops"}`, outcome: delivery.Retry},
		{name: "too large", fails: []any{413, "RequestEntityTooLargeException", "no"}, want: `413 Request Entity Too Large: {"message":"no"}`, outcome: delivery.TooLarge},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFake(t)
			if tt.set != nil {
				tt.set(f)
			}
			if tt.fails != nil {
				f.fails = func() (int, string, string) { return tt.fails[0].(int), tt.fails[1].(string), tt.fails[2].(string) }
			}
			c := to(f.Listener.Addr().String())
			if tt.config != nil {
				tt.config(&c)
			}
			err := export(t, build(t, c), "a")
			if err == nil {
				t.Fatal("accepted")
			}
			address := f.Listener.Addr().String()
			if got := strings.TrimPrefix(strings.TrimPrefix(err.Error(), "sending to "+address+": "), address+" "); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			if got := outcomeOf(err); got != tt.outcome {
				t.Errorf("outcome %v, want %v", got, tt.outcome)
			}
			if strings.Contains(err.Error(), secretKey) {
				t.Error("the error has the secret")
			}
		})
	}
}

// What is wrong with an account costs no span: they arrive when it is right.
func TestSwitchedOn(t *testing.T) {
	f := newFake(t)
	var on atomic.Bool
	f.fails = func() (int, string, string) {
		if on.Load() {
			return 0, "", ""
		}
		return http.StatusBadRequest, "InvalidRequestException", "The OTLP API is supported with CloudWatch Logs as a Trace Segment Destination."
	}
	c := delivery.Defaults()
	c.Send.Backoff = delivery.Backoff{Initial: component.Duration(time.Millisecond), Max: component.Duration(10 * time.Millisecond)}
	lines := &delivery.Lines{}
	l := lines.Add(build(t, to(f.Listener.Addr().String())), c, delivery.Settings{})
	lines.HandOver(otlptest.SpansAt(time.Now(), "a", "b")...)
	for l.Stats().Retried < 3 {
		time.Sleep(time.Millisecond)
	}
	on.Store(true)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := l.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"a", "b"}, f.received()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// What is shown of a message is a part of it, whatever it is.
func FuzzBrief(f *testing.F) {
	f.Add("")
	f.Add(`{"message":"no"}`)
	f.Add(`{"Message": "`)
	f.Add(`{"__type":"x","message":""}`)
	f.Fuzz(func(t *testing.T, message string) {
		if got := xray.Brief(message); got == "" || message != "" && !strings.Contains(message, got) {
			t.Errorf("%q of %q", got, message)
		}
	})
}

// The receiver misbehaves in all the ways that one of OTLP can, and throttles
// as AWS does.
func TestMisbehavingReceiver(t *testing.T) {
	throttles := func(name string, status int, kind, body string) otlptest.Misbehaviour {
		return otlptest.Misbehaviour{Name: name, Script: otlptest.Script{HTTP: otlptest.FirstHTTP(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("X-Amzn-Errortype", kind)
			w.WriteHeader(status)
			fmt.Fprint(w, body)
		})}}
	}
	all := append(otlptest.Misbehaviours(),
		throttles("ThrottledException", 429, "ThrottledException", `{"message":"Too many requests"}`),
		throttles("ThrottlingException", 400, "ThrottlingException", `{"message":"Rate exceeded"}`),
		throttles("throttling in the body", 400, "", `{"__type":"com.amazonaws.xray#ThrottlingException","message":"Rate exceeded"}`),
		throttles("service unavailable", 503, "ServiceUnavailable", `{"message":"slow down"}`),
		throttles("timeout", 400, "RequestTimeoutException:http://internal.amazon.com/coral/com.amazon.coral.service/", `{}`),
	)
	for _, m := range all {
		if m.Protocol == string(otlpclient.GRPC) {
			continue
		}
		switch m.Name {
		case "401", "403", "408", "500": // X-Ray means what can be put right
			m.Lost = 0
		}
		t.Run(m.Name, func(t *testing.T) {
			t.Parallel()
			m.Misbehave(t, string(otlpclient.HTTP), func(t testing.TB, address string) sdktrace.SpanExporter {
				c := to(address)
				c.Compression, c.Timeout = delivery.None, component.Duration(500*time.Millisecond)
				return build(t, c)
			})
		})
	}
}

func TestConformance(t *testing.T) {
	f := newFake(t)
	for backend, address := range map[string]string{
		"works": f.Listener.Addr().String(), "is dead": otlptest.Dead(t), "is silent": otlptest.Silent(t), "hangs up": otlptest.HangsUp(t),
	} {
		t.Run("backend "+backend, func(t *testing.T) {
			exportertest.Run(t, exportertest.Plan(component.Use(xray.Factory, "", to(address))))
		})
	}
}

// What X-Ray does not take is not sent to it, and costs nothing else.
func TestLimits(t *testing.T) {
	f := newFake(t)
	lines := &delivery.Lines{}
	c := delivery.Defaults()
	c.Batch.MaxSpans, c.Batch.MaxBytes = 1<<16, 16<<20
	l := lines.Add(build(t, to(f.Listener.Addr().String())), c, delivery.Settings{})
	names := make([]string, 25_000)
	for i := range names {
		names[i] = fmt.Sprint(i)
	}
	now := time.Now()
	lines.HandOver(otlptest.SpansAt(now, names...)...)
	lines.HandOver(otlptest.SpansAt(now.Add(-15*24*time.Hour), "old")...)
	lines.HandOver(otlptest.SpansAt(now.Add(-13*24*time.Hour), "young enough")...)
	lines.HandOver(otlptest.SpansAt(now.Add(3*time.Hour), "new")...)
	lines.HandOver(otlptest.SpansAt(now, strings.Repeat("x", 200_000))...)
	for i := range 60 {
		lines.HandOver(otlptest.SpansAt(now, fmt.Sprintf("%d %s", i, strings.Repeat("y", 190_000)))...)
	}
	_ = l.Shutdown(t.Context()) // it may have something to say of what was lost
	s := l.Stats()
	if want := (delivery.Dropped{TooOld: 1, TooNew: 1, TooLarge: 1}); s.Dropped != want || s.Sent != 25_061 || s.Rejected != 0 {
		t.Errorf("%+v", s)
	}
	if got := len(f.received()); got != 25_061 {
		t.Errorf("X-Ray has %d spans", got)
	}
}

// A Collector's requests are not signed.
func TestCollector(t *testing.T) {
	r := otlptest.HTTP(t, nil, "/v1/traces")
	e := build(t, xray.Config{Endpoint: "http://" + r.Address, Compression: delivery.Gzip, Timeout: component.Duration(5 * time.Second)})
	if err := export(t, e, "a"); err != nil {
		t.Fatal(err)
	}
	got := r.Requests()
	if len(got) != 1 || got[0].Headers.Get("Authorization") != "" || got[0].Encoding != "gzip" {
		t.Errorf("%+v", got)
	}
}

// What the environment says of other backends is not for this one.
func TestEnvironmentOfOthers(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-other-vendor=s3cret")
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:1")
	t.Setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere")
	r := otlptest.HTTP(t, nil, "/v1/traces")
	if err := export(t, build(t, xray.Config{Endpoint: "http://" + r.Address}), "a"); err != nil {
		t.Fatal(err)
	}
	if got := r.Requests(); len(got) != 1 || got[0].Headers.Get("X-Other-Vendor") != "" {
		t.Errorf("%+v", got)
	}
}

func TestCheck(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "config")
	if err := os.WriteFile(file, []byte("[default]\nregion = ap-south-1\n[profile other]\nregion = us-west-2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name     string
		config   xray.Config
		env      map[string]string
		endpoint string
		want     string
	}{
		{"region", xray.Config{Region: "us-east-1"}, nil, "https://xray.us-east-1.amazonaws.com:443/v1/traces", ""},
		{"variable", xray.Config{}, map[string]string{"AWS_REGION": "us-gov-west-1"}, "https://xray.us-gov-west-1.amazonaws.com:443/v1/traces", ""},
		{"default profile", xray.Config{}, map[string]string{"AWS_CONFIG_FILE": file}, "https://xray.ap-south-1.amazonaws.com:443/v1/traces", ""},
		{"profile", xray.Config{Profile: "other"}, map[string]string{"AWS_CONFIG_FILE": file}, "https://xray.us-west-2.amazonaws.com:443/v1/traces", ""},
		{"VPC endpoint", xray.Config{Region: "us-east-1", Endpoint: "https://vpce-1.xray.us-east-1.vpce.amazonaws.com"}, nil, "https://vpce-1.xray.us-east-1.vpce.amazonaws.com:443/v1/traces", ""},
		{"Collector", xray.Config{Endpoint: "http://localhost:4318"}, nil, "http://localhost:4318/v1/traces", ""},

		{"no region", xray.Config{}, nil, "", "region: missing: set it, or AWS_REGION"},
		{"no region for a VPC endpoint", xray.Config{Endpoint: "https://vpce-1.xray.us-east-1.vpce.amazonaws.com"}, nil, "", "region: missing: set it, or AWS_REGION"},
		{"zone", xray.Config{Region: "us-east-1a"}, nil, "", `region: "us-east-1a" is not a region of AWS, such as eu-central-1`},
		{"host in region", xray.Config{Region: "evil.example.com/"}, nil, "", `region: "evil.example.com/" is not a region of AWS, such as eu-central-1`},
		{"no URL", xray.Config{Endpoint: "localhost:4318"}, nil, "", "endpoint: want a URL, such as http://localhost:4318 for a Collector on this machine"},
		{"zstd", xray.Config{Region: region, Compression: delivery.Zstd}, nil, "", `compression: "zstd" is not one of none, gzip`},
		{"no such profile", xray.Config{Profile: "nobody"}, map[string]string{"AWS_CONFIG_FILE": file}, "", "profile: reading AWS's configuration: failed to get shared config profile, nobody"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for name, value := range tt.env {
				t.Setenv(name, value)
			}
			entry := component.Use(xray.Factory, "", tt.config)
			err := entry.Err()
			if tt.want != "" {
				if err == nil || err.Error() != tt.want {
					t.Errorf("got  %v\nwant %s", err, tt.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := build(t, tt.config).(delivery.Exporter).Traits().Endpoint; got != tt.endpoint {
				t.Errorf("endpoint %s, want %s", got, tt.endpoint)
			}
		})
	}
}

// IDs begin with the time, and the low 56 bits, which sampling needs, are
// random.
func TestIDs(t *testing.T) {
	g := xray.NewIDGenerator()
	before := time.Now().Unix()
	seen := map[trace.TraceID]bool{}
	var bits [56]int
	const n = 10_000
	for range n {
		id, span := g.NewIDs(t.Context())
		at := int64(id[0])<<24 | int64(id[1])<<16 | int64(id[2])<<8 | int64(id[3])
		if at < before || at > time.Now().Unix() || seen[id] || !span.IsValid() {
			t.Fatalf("%s %s", id, span)
		}
		seen[id] = true
		for b := range bits {
			if id[15-b/8]&(1<<(b%8)) != 0 {
				bits[b]++
			}
		}
	}
	for b, ones := range bits {
		if ones < n/2-300 || ones > n/2+300 { // six standard deviations
			t.Errorf("bit %d is set in %d of %d", b, ones, n)
		}
	}
}
