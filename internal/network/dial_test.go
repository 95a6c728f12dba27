package network

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// simulated is a dialer to hosts of which each address answers after a time, or
// fails if that is negative.
func simulated(answers map[string]time.Duration, addresses ...string) *Dialer {
	return &Dialer{
		Timeout: 10 * time.Second,
		lookup: func(context.Context, string) (all []netip.Addr, _ error) {
			for _, a := range addresses {
				all = append(all, netip.MustParseAddr(a))
			}
			return all, nil
		},
		dial: func(ctx context.Context, _, address string) (net.Conn, error) {
			after := answers[address]
			select {
			case <-time.After(max(after, -after)):
			case <-ctx.Done():
				return nil, ctx.Err()
			}
			if after < 0 {
				return nil, errors.New(address + " refused")
			}
			c, _ := net.Pipe()
			return named{c, address}, nil
		},
	}
}

type named struct {
	net.Conn
	address string
}

func TestDialer(t *testing.T) {
	const never = time.Hour
	tests := []struct {
		name      string
		addresses []string
		answers   map[string]time.Duration
		want      string // address or error
		took      time.Duration
	}{
		{"one", []string{"10.0.0.1"}, map[string]time.Duration{"10.0.0.1:1": time.Second}, "10.0.0.1:1", time.Second},
		{"the first", []string{"10.0.0.1", "10.0.0.2"}, map[string]time.Duration{"10.0.0.1:1": 100 * time.Millisecond}, "10.0.0.1:1", 100 * time.Millisecond},
		{"the first hangs", []string{"10.0.0.1", "10.0.0.2"}, map[string]time.Duration{"10.0.0.1:1": never, "10.0.0.2:1": 10 * time.Millisecond}, "10.0.0.2:1", 260 * time.Millisecond},
		{"two hang", []string{"10.0.0.1", "10.0.0.2", "10.0.0.3"}, map[string]time.Duration{"10.0.0.1:1": never, "10.0.0.2:1": never}, "10.0.0.3:1", 500 * time.Millisecond},
		{"the first is slow", []string{"10.0.0.1", "10.0.0.2"}, map[string]time.Duration{"10.0.0.1:1": 300 * time.Millisecond, "10.0.0.2:1": never}, "10.0.0.1:1", 300 * time.Millisecond},
		{"the first fails", []string{"10.0.0.1", "10.0.0.2"}, map[string]time.Duration{"10.0.0.1:1": -time.Millisecond, "10.0.0.2:1": time.Millisecond}, "10.0.0.2:1", 2 * time.Millisecond},
		{"families", []string{"::1", "::2", "10.0.0.1"}, map[string]time.Duration{"[::1]:1": never, "[::2]:1": never, "10.0.0.1:1": time.Millisecond}, "10.0.0.1:1", 251 * time.Millisecond},
		{"all fail", []string{"10.0.0.1", "10.0.0.2"}, map[string]time.Duration{"10.0.0.1:1": -2 * time.Millisecond, "10.0.0.2:1": -time.Millisecond}, "10.0.0.1:1 refused", 3 * time.Millisecond},
		{"all hang", []string{"10.0.0.1", "10.0.0.2"}, map[string]time.Duration{"10.0.0.1:1": never, "10.0.0.2:1": never}, "context deadline exceeded", 10 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				c, err := simulated(tt.answers, tt.addresses...).DialContext(t.Context(), "tcp", "collector:1")
				var got string
				if err != nil {
					got = err.Error()
				} else {
					got = c.(named).address
					_ = c.Close()
				}
				if took := time.Since(began); got != tt.want || took != tt.took {
					t.Errorf("got %s after %v, want %s after %v", got, took, tt.want, tt.took)
				}
			})
		})
	}
}

// With real sockets: of the addresses of a name, one does not answer.
func TestDialerRealSockets(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	silent := net.JoinHostPort("127.0.0.2", port)
	d := &Dialer{Timeout: time.Minute, lookup: func(context.Context, string) ([]netip.Addr, error) {
		return []netip.Addr{netip.MustParseAddr("127.0.0.2"), netip.MustParseAddr("127.0.0.1")}, nil
	}}
	d.dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		return (&net.Dialer{ControlContext: func(ctx context.Context, _, to string, _ syscall.RawConn) error {
			if to != silent {
				return nil
			}
			<-ctx.Done()
			return ctx.Err()
		}}).DialContext(ctx, network, address)
	}
	began := time.Now()
	c, err := d.DialContext(t.Context(), "tcp", net.JoinHostPort("collector", port))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if c.RemoteAddr().String() != l.Addr().String() {
		t.Errorf("connected to %s", c.RemoteAddr())
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("took %v", took)
	}
}

// What is said of a name or an address is what net.Dialer says.
func TestDialerErrors(t *testing.T) {
	unknown := &Dialer{Timeout: time.Minute, lookup: func(_ context.Context, host string) ([]netip.Addr, error) {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}}
	_, err := unknown.DialContext(t.Context(), "tcp", "nowhere:1")
	if e := (*net.OpError)(nil); !errors.As(err, &e) || err.Error() != "dial tcp: lookup nowhere: no such host" {
		t.Errorf("%#v: %v", err, err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	_, err = (&Dialer{Timeout: time.Minute}).DialContext(t.Context(), "tcp", l.Addr().String())
	if !errors.Is(err, syscall.ECONNREFUSED) || !strings.HasPrefix(err.Error(), "dial tcp "+l.Addr().String()) {
		t.Errorf("%#v: %v", err, err)
	}
	if _, err := (&Dialer{Timeout: time.Minute}).DialContext(t.Context(), "tcp", "no port"); err == nil {
		t.Error("an address without a port is dialed")
	}
}

func TestInterleaved(t *testing.T) {
	var got []string
	var addrs []netip.Addr
	for _, a := range []string{"::1", "::2", "::3", "10.0.0.1", "::ffff:10.0.0.2"} {
		addrs = append(addrs, netip.MustParseAddr(a))
	}
	for _, a := range interleaved(addrs) {
		got = append(got, a.String())
	}
	want := []string{"::1", "10.0.0.1", "::2", "10.0.0.2", "::3"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
