package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/riffletrace/riffle/cmd/riffle/internal/command"

	"github.com/spf13/cobra"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/core/delivery/disk"
	"github.com/riffletrace/riffle/core/otlp"
)

func (p *program) newQueueSend() *cobra.Command {
	var (
		chosen  selection
		to      endpointFlags
		timeout time.Duration
	)
	cmd := &cobra.Command{
		Use:   "send DIR --to ENDPOINT",
		Short: "send what waits to an OTLP endpoint",
		Long: `send sends what waits in DIR to an OTLP endpoint: what an exporter left whose name,
type or endpoint is another now, so that no process comes for it.

A batch is deleted when the endpoint has accepted it, so that nothing is lost if
send is interrupted or killed; it may then be sent twice. What a running process
works with is left to it. Where an endpoint refuses all of a batch, it stays; where
it refuses some of its spans for good, these are lost, and counted.

The exit code is 0 if nothing is left. OTEL_EXPORTER_OTLP_* count as they do for the
exporter "otlp".`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case to.endpoint == "":
				return command.Usage(errors.New("want --to ENDPOINT"))
			case timeout <= 0:
				return command.Usage(fmt.Errorf("--timeout %s: want more than 0s", timeout))
			}
			exporter, err := to.plan(cmd, &p.source)
			if err != nil {
				return err
			}
			queues, unread := disk.Inspect(anyones, args[0])
			if unread != nil && len(queues) == 0 {
				return unread
			}
			s, err := newSender(exporter, timeout, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			for _, q := range queues {
				if chosen.has(q) {
					s.sendQueue(cmd.Context(), q)
				}
			}
			s.close()
			return errors.Join(s.report(cmd.OutOrStdout()), unread)
		},
	}
	to.add(cmd)
	chosen.addFlags(cmd)
	cmd.Flags().DurationVar(&timeout, "timeout", 30*time.Second, "give up when a batch is not accepted within `TIME`")
	return cmd
}

// sender sends batches of queues through a line of its own, one after the other, so
// that it knows of each what became of it.
type sender struct {
	lines   delivery.Lines
	line    *delivery.Line
	logs    *slog.LevelVar // from which level on the line is heard
	timeout time.Duration
	stderr  io.Writer

	sent, left, skipped count // skipped are those of left that a process has
	rejected            uint64
	damaged             int
	refusals            int   // of whole batches, in a row
	stopped             bool  // nothing more is sent
	failure             error // why something is left
}

// count is of batches and their spans.
type count struct{ batches, spans int }

func (c *count) add(e disk.Entry) { c.batches, c.spans = c.batches+1, c.spans+e.Spans }

func (c count) String() string { return fmt.Sprintf("%d batches with %d spans", c.batches, c.spans) }

// maxRefusals is how many batches an endpoint may refuse one after the other.
const maxRefusals = 3

func newSender(plan component.Plan[sdktrace.SpanExporter], timeout time.Duration, stderr io.Writer) (*sender, error) {
	s := &sender{logs: &slog.LevelVar{}, timeout: timeout, stderr: stderr}
	s.logs.Set(slog.LevelWarn)
	logger := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: s.logs}))
	exporter, err := plan.Build(context.Background(), component.Settings{Logger: logger})
	if err != nil {
		return nil, err
	}
	config := delivery.Defaults()
	config.Queue.MaxBytes = 1 << 40 // a batch is in memory as it is
	config.Send.Backoff.Max = component.Duration(5 * time.Second)
	s.line = s.lines.Add(exporter, config, delivery.Settings{Name: "send", Type: "otlp", Logger: logger})
	return s, nil
}

// close ends the line. What it still has is on the disk, so that nobody hears the line
// say that it is lost.
func (s *sender) close() {
	s.logs.Set(slog.LevelError + 1)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = s.line.Shutdown(ctx)
}

func (s *sender) sendQueue(ctx context.Context, q disk.Queue) {
	for _, p := range q.Parts {
		if len(p.Ready)+p.Writing > 0 {
			s.sendPart(ctx, q, &p)
		}
	}
}

func (s *sender) sendPart(ctx context.Context, q disk.Queue, p *disk.Part) {
	store, entries, err := p.Open(disk.OS{})
	if err != nil {
		for _, e := range p.Ready {
			s.left.add(e)
		}
		if errors.Is(err, disk.ErrLocked) {
			fmt.Fprintf(s.stderr, "skipped: %s of exporter %q (%s) is in use: the process that has it sends what is there\n", fit(filepath.Base(p.Dir)), fit(q.Name), fit(q.Endpoint))
			for _, e := range p.Ready {
				s.skipped.add(e)
			}
		} else {
			s.failed(err)
		}
		return
	}
	defer store.Close()
	for _, e := range entries {
		if !s.stopped && ctx.Err() != nil {
			s.stopped = true
			s.failed(errors.New("interrupted"))
		}
		if s.stopped || !s.sendBatch(ctx, store, p, e) {
			s.left.add(e)
		}
	}
}

// sendBatch sends a batch, and deletes it if it was accepted.
func (s *sender) sendBatch(ctx context.Context, store *disk.Store, p *disk.Part, e disk.Entry) (done bool) {
	spans, err := readBatch(store, p, e)
	switch {
	case errors.Is(err, disk.ErrDamaged):
		s.damaged++
		fmt.Fprintln(s.stderr, fit(err.Error()))
		return false
	case err != nil:
		s.failed(err)
		return false
	case !s.accepted(ctx, spans):
		return false
	}
	s.sent.add(e)
	if err := store.Remove(e); err != nil { // it is sent, and will be again
		s.failed(err)
		return false
	}
	return true
}

func readBatch(store *disk.Store, p *disk.Part, e disk.Entry) ([]sdktrace.ReadOnlySpan, error) {
	batch, err := store.Read(e)
	if err != nil {
		return nil, err
	}
	body, err := delivery.Body(batch)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.Path(e), err)
	}
	spans, err := otlp.Decode(body)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", p.Path(e), disk.ErrDamaged, err)
	}
	return spans, nil
}

// accepted sends spans and reports whether the endpoint has taken them, all but
// those that it rejects for good.
func (s *sender) accepted(ctx context.Context, spans []sdktrace.ReadOnlySpan) bool {
	timed, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	before := s.line.Stats()
	s.lines.HandOver(spans...)
	err := s.line.ForceFlush(timed)
	after := s.line.Stats()
	sent, lost := after.Sent-before.Sent, after.Lost-before.Lost
	switch {
	case after.Waiting > 0:
		s.stopped = true
		if ctx.Err() != nil {
			err = errors.New("interrupted")
		}
		s.failed(err)
		return false
	case sent+lost != uint64(len(spans)):
		s.failed(fmt.Errorf("%d of %d spans were sent: %w", sent, len(spans), err))
		return false
	case sent == 0 && len(spans) > 0:
		s.failed(err)
		s.refusals++
		s.stopped = s.refusals >= maxRefusals // it is not this batch
		return false
	}
	s.refusals = 0
	s.rejected += lost
	return true
}

// failed notes why something is left, the first time.
func (s *sender) failed(err error) {
	if s.failure == nil {
		s.failure = err
	}
}

// report prints what was done. The error is about what is left.
func (s *sender) report(w io.Writer) error {
	fmt.Fprintf(w, "sent %s\n", s.sent)
	if s.rejected > 0 {
		fmt.Fprintf(w, "%d spans of them were rejected by the endpoint and are lost\n", s.rejected)
	}
	if s.left.batches == 0 {
		return nil
	}
	text := s.left.String() + " are left"
	if s.skipped.batches > 0 {
		text += fmt.Sprintf(", %s of them in use", s.skipped)
	}
	if s.damaged > 0 {
		text += fmt.Sprintf(", %d of them damaged", s.damaged)
	}
	if s.failure != nil {
		return fmt.Errorf("%s: %w", text, s.failure)
	}
	return errors.New(text)
}
