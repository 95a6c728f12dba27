package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	"go.uber.org/goleak"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/sampling"
	"github.com/riffletrace/riffle/samplers/samplertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const good = `
tenants: {acme: 1, abuser: drop}
plans: {free: 0.25, 7: "0.5"}
other: 0
`

func write(t *testing.T, path, text string) {
	t.Helper()
	// In one step, as those do who replace files that are read.
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func entry(path string) component.Plan[sampling.Sampler] {
	return component.Use(Factory, "", Config{File: path, Tenant: "tenant.id", Plan: "tenant.plan", Every: component.Duration(time.Millisecond)})
}

func TestConformance(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tiers.yaml")
	write(t, path, good)
	samplertest.Run(t, samplertest.Plan(entry(path)))
}

func ask(s sampling.Sampler, tenant, plan string) string {
	return s.(sampling.StartSampler).SampleStart(sampling.StartParameters{Attributes: []attribute.KeyValue{
		attribute.String("tenant.id", tenant), attribute.String("tenant.plan", plan), attribute.String("other", "x"),
	}}).String()
}

func TestAnswers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tiers.yaml")
	write(t, path, good)
	s := samplertest.Plan(entry(path))(t)
	defer s.(component.Shutdowner).Shutdown(t.Context())
	for _, tt := range []struct{ tenant, plan, want string }{
		{"acme", "free", "threshold 0: tenant acme"},
		{"abuser", "", "drop: tenant abuser"},
		{"initech", "free", "threshold c: plan free"},
		{"initech", "7", "threshold 8: plan 7"},
		{"initech", "", "threshold never: other tenant"},
	} {
		if got := ask(s, tt.tenant, tt.plan); got != tt.want {
			t.Errorf("%s on plan %q: %s, want %s", tt.tenant, tt.plan, got, tt.want)
		}
	}
	none := samplertest.Plan(entry(path))(t).(component.Shutdowner)
	if err := none.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

// writer passes lines on.
type writer chan string

func (w writer) Write(line []byte) (int, error) {
	w <- string(line)
	return len(line), nil
}

// The answers follow the file, and stay while it makes no sense.
func TestFileChanges(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tiers.yaml")
	write(t, path, good)
	warned := make(chan string, 16)
	s, err := entry(path).Build(t.Context(), component.Settings{Logger: slog.New(slog.NewTextHandler(writer(warned), nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer s.(component.Shutdowner).Shutdown(t.Context())
	becomes := func(want string) {
		t.Helper()
		var got string
		for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
			if got = ask(s, "initech", "free"); got == want {
				return
			}
		}
		t.Fatalf("the answer is %s, want %s", got, want)
	}
	stays := func(because string) {
		t.Helper()
		for end := time.After(5 * time.Second); ; {
			select {
			case line := <-warned:
				if !strings.Contains(line, "stay as they were") {
					continue // one about what was before
				}
			case <-end:
				t.Fatalf("%q: nobody has been warned", because)
			}
			break
		}
		if got, want := ask(s, "initech", "free"), "threshold 8: plan free"; got != want {
			t.Fatalf("%q: the answer is %s, want %s", because, got, want)
		}
	}
	becomes("threshold c: plan free")
	write(t, path, "plans: {free: 0.5}")
	becomes("threshold 8: plan free")

	for _, broken := range []string{"", "plans: {free: 2}", "plan: {free: 1}"} {
		write(t, path, broken)
		stays(broken)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	stays("no file")
	write(t, path, "plans: {free: drop}")
	becomes("drop: plan free")
}

func TestMistakes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tiers.yaml")
	for text, want := range map[string]string{
		"":                "file: " + path + ": empty: want tenants, plans or other",
		"other: 2":        "",
		"plans: {a: }":    `file: ` + path + `: plan "a": missing: want drop, or the share of the traces to keep, 0 to 1`,
		"tenant: {a: 1}":  "",
		"tenants: [a, b]": "",
	} {
		write(t, path, text)
		s, err := New(t.Context(), component.Settings{}, Config{File: path, Tenant: "t", Plan: "p", Every: 1})
		if err == nil || want != "" && err.Error() != want {
			t.Errorf("%q: %v, %v, want %s", text, s, err, want)
		}
	}
	_, err := New(t.Context(), component.Settings{}, Config{})
	fields := component.FieldErrors(err)
	got := make(map[string]string)
	for _, f := range fields {
		got[f.Path] = f.Err.Error()
	}
	want := map[string]string{"file": "missing", "tenant": "missing", "plan": "missing", "every": "0s is no interval: want more than 0s"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
