package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/module"
)

// release makes the commit and its tags, and fills the proxy if one is named. The
// tags come last and all at once: what fails before leaves no release behind.
func (p *plan) release(ctx context.Context, proxy string) (commit string, err error) {
	tmp, err := os.MkdirTemp("", "riffle-release-")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tmp)) }()
	tree := filepath.Join(tmp, "tree")
	if _, err := git(ctx, p.repo, nil, "worktree", "add", "--quiet", "--detach", tree, p.head); err != nil {
		return "", err
	}
	defer func() {
		_, removed := git(context.WithoutCancel(ctx), p.repo, nil, "worktree", "remove", "--force", tree)
		err = errors.Join(err, removed)
	}()

	for i, m := range p.modules {
		if err := p.build(ctx, tree, filepath.Join(tmp, fmt.Sprintf("%d.zip", i)), m); err != nil {
			return "", fmt.Errorf("%s: %w", m.path, err)
		}
	}
	// With its go.work, the commit is one where tests and examples run: these see
	// their siblings' requirements too.
	for _, m := range p.others {
		if err := p.rewrite(ctx, tree, m); err != nil {
			return "", fmt.Errorf("%s: %w", m.path, err)
		}
	}
	if _, err := git(ctx, tree, nil, "commit", "--quiet", "--allow-empty", "-m", "release "+p.version); err != nil {
		return "", err
	}
	out, err := git(ctx, tree, nil, "rev-parse", "HEAD")
	if err != nil {
		return "", err
	}
	commit = strings.TrimSpace(string(out))
	if proxy != "" {
		if err := p.fill(ctx, proxy, commit); err != nil {
			return "", fmt.Errorf("writing the proxy %s: %w", proxy, err)
		}
	}
	var refs bytes.Buffer
	for _, tag := range p.tags() {
		fmt.Fprintf(&refs, "create refs/tags/%s %s\n", tag, commit)
	}
	_, err = git(ctx, p.repo, refs.Bytes(), "update-ref", "--stdin")
	return commit, err
}

// build writes a shipped module's go.mod and go.sum, and its zip. The siblings
// that it requires are built.
func (p *plan) build(ctx context.Context, tree, zip string, m *mod) error {
	for _, r := range m.replaced {
		if err := m.file.DropReplace(r.Path, r.Version); err != nil {
			return err
		}
	}
	if err := p.rewrite(ctx, tree, m); err != nil {
		return err
	}
	if err := p.sum(ctx, tree, m); err != nil {
		return err
	}
	return p.pack(ctx, tree, zip, m)
}

// rewrite has a module require its siblings in the version of the release.
func (p *plan) rewrite(ctx context.Context, tree string, m *mod) error {
	for _, s := range m.siblings {
		if err := m.file.AddRequire(s, p.version); err != nil {
			return err
		}
	}
	m.file.Cleanup()
	var err error
	if m.goMod, err = m.file.Format(); err != nil {
		return err
	}
	return p.write(ctx, tree, m.name("go.mod"), m.goMod)
}

// sum lists the siblings in a module's go.sum, in the go command's order.
func (p *plan) sum(ctx context.Context, tree string, m *mod) error {
	name := m.name("go.sum")
	data, err := os.ReadFile(filepath.Join(tree, filepath.FromSlash(name)))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	sums := map[module.Version]string{}
	for line := range strings.Lines(string(data)) {
		fields := strings.Fields(line)
		if len(fields) != 3 {
			return fmt.Errorf("%s has the line %q", name, line)
		}
		sums[module.Version{Path: fields[0], Version: fields[1]}] = fields[2]
	}
	for _, sibling := range p.modules {
		for v := range sums {
			if v.Path == sibling.path {
				delete(sums, v)
			}
		}
		if slices.Contains(m.siblings, sibling.path) {
			sums[module.Version{Path: sibling.path, Version: p.version}] = sibling.zipSum
			sums[module.Version{Path: sibling.path, Version: p.version + "/go.mod"}] = sibling.modSum
		}
	}
	if len(sums) == 0 {
		return nil
	}
	var list []module.Version
	for v := range sums {
		list = append(list, v)
	}
	module.Sort(list)
	var b bytes.Buffer
	for _, v := range list {
		fmt.Fprintln(&b, v.Path, v.Version, sums[v])
	}
	return p.write(ctx, tree, name, b.Bytes())
}

// write writes a file for the commit.
func (*plan) write(ctx context.Context, tree, name string, data []byte) error {
	if err := os.WriteFile(filepath.Join(tree, filepath.FromSlash(name)), data, 0o644); err != nil {
		return err
	}
	_, err := git(ctx, tree, nil, "add", "--", name)
	return err
}
