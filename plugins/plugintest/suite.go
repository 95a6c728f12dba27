package plugintest

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

	"github.com/riffletrace/riffle/internal/untrusted"
	"github.com/riffletrace/riffle/plugins"
	"github.com/riffletrace/riffle/plugins/internal/wire"
	pluginpb "github.com/riffletrace/riffle/plugins/proto"
)

// maxWait is for what should be over at once, on a busy machine.
var maxWait = 10 * time.Second

// longest is how long the check of one rule may take, whatever the plugin does.
var longest = time.Minute

// lifetime is how long a plugin may live on when it is to end.
const lifetime = 2 * time.Second

// testCase checks one rule.
type testCase struct {
	name string
	rule string
	// check reports what breaks the rule.
	check func(*suite)
	// program tells that the rule is about a program, and not about what it serves.
	program bool
	// alone tells that the check starts processes by itself.
	alone bool
	// first tells that without it no other makes sense.
	first bool
}

// suite is what a case works with.
type suite struct {
	testing.TB
	rule    string
	target  target
	options options
	overdue atomic.Bool // the plugin was ended, because it took too long

	*process // nil if the case is alone
}

// target is what is checked: a program, or what one would serve.
type target struct {
	path       string
	components []plugins.Component
}

// run starts the plugin and runs one case.
func (c testCase) run(tb testing.TB, on target, o options) {
	tb.Helper()
	s := &suite{TB: tb, rule: c.rule, target: on, options: o}
	switch {
	case on.path == "":
		s.process = s.serve()
	case !c.alone:
		s.process = s.begin()
	}
	c.check(s)
}

// serve serves the components in this process.
func (s *suite) serve() *process {
	s.Helper()
	pipe := wire.NewPipe()
	stop, err := plugins.Serve(pipe, slog.New(slog.DiscardHandler), s.target.components...)
	if err != nil {
		s.Fatal(err)
	}
	conn, err := pipe.Connect()
	s.Cleanup(func() {
		if conn != nil {
			_ = conn.Close() // there is nothing to lose
		}
		if err := stop(context.Background()); err != nil {
			s.Errorf("shutting the instances down: %v", err)
		}
	})
	if err != nil {
		s.Fatal(err)
	}
	return &process{conn: conn}
}

// begin starts the plugin. It fails the case if the plugin ends before the case
// does.
func (s *suite) begin() *process {
	s.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), maxWait)
	defer cancel()
	p, err := start(ctx, s.target.path)
	if err != nil {
		s.violated("the plugin does not start: %v", err)
		s.FailNow()
	}
	timer := time.AfterFunc(longest, func() {
		s.overdue.Store(true)
		s.Errorf("the plugin is so slow that the check is not over after %s: it was ended\nrule: a plugin answers within the deadline of a call, because the host goes on without it", longest)
		killGroup(p.cmd)
	})
	s.Cleanup(func() {
		timer.Stop()
		// One that has ended shows in its connections first.
		if s.Failed() {
			p.gone(maxWait / 10)
		}
		select {
		case <-p.exited:
			if !p.told && !s.overdue.Load() {
				s.Errorf("the plugin ended by itself: %v%s\nrule: a plugin ends when the host says so or is gone, because until then its instances are in use", p.cmd.ProcessState, p.lastWords())
			}
		default:
		}
		p.stop()
	})
	return p
}

// violated fails the case and says why there is such a rule.
func (s *suite) violated(format string, args ...any) {
	s.Helper()
	s.Errorf("%s\nrule: %s", fmt.Sprintf(format, args...), s.rule)
}

// call makes one call of the plugin, with time enough.
func call[Q, A any](method func(context.Context, *Q, ...grpc.CallOption) (*A, error), request *Q) (*A, error) {
	ctx, cancel := context.WithTimeout(context.Background(), maxWait)
	defer cancel()
	return method(ctx, request)
}

// must is call for what cannot fail. It ends the case.
func must[Q, A any](s *suite, what string, method func(context.Context, *Q, ...grpc.CallOption) (*A, error), request *Q) *A {
	s.Helper()
	resp, err := call(method, request)
	if err != nil {
		s.violated("%s: %v", what, oneLine(err))
		s.FailNow()
	}
	return resp
}

// oneLine makes one line of an error of a call.
func oneLine(err error) string {
	st := status.Convert(err)
	return fmt.Sprintf("%v: %s", st.Code(), untrusted.Text(st.Message(), 300))
}

func (p *process) components() pluginpb.ComponentsClient { return pluginpb.NewComponentsClient(p.conn) }

// described are the components of the plugin, those that the options name.
func (s *suite) described() []*pluginpb.Component {
	s.Helper()
	all := must(s, "Describe", s.components().Describe, &pluginpb.DescribeRequest{}).GetComponents()
	return slices.DeleteFunc(all, func(c *pluginpb.Component) bool {
		return c.GetKind() == pluginpb.Kind_KIND_UNSPECIFIED
	})
}

// instance is a component that was configured.
type instance struct {
	*pluginpb.Component
	*pluginpb.ConfigureResponse
}

// configure makes an instance of a component with the configuration that the
// options have for it. It ends the case if the plugin refuses.
func (s *suite) configure(c *pluginpb.Component) instance {
	s.Helper()
	config := s.options.configs[c.GetName()]
	resp := must(s, fmt.Sprintf("Configure of %q", c.GetName()), s.components().Configure, &pluginpb.ConfigureRequest{
		Kind: c.GetKind(), Component: c.GetName(), Config: config, Id: c.GetName(),
	})
	if errs := resp.GetErrors(); len(errs) > 0 {
		s.violated("component %q refuses the configuration %s\n%s\ngive it one that it takes: --config %s='{...}', or plugintest.Config",
			c.GetName(), cmp.Or(config, "{}"), fieldErrors(errs), c.GetName())
		s.FailNow()
	}
	if resp.GetInstance() == "" {
		s.violated("Configure of %q answers without an instance and without errors", c.GetName())
		s.FailNow()
	}
	return instance{c, resp}
}

func (s *suite) close(i instance) {
	s.Helper()
	must(s, "Close", s.components().Close, &pluginpb.CloseRequest{Instance: i.GetInstance()})
}

func fieldErrors(errs []*pluginpb.FieldError) string {
	lines := make([]string, len(errs))
	for i, e := range errs {
		lines[i] = "  " + untrusted.Text(cmp.Or(e.GetPath(), "(all of it)")+": "+e.GetMessage(), untrusted.Line)
	}
	return strings.Join(lines, "\n")
}
