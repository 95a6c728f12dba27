// Package loopback keeps a server to its own machine: it listens on loopback only, and
// answers neither to another name (DNS rebinding) nor to the pages of others that a
// browser shows.
package loopback

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"syscall"

	"github.com/riffletrace/riffle/internal/untrusted"
)

// Listen listens at an address, host:port, that is one of loopback. flag is what the
// address was given by; an error names it, and says what to do.
func Listen(ctx context.Context, flag, address string) (net.Listener, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("%s %s: want an address and a port, such as 127.0.0.1:4318", flag, untrusted.Text(address, untrusted.Line))
	}
	if host == "localhost" {
		host = "127.0.0.1" // whatever the name says
	}
	if ip, err := netip.ParseAddr(host); err != nil || !ip.Unmap().IsLoopback() {
		return nil, fmt.Errorf("%s %s: not an address of loopback: want 127.0.0.1, [::1] or localhost, because whoever can connect sees all spans and can add some", flag, untrusted.Text(address, untrusted.Line))
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort(host, port))
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%s %s: port %s is taken: end the process that listens there, or choose another port with %s %s", flag, address, port, flag, net.JoinHostPort(host, "PORT"))
	}
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", flag, address, err)
	}
	return l, nil
}

// Guard passes on the requests that are for an address of loopback, and that no page of
// another origin has made. Others get a 403.
func Guard(at net.Addr, next http.Handler) http.Handler {
	_, port, err := net.SplitHostPort(at.String())
	if err != nil {
		port = "" // then no host matches
	}
	hosts := []string{at.String()}
	for _, host := range []string{"127.0.0.1", "::1", "localhost"} {
		hosts = append(hosts, net.JoinHostPort(host, port))
	}
	if port == "80" { // that of HTTP: clients leave it out
		for _, host := range hosts {
			hosts = append(hosts, strings.TrimSuffix(host, ":80"))
		}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !slices.Contains(hosts, r.Host):
			refuse(w, "this server answers to "+at.String()+" and localhost only")
		case !ownOrigin(r):
			refuse(w, "this server answers to no pages but its own")
		default:
			next.ServeHTTP(w, r)
		}
	})
}

func refuse(w http.ResponseWriter, why string) { http.Error(w, why, http.StatusForbidden) }

// ownOrigin tells whether a request is of a page of this server, or of no page. Browsers
// say which, and no page can change what they say.
func ownOrigin(r *http.Request) bool {
	if origin, ok := r.Header["Origin"]; ok && !slices.Equal(origin, []string{"http://" + r.Host}) {
		return false
	}
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "none", "same-origin":
		return true
	}
	// A link on another page opens this one: it shows what that page cannot see.
	return r.URL.Path == "/" && r.Method == http.MethodGet &&
		r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document"
}
