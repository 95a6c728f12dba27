package command

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestProgress(t *testing.T) {
	var out bytes.Buffer
	p := &Progress{w: &out, total: 4}
	p.Step()
	p.drawn.Store(0)
	p.Step()
	p.Step() // at once: not drawn
	p.Clear()
	want := "\r[==========" + strings.Repeat(" ", 30) + "] 1 of 4 requests" +
		"\r[====================" + strings.Repeat(" ", 20) + "] 2 of 4 requests" +
		"\r\x1b[K"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}

	none := NewProgress(&out, 1)
	out.Reset()
	none.Step()
	none.Clear()
	if out.Len() > 0 {
		t.Errorf("drawn without a terminal: %q", &out)
	}
}
