package otlpclient_test

import (
	"testing"

	"github.com/riffletrace/riffle/internal/otlpclient"
)

func TestMask(t *testing.T) {
	sent := map[string][]string{
		"Authorization": {"Bearer tok-s3cret"}, "X-Api-Key": {"abcdefgh", "second-key"}, "X-Short": {"abc"},
		"User-Agent": {"riffle-otlp"}, "Content-Type": {"application/x-protobuf"},
	}
	for message, want := range map[string]string{
		"":                                  "",
		"no such thing":                     "no such thing",
		"bad token tok-s3cret":              "bad token ***",
		"Authorization: Bearer tok-s3cret.": "Authorization: ***.",
		"abcdefgh is not second-key":        "*** is not ***",
		"abc is too short":                  "abc is too short",
		"riffle-otlp sent application/x-protobuf": "riffle-otlp sent application/x-protobuf",
	} {
		if got := otlpclient.Mask(message, sent); got != want {
			t.Errorf("%q: %q, want %q", message, got, want)
		}
	}
}
