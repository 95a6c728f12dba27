package config

import (
	"errors"
	"io/fs"
	"slices"
	"strings"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/component"
)

// Place tells where the key at a path stands, in the words of the source that set
// it. It returns nil for what is known as a mistake already.
func (r *reader) Place(path string, err error) *core.ConfigError {
	if entry, _, _ := strings.Cut(path, "]"); r.unusable[entry+"]"] || r.unusable[path] {
		return nil
	}
	if r.absent && r.isAbsent(path, err) || slices.ContainsFunc(r.nodesAt(path), func(n *node) bool { return n.kind == broken }) {
		return nil
	}
	e := &core.ConfigError{Position: r.locate(path), Path: r.fullPath(path), Err: err}
	if r.loaded {
		r.finish(e)
	}
	return e
}

// isAbsent reports whether a mistake is about what is not there, and need not be.
func (r *reader) isAbsent(path string, err error) bool {
	if strings.HasSuffix(path, "_file") && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission)) {
		return true
	}
	found := false
	if _, unknown := errors.AsType[unknownKeyError](err); !unknown && !isEntry(path) {
		for _, n := range r.nodesAt(path) {
			n.each(func(n *node) { found = found || n.absent })
		}
	}
	return found
}

// Warnings are worth telling people, but no mistakes.
func (r *reader) Warnings() core.ConfigErrors { return r.warnings }

// Files are those that were read, also the one that OTEL_CONFIG_FILE names.
func (r *reader) Files() []string {
	names := make([]string, len(r.docs))
	for i, doc := range r.docs {
		names[i] = doc.name
	}
	return names
}

// written is the path that people wrote for what stands at another.
func (r *reader) written(path string) string {
	for base := path; base != ""; base = base[:max(0, strings.LastIndexByte(base, '.'))] {
		if short, ok := r.standsFor[base]; ok {
			return short
		}
	}
	return path
}

// locate asks the entry that the path leads into, or else the sources, the one that
// wins first.
func (r *reader) locate(path string) string {
	tree, inside := r.tree(path)
	if place := r.otelPlace(tree, path); place != "" {
		return r.otelFile.locate(place)
	}
	return tree.locate(inside)
}

// otelPlace is where an OpenTelemetry file, which is the only one, has the place for a
// key that it says nothing of; "" if that is not so.
func (r *reader) otelPlace(tree *node, path string) string {
	if r.otelFile == nil || tree != r.otel || tree.has(path) {
		return ""
	}
	return otelPlaces[path]
}

// tree returns what a path leads into, and the path in there: the entry of a list, or
// else the source that wins.
func (r *reader) tree(path string) (*node, string) {
	if key, _, rest := cutPath(path); rest != "" {
		if _, i, inside := cutPath(rest); i >= 0 && i < len(r.lists[key]) {
			return r.lists[key][i], inside
		}
	}
	for _, tree := range []*node{r.app, r.file, r.otel} {
		if _, ok := tree.find(path); ok && path != "" {
			return tree, path
		}
	}
	if r.file == nil {
		return r.otel, path
	}
	return r.file, path
}

// fullPath is the path that people wrote, from the top of their file, for what stands
// at another.
func (r *reader) fullPath(path string) string {
	if tree, inside := r.tree(path); tree != nil {
		if written, ok := tree.written(inside); ok {
			return written
		}
		if place := r.otelPlace(tree, path); place != "" {
			return place
		}
	}
	return component.JoinPath(r.options.section, r.written(path))
}

// fullPathIn is that of what a tree has at a path.
func (r *reader) fullPathIn(tree *node, path string) string {
	if written, ok := tree.written(path); ok {
		return written
	}
	return component.JoinPath(r.options.section, path)
}

// written is the path in an OpenTelemetry file of what stands at another; not ok if
// it is from elsewhere.
func (n *node) written(path string) (written string, ok bool) {
	base, rest := n.path, path
	for n != nil && path != "" {
		var key string
		var index int
		key, index, path = cutPath(path)
		switch {
		case n.kind == list && index >= 0 && index < len(n.items):
			n = n.items[index]
		case n.kind == mapping && index < 0:
			n = n.member(key).value
		default:
			n = nil
		}
		if n != nil {
			base, rest = n.path, path
		}
	}
	return component.JoinPath(base, rest), base != ""
}

// hide makes n, and all in it, secret.
func (r *reader) hide(n *node) { n.hide(r.hideLine) }

// hideLine leaves n out of the line that is quoted.
func (r *reader) hideLine(n *node) {
	for _, doc := range r.docs {
		doc.hide(n.pos)
	}
}

func (r *reader) quote(position string) string {
	for _, doc := range r.docs {
		if quoted := doc.quote(position); quoted != "" {
			return quoted
		}
	}
	return ""
}

// mistakes returns the first of them by line, each with the line it is in.
func (r *reader) mistakes() core.ConfigErrors {
	errs := slices.CompactFunc(r.errs.Sorted(), func(a, b *core.ConfigError) bool { return a.Error() == b.Error() })
	if len(errs) > maxMistakes {
		errs = append(errs[:maxMistakes], &core.ConfigError{
			Position: errs[maxMistakes].Position,
			Err:      errors.New("there are more mistakes from here on"),
		})
	}
	return r.finished(errs)
}

// finished completes mistakes: nothing in them is a secret, and each has its line.
func (r *reader) finished(errs core.ConfigErrors) core.ConfigErrors {
	for _, e := range errs {
		r.finish(e)
	}
	for _, e := range errs { // what one has hidden may be in the line of another
		e.Snippet = r.quote(e.Position)
	}
	return errs
}

func (r *reader) finish(e *core.ConfigError) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.conceal(e)
	e.Snippet = r.quote(e.Position)
}

// add takes over the mistakes that [core.Spec.Check] found.
func (r *reader) add(err error) {
	var found core.ConfigErrors
	if !errors.As(err, &found) {
		r.fail("", "", err)
	}
	told := r.errs
	for _, e := range found {
		// What is found in an OpenTelemetry file where a mistake is told already, or
		// around it, comes of that one.
		again := func(t *core.ConfigError) bool {
			return e.Path != "" && (t.Path == e.Path || strings.HasPrefix(t.Path, e.Path+".") || strings.HasPrefix(t.Path, e.Path+"["))
		}
		if r.otelFile == nil || !slices.ContainsFunc(told, again) {
			r.errs = append(r.errs, e)
		}
	}
}

// Interface guard.
var _ core.PublicSource = (*reader)(nil)
