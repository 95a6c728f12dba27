package spanfile_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/goleak"

	"github.com/riffletrace/riffle/cmd/riffle/internal/spanfile"
	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/core/delivery/disk"
	"github.com/riffletrace/riffle/core/otlp"
	"github.com/riffletrace/riffle/exporters/file"
	"github.com/riffletrace/riffle/internal/otlptest"
	"github.com/riffletrace/riffle/internal/testspans"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// read returns the spans of a file, or of stdin for "-".
func read(t testing.TB, name string, stdin []byte) ([]sdktrace.ReadOnlySpan, error) {
	t.Helper()
	var all []sdktrace.ReadOnlySpan
	err := spanfile.Read(t.Context(), name, bytes.NewReader(stdin), func(spans []sdktrace.ReadOnlySpan) error {
		if len(spans) == 0 {
			t.Error("nothing to take was given")
		}
		all = append(all, spans...)
		return nil
	})
	return all, err
}

func names(spans []sdktrace.ReadOnlySpan) string {
	var all []string
	for _, s := range spans {
		all = append(all, s.Name())
	}
	return strings.Join(all, " ")
}

// wantSame compares what OTLP has of spans.
func wantSame(t *testing.T, want, got []sdktrace.ReadOnlySpan) {
	t.Helper()
	if diff := cmp.Diff(string(otlp.AppendJSON(nil, want)), string(otlp.AppendJSON(nil, got))); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func write(t *testing.T, name string, data []byte) string {
	t.Helper()
	if !filepath.IsAbs(name) {
		name = filepath.Join(t.TempDir(), name)
	}
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// exported is what riffle's exporter "file" makes of spans, a batch of two each.
func exported(t testing.TB, format string, spans []sdktrace.ReadOnlySpan) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "spans")
	c := file.Config{Path: path, Format: format}
	e, err := component.Use(file.Factory, "", c).Build(t.Context(), component.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(spans); i += 2 {
		if err := e.ExportSpans(t.Context(), spans[i:min(i+2, len(spans))]); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	return path
}

// framed is what the Collector's exporter "file" writes of messages.
func framed(messages ...[]byte) []byte {
	var out []byte
	for _, m := range messages {
		out = append(binary.BigEndian.AppendUint32(out, uint32(len(m))), m...)
	}
	return out
}

func gzipped(data []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, _ = w.Write(data)
	_ = w.Close()
	return out.Bytes()
}

func zstandard(data []byte) []byte {
	w, _ := zstd.NewWriter(nil)
	defer w.Close()
	return w.EncodeAll(data, nil)
}

func indented(t testing.TB, text []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := json.Indent(&out, text, "", "  "); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// forms are all that spans can be written as.
func forms(t testing.TB, spans []sdktrace.ReadOnlySpan) map[string][]byte {
	t.Helper()
	load := func(path string) []byte {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	message, text := otlp.AppendRequest(nil, spans), otlp.AppendJSON(nil, spans)
	half := len(spans) / 2
	first, second := spans[:half], spans[half:]
	sdk := load(exported(t, file.JSON, spans))
	return map[string][]byte{
		"otlp_json of exporter file": load(exported(t, file.OTLPJSON, spans)),
		"json of exporter file":      sdk,
		"JSON, indented":             append([]byte("\n"), indented(t, text)...),
		"JSON, with a mark":          append([]byte("\ufeff"), text...),
		"JSON, CRLF":                 append(append(otlp.AppendJSON(nil, first), "\r\n\r\n"...), otlp.AppendJSON(nil, second)...),
		"JSON, two on a line":        append(append(otlp.AppendJSON(nil, first), ' '), otlp.AppendJSON(nil, second)...),
		"JSON of Jaeger's API v3":    []byte(`{"result":` + string(text) + `}`),
		"JSON of Java's logging":     text[len(`{"resourceSpans":[`) : len(text)-len("]}")],
		"protobuf":                   message,
		"protobuf, two messages":     append(otlp.AppendRequest(nil, first), otlp.AppendRequest(nil, second)...),
		"protobuf, framed":           framed(otlp.AppendRequest(nil, first), nil, otlp.AppendRequest(nil, second)),
		"protobuf, framed, zstd":     framed(zstandard(otlp.AppendRequest(nil, first)), zstandard(otlp.AppendRequest(nil, second))),
		"JSON, framed, zstd":         framed(zstandard(otlp.AppendJSON(nil, first)), zstandard(otlp.AppendJSON(nil, second))),
	}
}

// Whatever form spans are in, and however that is compressed, they come back the same,
// from a file, from stdin and from a directory.
func TestForms(t *testing.T) {
	spans := testspans.Service(t, 7)
	for form, data := range forms(t, spans) {
		for compression, compress := range map[string]func([]byte) []byte{
			"none": func(b []byte) []byte { return b }, "gzip": gzipped, "zstd": zstandard,
			"gzip, two members": func(b []byte) []byte {
				return append(gzipped(b[:len(b)/2]), gzipped(b[len(b)/2:])...)
			},
		} {
			t.Run(form+"/"+compression, func(t *testing.T) {
				data := compress(data)
				for _, name := range []string{"-", write(t, "a", data), filepath.Dir(write(t, "a", data))} {
					got, err := read(t, name, data)
					if err != nil {
						t.Fatal(err)
					}
					wantSame(t, spans, got)
				}
			})
		}
	}
}

// What the SDK's JSON can hold comes back, values in values too.
func TestSDK(t *testing.T) {
	var spans tracetest.SpanStubs
	for _, s := range otlptest.Spans("values") {
		stub := tracetest.SpanStubFromReadOnlySpan(s)
		for i, v := range []attribute.Value{
			{},
			attribute.BoolValue(true), attribute.Int64Value(1<<53 + 1), attribute.Float64Value(-0.25), attribute.StringValue("ü\x00\n"),
			attribute.BoolSliceValue([]bool{true, false}), attribute.Int64SliceValue([]int64{1 << 62}), attribute.Float64SliceValue([]float64{1, .5}),
			attribute.StringSliceValue([]string{"a", ""}), attribute.ByteSliceValue([]byte{0, 255}),
			attribute.SliceValue(attribute.BoolValue(true), attribute.MapValue(attribute.String("k", "v"))),
			attribute.MapValue(attribute.Int("a", 1), attribute.KeyValue{Key: "b", Value: attribute.SliceValue(attribute.Value{})}),
		} {
			stub.Attributes = append(stub.Attributes, attribute.KeyValue{Key: attribute.Key(fmt.Sprint(i)), Value: v})
		}
		state, _ := trace.ParseTraceState("ot=th:8;rv:ffffffffffffff")
		link := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{9}, SpanID: trace.SpanID{8}, TraceState: state, Remote: true})
		stub.Links = []sdktrace.Link{{SpanContext: link, Attributes: stub.Attributes, DroppedAttributeCount: 3}}
		stub.Events = []sdktrace.Event{{Name: "e", Time: stub.EndTime, Attributes: stub.Attributes, DroppedAttributeCount: 2}}
		stub.Parent = link.WithTraceID(stub.SpanContext.TraceID())
		stub.SpanKind, stub.Status.Description = trace.SpanKindConsumer, "d"
		stub.DroppedAttributes, stub.DroppedEvents, stub.DroppedLinks = 1, 2, 3
		spans = append(spans, stub)
	}
	got, err := read(t, exported(t, file.JSON, spans.Snapshots()), nil)
	if err != nil {
		t.Fatal(err)
	}
	wantSame(t, spans.Snapshots(), got)
}

// An exporter that fails leaves a queue, and a batch of it is a file of its own.
func TestQueue(t *testing.T) {
	dir := t.TempDir()
	spans := testspans.Service(t, 40)
	config := delivery.Defaults()
	config.Queue.Storage, config.Queue.Dir = delivery.StorageDisk, dir
	config.Batch.MaxSpans = 10
	var lines delivery.Lines
	line := lines.Add(down{}, config, delivery.Settings{Name: "down", Type: "down"})
	for _, s := range spans {
		lines.HandOver(s)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_ = line.Shutdown(ctx)

	got, err := read(t, dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	wantSame(t, spans, got)
	queues, err := disk.Inspect(disk.OS{}, dir)
	if err != nil {
		t.Fatal(err)
	}
	part := queues[0].Parts[0]
	if len(part.Ready) < 2 {
		t.Fatalf("%d batches, want several", len(part.Ready))
	}
	batch := part.Path(part.Ready[0])
	first, err := read(t, batch, nil)
	if err != nil {
		t.Fatal(err)
	}
	wantSame(t, spans[:len(first)], first)
	all, err := read(t, filepath.Dir(batch), nil)
	if err != nil {
		t.Fatal(err)
	}
	wantSame(t, spans, all)

	// A damaged one costs itself.
	damaged, err := os.ReadFile(batch)
	if err != nil {
		t.Fatal(err)
	}
	damaged[len(damaged)-1] ^= 1
	write(t, batch, damaged)
	got, err = read(t, dir, nil)
	if !errors.Is(err, spanfile.ErrIncomplete) || !errors.Is(err, disk.ErrDamaged) || !strings.Contains(err.Error(), batch) {
		t.Errorf("got %v", err)
	}
	wantSame(t, spans[len(first):], got)
}

// down is an exporter whose backend is down.
type down struct{}

func (down) ExportSpans(context.Context, []sdktrace.ReadOnlySpan) error { return errors.New("down") }
func (down) Shutdown(context.Context) error                             { return nil }

// Files of a rotation are read in the order of their names, links are not followed, and
// what is no file of spans costs only itself.
func TestDirectory(t *testing.T) {
	dir := t.TempDir()
	for name, data := range map[string][]byte{
		"traces-20260102T150405.000Z.jsonl":    otlp.AppendJSON(nil, otlptest.Spans("a")),
		"traces-20260103T150405.000Z.jsonl.gz": gzipped(otlp.AppendJSON(nil, otlptest.Spans("b"))),
		"traces.jsonl":                         otlp.AppendJSON(nil, otlptest.Spans("c")),
		"empty":                                nil,
		"readme.md":                            []byte("# Traces\n"),
		"sub/traces.jsonl":                     otlp.AppendJSON(nil, otlptest.Spans("deep")),
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, name), data)
	}
	if err := os.Symlink(write(t, "other", otlp.AppendJSON(nil, otlptest.Spans("link"))), filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	got, err := read(t, dir, nil)
	if names(got) != "a b c" {
		t.Errorf("spans %s, want a b c", names(got))
	}
	if want := filepath.Join(dir, "readme.md") + ": no spans in it"; !errors.Is(err, spanfile.ErrIncomplete) || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "\n") {
		t.Errorf("got %v, want %s", err, want)
	}
	if _, err := read(t, filepath.Join(dir, "sub"), nil); err != nil {
		t.Error(err)
	}
	if _, err := read(t, t.TempDir(), nil); err == nil || errors.Is(err, spanfile.ErrIncomplete) {
		t.Errorf("an empty directory: %v", err)
	}
}

func TestTakeAndContext(t *testing.T) {
	path := exported(t, file.OTLPJSON, testspans.Service(t, 7))
	full, calls := errors.New("full\x1b"), 0
	err := spanfile.Read(t.Context(), path, nil, func([]sdktrace.ReadOnlySpan) error { calls++; return full })
	if !errors.Is(err, full) || calls != 1 {
		t.Errorf("%d calls, %v", calls, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	calls = 0
	err = spanfile.Read(ctx, filepath.Dir(path), nil, func([]sdktrace.ReadOnlySpan) error { calls++; cancel(); return nil })
	if !errors.Is(err, context.Canceled) || calls != 1 {
		t.Errorf("%d calls, %v", calls, err)
	}
}
