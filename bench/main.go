package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"

	"github.com/riffletrace/riffle/bench/internal/load"
	"github.com/riffletrace/riffle/bench/internal/outside"
	"github.com/riffletrace/riffle/plugins"
)

// roleVariable tells a process its role in a measurement.
const roleVariable = "RIFFLE_BENCH_ROLE"

// The roles.
const (
	roleService = "service"
	roleLoad    = "load"
	roleOutside = "outside"
	roleScale   = "scale"
)

// request is what the measuring process asks of another, one line of JSON each.
type request struct {
	Start   *serviceStart `json:"start,omitempty"`
	Watch   *bool         `json:"watch,omitempty"`
	Mark    bool          `json:"mark,omitempty"`
	Load    *load.Order   `json:"load,omitempty"`
	Backend *int          `json:"backend,omitempty"` // by number; there are as many as are asked for
	Scale   *scaleOrder   `json:"scale,omitempty"`
}

// reply is its answer, one line of JSON too.
type reply struct {
	Error   string             `json:"error,omitempty"`
	URL     string             `json:"url,omitempty"`
	Usage   *usage             `json:"usage,omitempty"`
	Outcome *load.Outcome      `json:"outcome,omitempty"`
	Outside *outside.Addresses `json:"outside,omitempty"`
	Arrived *outside.Counts    `json:"arrived,omitempty"`
	Final   *Counts            `json:"final,omitempty"`
	Scale   *scaleOutcome      `json:"scale,omitempty"`
}

// Main is the main, or TestMain, of a program that calls [Run]. Run starts the program
// again for each role in a measurement, so that the service, the load and the
// backend do not share a process; in those, Main plays the role, and otherwise it
// calls program. It returns the exit code:
//
//	os.Exit(bench.Main(m.Run, target))
//
// targets are those that Run is called with; only Name and Handler matter here.
func Main(program func() int, targets ...Target) (code int) {
	name := os.Getenv(roleVariable)
	if name == "" {
		return program()
	}
	if plugins.Started() {
		return servePlugin()
	}
	// What ends this process is the one that started it, by closing its input.
	signal.Ignore(os.Interrupt)
	out := os.Stdout
	os.Stdout = os.Stderr // what a service prints is none of the answers
	if err := play(name, targets, os.Stdin, out); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// play answers requests until there are no more.
func play(name string, targets []Target, in io.Reader, out io.Writer) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	role, err := newRole(name, targets)
	if err != nil {
		return err
	}
	answers := json.NewEncoder(out)
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			// The end is a request too: the last.
			return answers.Encode(answerOf(role.end(ctx)))
		}
		if err != nil {
			return err
		}
		var r request
		if err := json.Unmarshal(line, &r); err != nil {
			return err
		}
		if err := answers.Encode(answerOf(role.do(ctx, r))); err != nil {
			return err
		}
	}
}

func answerOf(r reply, err error) reply {
	if err != nil {
		r.Error = err.Error()
	}
	return r
}

// role is what a process is of a measurement.
type role interface {
	do(ctx context.Context, r request) (reply, error)
	end(ctx context.Context) (reply, error)
}

func newRole(name string, targets []Target) (role, error) {
	switch name {
	case roleService:
		return &serviceRole{targets: targets}, nil
	case roleLoad:
		return loadRole{load.NewClient()}, nil
	case roleOutside:
		return &outsideRole{backends: map[int]*outside.Backend{}}, nil
	case roleScale:
		return scaleRole{}, nil
	default:
		return nil, fmt.Errorf("%s=%q: there is no such role", roleVariable, name)
	}
}

type loadRole struct{ client *load.Client }

func (p loadRole) do(ctx context.Context, r request) (reply, error) {
	if r.Load == nil {
		return reply{}, errors.New("no load is ordered")
	}
	o, err := p.client.Run(ctx, *r.Load)
	return reply{Outcome: &o}, err
}

func (p loadRole) end(context.Context) (reply, error) {
	p.client.Close()
	return reply{}, nil
}

// outsideRole is the process of all backends. Each variant has one, which counts what
// that variant sends while others send too.
type outsideRole struct{ backends map[int]*outside.Backend }

func (p *outsideRole) do(ctx context.Context, r request) (_ reply, err error) {
	if r.Backend == nil {
		return reply{}, errors.New("no backend is asked for")
	}
	b := p.backends[*r.Backend]
	if b == nil {
		if b, err = outside.Start(ctx); err != nil {
			return reply{}, err
		}
		p.backends[*r.Backend] = b
	}
	counts := b.Counts()
	return reply{Outside: &b.Addresses, Arrived: &counts}, nil
}

func (p *outsideRole) end(context.Context) (reply, error) {
	for _, b := range p.backends {
		b.Close()
	}
	return reply{}, nil
}
