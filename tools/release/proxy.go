package main

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"
	"golang.org/x/mod/sumdb/dirhash"
	modzip "golang.org/x/mod/zip"
)

// pack makes a module's zip as the go command makes it from the tag, and its
// checksums. What git archives it archives, whatever line ends the working tree has.
func (p *plan) pack(ctx context.Context, tree, name string, m *mod) error {
	id, err := git(ctx, tree, nil, "write-tree")
	if err != nil {
		return err
	}
	archive, err := git(ctx, tree, nil, "-c", "core.autocrlf=input", "-c", "core.eol=lf",
		"archive", "--format=zip", strings.TrimSpace(string(id)))
	if err != nil {
		return err
	}
	r, err := zip.NewReader(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		return err
	}
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	if err := errors.Join(modzip.Create(f, module.Version{Path: m.path, Version: p.version}, files(r, m.dir)), f.Close()); err != nil {
		return err
	}
	m.zip = name
	if m.zipSum, err = dirhash.HashZip(name, dirhash.Hash1); err != nil {
		return err
	}
	m.modSum, err = dirhash.Hash1([]string{"go.mod"}, func(string) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(m.goMod)), nil
	})
	return err
}

// files are those below a directory, with the license of the repository if it has
// none of its own, without which a module's documentation is not shown. Those of
// modules further below are left out by zip.Create.
func files(archive *zip.Reader, dir string) []modzip.File {
	var all []modzip.File
	var license *zip.File
	for _, f := range archive.File {
		name, below := strings.CutPrefix(f.Name, dir+"/")
		switch {
		case strings.HasSuffix(f.Name, "/"):
		case dir == ".":
			all = append(all, file{f.Name, f})
		case below:
			all = append(all, file{name, f})
		case f.Name == "LICENSE":
			license = f
		}
	}
	if license != nil && !slices.ContainsFunc(all, func(f modzip.File) bool { return f.Path() == "LICENSE" }) {
		all = append(all, file{"LICENSE", license})
	}
	return all
}

// file is a file of an archive under another name.
type file struct {
	name string
	in   *zip.File
}

func (f file) Path() string                 { return f.name }
func (f file) Lstat() (fs.FileInfo, error)  { return f.in.FileInfo(), nil }
func (f file) Open() (io.ReadCloser, error) { return f.in.Open() }

var _ modzip.File = file{}

// fill writes the modules to a directory in the layout that GOPROXY reads, beside
// what is there.
func (p *plan) fill(ctx context.Context, proxy, commit string) error {
	date, err := git(ctx, p.repo, nil, "show", "--no-patch", "--format=%cI", commit)
	if err != nil {
		return err
	}
	at, err := time.Parse(time.RFC3339, strings.TrimSpace(string(date)))
	if err != nil {
		return err
	}
	info, err := json.Marshal(struct {
		Version string
		Time    time.Time
	}{p.version, at.UTC()})
	if err != nil {
		return err
	}
	for _, m := range p.modules {
		escaped, err := module.EscapePath(m.path)
		if err != nil {
			return err
		}
		dir := filepath.Join(proxy, filepath.FromSlash(escaped), "@v")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		zip, err := os.ReadFile(m.zip)
		if err != nil {
			return err
		}
		version, err := module.EscapeVersion(p.version)
		if err != nil {
			return err
		}
		list, err := listed(filepath.Join(dir, "list"), p.version)
		if err != nil {
			return err
		}
		for name, data := range map[string][]byte{
			version + ".info": info,
			version + ".mod":  m.goMod,
			version + ".zip":  zip,
			"list":            list,
		} {
			if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
				return err
			}
		}
	}
	return nil
}

// listed is a proxy's list of versions with one more.
func listed(name, version string) ([]byte, error) {
	data, err := os.ReadFile(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	versions := append(strings.Fields(string(data)), version)
	semver.Sort(versions)
	return fmt.Appendln(nil, strings.Join(slices.Compact(versions), "\n")), nil
}
