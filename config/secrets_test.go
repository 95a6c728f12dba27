package config_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/riffletrace/riffle/config"
	"github.com/riffletrace/riffle/core/sampling"
	"github.com/riffletrace/riffle/samplers/route"
)

// A secret that looks like a word, in a place for secrets, is in no message about a
// mistake in it, beside it, or in YAML. Elsewhere words are shown.
func TestSecretWords(t *testing.T) {
	const word = "swordfish"
	for name, text := range map[string]string{
		"another name for a secret":     tracing("redact: {pepper: " + word + "}"),
		"an unset variable before it":   tracing("redact: {salt: \"${NOPE}" + word + "\"}"),
		"a default that is not closed":  tracing("redact: {salt: \"${NOPE:-" + word + "\"}"),
		"a variable in a default":       tracing("redact: {salt: \"${X:-${" + word + "}}\"}"),
		"a name that is none":           tracing("redact: {salt: \"${" + word + "!}\"}"),
		"a tag":                         tracing("redact: {salt: !" + word + " x}"),
		"an anchor":                     tracing("redact: {salt: *" + word + "}"),
		"a mapping that is not closed":  tracing("redact: {salt: " + word),
		"a quote that is not closed":    tracing("redact:", "  salt: \""+word, "  rules: 1"),
		"a character of YAML":           tracing("redact:", "  salt: `"+word),
		"a tab":                         tracing("redact:", "\tsalt: "+word),
		"two values":                    tracing("redact: {salt: x, salt: " + word + "}"),
		"a merge":                       tracing("redact: {<<: " + word + "}"),
		"a merge of a list":             tracing("redact: {<<: [" + word + "]}"),
		"a header twice":                tracing("exporters:", "  - type: otlp", "    headers:", "      x-team: a", "      x-team: "+word),
		"an unset variable in a header": tracing("exporters:", "  - type: otlp", "    headers:", "      x-team: ${NOPE} "+word),
		"a header that is not closed":   tracing("exporters:", "  - type: otlp", "    headers:", "      x-team: \""+word),
		"an item below headers":         tracing("exporters:", "  - type: otlp", "    headers:", "    - "+word, "    x: 1"),
		"text below a secret":           tracing("redact:", "  salt: |", "    "+word, "   rules: 1: 1"),
		"a comment":                     tracing("sampel_rate: 1 # the old one was " + word),
		"a section twice":               tracing("redact: {salt: x}", "redact: {salt: "+word+"}"),
		"a variable of a plugin":        tracing("plugins: {env: [A=" + word),
	} {
		for form, text := range map[string]string{"": text, ", CRLF": "\ufeff" + strings.ReplaceAll(text, "\n", "\r\n")} {
			_, err := parse(t, text)
			if err == nil {
				t.Errorf("%s%s: no mistake", name, form)
			} else if strings.Contains(err.Error(), word) {
				t.Errorf("%s%s: %v", name, form, err)
			}
		}
	}
}

// A section of components that is no mapping is hidden where it could hold secrets.
func TestHiddenSection(t *testing.T) {
	for name, text := range map[string]string{
		"a list":          tracing("plugins: [{name: a, env: {A: swordfish}}]"),
		"an unknown key":  tracing("plugins: {envs: swordfish}"),
		"headers as text": tracing("exporters: [{type: otlp, headers: swordfish}]"),
	} {
		_, err := parse(t, text)
		if err == nil || strings.Contains(err.Error(), "swordfish") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What is no word and no number is not shown where one of a few words, or a number,
// is wanted.
func TestSecretsAmongChoices(t *testing.T) {
	const secret = "S3cr3t!"
	for _, text := range []string{
		tracing("remote_parent: " + secret),
		tracing("redact: {rules: [{presets: [" + secret + "]}]}"),
		tracing("redact: {rules: [{action: " + secret + ", presets: [emails]}]}"),
		tracing("exporters: [{type: otlp, compression: " + secret + "}]"),
		tracing("exporters: [{type: otlp, queue: {storage: " + secret + "}}]"),
		tracing("exporters: [{type: otlp, queue: {when_full: " + secret + "}}]"),
		tracing("exporters: [{type: otlp, queue: {fsync: " + secret + "}}]"),
		tracing("exporters: [{type: otlp, filter: {of: " + secret + "}}]"),
		tracing("exporters: [{type: stdout, output: " + secret + "}]"),
	} {
		if _, err := parse(t, text); err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%v", err)
		}
	}
	for _, name := range []string{"OTEL_BSP_SCHEDULE_DELAY", "OTEL_BSP_MAX_QUEUE_SIZE", "OTEL_ATTRIBUTE_COUNT_LIMIT", "FLUXBASE_OBSERVABILITY_TRACING_REMOTE_PARENT"} {
		t.Setenv(name, secret)
		spec, err := parse(t, tracing("enabled: true"), name+"="+secret)
		if err == nil {
			err = warnings(spec)
		}
		if strings.Contains(err.Error(), secret) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The pattern to write instead of one with a query is told, and the query is not.
func TestPatternWithQuery(t *testing.T) {
	samplers := sampling.NewSamplers()
	samplers.MustAdd(route.Factory)
	for pattern, want := range map[string]string{
		"GET /users/search?q=swordfish": `write "GET /users/search"`,
		"/orders/:id?key=swordfish":     `write "/orders/{id}"`,
		"/orders/{id?}":                 `pattern "/orders/{id?}": "id?" is not a wildcard's name: want a Go identifier: write "/orders/{id}"`,
		"/?q=swordfish":                 `write "/"`,
	} {
		in := inspect(t, tracing("enabled: true", "samplers: [{type: route, rules: [{route: '"+pattern+"', sample: 1}]}]"), nil, config.Samplers(samplers))
		got := slices.Concat(in.Mistakes, in.Warnings()).Error()
		if !strings.Contains(got, want) || strings.Contains(got, "swordfish") {
			t.Errorf("%s: got %s\nwant %s", pattern, got, want)
		}
		path, _, _ := strings.Cut(pattern, "?")
		if text := string(in.Effective()); len(in.Mistakes) == 0 && !strings.Contains(text, `route: "`+path+"?") {
			t.Errorf("%s: effectively another one:\n%s", pattern, text)
		}
	}
}
