package importer_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/riffletrace/riffle/cmd/riffle/internal/importer"
)

// A file is anybody's: what can be made of it is a configuration, or there is an error.
func FuzzImport(f *testing.F) {
	files, err := filepath.Glob("testdata/[cer]*/*")
	if err != nil || len(files) == 0 {
		f.Fatal("no files", err)
	}
	for _, file := range files {
		if strings.Contains(file, ".golden.") {
			continue
		}
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for _, format := range append(importer.Formats(), "") {
			f.Add(data, string(format), "")
		}
	}
	f.Add([]byte("a: &a [*a]\ntail_sampling: {policies: [{type: not, not: {not_sub_policy: {type: drop}}}]}"), "", "tail_sampling")
	f.Add([]byte("policies"), "", "")
	f.Fuzz(func(t *testing.T, data []byte, format, part string) {
		out, err := importer.Import(data, importer.Options{Format: importer.Format(format), Part: part, Section: section, File: part})
		if err != nil {
			return
		}
		accepted(t, out)
	})
}

// What is wrong with a condition is said, however it is nested.
func FuzzCondition(f *testing.F) {
	for _, condition := range []string{
		`attributes["a"] == "b" and not (status.code == 2 or IsMatch(name, "^GET /x.*$"))`,
		`(end_time_unix_nano - start_time_unix_nano) > 1000000`,
		`end_time - start_time >= Duration("1s")`,
		`resource.attributes["a"] != nil or (resource.attributes["b"] == 1 and attributes["c"] < 1.5)`,
		`((((((`, `not (not true)`, `IsRootSpan()`, `HasPrefix(attributes["a"], "x$$")`, `1 == attributes["a"]`,
	} {
		f.Add(condition, false)
		f.Add(condition, true)
	}
	f.Fuzz(func(t *testing.T, condition string, drop bool) {
		if strings.ContainsAny(condition, "'\x00\n\r") {
			return
		}
		text := "tail_sampling: {policies: [{name: a, type: ottl_condition, ottl_condition: {span: ['" + condition + "'], spanevent: ['" + condition + "']}}]}"
		if drop {
			text = "tail_sampling: {policies: [{name: a, type: drop, drop: {drop_sub_policy: [{type: not, not: {not_sub_policy: {type: ottl_condition, ottl_condition: {span: ['" + condition + "']}}}}]}}]}"
		}
		out, err := importer.Import([]byte(text), importer.Options{Section: section})
		if err != nil {
			return
		}
		accepted(t, out)
	})
}
