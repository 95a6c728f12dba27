package file_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.uber.org/goleak"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/otlp"
	"github.com/riffletrace/riffle/exporters/file"
	"github.com/riffletrace/riffle/internal/otlptest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// at is a file in a new directory.
func at(t *testing.T) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "traces.jsonl")
}

func open(t *testing.T, c file.Config) sdktrace.SpanExporter {
	t.Helper()
	if c.Format == "" {
		c.Format = file.OTLPJSON
	}
	e, err := component.Use(file.Factory, "", c).Build(t.Context(), component.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Shutdown(context.WithoutCancel(t.Context())) })
	return e
}

func export(t *testing.T, e sdktrace.SpanExporter, names ...string) {
	t.Helper()
	if err := e.ExportSpans(t.Context(), otlptest.Spans(names...)); err != nil {
		t.Fatal(err)
	}
}

// read returns the names of the spans in a file, a line each.
func read(t *testing.T, path string) []string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for line := range strings.Lines(string(data)) {
		spans, err := otlp.DecodeJSON([]byte(line))
		if err != nil || !strings.HasSuffix(line, "\n") {
			all = append(all, "broken: "+strings.TrimSpace(line))
			continue
		}
		var names []string
		for _, s := range spans {
			names = append(names, s.Name())
		}
		all = append(all, strings.Join(names, " "))
	}
	return all
}

// aside are the files put aside, oldest first.
func aside(t *testing.T, path string) []string {
	t.Helper()
	files, err := filepath.Glob(strings.TrimSuffix(path, ".jsonl") + "-*.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func wantSpans(t *testing.T, path string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, read(t, path)); diff != "" {
		t.Errorf("%s: -want +got:\n%s", filepath.Base(path), diff)
	}
}

func TestAppendsAcrossRestarts(t *testing.T) {
	path := at(t)
	for i := range 3 {
		e := open(t, file.Config{Path: path})
		export(t, e, fmt.Sprint("a", i), "b")
		if err := e.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	wantSpans(t, path, "a0 b", "a1 b", "a2 b")
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != 0o600 {
		t.Errorf("mode %o, want 600", got)
	}
}

func TestShutdown(t *testing.T) {
	e := open(t, file.Config{Path: at(t)})
	for range 2 {
		if err := e.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if err := e.ExportSpans(t.Context(), otlptest.Spans("late")); err == nil {
		t.Error("an export after Shutdown succeeded")
	}
}

func TestJSON(t *testing.T) {
	path := at(t)
	e := open(t, file.Config{Path: path, Format: file.JSON})
	export(t, e, "a", "b")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for line := range bytes.Lines(data) {
		var span struct{ Name string }
		if err := json.Unmarshal(line, &span); err != nil {
			t.Fatal(err)
		}
		names = append(names, span.Name)
	}
	if diff := cmp.Diff([]string{"a", "b"}, names); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// A crash in the middle of a line spoils that line only.
func TestTornLine(t *testing.T) {
	path := at(t)
	if err := os.WriteFile(path, []byte(`{"resourceSpans":[{"res`), 0o600); err != nil {
		t.Fatal(err)
	}
	export(t, open(t, file.Config{Path: path}), "a")
	wantSpans(t, path, `broken: {"resourceSpans":[{"res`, "a")
}

func TestRotationBySize(t *testing.T) {
	path := at(t)
	e := open(t, file.Config{Path: path, MaxSize: 1000, MaxFiles: 2})
	var all []string
	for i := range 20 {
		name := fmt.Sprint("span", i)
		all = append(all, name)
		export(t, e, name)
	}
	files := append(aside(t, path), path)
	if len(files) != 3 {
		t.Fatalf("%d files, want 2 put aside and the file", len(files))
	}
	var got []string
	for _, f := range files {
		info, err := os.Stat(f)
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() > 1000 {
			t.Errorf("%s has %d bytes, want at most 1000", f, info.Size())
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %o", f, info.Mode().Perm())
		}
		got = append(got, read(t, f)...)
	}
	if diff := cmp.Diff(all[len(all)-len(got):], got); diff != "" {
		t.Errorf("spans: -want +got:\n%s", diff)
	}
}

// A batch that is larger than a file stands in one of its own.
func TestLargeBatch(t *testing.T) {
	path := at(t)
	e := open(t, file.Config{Path: path, MaxSize: 10})
	export(t, e, "a")
	export(t, e, "b")
	wantSpans(t, path, "b")
	files := aside(t, path)
	if len(files) != 1 {
		t.Fatalf("put aside: %v, want one", files)
	}
	wantSpans(t, files[0], "a")
}

// The time of a file is read off it, so that restarts do not put it off.
func TestRotationByTime(t *testing.T) {
	path := at(t)
	e := open(t, file.Config{Path: path})
	export(t, e, "yesterday")
	if err := e.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	yesterday := time.Now().Add(-24 * time.Hour)
	if err := os.Chtimes(path, yesterday, yesterday); err != nil {
		t.Fatal(err)
	}
	e = open(t, file.Config{Path: path, MaxAge: component.Duration(24 * time.Hour)})
	export(t, e, "today")
	wantSpans(t, path, "today")
	files := aside(t, path)
	if len(files) != 1 {
		t.Fatalf("put aside: %v, want one", files)
	}
	wantSpans(t, files[0], "yesterday")
}

// Only files that riffle put aside are deleted.
func TestDeletesNothingElse(t *testing.T) {
	path := at(t)
	others := []string{"traces-.jsonl", "traces-old.jsonl", "traces-20260102T150405.000Z.jsonl.gz", "more-traces-20260102T150405.000Z.jsonl"}
	for _, o := range others {
		if err := os.WriteFile(filepath.Join(filepath.Dir(path), o), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	e := open(t, file.Config{Path: path, MaxSize: 1, MaxFiles: 1})
	for range 4 {
		export(t, e, "a")
	}
	for _, o := range others {
		if _, err := os.Stat(filepath.Join(filepath.Dir(path), o)); err != nil {
			t.Error(err)
		}
	}
}

// logrotate and people move files.
func TestMovedAway(t *testing.T) {
	path := at(t)
	e := open(t, file.Config{Path: path})
	export(t, e, "a")
	moved := path + ".1"
	if err := os.Rename(path, moved); err != nil {
		t.Fatal(err)
	}
	export(t, e, "b")
	wantSpans(t, moved, "a")
	wantSpans(t, path, "b")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	export(t, e, "c")
	wantSpans(t, path, "c")
}

// A link that takes the place of the file while riffle runs is not followed.
func TestLinkPutInPlace(t *testing.T) {
	path := at(t)
	e := open(t, file.Config{Path: path})
	target := path + ".target"
	if err := errors.Join(os.Remove(path), os.WriteFile(target, nil, 0o600), os.Symlink(target, path)); err != nil {
		t.Fatal(err)
	}
	err := e.ExportSpans(t.Context(), otlptest.Spans("a"))
	if want := "writing spans: " + path + " is a symbolic link: name the file itself"; err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	wantSpans(t, target)
}

// A file that cannot be put aside, because the name would be too long: spans are
// kept, and it is said once.
func TestCannotRotate(t *testing.T) {
	path := filepath.Join(t.TempDir(), strings.Repeat("x", 240)+".jsonl")
	var log bytes.Buffer
	entry := component.Use(file.Factory, "", file.Config{Path: path, Format: file.OTLPJSON, MaxSize: 1})
	e, err := entry.Build(t.Context(), component.Settings{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = e.Shutdown(context.WithoutCancel(t.Context())) }()
	export(t, e, "a")
	export(t, e, "b")
	export(t, e, "c")
	wantSpans(t, path, "a", "b", "c")
	if n := strings.Count(log.String(), "is not rotated"); n != 1 {
		t.Errorf("said %d times:\n%s", n, &log)
	}
}

func TestConcurrentSafe(t *testing.T) {
	path := at(t)
	e := open(t, file.Config{Path: path, MaxSize: 2000})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				export(t, e, "a")
			}
		})
	}
	wg.Wait()
	n := 0
	for _, f := range append(aside(t, path), path) {
		n += len(read(t, f))
	}
	if n != 160 {
		t.Errorf("%d spans, want 160", n)
	}
}

func TestCheck(t *testing.T) {
	dir := t.TempDir()
	regular, link := filepath.Join(dir, "regular"), filepath.Join(dir, "link")
	if err := errors.Join(os.WriteFile(regular, nil, 0o600), os.Symlink(regular, link)); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		config file.Config
		want   string
	}{
		{"fine", file.Config{Path: regular, Format: file.JSON}, ""},
		{"nothing", file.Config{}, `path: missing: want the file to write to
format: unknown format "": known are otlp_json, json`},
		{"tree", file.Config{Path: regular, Format: "tree"}, `format: unknown format "tree": known are otlp_json, json`},
		{"no directory", file.Config{Path: filepath.Join(dir, "none", "a"), Format: file.JSON}, "path: directory DIR/none does not exist: create it"},
		{"file for a directory", file.Config{Path: filepath.Join(regular, "a"), Format: file.JSON}, "path: DIR/regular is not a directory"},
		{"directory", file.Config{Path: dir, Format: file.JSON}, "path: DIR is not a regular file"},
		{"link", file.Config{Path: link, Format: file.JSON}, "path: DIR/link is a symbolic link: name the file itself"},
		{"device", file.Config{Path: os.DevNull, Format: file.JSON}, "path: " + os.DevNull + " is not a regular file"},
		{"numbers", file.Config{Path: regular, Format: file.JSON, MaxSize: -1, MaxAge: 1, MaxFiles: -1}, `max_size: -1 is negative
max_age: 1ns is too short: want at least 1s
max_files: -1 is negative`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := ""
			if err := component.Use(file.Factory, "", tt.config).Err(); err != nil {
				got = strings.ReplaceAll(err.Error(), dir, "DIR")
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func Example() {
	dir, err := os.MkdirTemp("", "riffle")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "traces.jsonl")

	entry := component.Use(file.Factory, "", file.Config{Path: path, Format: file.OTLPJSON, MaxSize: 64 << 20, MaxFiles: 3})
	e, err := entry.Build(context.Background(), component.Settings{})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := errors.Join(e.ExportSpans(context.Background(), otlptest.Spans("hello")), e.Shutdown(context.Background())); err != nil {
		fmt.Println(err)
		return
	}
	line, _ := os.ReadFile(path)
	fmt.Println(strings.Contains(string(line), `"name":"hello"`))
	// Output: true
}
