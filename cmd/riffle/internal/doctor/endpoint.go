package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/riffletrace/riffle/core/component"
)

const (
	// slow is from when on an answer is a warning.
	slow = time.Second
	// maxAddresses is how many addresses of a name are tried.
	maxAddresses = 16
)

// target is where an exporter sends, taken apart.
type target struct {
	host, port string
	socket     string // a path, instead of both
	secure     bool
	proxy      *url.URL // that stands before it
	http       bool     // it is spoken to in HTTP
}

// targetOf takes apart what an exporter says of its connection; ok tells that it can be
// looked at.
func targetOf(c component.Connection) (t target, ok bool) {
	endpoint := c.Endpoint
	t.secure = c.TLS != "" && c.TLS != "off"
	for _, scheme := range []string{"unix-abstract:", "unix:"} {
		if rest, is := strings.CutPrefix(endpoint, scheme); is {
			t.socket = strings.TrimPrefix(rest, "//")
			if scheme == "unix-abstract:" {
				t.socket = "@" + t.socket
			}
			return t, t.socket != ""
		}
	}
	if strings.Contains(endpoint, "://") && !strings.HasPrefix(endpoint, "http") || strings.HasPrefix(endpoint, "dns:") || strings.HasPrefix(endpoint, "passthrough:") {
		_, rest, _ := strings.Cut(endpoint, ":") // a target of gRPC
		if after, is := strings.CutPrefix(rest, "//"); is {
			_, rest, _ = strings.Cut(after, "/")
		}
		endpoint = rest
	}
	if u, err := url.Parse(endpoint); err == nil && (u.Scheme == "http" || u.Scheme == "https") {
		t.host, t.port, t.http, t.secure = u.Hostname(), u.Port(), true, u.Scheme == "https"
		if t.port == "" {
			t.port = map[bool]string{false: "80", true: "443"}[t.secure]
		}
	} else if t.host, t.port, err = net.SplitHostPort(endpoint); err != nil {
		return t, false
	}
	asked := "https://" + t.address() // gRPC asks for a tunnel, whatever goes through it
	if t.http && !t.secure {
		asked = "http://" + t.address()
	}
	if u, err := url.Parse(asked); err == nil {
		t.proxy, _ = http.ProxyFromEnvironment(&http.Request{URL: u})
	}
	return t, t.host != "" && t.port != ""
}

func (t *target) address() string { return net.JoinHostPort(t.host, t.port) }

// checkEndpoint looks at one exporter.
func (x *examination) checkEndpoint(ctx context.Context, i int) []Result {
	e := &x.spec.Exporters[i]
	id := e.ID()
	skip := func(check, why string) Result {
		return Result{Check: check, Subject: id, Status: Skipped, Found: why}
	}
	switch {
	case ctx.Err() != nil:
		return []Result{interrupted("export", id)}
	case e.Err() != nil:
		return []Result{skip("export", "its entry has a mistake")}
	case x.unfit[pathOf("exporters", i)]:
		return []Result{skip("export", "the plugin cannot run")}
	}
	export := func(t *target) Result {
		if x.broken { // a header may be one that is not set
			return skip("export", "the configuration has mistakes")
		}
		return x.checkExport(ctx, e, t)
	}
	c, connected := e.Connection()
	if !connected {
		return []Result{export(nil)}
	}
	t, ok := targetOf(c)
	if textOf(e, "proxy") != "" {
		return []Result{skip("connect", "its entry has a proxy"), export(&t)}
	}
	if !ok {
		return []Result{skip("connect", c.Endpoint+" cannot be looked at"), export(nil)}
	}
	address, results := x.reach(ctx, id, t)
	if address == "" {
		return append(results, skip("export", "it cannot be reached"))
	}
	if t.secure && t.proxy == nil && t.socket == "" {
		r := x.checkCertificate(ctx, id, &t, address, strings.Contains(c.TLS, "any certificate is accepted"))
		if results = append(results, r); r.Status == Fault {
			return append(results, skip("export", "the certificate is refused"))
		}
	}
	return append(results, export(&t))
}

// reach resolves and connects. It returns an address that answers, or "".
func (x *examination) reach(ctx context.Context, id string, t target) (address string, results []Result) {
	if t.socket != "" {
		r := Result{Check: "connect", Subject: id, Status: OK, Found: t.socket + " answers"}
		ctx, cancel := context.WithTimeout(ctx, x.Timeout)
		defer cancel()
		conn, err := new(net.Dialer).DialContext(ctx, "unix", t.socket)
		if err != nil {
			r.Status, r.Found, r.Do = Fault, err.Error(), "start the receiver, or correct the path of its socket"
			return "", []Result{r}
		}
		_ = conn.Close()
		return t.socket, []Result{r}
	}
	host, port, what := t.host, t.port, "endpoint"
	if t.proxy != nil {
		host, port, what = t.proxy.Hostname(), t.proxy.Port(), "the proxy"
		if port == "" {
			port = map[string]string{"http": "80", "https": "443", "socks5": "1080"}[t.proxy.Scheme]
		}
		results = append(results, Result{
			Check: "proxy", Subject: id, Status: OK, Found: fmt.Sprintf("%s sends it through %s", proxyVariable(&t), net.JoinHostPort(host, port)),
		})
	}
	addresses, r := x.resolve(ctx, id, host, what)
	if results = append(results, r); len(addresses) == 0 {
		return "", results
	}
	address, r = x.connect(ctx, id, &t, host, port, addresses)
	return address, append(results, r)
}

// proxyVariable is the name of the one that names the proxy of a target.
func proxyVariable(t *target) string {
	name := "HTTPS_PROXY"
	if t.http && !t.secure {
		name = "HTTP_PROXY"
	}
	if os.Getenv(name) == "" && os.Getenv(strings.ToLower(name)) != "" {
		return strings.ToLower(name)
	}
	return name
}

func (x *examination) resolve(ctx context.Context, id, host, what string) (all []netip.Addr, r Result) {
	r = Result{Check: "resolve", Subject: id, Status: OK}
	if a, err := netip.ParseAddr(host); err == nil {
		r.Found = host + " is an address"
		return []netip.Addr{a}, r
	}
	ctx, cancel := context.WithTimeout(ctx, x.Timeout)
	defer cancel()
	began := time.Now()
	all, err := x.lookup(ctx, host)
	r.Milliseconds = since(began)
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return nil, interrupted("resolve", id)
	case err != nil || len(all) == 0:
		r.Status, r.Found = Fault, fmt.Sprintf("the name of %s, %s, cannot be resolved: %s", what, host, reason(err))
		r.Do = fmt.Sprintf("correct the name in %s; names of Docker and Kubernetes are known inside of their networks alone", what)
		if dns, ok := errors.AsType[*net.DNSError](err); ok && dns.IsTimeout || ctx.Err() != nil {
			r.Do = "find out why the DNS server does not answer: /etc/resolv.conf names it"
		}
		return nil, r
	case time.Since(began) >= slow:
		r.Status, r.Do = Warning, "find out why the DNS server is slow: /etc/resolv.conf names it"
	}
	for i, a := range all {
		all[i] = a.Unmap()
	}
	slices.SortFunc(all, netip.Addr.Compare)
	all = slices.Compact(all)
	names := make([]string, len(all))
	for i, a := range all {
		names[i] = a.String()
	}
	r.Found = fmt.Sprintf("%s is %s", host, strings.Join(names[:min(len(names), maxAddresses)], ", "))
	return all[:min(len(all), maxAddresses)], r
}

// reason is what an error of the network comes from, without where.
func reason(err error) string {
	switch dns, ok := errors.AsType[*net.DNSError](err); {
	case err == nil:
		return "it has no address"
	case ok && dns.IsNotFound:
		return "no such host"
	case ok && dns.IsTimeout, errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return "no answer in time"
	case errors.Is(err, context.Canceled):
		return "interrupted"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	}
	if no, ok := errors.AsType[syscall.Errno](err); ok {
		return no.Error()
	}
	return err.Error()
}

// connect tries all addresses at once, and tells which of them answer.
func (x *examination) connect(ctx context.Context, id string, t *target, host, port string, addresses []netip.Addr) (address string, r Result) {
	r = Result{Check: "connect", Subject: id, Status: OK}
	ctx, cancel := context.WithTimeout(ctx, x.Timeout)
	defer cancel()
	errs, took := make([]error, len(addresses)), make([]float64, len(addresses))
	var all sync.WaitGroup
	for i, a := range addresses {
		all.Go(func() {
			began := time.Now()
			conn, err := new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(a.String(), port))
			if errs[i], took[i] = err, since(began); err == nil {
				_ = conn.Close()
			}
		})
	}
	all.Wait()
	var dead []string
	for i, a := range addresses {
		at := net.JoinHostPort(a.String(), port)
		if errs[i] != nil {
			dead = append(dead, fmt.Sprintf("%s: %s", at, reason(errs[i])))
		} else if address == "" || took[i] < r.Milliseconds {
			address, r.Milliseconds = at, took[i]
		}
	}
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return "", interrupted("connect", id)
	case address == "":
		r.Status, r.Found = Fault, fmt.Sprintf("%s cannot be reached: %s", net.JoinHostPort(host, port), strings.Join(dead, "; "))
		r.Do = x.reachable(ctx, t, errs[0])
	case len(dead) > 0 && !areLoopback(addresses):
		r.Status, r.Found = Warning, fmt.Sprintf("%s answers, %d of %d addresses do not", address, len(dead), len(addresses))
		r.Details = dead
		r.Do = "take the dead addresses out of DNS, or repair what should answer there: each connection may lose time at them"
	default:
		r.Found, r.Details = address+" answers", dead
	}
	return address, r
}

// areLoopback reports whether all are of this machine, where hardly anything listens on
// both of localhost's.
func areLoopback(addresses []netip.Addr) bool {
	return len(addresses) == 2 && !slices.ContainsFunc(addresses, func(a netip.Addr) bool { return !a.IsLoopback() }) && addresses[0].Is4() != addresses[1].Is4()
}

// reachable is what to do where nothing answers.
func (x *examination) reachable(ctx context.Context, t *target, err error) string {
	if t.proxy != nil {
		return fmt.Sprintf("correct %s, or add %s to NO_PROXY", proxyVariable(t), t.host)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return "let the firewall, the security group or the network policy pass port " + t.port + ", or correct the address"
	}
	do := []string{"start the receiver, or correct the port: OTLP is usually taken at 4317 (gRPC) and 4318 (HTTP)"}
	for _, other := range []string{"4317", "4318"} {
		if other != t.port && opens(ctx, net.JoinHostPort(t.host, other)) {
			do = append(do, "port "+other+" of it answers")
		}
	}
	if a, err := netip.ParseAddr(t.host); (t.host == "localhost" || err == nil && a.IsLoopback()) && x.inContainer() {
		do = append(do, "this is a container, and localhost is the container itself: write the name of the receiver's")
	}
	return strings.Join(do, "; ")
}

func opens(ctx context.Context, address string) bool {
	ctx, cancel := context.WithTimeout(ctx, slow)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}
