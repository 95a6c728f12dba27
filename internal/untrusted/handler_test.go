package untrusted_test

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/riffletrace/riffle/internal/untrusted"
	"github.com/riffletrace/riffle/internal/untrustedtest"
)

func TestError(t *testing.T) {
	if untrusted.Error(nil, 10) != nil {
		t.Error("nil is an error")
	}
	if fit := errors.New("fit"); untrusted.Error(fit, 10) != fit { //nolint:errorlint // the same one
		t.Error("an error that is fit is another")
	}
	worst := fmt.Errorf("%w: %s", io.EOF, untrustedtest.Say(12<<20))
	err := untrusted.Error(worst, untrusted.Line)
	untrustedtest.Check(t, "the error", err.Error())
	if !errors.Is(err, io.EOF) || !errors.Is(err, worst) {
		t.Error("the cause is lost")
	}
	if n := testing.AllocsPerRun(10, func() { _ = err.Error() }); n != 0 {
		t.Errorf("%v allocations to show it again", n)
	}
}

type says string

func (s says) String() string             { return string(s) }
func (says) MarshalJSON() ([]byte, error) { return nil, errors.New("no JSON") }

type later string

func (l later) LogValue() slog.Value { return slog.StringValue(string(l)) }

// Whatever is logged with it, and however, each part of the line is fit.
func TestLogger(t *testing.T) {
	said := untrustedtest.Say(64 << 10)
	values := map[string]any{
		"text": said, "error": errors.New(said), "stringer": says(said), "valuer": later(said),
		"list": []string{said}, "long list": make([]string, 1<<20), "lists": [][]string{{said}}, "map": map[string]any{said: said}, "bytes": []byte(said), "function": func() {},
		"group": slog.GroupValue(slog.String(said, said)),
	}
	for name, v := range values {
		t.Run(name, func(t *testing.T) {
			var log untrustedtest.Log
			l := untrusted.Logger(log.Logger())
			l.Info(said)
			l.Info("m", "key", v)
			l.Info("m", said, 1)
			l.With("key", v).Info("m")
			l.WithGroup(said).Info("m", said, 1)
			log.Check(t, name, "m")
		})
	}
	var log untrustedtest.Log
	l := untrusted.Logger(log.Logger())
	if untrusted.Logger(l) != l {
		t.Error("a logger that cleans is wrapped again")
	}
	l.Info("as it is", "n", 1, "d", time.Second, "e", io.EOF, "nothing", nil)
	if got := strings.Join(log.Lines(), ""); got != "as it is n=1 d=1s e=EOF nothing=<nil>" {
		t.Error(got)
	}
}
