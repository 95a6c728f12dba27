package cli

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/riffletrace/riffle/cmd/riffle/internal/command"
	"github.com/riffletrace/riffle/core/component"
)

// componentInfo describes a type that a configuration can name.
type componentInfo struct {
	Type string `json:"type"`
	Doc  string `json:"doc"`
	Keys []key  `json:"keys"`
}

// key describes one key of a component.
type key struct {
	Key     string `json:"key"`
	Type    string `json:"type"`
	Default string `json:"default"` // as one would write it; "" for the empty value
	Doc     string `json:"doc"`
	Keys    []key  `json:"keys,omitempty"` // of a section
}

func (p *program) newComponents() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "components",
		Short: "list the samplers and exporters that a configuration can use",
		Long:  "components lists the samplers, the exporters, and the exporters of metrics that a configuration can use, with their keys and defaults.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			samplers, exporters, metrics := describe(p.source.Samplers), describe(p.source.Exporters), describe(p.source.MeterProviders)
			if asJSON {
				return command.WriteJSON(cmd.OutOrStdout(), struct {
					Samplers  []componentInfo `json:"samplers"`
					Exporters []componentInfo `json:"exporters"`
					Metrics   []componentInfo `json:"metrics"`
				}{samplers, exporters, metrics})
			}
			t := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			printComponents(t, "samplers", samplers)
			fmt.Fprintln(t)
			printComponents(t, "exporters", exporters)
			fmt.Fprintln(t)
			printComponents(t, "metrics", metrics)
			return t.Flush()
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

func describe[T any](r *component.Registry[T]) []componentInfo {
	var all []componentInfo
	for _, name := range r.Names() {
		f, _ := r.Lookup(name)
		all = append(all, componentInfo{Type: name, Doc: f.Doc(), Keys: keys(f.Fields())})
	}
	return all
}

func keys(fields []component.Field) []key {
	all := make([]key, len(fields))
	for i, f := range fields {
		all[i] = key{Key: f.Key, Type: f.Schema.String(), Default: f.Default, Doc: f.Doc}
		if len(f.Fields()) > 0 {
			all[i].Keys = keys(f.Fields())
		}
	}
	return all
}

func printComponents(w io.Writer, title string, all []componentInfo) {
	fmt.Fprintln(w, title)
	for _, c := range all {
		fmt.Fprintf(w, "\n  %s: %s\n", c.Type, c.Doc)
		printKeys(w, "    ", c.Keys)
	}
}

func printKeys(w io.Writer, prefix string, keys []key) {
	for _, k := range keys {
		doc := k.Doc
		if k.Default != "" {
			doc += " (default " + k.Default + ")"
		}
		fmt.Fprintf(w, "%s%s\t%s\t%s\n", prefix, k.Key, k.Type, doc)
		printKeys(w, prefix+k.Key+".", k.Keys)
	}
}
