package otlpstatus_test

import (
	"strings"
	"testing"
	"unicode"

	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/internal/otlpstatus"
	"github.com/riffletrace/riffle/internal/untrusted"
)

func TestAccepted(t *testing.T) {
	marshal := func(rejected int64, message string) string {
		b, err := proto.Marshal(&coltracepb.ExportTraceServiceResponse{
			PartialSuccess: &coltracepb.ExportTracePartialSuccess{RejectedSpans: rejected, ErrorMessage: message},
		})
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	const (
		pb   = "application/x-protobuf"
		json = "application/json"
	)
	no := func(as, body string) string {
		return `the response is no OTLP (` + as + `: "` + body + `"): check that the endpoint is a receiver of OTLP`
	}
	of := func(rejected int64, message string) delivery.Response {
		return delivery.Response{Rejected: rejected, Message: message}
	}
	tests := []struct {
		name, contentType, body string
		want                    delivery.Response
		page                    bool
	}{
		{"empty", "", "", of(0, ""), false},
		{"empty protobuf", pb, "", of(0, ""), false},
		{"empty JSON", json, "", of(0, ""), false},
		{"white space", "text/plain", "\r\n", of(0, ""), false},

		{"protobuf", pb, marshal(3, "bad"), of(3, "bad"), false},
		{"protobuf by its other name", "application/protobuf; charset=utf-8", marshal(3, "bad"), of(3, "bad"), false},
		{"protobuf as bytes", "application/octet-stream", marshal(3, "bad"), of(3, "bad"), false},
		{"protobuf without a type", "", marshal(3, "bad"), of(3, "bad"), false},
		{"protobuf of tomorrow", pb, marshal(3, "bad") + "\x7a\x01x", of(3, "bad"), false},
		{"protobuf, all of them", pb, marshal(10, ""), of(10, ""), false},
		{"hint", pb, marshal(0, "hm"), of(0, "hm"), false},
		{"fewer than none", pb, marshal(-1, "hm"), of(0, "hm"), false},
		{"garbage", pb, "\xff\xff", of(0, no(pb, "??")), false},

		{"JSON", json, `{}`, of(0, ""), false},
		{"JSON, strings", json, `{"partialSuccess":{"rejectedSpans":"3","errorMessage":"bad"}}`, of(3, "bad"), false},
		{"JSON, numbers", json + "; charset=utf-8", `{"partialSuccess":{"rejectedSpans":3,"errorMessage":"bad"}}`, of(3, "bad"), false},
		{"JSON, snake case", json, `{"partial_success":{"rejected_spans":3}}`, of(3, ""), false},
		{"JSON, nothing", json, `{"partialSuccess":{}}`, of(0, ""), false},
		{"JSON, null", json, `{"partialSuccess":null}`, of(0, ""), false},
		{"JSON of tomorrow", json, `{"partialSuccess":{"rejectedSpans":"3","more":1},"more":{}}`, of(3, ""), false},
		{"JSON without a type", "", ` {"partialSuccess":{"rejectedSpans":"3"}}`, of(3, ""), false},
		{"JSON as text", "text/plain", `{"partialSuccess":{"rejectedSpans":"3"}}`, of(3, ""), false},
		{"JSON, an error", json, `{"error":"no"}`, of(0, no(json, `{\"error\":\"no\"}`)), false},
		{"JSON, no object", json, `[]`, of(0, no(json, "[]")), false},
		{"JSON, no number", json, `{"partialSuccess":{"rejectedSpans":"x"}}`, of(0, no(json, `{\"partialSuccess\":{\"rejectedSpans\":\"x\"}}`)), false},

		{"text", "text/plain", "OK\n", of(0, no("text/plain", "OK")), false},
		{"text without a type", "", "accepted!", of(0, no("no content type", "accepted!")), false},
		{"large", pb, strings.Repeat("x", otlpstatus.MaxResponse+1), of(0, otlpstatus.Unread), false},

		{"page", "text/html; charset=utf-8", "hello", delivery.Response{}, true},
		{"page without a type", "", "\n<!DOCTYPE html><html>", delivery.Response{}, true},
		{"page as text", "text/plain", "<html><body>login", delivery.Response{}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := otlpstatus.Accepted(tt.contentType, []byte(tt.body))
			if got != tt.want || ok == tt.page {
				t.Errorf("got  %+v, %t\nwant %+v, %t", got, ok, tt.want, !tt.page)
			}
		})
	}
}

func TestMessage(t *testing.T) {
	pb, err := proto.Marshal(&spb.Status{Message: "no  room"})
	if err != nil {
		t.Fatal(err)
	}
	mask := func(s string) string { return strings.ReplaceAll(s, "hidden", "***") }
	for _, tt := range []struct{ contentType, body, want string }{
		{"application/x-protobuf", string(pb), "no room"},
		{"application/x-protobuf", "\xff", ""},
		{"text/html", "<html>", ""},
		{"", "<html>", ""},
		{"text/plain", "a\n b", "a b"},
		{"application/json", `{"error": "no"}`, `{"error": "no"}`},
		{"text/plain", strings.Repeat("ü", 1000), strings.Repeat("ü", 512) + "... (2000 bytes)"},
		{"text/plain", "a" + strings.Repeat("ü", 1000), "a" + strings.Repeat("ü", 511) + "... (2001 bytes)"},
		{"text/plain", strings.Repeat("x", 1020) + "hidden", strings.Repeat("x", 1020) + "***"},
		{"text/plain", "no\nlevel=ERROR \x1b[2J\u202e", "no level=ERROR ?[2J?"},
		{"text/plain", "\xff\xfe\xfd\xfc", "a response of 4 bytes that is no text"},
	} {
		if got := otlpstatus.Message(tt.contentType, []byte(tt.body), mask); got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.body, got, tt.want)
		}
	}
}

func FuzzAccepted(f *testing.F) {
	f.Add("", []byte("{}"))
	f.Add("application/x-protobuf", []byte("\x0a\x02\x08\x03"))
	f.Add("application/json", []byte(`{"partialSuccess":{"rejectedSpans":"3"}}`))
	f.Fuzz(func(t *testing.T, contentType string, body []byte) {
		r, ok := otlpstatus.Accepted(contentType, body)
		if r.Rejected < 0 || !ok && r != (delivery.Response{}) {
			t.Errorf("%+v, %t", r, ok)
		}
		said := otlpstatus.Message(contentType, body, nil)
		if len(said) > untrusted.Line+100 || strings.ContainsFunc(said, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("%q", said)
		}
	})
}
