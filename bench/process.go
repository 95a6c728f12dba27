package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"
)

// How long another process may take to answer, besides what it was told to
// take, and to end.
const (
	answerTimeout = 60 * time.Second
	endTimeout    = 40 * time.Second
)

// process is this program, started again to play a role.
type process struct {
	role    string
	cmd     *exec.Cmd
	in      io.WriteCloser
	answers chan reply // closed when there are no more
	said    tail
	exit    error // when answers is closed
}

// start starts a role with these variables. It ends with end or kill.
func start(role string, environ []string) (*process, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding this program: %w", err)
	}
	p := &process{role: role, answers: make(chan reply, 1)}
	p.cmd = exec.Command(program) //nolint:noctx // its life is longer than a call's, and end or kill ends it
	p.cmd.Env = append(slices.Clone(environ), roleVariable+"="+role)
	p.cmd.Stderr = &p.said
	bind(p.cmd)
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the %s process: %w", role, err)
	}
	go func() {
		defer close(p.answers)
		in := json.NewDecoder(out)
		for {
			var r reply
			if err := in.Decode(&r); err != nil {
				_, _ = io.Copy(io.Discard, out) // it must not wait for a reader
				p.exit = errors.Join(p.cmd.Wait(), notEnd(err))
				return
			}
			p.answers <- r
		}
	}()
	return p, nil
}

// plainEnviron is the environment without what would change a variant.
func plainEnviron() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return strings.HasPrefix(name, "OTEL_") || strings.Contains(name, "_OBSERVABILITY_TRACING_")
	})
}

func notEnd(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return fmt.Errorf("reading its answer: %w; does the program call bench.Main first?", err)
}

// ask waits for the answer to a request that takes about so long.
func (p *process) ask(ctx context.Context, r request, takes time.Duration) (reply, error) {
	line, err := json.Marshal(r)
	if err != nil {
		return reply{}, err
	}
	if _, err := p.in.Write(append(line, '\n')); err != nil {
		return reply{}, p.failed(err)
	}
	return p.answer(ctx, takes+answerTimeout)
}

func (p *process) answer(ctx context.Context, within time.Duration) (reply, error) {
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case r, ok := <-p.answers:
		switch {
		case !ok:
			return reply{}, p.failed(errors.Join(errors.New("it ended"), p.exit))
		case r.Error != "":
			return reply{}, fmt.Errorf("the %s process: %s", p.role, r.Error)
		}
		return r, nil
	case <-ctx.Done():
		return reply{}, ctx.Err()
	case <-timer.C:
		return reply{}, p.failed(fmt.Errorf("no answer within %v", within))
	}
}

// failed adds what the process has said.
func (p *process) failed(err error) error {
	if said := p.said.String(); said != "" {
		return fmt.Errorf("the %s process: %w; it said:\n%s", p.role, err, said)
	}
	return fmt.Errorf("the %s process: %w", p.role, err)
}

// end asks for the last answer and waits for the process to end.
func (p *process) end(ctx context.Context) (reply, error) {
	if err := p.in.Close(); err != nil {
		return reply{}, err
	}
	last, err := p.answer(ctx, endTimeout)
	if err != nil {
		p.kill()
		return reply{}, err
	}
	for range p.answers { // until it has ended
	}
	return last, nil
}

// kill ends the process at once, if it is still there.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended
	_ = p.in.Close()
	for range p.answers {
	}
}

// tail keeps the end of what is written.
type tail struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

const tailBytes = 4 << 10

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf.Write(b)
	if over := t.buf.Len() - tailBytes; over > 0 {
		t.buf.Next(over)
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(t.buf.String())
}
