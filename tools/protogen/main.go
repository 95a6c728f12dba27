// Command protogen generates the Go code and the descriptors of a .proto file,
// with the plugins of protoc that tools/go.mod pins and without protoc itself,
// which is no Go program. It is run in tools, with the directory of the file and
// the name that it is imported by:
//
//	go run ./protogen ../plugins/proto riffle/plugin/v1/plugin.proto
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"

	"github.com/bufbuild/protocompile"
	"github.com/bufbuild/protocompile/linker"
	_ "go.opentelemetry.io/proto/otlp/collector/trace/v1" // what .proto files can import
	_ "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"
)

// besides are files that the descriptors hold besides those imported, because
// a plugin needs them too.
var besides = []string{"opentelemetry/proto/collector/trace/v1/trace_service.proto", "grpc/health/v1/health.proto"}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: protogen DIR NAME")
		os.Exit(2)
	}
	if err := generate(context.Background(), os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "protogen:", err)
		os.Exit(1)
	}
}

func generate(ctx context.Context, dir, name string) error {
	compiler := protocompile.Compiler{
		SourceInfoMode: protocompile.SourceInfoStandard,
		Resolver: protocompile.CompositeResolver{
			&protocompile.SourceResolver{Accessor: func(imported string) (io.ReadCloser, error) {
				if imported != name {
					return nil, fs.ErrNotExist
				}
				return os.Open(filepath.Join(dir, path.Base(name)))
			}},
			protocompile.ResolverFunc(func(imported string) (protocompile.SearchResult, error) {
				d, err := protoregistry.GlobalFiles.FindFileByPath(imported)
				return protocompile.SearchResult{Desc: d}, err
			}),
		},
	}
	files, err := compiler.Compile(ctx, name)
	if err != nil {
		return err
	}
	set := &descriptorpb.FileDescriptorSet{}
	seen := map[string]bool{}
	for _, imported := range besides {
		d, err := protoregistry.GlobalFiles.FindFileByPath(imported)
		if err != nil {
			return fmt.Errorf("%s: %w", imported, err)
		}
		add(set, seen, d)
	}
	add(set, seen, files[0])
	request, err := proto.Marshal(&pluginpb.CodeGeneratorRequest{
		FileToGenerate: []string{name},
		Parameter:      new("paths=source_relative"),
		ProtoFile:      set.GetFile(),
	})
	if err != nil {
		return err
	}
	for _, tool := range []string{"protoc-gen-go", "protoc-gen-go-grpc"} {
		if err := run(ctx, dir, tool, request); err != nil {
			return fmt.Errorf("%s: %w", tool, err)
		}
	}
	for _, f := range set.GetFile() {
		f.SourceCodeInfo = nil
	}
	descriptors, err := proto.MarshalOptions{Deterministic: true}.Marshal(set)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, strings.TrimSuffix(path.Base(name), ".proto")+".binpb"), descriptors, 0o644)
}

// add adds a file after those that it imports.
func add(set *descriptorpb.FileDescriptorSet, seen map[string]bool, d protoreflect.FileDescriptor) {
	if seen[d.Path()] {
		return
	}
	seen[d.Path()] = true
	for i := range d.Imports().Len() {
		add(set, seen, d.Imports().Get(i).FileDescriptor)
	}
	if r, ok := d.(linker.Result); ok {
		set.File = append(set.File, r.FileDescriptorProto())
		return
	}
	set.File = append(set.File, protodesc.ToFileDescriptorProto(d))
}

// run runs a plugin of protoc and writes the files it answers with.
func run(ctx context.Context, dir, tool string, request []byte) error {
	cmd := exec.CommandContext(ctx, "go", "tool", tool)
	cmd.Stdin, cmd.Stderr = bytes.NewReader(request), os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return err
	}
	var response pluginpb.CodeGeneratorResponse
	if err := proto.Unmarshal(out, &response); err != nil {
		return err
	}
	if response.Error != nil {
		return errors.New(response.GetError())
	}
	for _, f := range response.GetFile() {
		if err := os.WriteFile(filepath.Join(dir, path.Base(f.GetName())), []byte(f.GetContent()), 0o644); err != nil {
			return err
		}
	}
	return nil
}
