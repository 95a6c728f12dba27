// Package spanfile reads spans from files and directories, whatever wrote them: OTLP as
// protobuf, as JSON and as JSON lines (riffle's exporter "file" and the Collector's
// write such), the SDK's JSON, Jaeger's JSON, and riffle's queue directories and their
// batches. Any of them may be compressed with gzip or zstd. What a file is, its first
// bytes tell, not its name. What they hold is not trusted.
package spanfile

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/core/delivery/disk"
	"github.com/riffletrace/riffle/internal/trustedfile"
	"github.com/riffletrace/riffle/internal/untrusted"
)

// ErrIncomplete is what errors are after which there are spans to show all the same: a
// line that a killed process has cut, a file of a directory that is none of spans, a
// batch that is damaged. All else was read and taken.
var ErrIncomplete = errors.New("not all of it could be read")

var errNothing = errors.New("no spans in it: want OTLP as protobuf, JSON or lines of JSON, the SDK's or Jaeger's JSON, or a queue directory of riffle or a batch of it")

// Read reads spans from name, a file or a directory, or "-" for stdin, and calls take
// with some at a time, in the order of the file; a directory is a queue directory, or
// its files are read in the order of their names. take owns what it gets, and an error
// of it ends Read, which returns it. Other errors name the file and, where there is one,
// the line, and are fit to be shown; what was read before is taken. Those that leave
// something out and were no reason to stop are [ErrIncomplete], and come at the end. A
// file in which there is nothing to read is an error.
//
// A line, and what stands for one in the other formats, is at most 64 MiB long. The
// context is looked at between them: it does not interrupt a read from a pipe.
func Read(ctx context.Context, name string, stdin io.Reader, take func([]sdktrace.ReadOnlySpan) error) error {
	r := &reading{ctx: ctx, take: take}
	err := r.readAll(name, stdin)
	if r.refused != nil {
		return r.refused
	}
	return untrusted.Error(err, untrusted.Attribute)
}

// reading is one call of Read.
type reading struct {
	ctx     context.Context //nolint:containedctx // ends with the call that has it
	take    func([]sdktrace.ReadOnlySpan) error
	refused error // by take
	spans   int   // taken
	lost    losses
}

func (r *reading) readAll(name string, stdin io.Reader) error {
	if name == "-" {
		return r.result("stdin", r.file("stdin", stdin))
	}
	f, err := os.Open(name) // what somebody names may be a pipe, as shells make them
	if err != nil {
		return err
	}
	defer f.Close()
	switch info, err := f.Stat(); {
	case err != nil:
		return err
	case info.IsDir():
		return r.result(name, r.directory(name))
	default:
		return r.result(name, r.file(name, f))
	}
}

// result is what Read returns of a name whose end is reached, or err.
func (r *reading) result(name string, err error) error {
	if err == nil && r.spans == 0 && r.lost.count == 0 {
		return fmt.Errorf("%s: %w", name, errNothing)
	}
	lost := r.lost.err(r.spans > 0)
	if err == nil {
		return lost
	}
	return errors.Join(lost, err)
}

// directory reads a queue directory or the files of any other.
func (r *reading) directory(name string) error {
	queues, unread := disk.Inspect(anyones, name)
	batches := 0
	for _, q := range queues {
		for _, p := range q.Parts {
			for _, e := range p.Ready {
				batches++
				if err := r.batchFile(p.Path(e)); err != nil {
					return err
				}
			}
			for _, damaged := range p.Damaged {
				r.lost.add(fmt.Errorf("%s: %w", damaged, disk.ErrDamaged))
			}
		}
	}
	if len(queues) > 0 {
		if unread != nil {
			r.lost.add(unread)
		}
		if batches == 0 && unread == nil {
			return fmt.Errorf("%s: nothing waits in this queue directory", name)
		}
		return nil
	}
	return r.files(name)
}

// anyones is the file system for queues of other users: they are shown, not sent.
var anyones = disk.OS{AnyOwner: true}

// batchFile reads a batch that waits, unless it is sent by now.
func (r *reading) batchFile(name string) error {
	batch, err := disk.ReadFile(anyones, name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		r.lost.add(err)
		return r.ctx.Err()
	}
	return r.batch(name, batch)
}

func (r *reading) batch(name string, batch disk.Batch) error {
	body, err := delivery.Body(batch)
	if err != nil {
		r.lost.add(fmt.Errorf("%s: %w", name, err))
		return r.ctx.Err()
	}
	return r.request(name, body)
}

// request takes what a request holds. One that cannot be read costs only itself.
func (r *reading) request(place string, body []byte) error {
	spans, err := decodeRequest(body)
	return r.decoded(place, spans, err)
}

// decoded takes spans, or counts what could not be decoded. The error ends the reading.
func (r *reading) decoded(place string, spans []sdktrace.ReadOnlySpan, err error) error {
	if err != nil {
		r.lost.add(fmt.Errorf("%s: %w", place, err))
	} else if len(spans) > 0 {
		if r.refused = r.take(spans); r.refused != nil {
			return r.refused
		}
		r.spans += len(spans)
	}
	return r.ctx.Err()
}

// files reads the files of a directory that is none of queues. Links and pipes are not
// followed: whoever can write to a directory could lay them out.
func (r *reading) files(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !e.Type().IsRegular() {
			continue
		}
		name := filepath.Join(dir, e.Name())
		f, info, err := trustedfile.Open(name)
		switch {
		case errors.Is(err, fs.ErrNotExist): // rotated away
			continue
		case err != nil:
			r.lost.add(err)
			continue
		case info.Size() == 0: // just rotated
			f.Close()
			continue
		}
		err = r.file(name, f)
		f.Close()
		switch {
		case r.refused != nil || r.ctx.Err() != nil:
			return err
		case err != nil:
			r.lost.add(err)
		}
	}
	return nil
}

// file reads what is not a directory.
func (r *reading) file(name string, from io.Reader) error {
	if err := r.ctx.Err(); err != nil {
		return err
	}
	in, closeInput, err := decompressed(bufio.NewReaderSize(from, bufferSize))
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	defer closeInput()
	s := &source{reading: r, name: name, in: in, line: 1}
	return s.read()
}

// bufferSize is how much is read at once, and looked at to tell what it is.
const bufferSize = 64 << 10

// losses are what could not be read. Of many, the first are told.
type losses struct {
	first []error
	count int
}

func (l *losses) add(err error) {
	const told = 5
	if l.count++; l.count <= told {
		l.first = append(l.first, err)
	}
}

// err is nil if nothing is lost. Where something was read, it is ErrIncomplete.
func (l *losses) err(some bool) error {
	if l.count == 0 {
		return nil
	}
	return &lossError{*l, some}
}

type lossError struct {
	losses
	some bool // was read all the same
}

func (e *lossError) Error() string {
	var all []string
	for _, err := range e.first {
		all = append(all, err.Error())
	}
	if more := e.count - len(e.first); more > 0 {
		all = append(all, fmt.Sprintf("and %d more that could not be read", more))
	}
	return strings.Join(all, "; ") // it is shown in one line
}

func (e *lossError) Unwrap() []error      { return e.first }
func (e *lossError) Is(target error) bool { return e.some && target == ErrIncomplete }
