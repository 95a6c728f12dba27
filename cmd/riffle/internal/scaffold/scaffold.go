// Package scaffold writes the beginning of a plugin: a program that builds,
// passes its tests, and does something small.
package scaffold

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"go/format"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"text/template"
)

//go:embed sampler exporter
var templates embed.FS

// Kinds are those of plugins that can be written.
var Kinds = []string{"exporter", "sampler"}

var validName = regexp.MustCompile(`^[a-z][a-z0-9]*([-_][a-z0-9]+)*$`)

// Check tells why no plugin of such a name or kind can be written.
func Check(name, kind string) error {
	switch {
	case !validName.MatchString(name):
		return fmt.Errorf("%q is not a name for a plugin: want lower-case letters and digits, with dashes or underscores between", name)
	case !slices.Contains(Kinds, kind):
		return fmt.Errorf("%q is not a kind of plugin: want %s", kind, strings.Join(Kinds, " or "))
	}
	return nil
}

// Write writes a plugin of a kind into a directory that it makes; it changes no
// file that is there already. It returns the files, and whether they include a
// go.mod, which they do if no directory around has one.
func Write(dir, name, kind string) (files []string, module bool, err error) {
	if err := Check(name, kind); err != nil {
		return nil, false, err
	}
	t, err := template.ParseFS(templates, kind+"/*.tmpl")
	if err != nil {
		return nil, false, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, false, err
	}
	data := struct{ Name, Component string }{name, strings.ReplaceAll(name, "-", "_")}
	content := map[string][]byte{}
	for _, part := range t.Templates() {
		var b bytes.Buffer
		if err := part.Execute(&b, data); err != nil {
			return nil, false, err
		}
		source, err := format.Source(b.Bytes())
		if err != nil {
			return nil, false, fmt.Errorf("%s: %w", part.Name(), err)
		}
		file := strings.TrimSuffix(part.Name(), ".tmpl")
		content[file] = source
		files = append(files, file)
	}
	if module = !insideModule(dir); module {
		const file = "go.mod"
		content[file] = fmt.Appendf(nil, "module riffle-plugin-%s\n\ngo 1.26\n", name)
		files = append(files, file)
	}
	for _, file := range files {
		if _, err := os.Lstat(filepath.Join(dir, file)); err == nil {
			return nil, false, fmt.Errorf("%s is there already", filepath.Join(dir, file))
		}
	}
	for _, file := range files {
		if err := create(filepath.Join(dir, file), content[file]); err != nil {
			return nil, false, err
		}
	}
	return files, module, nil
}

func create(path string, content []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Close())
}

// insideModule tells whether there is a go.mod in the directory or above.
func insideModule(dir string) bool {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return false
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); !errors.Is(err, fs.ErrNotExist) {
			return true
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return false
		}
		dir = parent
	}
}
