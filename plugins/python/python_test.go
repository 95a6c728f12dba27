// Package python_test checks the support file for plugins in Python.
package python_test

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/riffletrace/riffle/core/sampling"
	"github.com/riffletrace/riffle/internal/pytest"
	"github.com/riffletrace/riffle/plugins/plugintest"
	pluginpb "github.com/riffletrace/riffle/plugins/proto"
)

var update = flag.Bool("update", false, "write the messages into riffle_plugin.py")

const supportFile = "riffle_plugin.py"

var block = regexp.MustCompile(`(?s)(\nDESCRIPTORS = """\n)(.*?)(""")`)

// The messages in the support file are those that riffle speaks.
func TestDescriptors(t *testing.T) {
	want := new(descriptorpb.FileDescriptorSet)
	add(want, coltracepb.File_opentelemetry_proto_collector_trace_v1_trace_service_proto)
	add(want, pluginpb.File_riffle_plugin_v1_plugin_proto)

	text, err := os.ReadFile(supportFile)
	if err != nil {
		t.Fatal(err)
	}
	found := block.FindSubmatch(text)
	if found == nil {
		t.Fatalf("%s has no DESCRIPTORS", supportFile)
	}
	if *update {
		text = block.ReplaceAll(text, []byte("${1}"+pack(t, want)+"${3}"))
		if err := os.WriteFile(supportFile, text, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got := unpack(t, string(found[2]))
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Errorf("the messages are others, write them with: go test ./plugins/python -update\n%s", diff)
	}
}

// What is written with it keeps the rules.
func TestRules(t *testing.T) {
	pytest.Need(t)
	plugintest.Run(t, "testdata/plugin.py")
}

// Shares become the thresholds that they become in Go.
func TestThresholds(t *testing.T) {
	pytest.Need(t)
	shares := []float64{0, 1, 0.5, 0.25, 0.1, 0.01, 1.0 / 3, 0.999, 0.9999999, 1e-5, 1e-9, 1e-20}
	for range 200 {
		shares = append(shares, rand.Float64(), math.Exp(-20*rand.Float64()))
	}
	in, err := json.Marshal(shares)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), pytest.Path, "-c",
		"import json, sys, riffle_plugin\nprint(json.dumps([riffle_plugin.threshold(s) for s in json.load(sys.stdin)]))")
	cmd.Stdin = bytes.NewReader(in)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var got []sampling.Threshold
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	for i, share := range shares {
		want, err := sampling.ThresholdFromProbability(share)
		if err != nil {
			t.Fatal(err)
		}
		if got[i] != want {
			t.Errorf("%v: %v, want %v", share, got[i], want)
		}
	}
}

// add adds a file after those that it imports.
func add(set *descriptorpb.FileDescriptorSet, file protoreflect.FileDescriptor) {
	imports := file.Imports()
	for i := range imports.Len() {
		add(set, imports.Get(i).FileDescriptor)
	}
	if !slices.ContainsFunc(set.File, func(f *descriptorpb.FileDescriptorProto) bool { return f.GetName() == file.Path() }) {
		set.File = append(set.File, protodesc.ToFileDescriptorProto(file))
	}
}

func pack(t *testing.T, set *descriptorpb.FileDescriptorSet) string {
	t.Helper()
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	var compressed bytes.Buffer
	w, err := zlib.NewWriterLevel(&compressed, zlib.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	const width = 100
	var lines strings.Builder
	for chunk := range slices.Chunk([]byte(base64.StdEncoding.EncodeToString(compressed.Bytes())), width) {
		fmt.Fprintf(&lines, "%s\n", chunk)
	}
	return lines.String()
}

func unpack(t *testing.T, text string) *descriptorpb.FileDescriptorSet {
	t.Helper()
	compressed, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(text, "\n", ""))
	if err != nil {
		t.Fatal(err)
	}
	r, err := zlib.NewReader(bytes.NewReader(compressed))
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	set := new(descriptorpb.FileDescriptorSet)
	if err := proto.Unmarshal(b, set); err != nil {
		t.Fatal(err)
	}
	return set
}
