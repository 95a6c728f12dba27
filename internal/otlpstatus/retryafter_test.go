package otlpstatus_test

import (
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/riffletrace/riffle/internal/otlpstatus"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func TestRetryAfter(t *testing.T) {
	for _, tt := range []struct {
		text string
		want time.Duration
	}{
		{"", 0},
		{"7", 7 * time.Second},
		{" 7\t", 7 * time.Second},
		{"+7", 7 * time.Second},
		{"007", 7 * time.Second},
		{"1.5", 1500 * time.Millisecond},
		{".25", 250 * time.Millisecond},
		{"7.", 7 * time.Second},
		{"0.00000000000000000000001", 0},
		{"0", 0},
		{"-1", 0},
		{"-99999999999999999999", 0},
		{"2147483648", otlpstatus.Longest},
		{"99999999999999999999", otlpstatus.Longest},
		{strings.Repeat("9", 1<<20), otlpstatus.Longest},
		{strings.Repeat("0", 1<<20) + "7", 7 * time.Second},
		{"999999999", 999999999 * time.Second},
		{"Fri, 02 Jan 2026 12:01:00 GMT", time.Minute},
		{"Friday, 02-Jan-26 12:01:00 GMT", time.Minute},
		{"Fri Jan  2 12:01:00 2026", time.Minute},
		{"Fri, 02 Jan 2026 11:01:00 GMT", 0},
		{"Fri, 31 Dec 9999 23:59:59 GMT", math.MaxInt64},
		{"Mon, 01 Jan 0001 00:00:00 GMT", 0},
		{"NaN", 0},
		{"Inf", 0},
		{"1e9", 0},
		{"0x10", 0},
		{"7 s", 0},
		{"--7", 0},
		{"1.2.3", 0},
		{".", 0},
		{"soon\x00", 0},
	} {
		resp := &http.Response{Header: http.Header{"Retry-After": {tt.text}}}
		if got := otlpstatus.RetryAfter(resp, noon); got != tt.want {
			t.Errorf("%.50q: %v, want %v", tt.text, got, tt.want)
		}
	}
	several := &http.Response{Header: http.Header{"Retry-After": {"soon", "", "7", "9"}, "Retry-After-Ms": {"later"}}}
	if got := otlpstatus.RetryAfter(several, noon); got != 7*time.Second {
		t.Errorf("several: %v", got)
	}
	for _, name := range []string{"Retry-After-Ms", "X-Ms-Retry-After-Ms"} {
		resp := &http.Response{Header: http.Header{name: {"1500"}, "Retry-After": {"7"}}}
		if got := otlpstatus.RetryAfter(resp, noon); got != 1500*time.Millisecond {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func FuzzRetryAfter(f *testing.F) {
	for _, s := range []string{"7", "-1", "1.5", "99999999999999999999", "Fri, 02 Jan 2026 12:01:00 GMT", "Friday, 02-Jan-26 12:01:00 GMT"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		resp := &http.Response{Header: http.Header{"Retry-After": {text}}}
		got := otlpstatus.RetryAfter(resp, noon)
		if got < 0 {
			t.Errorf("%q: %v", text, got)
		}
		// More digits are no less time.
		if text != "" && strings.Trim(text, "0123456789") == "" {
			resp.Header.Set("Retry-After", text+"0")
			if longer := otlpstatus.RetryAfter(resp, noon); longer < got {
				t.Errorf("%q: %v, with a digit more %v", text, got, longer)
			}
		}
	})
}

// What gRPC's RetryInfo says that is no duration is none, and what is longer than one
// can be is the longest.
func TestRetryInfo(t *testing.T) {
	for _, tt := range []struct {
		delay *durationpb.Duration
		want  time.Duration
	}{
		{nil, 0},
		{durationpb.New(time.Second), time.Second},
		{durationpb.New(-time.Second), 0},
		{&durationpb.Duration{Seconds: math.MaxInt64, Nanos: math.MaxInt32}, math.MaxInt64},
		{&durationpb.Duration{Seconds: math.MinInt64, Nanos: math.MinInt32}, 0},
		{&durationpb.Duration{Seconds: 1, Nanos: math.MaxInt32}, time.Second + math.MaxInt32},
		{&durationpb.Duration{Seconds: 1, Nanos: -2_000_000_000}, 0},
	} {
		s, err := status.New(codes.Unavailable, "busy").WithDetails(&errdetails.RetryInfo{RetryDelay: tt.delay})
		if err != nil {
			t.Fatal(err)
		}
		if got := otlpstatus.Error(s.Err()).RetryAfter; got != tt.want {
			t.Errorf("%v: %v, want %v", tt.delay, got, tt.want)
		}
	}
}
