package network

import (
	"context"
	"net"
	"net/netip"
	"time"
)

// fallbackDelay is when the next address of a host is tried, while the one before
// has not answered. Source: RFC 8305, 5
const fallbackDelay = 250 * time.Millisecond

// Dialer connects to the address of a host that answers first. Unlike [net.Dialer],
// which races the two families, it does not spend its time on the first dead one of
// several addresses.
type Dialer struct {
	// Timeout bounds what connecting takes.
	Timeout time.Duration

	// Tests have their own. Nil is the resolver's, and net.Dialer's.
	lookup func(ctx context.Context, host string) ([]netip.Addr, error)
	dial   func(ctx context.Context, network, address string) (net.Conn, error)
}

// DialContext is that of [net.Dialer].
func (d *Dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, d.Timeout)
	defer cancel()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	if _, err := netip.ParseAddr(host); err == nil || host == "" {
		return d.one(ctx, network, address)
	}
	lookup := d.lookup
	if lookup == nil {
		lookup = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	found, err := lookup(ctx, host)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	addresses := make([]string, len(found))
	for i, a := range interleaved(found) {
		addresses[i] = net.JoinHostPort(a.String(), port)
	}
	return d.first(ctx, network, addresses)
}

// interleaved has every other address of the other family, beginning with that of
// the first: one that has no route costs one delay only. Source: RFC 8305, 4
func interleaved(all []netip.Addr) []netip.Addr {
	var same, other []netip.Addr
	for _, a := range all {
		a = a.Unmap()
		if a.Is4() == all[0].Unmap().Is4() {
			same = append(same, a)
		} else {
			other = append(other, a)
		}
	}
	mixed := make([]netip.Addr, 0, len(all))
	for i := range max(len(same), len(other)) {
		if i < len(same) {
			mixed = append(mixed, same[i])
		}
		if i < len(other) {
			mixed = append(mixed, other[i])
		}
	}
	return mixed
}

// first starts one attempt after the other, the next one when one has failed or
// taken too long. There is at least one address.
func (d *Dialer) first(ctx context.Context, network string, addresses []string) (net.Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type result struct {
		conn net.Conn
		err  error
	}
	results := make(chan result, len(addresses))
	started, ended := 0, 0
	start := func() {
		address := addresses[started]
		started++
		go func() {
			conn, err := d.one(ctx, network, address)
			results <- result{conn, err}
		}()
	}
	timer := time.NewTimer(fallbackDelay)
	defer timer.Stop()
	start()
	var failure error
	for {
		select {
		case r := <-results:
			ended++
			if r.err == nil {
				go func(more int) { // those that are too late
					for range more {
						if late := <-results; late.err == nil {
							_ = late.conn.Close()
						}
					}
				}(started - ended)
				return r.conn, nil
			}
			if failure == nil {
				failure = r.err
			}
			if ended == len(addresses) {
				return nil, failure
			}
			if started < len(addresses) {
				start()
				timer.Reset(fallbackDelay)
			}
		case <-timer.C:
			if started < len(addresses) {
				start()
				timer.Reset(fallbackDelay)
			}
		}
	}
}

func (d *Dialer) one(ctx context.Context, network, address string) (net.Conn, error) {
	if d.dial != nil {
		return d.dial(ctx, network, address)
	}
	return (&net.Dialer{KeepAlive: 30 * time.Second}).DialContext(ctx, network, address)
}
