package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/riffletrace/riffle/cmd/riffle/internal/command"

	"github.com/spf13/cobra"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/core/delivery/disk"
	"github.com/riffletrace/riffle/core/otlp"
	"github.com/riffletrace/riffle/exporters/stdout/tree"
	"github.com/riffletrace/riffle/internal/untrusted"
)

func (p *program) newQueue() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "queue",
		Short: "look into the disk queues of exporters, and empty them",
		Long: `queue works with the directory of exporters with queue: {storage: disk}, whether
the service runs or not.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return command.Usage(errors.New("want a command: ls, inspect, send or purge"))
		},
	}
	cmd.AddCommand(newQueueList(), newQueueInspect(), p.newQueueSend(), newQueuePurge())
	for _, c := range cmd.Commands() {
		run := c.RunE
		c.RunE = func(cmd *cobra.Command, args []string) error { // an error names files, which others may have named
			return untrusted.Error(run(cmd, args), untrusted.Attribute)
		}
	}
	return cmd
}

// anyones is the file system for looking at queues of other users, as root does. What
// is sent is read without it.
var anyones = disk.OS{AnyOwner: true}

func newQueueList() *cobra.Command {
	return &cobra.Command{
		Use:   "ls DIR",
		Short: "list what waits, by exporter and process",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			lines, err := disk.Inspect(anyones, args[0])
			if err != nil && len(lines) == 0 {
				return err
			}
			return errors.Join(listQueue(cmd.OutOrStdout(), lines), err)
		},
	}
}

func listQueue(w io.Writer, lines []disk.Queue) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "EXPORTER\tTYPE\tENDPOINT\tPART\tIN USE\tBATCHES\tSPANS\tSIZE\tOLDEST\tDAMAGED")
	for _, l := range lines {
		for _, p := range l.Parts {
			use, oldest := "no", "-"
			if p.InUse {
				use = "yes"
			}
			var spans int
			var size int64
			var first time.Time
			for _, e := range p.Ready {
				spans += e.Spans
				size += e.Size
				if first.IsZero() || e.FirstEnd.Before(first) {
					first = e.FirstEnd
				}
			}
			if !first.IsZero() {
				oldest = first.UTC().Format(time.RFC3339)
			}
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%d\t%d\t%s\t%s\t%d\n", fit(l.Name), fit(l.Type), fit(l.Endpoint),
				fit(filepath.Base(p.Dir)), use, len(p.Ready), spans, component.Size(size), oldest, len(p.Damaged))
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, l := range lines {
		for _, p := range l.Parts {
			for _, name := range p.Damaged {
				fmt.Fprintf(w, "damaged: %s\n", fit(name))
			}
		}
	}
	return nil
}

// fit is a name that others may have given, or a dash.
func fit(s string) string { return cmp.Or(untrusted.Text(s, untrusted.Line), "-") }

func newQueueInspect() *cobra.Command {
	return &cobra.Command{
		Use:   "inspect DIR|FILE",
		Short: "show the traces of one batch",
		Long: `inspect shows one batch as trees: that of a file, which may be a damaged one, or the
oldest that waits in a directory of queues.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			name, err := batchFile(args[0])
			if err != nil {
				return err
			}
			batch, err := disk.ReadFile(anyones, name)
			if err != nil {
				return err
			}
			body, err := delivery.Body(batch)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			spans, err := otlp.Decode(body)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			w := cmd.OutOrStdout()
			fmt.Fprintf(w, "%s\n%d spans, %s compressed, %s not, oldest of %s\n\n", fit(name), batch.Spans,
				component.Size(len(batch.Payload)), component.Size(len(body)), batch.FirstEnd.UTC().Format(time.RFC3339Nano))
			return tree.Write(w, spans, treeOptions(w))
		},
	}
}

// batchFile is the file to show.
func batchFile(name string) (string, error) {
	info, err := os.Stat(name)
	if err != nil || !info.IsDir() {
		return name, err
	}
	lines, unread := disk.Inspect(anyones, name)
	var first disk.Entry
	file := ""
	for _, l := range lines {
		for _, p := range l.Parts {
			for _, e := range p.Ready {
				if file == "" || e.FirstEnd.Before(first.FirstEnd) {
					first, file = e, p.Path(e)
				}
			}
		}
	}
	if file == "" {
		return "", cmp.Or(unread, errors.New(name+": nothing waits there"))
	}
	return file, nil
}

// selection is of the queues in a directory.
type selection struct{ exporter, endpoint string }

func (s *selection) addFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.exporter, "exporter", "", "only of the exporter called `NAME`")
	cmd.Flags().StringVar(&s.endpoint, "endpoint", "", "only of an exporter to this `ENDPOINT`, as ls shows it")
}

func (s *selection) has(q disk.Queue) bool {
	wanted := disk.Identity{Name: cmp.Or(s.exporter, q.Name), Type: q.Type, Endpoint: cmp.Or(s.endpoint, q.Endpoint)}
	return wanted.Equal(q.Identity)
}

func newQueuePurge() *cobra.Command {
	var (
		chosen selection
		older  time.Duration
		bad    bool
	)
	cmd := &cobra.Command{
		Use:   "purge DIR",
		Short: "delete what waits, for good",
		Long: `purge deletes batches and damaged files. What a running process works with is left
alone, and makes it fail.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			lines, unread := disk.Inspect(anyones, args[0])
			if unread != nil && len(lines) == 0 {
				return unread
			}
			var batches, spans, damaged int
			failures := []error{unread}
			for _, l := range lines {
				if !chosen.has(l) {
					continue
				}
				for _, p := range l.Parts {
					waiting := p.Ready
					if bad {
						waiting = nil
					}
					var purged []disk.Entry
					for _, e := range waiting {
						if older == 0 || time.Since(e.FirstEnd) > older {
							purged = append(purged, e)
						}
					}
					if len(purged)+len(p.Damaged) == 0 {
						continue
					}
					if err := p.Purge(anyones, purged, p.Damaged); err != nil {
						failures = append(failures, err)
						continue
					}
					batches, damaged = batches+len(purged), damaged+len(p.Damaged)
					for _, e := range purged {
						spans += e.Spans
					}
				}
			}
			fmt.Fprintf(cmd.OutOrStdout(), "deleted %d batches with %d spans, and %d damaged files\n", batches, spans, damaged)
			return errors.Join(failures...)
		},
	}
	chosen.addFlags(cmd)
	cmd.Flags().DurationVar(&older, "older-than", 0, "only batches with a span that ended longer ago than `AGE`")
	cmd.Flags().BoolVar(&bad, "bad", false, "only damaged files")
	return cmd
}
