//go:build unix

package host

import (
	"context"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/core/sampling"
	"github.com/riffletrace/riffle/internal/bound"
	"github.com/riffletrace/riffle/internal/untrustedtest"
	"github.com/riffletrace/riffle/plugins/internal/hostile"
	"github.com/riffletrace/riffle/plugins/internal/wire"
)

// What a plugin says, wherever it may say something, is one line, bounded and without
// control characters.
func TestWhatPluginsSay(t *testing.T) {
	var log untrustedtest.Log
	p, err := Open(t.Context(), hostile.Script(t, "shouts"), OpenOptions{Logger: log.Logger()})
	if err != nil {
		t.Fatal(err)
	}
	closeAfter(t, p)
	d := p.Describe()
	for _, c := range append(d.Components, Component{Name: d.Name, Doc: d.Version}) {
		untrustedtest.Check(t, "name", c.Name)
		untrustedtest.Check(t, "version", c.Version)
		untrustedtest.Check(t, "doc", c.Doc)
		untrustedtest.Check(t, "schema", c.ConfigSchema[:min(len(c.ConfigSchema), 1<<10)])
		if c.ConfigSchema != "" && !json.Valid([]byte(c.ConfigSchema)) {
			t.Error("the schema is no JSON")
		}
	}
	settings := component.Settings{ID: "shouts", Logger: log.Logger()}
	_, err = p.Exporter(t.Context(), settings, "", `{"n": "none"}`)
	mistakes := component.FieldErrors(err)
	if n := len(mistakes); n < 2 || n > 30 {
		t.Errorf("%d mistakes", n)
	}
	for _, m := range mistakes {
		untrustedtest.Check(t, "a mistake", m.Error())
	}
	if n := len(err.Error()); n > 2*untrustedtest.Most {
		t.Errorf("mistakes of %d bytes", n)
	}

	e, err := p.Exporter(t.Context(), settings, "", "")
	if err != nil {
		t.Fatal(err)
	}
	untrustedtest.Check(t, "the endpoint", e.(delivery.Exporter).Traits().Endpoint)
	err = e.ExportSpans(t.Context(), spans(0, 1))
	untrustedtest.Check(t, "a status", err.Error())

	built, err := p.Sampler(t.Context(), settings, "", "")
	if err != nil {
		t.Fatal(err)
	}
	untrustedtest.Check(t, "the description", built.Traits().Description)
	a := answered(t, built.(sampling.StartSampler), start("acme"))
	untrustedtest.Check(t, "an answer", a.String())
	size := 0
	for _, kv := range a.Attributes() {
		if n := len(kv.Key) + int(bound.ValueBytes(kv.Value)); n > 350 {
			t.Errorf("attribute %.20q: %d bytes", kv.Key, n)
		}
		size++
	}
	if size != 3 {
		t.Errorf("%d attributes", size)
	}
	for _, c := range []component.Shutdowner{e, built.(component.Shutdowner)} {
		if err := c.Shutdown(context.Background()); err != nil {
			untrustedtest.Check(t, "Shutdown", err.Error())
		}
	}
	eventually(t, "it has written to its log", func() bool { return strings.Contains(strings.Join(log.Lines(), ""), "list=") })
	log.Check(t, "the log", "no room "+untrustedtest.Forged)

	if _, err := Open(t.Context(), hostile.Script(t, "misnamed"), OpenOptions{Logger: log.Logger()}); err == nil {
		t.Error("a component that cannot be named is taken")
	} else {
		untrustedtest.Check(t, "a name", err.Error())
	}
	// A message that is longer than one may be.
	_, err = Open(t.Context(), filepath.Join(filepath.Dir(hostile.Script(t, "huge")), wire.Prefix+"huge"), OpenOptions{Logger: log.Logger()})
	untrustedtest.Check(t, "a message", err.Error())
}

// Values of answers are cut, whatever they are made of.
func TestCutAnswer(t *testing.T) {
	long := strings.Repeat("é", 1000)
	values := map[string]attribute.Value{
		"text":     attribute.StringValue(long),
		"texts":    attribute.StringSliceValue([]string{long, long}),
		"empty":    attribute.StringSliceValue(make([]string, 100_000)),
		"bools":    attribute.BoolSliceValue(make([]bool, 100_000)),
		"integers": attribute.Int64SliceValue(make([]int64, 100_000)),
		"numbers":  attribute.Float64SliceValue(make([]float64, 100_000)),
		"bytes":    attribute.ByteSliceValue(make([]byte, 100_000)),
		"list":     attribute.SliceValue(attribute.StringValue(long), attribute.SliceValue(attribute.StringValue(long)), attribute.StringValue(long)),
		"map":      attribute.MapValue(attribute.String(long, "x"), attribute.String("b", long), attribute.String("c", long)),
		"a number": attribute.Int64Value(1 << 60),
	}
	for name, v := range values {
		a := limitAnswer(sampling.At(0).WithAttributes(attribute.KeyValue{Key: "k", Value: v}))
		if n := bound.ValueBytes(a.Attributes()[0].Value); n > maxAnswerText+64 || n == 0 && name != "a number" {
			t.Errorf("%s: %d bytes are left", name, n)
		}
	}
	var many []attribute.KeyValue
	for range 100 {
		many = append(many, attribute.String("k", "v"))
	}
	if n := len(limitAnswer(sampling.At(0).WithAttributes(many...)).Attributes()); n > maxAnswerAttributes {
		t.Errorf("%d attributes", n)
	}
	a := limitAnswer(sampling.At(0).WithRule(long + "\n").Because("why"))
	if rule := *a.Rule(); len(rule) > maxAnswerText+64 || strings.Contains(rule, "\n") || a.Reason != "why" {
		t.Errorf("of a rule %q is left, because of %q", rule, a.Reason)
	}
}
