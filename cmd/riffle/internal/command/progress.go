package command

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/term"
)

// Progress is a bar on a terminal, and nothing anywhere else.
type Progress struct {
	w     io.Writer // nil: not on a terminal
	total int
	done  atomic.Int64
	drawn atomic.Int64 // unix milliseconds
}

const width = 40

// NewProgress returns the bar of work in so many steps, for the terminal that w is.
func NewProgress(w io.Writer, total int) *Progress {
	p := &Progress{total: total}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		p.w = w
	}
	return p
}

// Step counts one request. It draws ten times a second; it is safe for
// concurrent use.
func (p *Progress) Step() {
	done := int(p.done.Add(1))
	if p.w == nil {
		return
	}
	now, drawn := time.Now().UnixMilli(), p.drawn.Load()
	if now-drawn < 100 || !p.drawn.CompareAndSwap(drawn, now) {
		return
	}
	n := done * width / p.total
	fmt.Fprintf(p.w, "\r[%s%s] %d of %d requests", strings.Repeat("=", n), strings.Repeat(" ", width-n), done, p.total)
}

// Timed draws rounds, with the time that is left.
func (p *Progress) Timed(began time.Time) func(done, total int) {
	return func(done, total int) {
		if p.w == nil {
			return
		}
		left := "?"
		if done > 0 {
			left = (time.Since(began) * time.Duration(total-done) / time.Duration(done)).Round(time.Second).String()
		}
		n := done * width / total
		fmt.Fprintf(p.w, "\r[%s%s] round %d of %d, %s left \x1b[K", strings.Repeat("=", n), strings.Repeat(" ", width-n), done+1, total, left)
	}
}

// Clear removes the bar.
func (p *Progress) Clear() {
	if p.w != nil {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
