package lines_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/riffletrace/riffle/exporters/internal/lines"
	"github.com/riffletrace/riffle/internal/otlptest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// IDs are hex, times are strings, enums are numbers, and the batch is one line.
func TestOTLPJSON(t *testing.T) {
	encode, err := lines.NewEncoder(lines.OTLPJSON)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		got, err := encode(t.Context(), otlptest.Spans("a\nb"))
		if err != nil {
			t.Fatal(err)
		}
		const want = `{"resourceSpans":[{"scopeSpans":[{"spans":[{` +
			`"traceId":"01000000000000000000000000000001","spanId":"0000000000000001","flags":257,"name":"a\nb",` +
			`"startTimeUnixNano":"1767366245000000000","endTimeUnixNano":"1767366245001000000","status":{}}]}]}]}` + "\n"
		if diff := cmp.Diff(want, string(got)); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	}
	if got, err := encode(t.Context(), nil); err != nil || len(got) > 0 {
		t.Errorf("no spans: got %q, %v", got, err)
	}
}

func TestJSON(t *testing.T) {
	encode, err := lines.NewEncoder(lines.JSON)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		got, err := encode(t.Context(), otlptest.Spans("a"))
		if err != nil {
			t.Fatal(err)
		}
		var span struct {
			Name        string
			SpanContext struct{ TraceID string }
		}
		if err := json.Unmarshal(got, &span); err != nil {
			t.Fatal(err)
		}
		if span.Name != "a" || span.SpanContext.TraceID != "01000000000000000000000000000001" || got[len(got)-1] != '\n' {
			t.Errorf("got %s", got)
		}
	}
}

func TestUnknownFormat(t *testing.T) {
	_, err := lines.NewEncoder("xml")
	if want := `unknown format "xml": known are json, otlp_json`; err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}
