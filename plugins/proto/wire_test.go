package pluginpb

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

var update = flag.Bool("update", false, "add what is new to testdata/wire.txt")

// What older plugins and hosts rely on stays: nothing in testdata/wire.txt may
// go or change, lines may be added.
func TestWireStaysCompatible(t *testing.T) {
	const golden = "testdata/wire.txt"
	now := lines(File_riffle_plugin_v1_plugin_proto)
	if *update {
		if err := os.WriteFile(golden, []byte(strings.Join(now, "\n")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	before := strings.Split(strings.TrimSpace(string(b)), "\n")
	for _, line := range before {
		if !slices.Contains(now, line) {
			t.Errorf("gone or changed, which breaks plugins that are built: %s", line)
		}
	}
	for _, line := range now {
		if !slices.Contains(before, line) {
			t.Errorf("new: go test ./plugins/proto -update adds it: %s", line)
		}
	}
}

// lines tell what travels, one thing a line.
func lines(f protoreflect.FileDescriptor) (all []string) {
	for i := range f.Messages().Len() {
		fields := f.Messages().Get(i).Fields()
		for j := range fields.Len() {
			d := fields.Get(j)
			kind := d.Kind().String()
			if d.Message() != nil {
				kind = string(d.Message().FullName())
			}
			all = append(all, fmt.Sprintf("%s = %d %s %s", d.FullName(), d.Number(), d.Cardinality(), kind))
		}
	}
	for i := range f.Enums().Len() {
		values := f.Enums().Get(i).Values()
		for j := range values.Len() {
			all = append(all, fmt.Sprintf("%s = %d", values.Get(j).FullName(), values.Get(j).Number()))
		}
	}
	for i := range f.Services().Len() {
		methods := f.Services().Get(i).Methods()
		for j := range methods.Len() {
			m := methods.Get(j)
			all = append(all, fmt.Sprintf("%s(%s) stream=%t %s", m.FullName(), m.Input().FullName(), m.IsStreamingServer(), m.Output().FullName()))
		}
	}
	slices.Sort(all)
	return all
}

// plugin.binpb, for other languages, is of the same generation as the code.
func TestDescriptors(t *testing.T) {
	b, err := os.ReadFile("plugin.binpb")
	if err != nil {
		t.Fatal(err)
	}
	var set descriptorpb.FileDescriptorSet
	if err := proto.Unmarshal(b, &set); err != nil {
		t.Fatal(err)
	}
	files, err := protodesc.NewFiles(&set)
	if err != nil {
		t.Fatal(err)
	}
	f, err := files.FindFileByPath("riffle/plugin/v1/plugin.proto")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(lines(f), lines(File_riffle_plugin_v1_plugin_proto)) {
		t.Error("plugin.binpb is not current: make proto")
	}
	for _, name := range []protoreflect.FullName{"grpc.health.v1.Health", "opentelemetry.proto.collector.trace.v1.TraceService"} {
		if _, err := files.FindDescriptorByName(name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	b, _ := proto.Marshal(&AskResponse{Leases: []*Lease{{Answer: &Answer{Verdict: Verdict_VERDICT_DROP}, TtlMs: 7}}})
	f.Add(b)
	f.Add(protowire.AppendTag(nil, 1, protowire.BytesType))
	f.Fuzz(func(_ *testing.T, data []byte) {
		for _, m := range []proto.Message{&AskResponse{}, &Change{}, &AskSegmentsResponse{}, &ConfigureResponse{}, &DescribeResponse{}} {
			_ = proto.Unmarshal(data, m) // must not panic
		}
	})
}
