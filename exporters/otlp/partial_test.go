package otlp_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"

	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/exporters/otlp"
	"github.com/riffletrace/riffle/internal/otlpstatus"
	"github.com/riffletrace/riffle/internal/otlptest"
)

// journal is a log.
type journal struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.Write(p)
}

func (j *journal) logger() *slog.Logger { return slog.New(slog.NewTextHandler(j, nil)) }

func (j *journal) count(s string) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Count(j.buf.String(), s)
}

// What a backend says of spans that it takes is no loss, and what it rejects is,
// whichever exporter it is, and however the response is encoded.
func TestPartialSuccess(t *testing.T) {
	tests := []struct {
		name     string
		rejected int64
		message  string
		lost     uint64
	}{
		{"all is well", 0, "", 0},
		{"a hint", 0, "attribute x is deprecated", 0},
		{"a part", 1, "attribute x is bad", 1},
		{"a part without a word", 1, "", 1},
		{"all", 10, "no", 10},
		{"more than all", 11, "no", 10},
		{"a response that is too large", 0, strings.Repeat("x", 100<<10), 0},
	}
	for _, tt := range tests {
		for protocol, of := range builders {
			encodings := []string{"protobuf"}
			if protocol == otlp.HTTP {
				encodings = append(encodings, "JSON")
			}
			for _, encoding := range encodings {
				answer := &coltracepb.ExportTraceServiceResponse{
					PartialSuccess: &coltracepb.ExportTracePartialSuccess{RejectedSpans: tt.rejected, ErrorMessage: tt.message},
				}
				for name, plan := range of {
					t.Run(fmt.Sprintf("%s/%s/%s/%s", tt.name, protocol, encoding, name), func(t *testing.T) {
						r := &otlptest.Scripted{Address: otlptest.Dead(t)}
						r.Respond = func(int) *coltracepb.ExportTraceServiceResponse { return answer }
						if encoding == "JSON" {
							r.RespondHTTP = func(w http.ResponseWriter) {
								w.Header().Set("Content-Type", "application/json")
								b, _ := protojson.Marshal(answer)
								_, _ = w.Write(b)
							}
						}
						r.Start(t, string(protocol))
						log := &journal{}
						e, err := plan(r.Address).Build(t.Context(), component.Settings{Logger: log.logger()})
						if err != nil {
							t.Fatal(err)
						}
						lines := &delivery.Lines{}
						l := lines.Add(e, delivery.Defaults(), delivery.Settings{Logger: log.logger()})
						for range 2 { // it is said once
							names := make([]string, 10)
							for i := range names {
								names[i] = fmt.Sprint("span ", i)
							}
							lines.HandOver(otlptest.Spans(names...)...)
							err := l.ForceFlush(t.Context())
							if (err != nil) != (tt.lost > 0) {
								t.Errorf("ForceFlush = %v", err)
							}
						}
						if s := l.Stats(); s.Lost != 2*tt.lost || s.Rejected != 2*tt.lost || s.Sent != 20-2*tt.lost {
							t.Errorf("stats: %+v", s)
						}
						said := tt.message
						if len(said) > otlpstatus.MaxResponse {
							said = otlpstatus.Unread
						}
						if said != "" && log.count(said) != 1 {
							t.Errorf("%q is said %d times:\n%.1000s", said, log.count(said), log.buf.String())
						}
						if tt.message == "" && tt.rejected == 0 && log.buf.Len() > 0 {
							t.Errorf("it says\n%s", log.buf.String())
						}
						if err := l.Shutdown(t.Context()); (err != nil) != (tt.lost > 0) {
							t.Errorf("Shutdown = %v", err)
						}
					})
				}
			}
		}
	}
}

// An acceptance that is no OTLP is one, and said.
func TestForeignAcceptance(t *testing.T) {
	for name, plan := range builders[otlp.HTTP] {
		t.Run(name, func(t *testing.T) {
			web := otlptest.Web(t, nil, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				_, _ = fmt.Fprintf(w, `{"error":"who is %s?"}`, r.Header.Get("User-Agent"))
			}))
			log := &journal{}
			e, err := plan(web).Build(t.Context(), component.Settings{Logger: log.logger()})
			if err != nil {
				t.Fatal(err)
			}
			lines := &delivery.Lines{}
			l := lines.Add(e, delivery.Defaults(), delivery.Settings{Logger: log.logger()})
			for range 2 {
				lines.HandOver(otlptest.Spans("a")...)
				if err := l.ForceFlush(t.Context()); err != nil {
					t.Error(err)
				}
			}
			if s := l.Stats(); s.Sent != 2 || s.Lost != 0 {
				t.Errorf("stats: %+v", s)
			}
			if log.count("the response is no OTLP (application/json: ") != 1 || log.count("level=WARN") != 1 {
				t.Errorf("it says\n%s", log.buf.String())
			}
			if err := l.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}
