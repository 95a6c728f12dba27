package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/riffletrace/riffle/cmd/riffle/internal/command"

	"github.com/spf13/cobra"

	"github.com/riffletrace/riffle/cmd/riffle/internal/scaffold"
	"github.com/riffletrace/riffle/internal/untrusted"
	"github.com/riffletrace/riffle/plugins"
	"github.com/riffletrace/riffle/plugins/pin"
)

func (p *program) newPlugins() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "plugins",
		Short: "pin, check, list, begin and test plugins: exporters and samplers that are programs",
		Long: `plugins is about exporters and samplers that run as programs of their own. They lie in
one directory, called riffle-plugin-NAME, beside riffle-plugins.lock, which pins
their content.`,
		Args: cobra.NoArgs,
		RunE: wantCommand,
	}
	cmd.AddCommand(newPluginsPin(), p.newPluginsCheck(), p.newPluginsNew(), newPluginsTest())
	if p.list != nil {
		cmd.AddCommand(p.newPluginsList())
	}
	return cmd
}

// addPluginsDir adds the flag that names the directory.
func addPluginsDir(cmd *cobra.Command, dir *string) {
	cmd.Flags().StringVar(dir, "dir", ".", "the directory of the plugins: plugins.dir in the configuration")
}

func newPluginsPin() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "pin NAME...",
		Short: "let plugins run with the content that they have now",
		Long: `pin writes the SHA-256 of plugins into riffle-plugins.lock, so that they can run, and
nothing else under their names. It does not run them. A service takes the new
content when it starts the next time.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, names []string) error {
			lock, err := pin.Read(dir)
			if err != nil {
				return err
			}
			var pins []pin.Pin
			for _, name := range names {
				file := fileOf(name)
				sum, err := pin.Sum(dir, file)
				if err != nil {
					return err
				}
				pins = append(pins, pin.Pin{File: file, SHA256: sum})
				lock = lock.With(pins[len(pins)-1])
			}
			if err := lock.Write(dir); err != nil {
				return err
			}
			for _, p := range pins {
				fmt.Fprintf(cmd.OutOrStdout(), "pinned %s\t%s\n", p.File, p.SHA256)
			}
			return nil
		},
	}
	addPluginsDir(cmd, &dir)
	return cmd
}

// fileOf is the file of a plugin, given by its name or its file.
func fileOf(name string) string {
	if strings.HasPrefix(name, plugins.Prefix) || filepath.Ext(name) != "" {
		return name
	}
	return plugins.Prefix + name
}

func (p *program) newPluginsCheck() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "check",
		Short: "check plugins against their pins",
		Long: `check compares every plugin in the directory with its pin, and says of each what a
service would say when it refuses it. It runs none of them.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			files, err := pluginFiles(dir)
			if err != nil {
				return err
			}
			if len(files) == 0 {
				return fmt.Errorf("there are no plugins in %s", dir)
			}
			var failed error
			for _, file := range files {
				if err := checkPin(dir, file); err != nil {
					failed = errReported
					p.printError(cmd.ErrOrStderr(), untrusted.Error(err, untrusted.Attribute))
					continue
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s: ok\n", fit(file))
			}
			return failed
		},
	}
	addPluginsDir(cmd, &dir)
	return cmd
}

// checkPin does with a plugin what a service does before it runs it.
func checkPin(dir, file string) error {
	program, err := pin.Copy(dir, file, "", false)
	if err != nil {
		return err
	}
	return program.Remove()
}

// pluginFiles are the files that are plugins or pinned, sorted.
func pluginFiles(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	lock, err := pin.Read(dir)
	if err != nil {
		return nil, err
	}
	var files []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), plugins.Prefix) {
			files = append(files, e.Name())
		}
	}
	for _, p := range lock {
		files = append(files, p.File)
	}
	slices.Sort(files)
	return slices.Compact(files), nil
}

func (p *program) newPluginsList() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "list plugins and what they serve",
		Long: `list starts every plugin that is pinned, asks what it serves, and ends it. One that is
not pinned is listed and not run.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			files, err := pluginFiles(dir)
			if err != nil {
				return err
			}
			if len(files) == 0 {
				return fmt.Errorf("there are no plugins in %s", dir)
			}
			t := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(t, "PLUGIN\tVERSION\tKIND\tCOMPONENT\tWHAT IT DOES")
			var failed error
			for _, file := range files {
				if err := p.listPlugin(cmd.Context(), t, dir, file); err != nil {
					failed = errReported
					p.printError(cmd.ErrOrStderr(), untrusted.Error(err, untrusted.Attribute))
				}
			}
			return errors.Join(t.Flush(), failed)
		},
	}
	addPluginsDir(cmd, &dir)
	return cmd
}

// Served is what a plugin serves, as it says.
type Served struct {
	Plugin, Version string
	Components      []ServedComponent
}

// ServedComponent is one of them.
type ServedComponent struct{ Kind, Name, Doc string }

// ListPlugins adds the command plugins list: list starts the plugin at path, if its
// content is pinned, asks what it serves and ends it. Package hosting has one.
func ListPlugins(list func(ctx context.Context, path string) (Served, error)) Option {
	return func(p *program) { p.list = list }
}

func (p *program) listPlugin(ctx context.Context, w io.Writer, dir, file string) error {
	s, err := p.list(ctx, filepath.Join(dir, file))
	for _, c := range s.Components {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", fit(s.Plugin), fit(s.Version), c.Kind, c.Name, fit(c.Doc))
	}
	return err
}

func (p *program) newPluginsNew() *cobra.Command {
	var dir, kind string
	cmd := &cobra.Command{
		Use:   "new NAME --kind exporter|sampler",
		Short: "write the beginning of a plugin in Go",
		Long: `new writes a plugin that builds, passes its tests and does something small: its main,
its component with a configuration, and the conformance tests. It changes no file
that is there.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			name := args[0]
			if kind == "" {
				return command.Usage(errors.New("--kind is missing: want exporter or sampler"))
			}
			if err := scaffold.Check(name, kind); err != nil {
				return command.Usage(err)
			}
			target := cmp.Or(dir, plugins.Prefix+name)
			files, module, err := scaffold.Write(target, name, kind)
			if err != nil {
				return err
			}
			w := cmd.OutOrStdout()
			for _, file := range files {
				fmt.Fprintf(w, "wrote %s\n", filepath.Join(target, file))
			}
			fmt.Fprintf(w, "\nNext:\n  cd %s\n", target)
			if module {
				fmt.Fprintln(w, "  go get github.com/riffletrace/riffle && go mod tidy")
			}
			fmt.Fprintf(w, "  go test ./...\n  go build -o %s%s .\n  %s plugins pin %s\n", plugins.Prefix, name, p.name, name)
			return nil
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "the directory that is written (default riffle-plugin-NAME)")
	cmd.Flags().StringVar(&kind, "kind", "", "what it serves: exporter or sampler")
	return cmd
}
