package azuremonitor_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/exporters/azuremonitor"
	"github.com/riffletrace/riffle/exporters/exportertest"
	"github.com/riffletrace/riffle/internal/azuretest"
	"github.com/riffletrace/riffle/internal/otlpclient"
	"github.com/riffletrace/riffle/internal/otlptest"
)

// with is a configuration with a connection string.
func with(connection string) azuremonitor.Config {
	return azuremonitor.Config{ConnectionString: component.Secret(connection), Compression: delivery.Gzip, Timeout: component.Duration(5 * time.Second)}
}

func build(t testing.TB, c azuremonitor.Config) sdktrace.SpanExporter {
	t.Helper()
	e, err := component.Use(azuremonitor.Factory, "", c).Build(t.Context(), component.Settings{Logger: slog.New(slog.DiscardHandler)})
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

var secrets = []string{"s3cret", azuretest.Key, strings.ToUpper(azuretest.Key)}

func wantError(t *testing.T, err error, outcome delivery.Outcome, text string) {
	t.Helper()
	f := (*delivery.ExportError)(nil)
	if !errors.As(err, &f) || f.Outcome != outcome {
		t.Errorf("outcome of %#v is not %v", err, outcome)
	}
	if err == nil || err.Error() != text {
		t.Errorf("got  %v\nwant %s", err, text)
	}
	noSecret(t, fmt.Sprint(err))
}

func noSecret(t *testing.T, text string) {
	t.Helper()
	for _, s := range secrets {
		if strings.Contains(text, s) {
			t.Errorf("%q is in %s", s, text)
		}
	}
}

func TestConfigErrors(t *testing.T) {
	const want = "want that of a traces stream, such as https://my-dce.westeurope-1.ingest.monitor.azure.com/datacollectionRules/dcr-0123/streams/Microsoft-OTLP-Traces/otlp/v1/traces"
	tests := []struct {
		name   string
		config azuremonitor.Config
		want   string
	}{
		{"nothing", azuremonitor.Config{}, "connection_string: missing: set it, or APPLICATIONINSIGHTS_CONNECTION_STRING, or endpoint for OTLP"},
		{"both", azuremonitor.Config{ConnectionString: "InstrumentationKey=s3cret", Endpoint: "https://x"}, "endpoint: there is a connection_string too: write one of them"},
		{"no pairs", with("s3cret"), "connection_string: part 1 of it is not of the form Key=Value: want InstrumentationKey=...;IngestionEndpoint=https://... and so on"},
		{"no key", with("IngestionEndpoint=https://s3cret"), "connection_string: it has no InstrumentationKey: copy the whole connection string"},
		{"bad key", with("InstrumentationKey=s3cret s3cret"), "connection_string: its InstrumentationKey is longer than 40 characters, or has blanks or quotes: copy the whole connection string"},
		{"twice", with("InstrumentationKey=s3cret;instrumentationkey=s3cret"), "connection_string: part 2 of it is there before: is it two connection strings?"},
		{"long", with(strings.Repeat("s3cret", 1000)), "connection_string: it is of 6000 characters, none is of more than 4096"},
		{"authorization", with("InstrumentationKey=s3cret;Authorization=aad"), "connection_string: its Authorization is not ikey, which is the only one there is"},
		{"no URL", with("InstrumentationKey=s3cret;IngestionEndpoint=example.com"), "connection_string: its IngestionEndpoint is no URL"},
		{"bad URL", with("InstrumentationKey=s3cret;IngestionEndpoint=https://user:s3cret@example.com"), "connection_string: its IngestionEndpoint: user and password do not belong here: put them into headers"},
		{"plain text", with("InstrumentationKey=s3cret;IngestionEndpoint=http://example.com"), "connection_string: it would be sent to in plain text: write https://"},
		{"zstd", azuremonitor.Config{ConnectionString: "InstrumentationKey=s3cret", Compression: delivery.Zstd}, `compression: "zstd" is not one of none, gzip`},
		{"endpoint of no URL", azuremonitor.Config{Endpoint: "user:s3cret"}, "endpoint: it is no URL: " + want},
		{"endpoint with a query", azuremonitor.Config{Endpoint: "https://x.ingest.monitor.azure.com" + azuretest.StreamPath + "?sig=s3cret"}, "endpoint: there is more to it than the URL of a stream: " + want},
		{"endpoint of no stream", azuremonitor.Config{Endpoint: "https://x.ingest.monitor.azure.com/v1/traces"}, `endpoint: "/v1/traces" is the path of no stream: ` + want},
		{"endpoint for logs", azuremonitor.Config{Endpoint: "https://x.ingest.monitor.azure.com/datacollectionRules/dcr-1/streams/Microsoft-OTLP-Logs/otlp/v1/logs"}, "endpoint: it is the stream for logs: " + want},
		{"endpoint in plain text", azuremonitor.Config{Endpoint: "http://x.ingest.monitor.azure.com" + azuretest.StreamPath}, "endpoint: it would be sent to in plain text: write https://"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.config.Validate()
			if err == nil || err.Error() != tt.want {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
			noSecret(t, fmt.Sprint(err))
			if _, err := azuremonitor.New(t.Context(), component.Settings{}, tt.config); err == nil {
				t.Error("New takes it")
			}
		})
	}
}

func TestEndpoints(t *testing.T) {
	t.Setenv("APPLICATIONINSIGHTS_CONNECTION_STRING", "InstrumentationKey=env;IngestionEndpoint=https://env.in.applicationinsights.azure.com/")
	tests := []struct {
		config azuremonitor.Config
		want   string
	}{
		{with(""), "https://env.in.applicationinsights.azure.com:443/v2.1/track"},
		{with("InstrumentationKey=key"), "https://dc.services.visualstudio.com:443/v2.1/track"},
		{with(" instrumentationkey = key ; INGESTIONENDPOINT = https://westeurope-5.in.applicationinsights.azure.com/ ; "), "https://westeurope-5.in.applicationinsights.azure.com:443/v2.1/track"},
		{with("InstrumentationKey=key;EndpointSuffix=applicationinsights.azure.cn"), "https://dc.applicationinsights.azure.cn:443/v2.1/track"},
		{with("InstrumentationKey=key;EndpointSuffix=applicationinsights.azure.us;Location=usgovvirginia"), "https://usgovvirginia.dc.applicationinsights.azure.us:443/v2.1/track"},
		{with("InstrumentationKey=key;IngestionEndpoint=https://proxy.example.com/insights/"), "https://proxy.example.com:443/insights/v2.1/track"},
		{azuremonitor.Config{Endpoint: "https://x.ingest.monitor.azure.com" + azuretest.StreamPath}, "https://x.ingest.monitor.azure.com:443" + azuretest.StreamPath},
	}
	for _, tt := range tests {
		if got := build(t, tt.config).(delivery.Exporter).Traits().Endpoint; got != tt.want {
			t.Errorf("got  %s\nwant %s", got, tt.want)
		}
	}
}

func FuzzConnection(f *testing.F) {
	f.Add("InstrumentationKey=00000000-0000-0000-0000-000000000000;IngestionEndpoint=https://x.in.applicationinsights.azure.com/;LiveEndpoint=https://x")
	f.Add("InstrumentationKey=key;EndpointSuffix=example.com;Location=x;Authorization=ikey;;")
	f.Fuzz(func(_ *testing.T, s string) {
		if _, err := azuremonitor.ParseConnection(s); err != nil {
			return
		}
		c := with(s)
		_ = c.Validate()
	})
}

// Delivery's receivers that misbehave, over both ways.
func TestMisbehavingReceiver(t *testing.T) {
	for _, way := range []string{"track", "OTLP"} {
		for _, m := range otlptest.Misbehaviours() {
			if m.Protocol == string(otlpclient.GRPC) {
				continue
			}
			switch m.Name {
			case "401", "403", "408", "500": // what a person, or time, can put right
				m.Lost = 0
			case "307":
				if way == "track" {
					m.Lost = 0 // it is followed, to where nobody is
				}
			}
			c := azuremonitor.Config{Compression: delivery.None, Timeout: component.Duration(500 * time.Millisecond)}
			if way == "track" {
				if m.Script.Respond != nil || m.Script.RespondHTTP != nil {
					continue // it is OTLP
				}
				m.Script.Decode = azuretest.SpanNames
			}
			t.Run(way+"/"+m.Name, func(t *testing.T) {
				t.Parallel()
				m.Misbehave(t, string(otlpclient.HTTP), func(t testing.TB, address string) sdktrace.SpanExporter {
					c := c
					if way == "track" {
						c.ConnectionString = component.Secret("InstrumentationKey=key;IngestionEndpoint=http://" + address)
					} else {
						c.Endpoint = "http://" + address + azuretest.StreamPath
					}
					return build(t, c)
				})
			})
		}
	}
}

func TestConformance(t *testing.T) {
	f := azuretest.New(t)
	for backend, address := range map[string]string{
		"works": f.Listener.Addr().String(), "is dead": otlptest.Dead(t), "is silent": otlptest.Silent(t), "hangs up": otlptest.HangsUp(t),
	} {
		t.Run("track/backend "+backend, func(t *testing.T) {
			c := with("InstrumentationKey=key;IngestionEndpoint=http://" + address)
			exportertest.Run(t, exportertest.Plan(component.Use(azuremonitor.Factory, "", c)))
		})
		t.Run("OTLP/backend "+backend, func(t *testing.T) {
			c := azuremonitor.Config{Endpoint: "http://" + address + azuretest.StreamPath, Compression: delivery.Gzip}
			exportertest.Run(t, exportertest.Plan(component.Use(azuremonitor.Factory, "", c)))
		})
	}
	t.Run("silent identity", func(t *testing.T) {
		t.Setenv("IDENTITY_ENDPOINT", "http://"+otlptest.Silent(t))
		c := azuremonitor.Config{Endpoint: f.URL + azuretest.StreamPath, ClientID: "client-of-nobody"}
		exportertest.Run(t, exportertest.Plan(component.Use(azuremonitor.Factory, "", c)))
	})
}

// Whichever identity there is, its token is sent, and renewed when it ends.
func TestEntra(t *testing.T) {
	of := func(e *azuretest.Entra) string { return e.URL }
	identities := []struct {
		name string
		set  func(*testing.T, *azuretest.Entra, *azuremonitor.Config)
		of   func(*azuretest.Entra) string
	}{
		{"client secret", func(t *testing.T, e *azuretest.Entra, _ *azuremonitor.Config) {
			e.WithSecret(t, azuretest.ClientSecret)
		}, of},
		{"workload", func(t *testing.T, e *azuretest.Entra, _ *azuremonitor.Config) { e.WithWorkload(t) }, of},
		{"managed", nil, func(*azuretest.Entra) string { return "" }},
		{"user-assigned", func(_ *testing.T, _ *azuretest.Entra, c *azuremonitor.Config) { c.ClientID = "client-2" }, func(*azuretest.Entra) string { return "client-2" }},
		{"user of variable", func(t *testing.T, _ *azuretest.Entra, _ *azuremonitor.Config) {
			t.Setenv("AZURE_CLIENT_ID", "client-3")
		}, func(*azuretest.Entra) string { return "client-3" }},
	}
	for _, tt := range identities {
		for _, way := range []string{"OTLP", "track"} {
			t.Run(tt.name+"/"+way, func(t *testing.T) {
				f, id := azuretest.New(t), azuretest.NewEntra(t)
				f.Who = func(of string) bool { return of == tt.of(id) }
				c := with("")
				if way == "OTLP" {
					c.Endpoint = f.URL + azuretest.StreamPath
				} else {
					c.ConnectionString, c.Entra = component.Secret(f.Connection()), true
				}
				if tt.set != nil {
					tt.set(t, id, &c)
				}
				e := build(t, c)
				if n := id.Issued(); n != 0 {
					t.Errorf("%d tokens were issued before one was wanted", n)
				}
				for range 2 {
					if err := export(t, e, "a"); err != nil {
						t.Fatal(err)
					}
				}
				if tt.of(id) != id.URL {
					return
				}
				if n := id.Issued(); n != 1 {
					t.Errorf("%d tokens were issued", n)
				}
				id.Revoke()
				err := export(t, e, "b")
				if text := fmt.Sprint(err); !strings.HasPrefix(text, f.Listener.Addr().String()+" refused the token (401 Unauthorized") {
					t.Errorf("a token that ended: %v", err)
				}
				if err := export(t, e, "b"); err != nil {
					t.Errorf("after that: %v", err)
				}
			})
		}
	}
}

func TestEntraErrors(t *testing.T) {
	tests := []struct {
		name string
		set  func(*testing.T, *azuretest.Entra)
		want string
	}{
		{"wrong secret", func(t *testing.T, e *azuretest.Entra) { e.WithSecret(t, "s3cret-wrong") }, "Entra ID gives no token: AADSTS7000215: Invalid client secret provided."},
		{"slow clock", func(t *testing.T, e *azuretest.Entra) { e.WithWorkload(t); e.Skew = time.Hour }, "the clock of this machine is 1h0m0s behind Azure's: set it right (AADSTS700024: Client assertion is not within its valid time range.)"},
		{"fast clock", func(t *testing.T, e *azuretest.Entra) { e.WithWorkload(t); e.Skew = -time.Hour }, "the clock of this machine is 1h0m0s ahead of Azure's: set it right (AADSTS700024: Client assertion is not within its valid time range.)"},
		{"nobody there", func(t *testing.T, _ *azuretest.Entra) {
			t.Setenv("AZURE_CLIENT_ID", "client-4")
			t.Setenv("IDENTITY_ENDPOINT", "http://"+otlptest.Dead(t))
		}, "no managed identity answers: give this machine one, or set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET ("},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, id := azuretest.New(t), azuretest.NewEntra(t)
			tt.set(t, id)
			err := export(t, build(t, azuremonitor.Config{Endpoint: f.URL + azuretest.StreamPath, Timeout: component.Duration(5 * time.Second)}), "a")
			want := f.Listener.Addr().String() + " was sent nothing: there are no credentials: " + tt.want
			if e := (*delivery.ExportError)(nil); !errors.As(err, &e) || e.Outcome != delivery.Retry || !strings.HasPrefix(err.Error(), want) {
				t.Errorf("got  %v\nwant %s", err, want)
			}
			noSecret(t, fmt.Sprint(err))
		})
	}
	t.Run("incomplete", func(t *testing.T) {
		t.Setenv("AZURE_CLIENT_SECRET", azuretest.ClientSecret)
		_, err := azuremonitor.New(t.Context(), component.Settings{}, azuremonitor.Config{Endpoint: "https://x.ingest.monitor.azure.com" + azuretest.StreamPath})
		if want := "the credentials of the environment: missing environment variable AZURE_TENANT_ID"; err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	})
}

func TestOTLP(t *testing.T) {
	f := azuretest.New(t)
	azuretest.NewEntra(t).WithSecret(t, azuretest.ClientSecret)
	if err := export(t, build(t, azuremonitor.Config{Endpoint: f.URL + azuretest.StreamPath}), "a", "b"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a", "b"}, f.Streamed()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	wantError(t, export(t, build(t, azuremonitor.Config{Endpoint: f.URL + strings.Replace(azuretest.StreamPath, "0123", "4567", 1)}), "a"), delivery.Refused,
		f.Listener.Addr().String()+" knows no such stream: check the endpoint, and that the data collection rule is of its region (404 Not Found: 404 page not found)")
}
