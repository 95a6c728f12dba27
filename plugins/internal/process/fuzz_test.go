package process

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/runner"

	"github.com/riffletrace/riffle/internal/untrustedtest"
)

// Whatever a plugin writes, each line of the log is one, bounded and without control
// characters.
func FuzzLog(f *testing.F) {
	for _, s := range []string{
		"plain\n", "panic: x\ngoroutine 1\n", "\r\n\n", "\x1b[2J\u202e\xff\n",
		`{"@level":"warn","@message":"m","a":1,"b":null,"c":{"d":"\u001b"},"\u202e":"x"}` + "\n",
		`{"@message":1}` + "\n", `{"@level":[]}`, `{"@message":""}`, untrustedtest.Say(20 << 10),
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, said []byte) {
		var log untrustedtest.Log
		var o output
		o.log(log.Logger(), bufio.NewReaderSize(bytes.NewReader(said), maxLine))
		log.Check(t, "log", "")
		untrustedtest.Check(t, "last words", o.lastWords())
		if lines, most := len(log.Lines()), bytes.Count(said, []byte("\n"))+1; lines > most {
			t.Errorf("%d lines of %d", lines, most)
		}
	})
}

// told is a program that writes to its standard output, and ends.
type told struct {
	*programRunner
	said []byte
}

func (p told) Start(context.Context) error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	quiet, nobody, err := os.Pipe()
	if err != nil {
		return err
	}
	_ = nobody.Close()
	p.handshake = p.output.read(p.settings.Logger, r, quiet)
	go func() {
		_, _ = io.Copy(w, bytes.NewReader(p.said))
		_ = w.Close()
		p.output.done.Wait()
		_, _ = r.Close(), quiet.Close()
		close(p.exited)
	}()
	return nil
}

func (told) Kill(context.Context) error { return nil }
func (told) ID() string                 { return "1" }

// Whatever a plugin says first, go-plugin takes an address from it or refuses it, and
// what is said of that is one line.
func FuzzHandshake(f *testing.F) {
	for _, s := range []string{
		"1|1|unix|/tmp/socket|grpc|\n", "1|1|tcp|127.0.0.1:1|grpc|AAAA\n", "1|99|unix|x|grpc\n", "1|1|unix\n",
		"1|1|pipe|x|grpc|\n", "1|1|tcp|:::|grpc|\n", "\x1b[2J\n", "", "1|1|unix|/tmp/socket|netrpc|\n", "9999999999999999999|1|unix|x|grpc|\n",
		"1|1|unix|x|grpc|||true\n", "|1||", untrustedtest.Say(20 << 10),
	} {
		f.Add([]byte(s))
	}
	cookie := goplugin.HandshakeConfig{ProtocolVersion: 1, MagicCookieKey: "k", MagicCookieValue: "v"}
	f.Fuzz(func(t *testing.T, said []byte) {
		var log untrustedtest.Log
		s := Settings{Name: "x", Handshake: cookie, Logger: log.Logger(), Timeout: 20 * time.Second, Dir: t.TempDir()}
		p := told{&programRunner{settings: s, exited: make(chan struct{})}, said}
		config := s.client()
		config.AutoMTLS = false // a key for each would take most of the time
		config.RunnerFunc = func(_ hclog.Logger, _ *exec.Cmd, sockets string) (runner.Runner, error) { return p, os.Remove(sockets) }
		client := goplugin.NewClient(config)
		address, err := client.Start()
		<-p.exited
		client.Kill()
		switch {
		case err != nil:
			p.cmd = &exec.Cmd{Process: &os.Process{Pid: 1 << 30}}
			p.gone = true
			untrustedtest.Check(t, "the error", p.startError(t.Context(), err).Error())
		case address.Network() != "unix" && address.Network() != "tcp":
			t.Errorf("%q is of %s", said, address.Network())
		case strings.Count(string(said), "|") < 3:
			t.Errorf("%q is taken", said)
		}
		log.Check(t, "log", "")
	})
}
