package riffle

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"slices"
	"sync"
	"time"

	"github.com/riffletrace/riffle/core"
)

const (
	// reloadTimeout bounds what building may take, where nobody gives a context.
	reloadTimeout = time.Minute
	// watchInterval is how often a file is looked at. It is read again when it has
	// changed and then not changed for as long, so that it is not read half written.
	watchInterval = time.Second
)

// Reload reads the file and the environment again, as [Start] does, and puts what they
// say into force: it builds what has changed, swaps, and then lets exporters that are gone
// send what they have, for up to a minute, in the background. Samplers and exporters whose
// entries did not change go on as they are, with their queues and plugins. Segments that
// are open end under the rules that they began with. On an error, which for mistakes is
// [core.ConfigErrors] with all of them, everything stays as it was; [core.Stats] tells it
// too. A file that was there and is gone is an error. Tracing is not turned on or off by
// a reload.
//
// ctx bounds the building. Reload is safe for concurrent use.
func (t *Tracing) Reload(ctx context.Context) error {
	if t == nil {
		return nil
	}
	var spec core.Spec
	var w watched
	err := t.provider.Reload(ctx, func() (_ core.Spec, err error) { // one at a time
		spec, err = t.load()
		w = watchedBy(t.file, spec)
		t.turn++
		w.turn = t.turn
		return spec, err
	})
	switch mistakes := core.ConfigErrors(nil); {
	case errors.As(err, &mistakes): // which lead with their positions
		return err
	case err != nil:
		return fmt.Errorf("reloading the configuration: %w", err)
	}
	t.options.warn(ctx, spec)
	t.reloads.watch(t, w)
	t.options.logger.InfoContext(ctx, "OpenTelemetry tracing: the configuration is reloaded", describe(t.provider, spec.Environment)...)
	return nil
}

// load reads the configuration again.
func (t *Tracing) load() (core.Spec, error) {
	spec, missing, err := load(t.file, t.options.config)
	if err != nil {
		return spec, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if missing && !t.missing {
		return spec, &fs.PathError{Op: "open", Path: t.file, Err: fs.ErrNotExist}
	}
	t.missing = missing
	return spec, nil
}

// reloads are those that nobody calls: on signals, and when the file changes.
type reloads struct {
	mu      sync.Mutex
	ended   bool
	life    context.Context //nolint:containedctx // until Shutdown
	cancel  context.CancelFunc
	running sync.WaitGroup
	watched watched
	unwatch context.CancelFunc // nil if nothing is watched
}

// watched are the files that a configuration wants to be watched.
type watched struct {
	turn  int // of the reload that read them
	files []string
	last  [][sha256.Size]byte // what they held then
}

// watchedBy are those of a spec that was read now, before it takes time to build.
func watchedBy(file string, spec core.Spec) (w watched) {
	if spec.Reload != core.ReloadWatch {
		return w
	}
	w.files = spec.Source.Files()
	if file != "" && !slices.Contains(w.files, file) { // it may come
		w.files = append(w.files, file)
	}
	w.last = contents(w.files)
	return w
}

func (r *reloads) start(t *Tracing, w watched) {
	r.life, r.cancel = context.WithCancel(context.Background())
	if signals := t.options.signals; len(signals) > 0 {
		c := make(chan os.Signal, 1)
		signal.Notify(c, signals...)
		r.running.Go(func() {
			defer signal.Stop(c)
			for {
				select {
				case <-c:
					t.reloadNow()
				case <-r.life.Done():
					return
				}
			}
		})
	}
	r.watch(t, w)
}

// watch watches other files, or none any more, unless a later reload has told which.
func (r *reloads) watch(t *Tracing, w watched) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended || w.turn < r.watched.turn {
		return
	}
	former := r.watched.files
	if r.watched = w; slices.Equal(w.files, former) {
		return
	}
	if r.unwatch != nil {
		r.unwatch()
		r.unwatch = nil
	}
	if len(w.files) > 0 {
		var ctx context.Context
		ctx, r.unwatch = context.WithCancel(r.life)
		r.running.Go(func() { t.watchFiles(ctx, w.files, w.last) })
	}
}

// end ends them, and one that is under way.
func (r *reloads) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = true
	r.cancel()
}

// watchFiles reloads when files hold something else than last.
func (t *Tracing) watchFiles(ctx context.Context, files []string, last [][sha256.Size]byte) {
	ticker := time.NewTicker(watchInterval)
	defer ticker.Stop()
	seen := last
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		now := contents(files)
		if slices.Equal(now, seen) && !slices.Equal(now, last) {
			last = now
			t.reloadNow()
		}
		seen = now
	}
}

// maxWatched is how large a file may be that is watched.
const maxWatched = 1 << 20

// contents are sums of what files hold, of nothing if they cannot be read.
func contents(files []string) [][sha256.Size]byte {
	sums := make([][sha256.Size]byte, len(files))
	for i, file := range files {
		var data []byte
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() && info.Size() <= maxWatched {
			data, _ = os.ReadFile(file) // what cannot be read is told by the reload
		}
		sums[i] = sha256.Sum256(data)
	}
	return sums
}

// reloadNow reloads, and logs why it cannot.
func (t *Tracing) reloadNow() {
	ctx, cancel := context.WithTimeout(t.reloads.life, reloadTimeout)
	defer cancel()
	if err := t.Reload(ctx); err != nil && !errors.Is(err, core.ErrShutDown) {
		t.options.logger.ErrorContext(ctx, "OpenTelemetry tracing: the configuration before stays in force", "error", err)
	}
}
