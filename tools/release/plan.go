package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"
)

// plan is a release that nothing stands against.
type plan struct {
	repo    string // the working tree that it is made from
	head    string // its commit
	version string
	modules []*mod // shipped, each after the siblings that it requires
	others  []*mod // in the repository but not shipped
}

// mod is a module of the repository.
type mod struct {
	path     string
	dir      string // in the repository, with slashes; "." is the root
	siblings []string
	replaced []module.Version // siblings
	file     *modfile.File

	// Of the release.
	goMod  []byte
	zip    string // its file
	zipSum string
	modSum string
}

func (m *mod) name(file string) string { return path.Join(m.dir, file) }

func (m *mod) tag(version string) string { return path.Join(m.dir, version) }

func (p *plan) tags() []string {
	var tags []string
	for _, m := range p.modules {
		tags = append(tags, m.tag(p.version))
	}
	return tags
}

// newPlan reads what is committed in a repository and refuses what cannot be
// released.
func newPlan(ctx context.Context, repo, version string) (*plan, error) {
	switch {
	case !semver.IsValid(version) || semver.Canonical(version) != version:
		return nil, fmt.Errorf("%q is not a version: want vX.Y.Z, or vX.Y.Z-rc.1", version)
	case module.IsPseudoVersion(version):
		return nil, fmt.Errorf("%q is not a version: Go takes it for the name of a commit", version)
	}
	status, err := git(ctx, repo, nil, "status", "--porcelain")
	if err != nil {
		return nil, err
	}
	if changed := strings.Split(strings.TrimSuffix(string(status), "\n"), "\n"); changed[0] != "" {
		return nil, fmt.Errorf("the working tree is not clean: %d changed or new, such as %s", len(changed), strings.TrimSpace(changed[0][2:]))
	}
	head, err := git(ctx, repo, nil, "rev-parse", "HEAD")
	if err != nil {
		return nil, err
	}
	p := &plan{repo: repo, head: strings.TrimSpace(string(head)), version: version}
	if err := p.read(ctx); err != nil {
		return nil, err
	}
	found, err := git(ctx, repo, nil, append([]string{"tag", "--list"}, p.tags()...)...)
	if err != nil {
		return nil, err
	}
	if tag, _, _ := strings.Cut(string(found), "\n"); tag != "" {
		return nil, fmt.Errorf("the tag %s exists", tag)
	}
	return p, nil
}

// read reads the modules of the commit.
func (p *plan) read(ctx context.Context) error {
	data, err := git(ctx, p.repo, nil, "show", p.head+":go.work")
	if err != nil {
		return err
	}
	work, err := modfile.ParseWork("go.work", data, nil)
	if err != nil {
		return err
	}
	shipped := map[string]bool{} // by directory
	for _, use := range work.Use {
		shipped[path.Clean(use.Path)] = true
	}
	names, err := git(ctx, p.repo, nil, "ls-tree", "-r", "-z", "--name-only", p.head)
	if err != nil {
		return err
	}
	byPath := map[string]*mod{} // the shipped ones
	for name := range strings.SplitSeq(string(names), "\x00") {
		if path.Base(name) != "go.mod" {
			continue
		}
		m, err := readMod(ctx, p.repo, p.head, name)
		if err != nil {
			return err
		}
		if shipped[m.dir] {
			byPath[m.path] = m
			p.modules = append(p.modules, m)
		} else {
			p.others = append(p.others, m)
		}
	}
	if len(p.modules) != len(shipped) {
		return fmt.Errorf("go.work uses %d directories, %d of which have a go.mod", len(shipped), len(p.modules))
	}
	for _, m := range p.modules {
		if err := m.check(p, byPath); err != nil {
			return fmt.Errorf("%s: %w", m.name("go.mod"), err)
		}
	}
	p.others = slices.DeleteFunc(p.others, func(m *mod) bool {
		m.relate(byPath)
		return len(m.siblings) == 0
	})
	p.modules, err = ordered(p.modules, byPath)
	return err
}

func readMod(ctx context.Context, repo, commit, name string) (*mod, error) {
	data, err := git(ctx, repo, nil, "show", commit+":"+name)
	if err != nil {
		return nil, err
	}
	f, err := modfile.Parse(name, data, nil)
	if err != nil {
		return nil, err
	}
	if f.Module == nil {
		return nil, fmt.Errorf("%s: no module line", name)
	}
	return &mod{path: f.Module.Mod.Path, dir: path.Dir(name), file: f}, nil
}

// relate finds the siblings that a module requires and replaces.
func (m *mod) relate(shipped map[string]*mod) {
	for _, r := range m.file.Require {
		if shipped[r.Mod.Path] != nil {
			m.siblings = append(m.siblings, r.Mod.Path)
		}
	}
	for _, r := range m.file.Replace {
		if shipped[r.Old.Path] != nil {
			m.replaced = append(m.replaced, r.Old)
		}
	}
}

// check refuses what would not build outside of the repository.
func (m *mod) check(p *plan, shipped map[string]*mod) error {
	m.relate(shipped)
	if err := module.Check(m.path, p.version); err != nil {
		return err
	}
	for _, r := range m.file.Replace {
		if shipped[r.Old.Path] == nil {
			return fmt.Errorf("replaces %s, which go install refuses", r.Old.Path)
		}
	}
	for _, r := range m.file.Require {
		for _, other := range p.others {
			if r.Mod.Path == other.path {
				return fmt.Errorf("requires %s, which go.work does not use", other.path)
			}
		}
	}
	return nil
}

// ordered sorts modules so that each stands after those it requires, whose
// checksums it names.
func ordered(modules []*mod, shipped map[string]*mod) ([]*mod, error) {
	var sorted []*mod
	state := map[*mod]int{} // 1 is begun, 2 is done
	var visit func(*mod) error
	visit = func(m *mod) error {
		switch state[m] {
		case 1:
			return fmt.Errorf("%s requires itself through its siblings", m.path)
		case 2:
			return nil
		}
		state[m] = 1
		for _, s := range m.siblings {
			if err := visit(shipped[s]); err != nil {
				return err
			}
		}
		state[m] = 2
		sorted = append(sorted, m)
		return nil
	}
	for _, m := range modules {
		if err := visit(m); err != nil {
			return nil, err
		}
	}
	return sorted, nil
}

// git runs git in a directory, without the hooks of whoever runs it.
func git(ctx context.Context, dir string, stdin []byte, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "git", append([]string{"-c", "core.hooksPath=" + os.DevNull}, args...)...)
	cmd.Dir, cmd.Stdin = dir, bytes.NewReader(stdin)
	out, err := cmd.Output()
	if err == nil {
		return out, nil
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		if said, _, _ := strings.Cut(strings.TrimSpace(string(exit.Stderr)), "\n"); said != "" {
			err = errors.New(said)
		}
	}
	return nil, fmt.Errorf("git %s: %w", args[0], err)
}
