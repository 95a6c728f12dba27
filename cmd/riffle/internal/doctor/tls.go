package doctor

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"strings"
	"time"
)

// soon is how long before its end a certificate is a warning.
const soon = 14 * 24 * time.Hour

// checkCertificate looks at the certificate that a server shows, whoever has signed it
// and for whom: whether it is to be trusted, the exporter finds out with what its entry
// says. Nothing is sent.
func (x *examination) checkCertificate(ctx context.Context, id string, t *target, address string, acceptsAny bool) Result {
	r := Result{Check: "tls", Subject: id, Status: OK}
	ctx, cancel := context.WithTimeout(ctx, x.Timeout)
	defer cancel()
	d := tls.Dialer{Config: &tls.Config{
		ServerName: t.host, NextProtos: []string{"h2", "http/1.1"}, MinVersion: tls.VersionTLS12,
		InsecureSkipVerify: true, //nolint:gosec // it is looked at alone
	}}
	began := time.Now()
	conn, err := d.DialContext(ctx, "tcp", address)
	r.Milliseconds = since(began)
	if err != nil {
		r.Status, r.Found = Skipped, fmt.Sprintf("no handshake with %s: %s", address, reason(err))
		return r
	}
	defer conn.Close()
	state := conn.(*tls.Conn).ConnectionState()
	if len(state.PeerCertificates) == 0 {
		r.Status, r.Found = Skipped, address+" has no certificate"
		return r
	}
	leaf := state.PeerCertificates[0]
	now := time.Now()
	r.Found = fmt.Sprintf("%s, certificate of %s by %s until %s", tls.VersionName(state.Version), subject(leaf), issuer(leaf), leaf.NotAfter.UTC().Format(time.DateOnly))
	r.Details = []string{"for " + cmp.Or(strings.Join(namesOf(leaf), ", "), "no name: it has no subject alternative names, and a common name does not count")}
	switch left := leaf.NotAfter.Sub(now); {
	case left < 0:
		r.Status, r.Do = Fault, "renew the certificate of the receiver; if it has not expired, correct the clock of this machine"
		r.Found = fmt.Sprintf("the certificate of %s has expired %s", subject(leaf), leaf.NotAfter.UTC().Format(time.DateTime))
	case now.Before(leaf.NotBefore):
		r.Status, r.Do = Fault, "correct the clock of this machine, or that of who issues the certificates"
		r.Found = fmt.Sprintf("the certificate of %s is not valid before %s", subject(leaf), leaf.NotBefore.UTC().Format(time.DateTime))
	case left < soon:
		r.Found += fmt.Sprintf(", which is in %d days", int(left/(24*time.Hour)))
		r.Status, r.Do = Warning, "renew the certificate of the receiver"
	}
	if acceptsAny && r.Status == Fault {
		r.Status = Warning // insecure_skip_verify takes it
	}
	return r
}

func subject(c *x509.Certificate) string {
	if c.Subject.CommonName != "" {
		return fmt.Sprintf("%q", c.Subject.CommonName)
	}
	if all := namesOf(c); len(all) > 0 {
		return fmt.Sprintf("%q", all[0])
	}
	return "nobody"
}

func issuer(c *x509.Certificate) string {
	name := c.Issuer.CommonName
	if name == "" {
		name = strings.Join(c.Issuer.Organization, ", ")
	}
	return fmt.Sprintf("%q", name)
}

// maxNames is how many names of a certificate are told.
const maxNames = 8

func namesOf(c *x509.Certificate) []string {
	all := append([]string(nil), c.DNSNames[:min(len(c.DNSNames), maxNames)]...)
	for _, ip := range c.IPAddresses[:min(len(c.IPAddresses), maxNames)] {
		all = append(all, ip.String())
	}
	return all
}
