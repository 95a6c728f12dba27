package otlp_test

import (
	"context"
	"strconv"
	"strings"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"google.golang.org/grpc/codes"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/exporters/otlp"
	"github.com/riffletrace/riffle/exporters/sdk"
	"github.com/riffletrace/riffle/internal/testspans"
	"github.com/riffletrace/riffle/internal/untrustedtest"
)

// backends say what the worst say, over gRPC and over HTTP.
func backends(t *testing.T) map[string]string {
	t.Helper()
	said := untrustedtest.Say(256 << 10)
	line := strings.NewReplacer("\r", "", "\n", " ").Replace(said) // of a header
	all := map[string]string{
		"grpc: a long status": untrustedtest.GRPC(t, codes.Unavailable, untrustedtest.Say(100)+strings.Repeat("x", 12<<20)),
		"grpc: partial":       untrustedtest.PartialGRPC(t, strings.ToValidUTF8(untrustedtest.Say(60<<10), "")),

		"http: a long reason":  untrustedtest.HTTP(t, 503, strings.Repeat(line, 20), "", ""),
		"http: a long body":    untrustedtest.HTTP(t, 503, "Busy", "Content-Type: text/plain\r\n", said),
		"http: a long header":  untrustedtest.HTTP(t, 307, "Elsewhere", "Location: http://a/"+strings.Repeat("b", 256<<10)+"\r\n", ""),
		"http: a strange type": untrustedtest.HTTP(t, 200, "OK", "Content-Type: "+line+"\r\n", said),
		"http: a page":         untrustedtest.HTTP(t, 200, line, "Content-Type: text/html\r\n", said),
		"http: junk":           untrustedtest.HTTP(t, 0, line, line, said),
	}
	for _, code := range []codes.Code{codes.InvalidArgument, codes.PermissionDenied, codes.Unimplemented, codes.ResourceExhausted} {
		all["grpc: "+code.String()] = untrustedtest.GRPC(t, code, said)
	}
	for _, code := range []int{400, 401, 404, 413, 415, 429} {
		all["http: "+strconv.Itoa(code)] = untrustedtest.HTTP(t, code, line, "", said)
	}
	return all
}

func TestWhatBackendsSay(t *testing.T) {
	built := func(e sdktrace.SpanExporter, err error) sdktrace.SpanExporter {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	for name, address := range backends(t) {
		for _, own := range []bool{true, false} {
			t.Run(name+", own: "+strconv.FormatBool(own), func(t *testing.T) {
				var log untrustedtest.Log
				var e sdktrace.SpanExporter
				s := component.Settings{ID: "backend", Logger: log.Logger()}
				switch overHTTP := strings.HasPrefix(name, "http"); {
				case own && overHTTP:
					e = built(otlp.New(t.Context(), s, otlp.Config{Endpoint: "http://" + address, Protocol: otlp.HTTP}))
				case own:
					e = built(otlp.New(t.Context(), s, otlp.Config{Endpoint: address}))
				case overHTTP:
					e = built(sdk.NewHTTP(t.Context(), s, sdk.HTTPConfig{Endpoint: "http://" + address}))
				default:
					e = built(sdk.NewGRPC(t.Context(), s, sdk.GRPCConfig{Endpoint: address}))
				}
				spans := testspans.Random(1)[:1]
				if err := e.ExportSpans(t.Context(), spans); err != nil {
					untrustedtest.Check(t, "ExportSpans", err.Error())
				}
				var lines delivery.Lines
				l := lines.Add(e, delivery.Defaults(), delivery.Settings{Name: "backend", Type: "otlp", Logger: log.Logger()})
				lines.HandOver(spans...)
				if err := l.ForceFlush(context.Background()); err != nil {
					untrustedtest.Check(t, "ForceFlush", err.Error())
				}
				ctx, cancel := context.WithCancel(t.Context())
				cancel()
				if err := l.Shutdown(ctx); err != nil {
					for line := range strings.Lines(err.Error()) {
						untrustedtest.Check(t, "Shutdown", strings.TrimSuffix(line, "\n"))
					}
				}
				log.Check(t, name, "")
				if len(log.Lines()) == 0 {
					t.Error("nothing is logged")
				}
			})
		}
	}
}
