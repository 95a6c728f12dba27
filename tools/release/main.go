// Command release makes a release of riffle's modules from a clean checkout. It
// is run in tools:
//
//	GOWORK=off go run ./release [--dry-run] [--proxy DIR] VERSION
//
// On the main branch a module requires its siblings as v0.0.0 and replaces them
// by path, which go install refuses and importers don't see. The release is one
// commit beside the branch in which siblings require each other as VERSION and
// replace nothing, with a tag for each module that go.work uses. Neither a branch
// nor the working tree changes, and nothing is pushed.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, ".", os.Args[1:], os.Stdout)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

// run makes a release of the repository that dir is in.
func run(ctx context.Context, dir string, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("release", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	dryRun := flags.Bool("dry-run", false, "")
	proxy := flags.String("proxy", "", "")
	if err := flags.Parse(args); err != nil || flags.NArg() != 1 {
		const usage = "usage: release [--dry-run] [--proxy DIR] VERSION"
		if errors.Is(err, flag.ErrHelp) {
			_, _ = fmt.Fprintln(out, usage)
			return err
		}
		if err != nil {
			return fmt.Errorf("%w; %s", err, usage)
		}
		return errors.New(usage)
	}
	version := flags.Arg(0)
	root, err := git(ctx, dir, nil, "rev-parse", "--show-toplevel")
	if err != nil {
		return err
	}
	repo := strings.TrimSpace(string(root))
	p, err := newPlan(ctx, repo, version)
	if err != nil {
		return err
	}
	if *dryRun {
		p.describe(out, *proxy)
		return nil
	}
	commit, err := p.release(ctx, *proxy)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s is commit %.12s, tagged for %d modules; publish it with\n\n\tgit push --atomic origin %s\n",
		version, commit, len(p.modules), strings.Join(p.tags(), " "))
	return err
}

// describe says what release would do.
func (p *plan) describe(out io.Writer, proxy string) {
	var b strings.Builder
	fmt.Fprintf(&b, "%s would be a commit beside %.12s\n", p.version, p.head)
	for _, m := range p.modules {
		fmt.Fprintf(&b, "\n%s\n\ttag      %s\n", m.path, m.tag(p.version))
		for _, s := range m.siblings {
			fmt.Fprintf(&b, "\trequire  %s %s\n", s, p.version)
		}
		for _, r := range m.replaced {
			fmt.Fprintf(&b, "\tdrop     replace %s\n", r)
		}
	}
	for _, m := range p.others {
		fmt.Fprintf(&b, "\n%s, which is not shipped\n", m.path)
		for _, s := range m.siblings {
			fmt.Fprintf(&b, "\trequire  %s %s\n", s, p.version)
		}
	}
	if proxy != "" {
		fmt.Fprintf(&b, "\nand the shipped modules would be in %s, which GOPROXY can name\n", filepath.Clean(proxy))
	}
	_, _ = io.WriteString(out, b.String())
}
