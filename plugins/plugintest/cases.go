package plugintest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/riffletrace/riffle/plugins/internal/schema"
	pluginpb "github.com/riffletrace/riffle/plugins/proto"
)

// processCases are about the program, whatever it serves.
var processCases = []testCase{
	{
		name:    "by hand",
		rule:    "started by a person a plugin says what it is and ends, because people try what they find",
		check:   byHand,
		alone:   true,
		program: true,
	},
	{
		name:    "handshake",
		rule:    "a plugin begins with a line on stdout that says where it serves and with which certificate, within 10s, because the host waits no longer",
		check:   shakesHands,
		first:   true,
		program: true,
	},
	{
		name:  "given configurations",
		rule:  "each component takes the configuration that the test has for it, because the other rules are about instances",
		check: func(s *suite) { s.exercise() },
		first: true,
	},
	{
		name:    "certificate",
		rule:    "a plugin serves nobody but its host, whose certificate is in PLUGIN_CLIENT_CERT, because what it is sent is confidential and other users can reach a socket",
		check:   asksForCertificate,
		program: true,
	},
	{
		name: "health",
		rule: `a plugin tells gRPC's health service that "plugin" is SERVING, because the host starts it again when it does not`,
		check: func(s *suite) {
			resp := must(s, "Check", healthpb.NewHealthClient(s.conn).Check, &healthpb.HealthCheckRequest{Service: "plugin"})
			if got := resp.GetStatus(); got != healthpb.HealthCheckResponse_SERVING {
				s.violated("Check answers %v", got)
			}
		},
		program: true,
	},
	{
		name:    "stdout",
		rule:    "stdout holds the handshake and nothing else, because the host reads it only so far and a pipe that is full blocks the plugin",
		check:   keepsStdoutClean,
		program: true,
	},
	{
		name:    "log",
		rule:    "a line on stderr that is a JSON object has the texts @level, @message and @timestamp (2006-01-02T15:04:05.000000Z), because the host logs it by them",
		check:   logsWell,
		program: true,
	},
	{
		name:    "end",
		rule:    "GRPCController.Shutdown ends the process and all that it started within 2s, because the host waits no longer and kills",
		check:   endsWhenTold,
		program: true,
	},
	{
		name:    "host is gone",
		rule:    "the end of stdin ends the process within 2s, because a host that was killed cannot tell it anything else",
		check:   endsWithHost,
		program: true,
	},
	{
		name:    "steady",
		rule:    "a plugin that is asked often stays alive and keeps its memory, because hosts run for months",
		check:   staysAlive,
		program: true,
	},
	{
		name:  "at once",
		rule:  "a plugin takes several calls at once, because its instances know nothing of each other",
		check: takesConcurrentCalls,
	},
}

func byHand(s *suite) {
	p, err := spawn(s.target.path, nil, nil)
	if err != nil {
		s.Fatalf("the plugin does not start: %v", err)
	}
	defer p.stop()
	if !p.gone(maxWait) {
		s.violated("without a host it still runs after %v", maxWait)
		return
	}
	if said := string(p.stdout.bytes()) + string(p.stderr.bytes()); strings.TrimSpace(said) == "" {
		s.violated("without a host it ends and says nothing")
	}
	if _, err := parseHandshake(strings.TrimSpace(string(p.stdout.bytes()))); err == nil {
		s.violated("without a host it shakes hands")
	}
}

func shakesHands(s *suite) {
	_, err := call(healthpb.NewHealthClient(s.conn).Check, &healthpb.HealthCheckRequest{Service: "plugin"})
	if code := status.Code(err); code == codes.Unavailable || code == codes.DeadlineExceeded {
		s.violated("nobody answers where it said that it serves: %s", oneLine(err))
	}
}

func asksForCertificate(s *suite) {
	conn, err := s.dial(nil)
	if err != nil {
		s.Fatal(err)
	}
	defer conn.Close()
	_, err = call(pluginpb.NewComponentsClient(conn).Describe, &pluginpb.DescribeRequest{})
	switch status.Code(err) {
	case codes.OK:
		s.violated("Describe answers a client without a certificate")
	case codes.DeadlineExceeded:
		s.violated("a client without a certificate is not refused, but gets no answer either")
	}
	must(s, "Describe for the host", s.components().Describe, &pluginpb.DescribeRequest{})
}

// exercise calls everything that a plugin serves.
func (s *suite) exercise() {
	s.Helper()
	for _, c := range s.described() {
		s.close(s.configure(c))
	}
}

func keepsStdoutClean(s *suite) {
	s.exercise()
	if extra := s.stdout.afterFirstLine(); len(extra) > 0 {
		s.violated("after the handshake it wrote %d bytes to stdout: %.100q", len(extra), extra)
	}
}

func logsWell(s *suite) {
	s.exercise()
	s.tell(s.Shutdown)
	s.gone(lifetime)
	lines := bufio.NewScanner(bytes.NewReader(s.stderr.bytes()))
	lines.Buffer(nil, maxHeld)
	for lines.Scan() {
		line := lines.Bytes()
		if !bytes.HasPrefix(line, []byte("{")) {
			continue
		}
		var entry map[string]any
		if err := json.Unmarshal(line, &entry); err != nil {
			s.violated("a line begins like a JSON object and is none (%v): %.200q", err, line)
			return
		}
		for _, key := range []string{"@level", "@message", "@timestamp"} {
			if _, ok := entry[key].(string); !ok {
				s.violated("%s is no text: %.200s", key, line)
				return
			}
		}
		if _, err := time.Parse("2006-01-02T15:04:05.000000Z07:00", entry["@timestamp"].(string)); err != nil {
			s.violated("%v: %.200s", err, line)
			return
		}
	}
}

// tell tells the plugin to end.
func (s *suite) tell(how func() error) {
	s.Helper()
	s.told = true
	if err := how(); err != nil {
		s.violated("%v", err)
	}
}

// Shutdown calls the controller. A connection that breaks before the response is
// one, too.
func (p *process) Shutdown() error {
	ctx, cancel := context.WithTimeout(context.Background(), maxWait)
	defer cancel()
	err := p.conn.Invoke(ctx, "/plugin.GRPCController/Shutdown", new(emptypb.Empty), new(emptypb.Empty))
	switch status.Code(err) {
	case codes.OK, codes.Unavailable, codes.Canceled:
		return nil
	default:
		return fmt.Errorf("GRPCController.Shutdown: %s", oneLine(err))
	}
}

func endsWhenTold(s *suite) {
	s.exercise()
	s.tell(s.Shutdown)
	s.hasEnded("GRPCController.Shutdown")
}

func endsWithHost(s *suite) {
	s.exercise()
	s.tell(s.stdin.Close)
	s.hasEnded("the end of stdin")
}

func (s *suite) hasEnded(after string) {
	s.Helper()
	if !s.gone(lifetime) {
		s.violated("%v after %s it still runs", lifetime, after)
		return
	}
	if groupLives(s.cmd) {
		s.violated("after %s a process that it started still runs", after)
	}
}

// calls is how often a plugin is asked to see that it is steady.
const calls = 300

// mostGrowth is how much memory it may take for that.
const mostGrowth = 128 << 20

func staysAlive(s *suite) {
	s.exercise()
	before, measured := residentMemory(s.cmd.Process.Pid)
	for range calls {
		s.exercise()
		if s.Failed() {
			return
		}
	}
	if after, ok := residentMemory(s.cmd.Process.Pid); ok && measured && after-before > mostGrowth {
		s.violated("%d rounds of configuring and closing took %d MiB of memory", calls, (after-before)>>20)
	}
}

func takesConcurrentCalls(s *suite) {
	all := s.described()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 5 {
				for _, c := range all {
					resp, err := call(s.components().Configure, &pluginpb.ConfigureRequest{
						Kind: c.GetKind(), Component: c.GetName(), Config: s.options.configs[c.GetName()], Id: "at once",
					})
					if err == nil && len(resp.GetErrors()) == 0 {
						_, err = call(s.components().Close, &pluginpb.CloseRequest{Instance: resp.GetInstance()})
					}
					if err != nil {
						s.violated("configuring and closing %q from 8 sides: %s", c.GetName(), oneLine(err))
						return
					}
				}
			}
		})
	}
	wg.Wait()
}

// describeCases are about what a plugin says that it has.
var describeCases = []testCase{
	{
		name:  "describe",
		rule:  "Describe lists at least one component, each with its kind, a name that is unique among them and a line about it, the same at every call, because configurations name them and lists show them",
		check: describesItself,
	},
	{
		name:  "schema",
		rule:  "the schema of a configuration is empty or a JSON Schema of an object, because it is shown to users and to their editors",
		check: hasSchemas,
	},
}

var componentName = regexp.MustCompile(`^[a-z0-9]+([-_.][a-z0-9]+)*$`)

func describesItself(s *suite) {
	first := must(s, "Describe", s.components().Describe, &pluginpb.DescribeRequest{})
	if len(first.GetComponents()) == 0 {
		s.violated("Describe lists no component")
	}
	type key struct {
		kind pluginpb.Kind
		name string
	}
	seen := make(map[key]bool)
	for _, c := range first.GetComponents() {
		if kind := c.GetKind(); kind != pluginpb.Kind_KIND_EXPORTER && kind != pluginpb.Kind_KIND_SAMPLER {
			s.violated("component %q is of the kind %v", c.GetName(), kind)
		}
		if !componentName.MatchString(c.GetName()) {
			s.violated("component %q: the name is no word of small letters, digits, -, _ and .", c.GetName())
		}
		if k := (key{c.GetKind(), c.GetName()}); seen[k] {
			s.violated("component %q is listed twice", c.GetName())
		} else {
			seen[k] = true
		}
		if doc := c.GetDoc(); strings.TrimSpace(doc) == "" || strings.Contains(doc, "\n") {
			s.violated("component %q: its doc is %q", c.GetName(), doc)
		}
	}
	second := must(s, "a second Describe", s.components().Describe, &pluginpb.DescribeRequest{})
	if first.String() != second.String() {
		s.violated("Describe answers\n%v\nand then\n%v", first, second)
	}
}

func hasSchemas(s *suite) {
	for _, c := range s.described() {
		if c.GetConfigSchema() == "" {
			continue
		}
		if err := schema.Check([]byte(c.GetConfigSchema())); err != nil {
			s.violated("component %q: %v in %.300s", c.GetName(), err, c.GetConfigSchema())
		}
	}
}
