// Package clienttls is what users set about TLS to servers, the same keys everywhere, and
// the configuration of crypto/tls that they make.
package clienttls

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/internal/trustedfile"
)

// Config is what users set under tls.
type Config struct {
	CAFile             string `yaml:"ca_file" doc:"PEM file with the authorities to trust instead of the system's; read again for each connection"`
	CertFile           string `yaml:"cert_file" doc:"PEM file with the client's certificate, for mutual TLS; read again for each connection"`
	KeyFile            string `yaml:"key_file" doc:"PEM file with the key of cert_file"`
	ServerName         string `yaml:"server_name" doc:"name that the server's certificate must carry, if not the endpoint's host"`
	InsecureSkipVerify bool   `yaml:"insecure_skip_verify" doc:"accept any certificate; for tests only"`
	MinVersion         string `yaml:"min_version" enum:"1.2,1.3" doc:"lowest TLS version, 1.2 or 1.3; default 1.2"`

	// FromEnv tells that the files are the environment's, which says less
	// about what a configuration wants.
	FromEnv bool `yaml:"-"`
}

// IsSet reports whether users set anything.
func (t Config) IsSet() bool { return t != Config{FromEnv: t.FromEnv} }

// Load reads the files. host is whom the certificate of the server must be of,
// unless ServerName says another. Its errors are [component.FieldError]s, joined.
func (t Config) Load(host string) (*tls.Config, error) {
	cfg := &tls.Config{
		ServerName:         t.ServerName,
		InsecureSkipVerify: t.InsecureSkipVerify, //nolint:gosec // the user says so
		MinVersion:         tls.VersionTLS12,
	}
	var errs []error
	fail := func(key string, err error) {
		errs = append(errs, &component.FieldError{Path: "tls." + key, Err: err})
	}
	switch t.MinVersion {
	case "", "1.2":
	case "1.3":
		cfg.MinVersion = tls.VersionTLS13
	default:
		fail("min_version", fmt.Errorf("%q is not one of 1.2, 1.3", t.MinVersion))
	}
	if t.CAFile != "" {
		pool, err := LoadAuthorities(t.CAFile)
		if err != nil {
			fail("ca_file", err)
		}
		if !t.InsecureSkipVerify {
			roots := newRenewed(pool, func() (*x509.CertPool, error) { return LoadAuthorities(t.CAFile) })
			// The same as RootCAs, but for authorities that are renewed while a
			// service runs.
			cfg.InsecureSkipVerify = true //nolint:gosec // VerifyConnection does
			cfg.VerifyConnection = func(state tls.ConnectionState) error {
				return verify(state, roots.read(), cmp.Or(t.ServerName, host))
			}
		}
	}
	switch {
	case t.CertFile == "" && t.KeyFile == "":
	case t.KeyFile == "":
		fail("key_file", errors.New("missing: cert_file needs its key"))
	case t.CertFile == "":
		fail("cert_file", errors.New("missing: key_file needs its certificate"))
	default:
		pair, key, err := t.LoadPair()
		if err != nil {
			fail(key, err)
		}
		own := newRenewed(pair, func() (*tls.Certificate, error) {
			pair, _, err := t.LoadPair()
			return pair, err
		})
		cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return own.read(), nil }
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return cfg, nil
}

// renewed is what is in files that are replaced while a service runs. While they
// cannot be read, it is what they had in them last.
type renewed[T any] struct {
	load func() (*T, error)
	last atomic.Pointer[T]
}

func newRenewed[T any](first *T, load func() (*T, error)) *renewed[T] {
	r := &renewed[T]{load: load}
	r.last.Store(first)
	return r
}

func (r *renewed[T]) read() *T {
	if now, err := r.load(); err == nil {
		r.last.Store(now)
	}
	return r.last.Load()
}

// verify does what crypto/tls does by itself. Its name cannot be taken from the
// state, where it is missing if it is an address.
func verify(state tls.ConnectionState, roots *x509.CertPool, name string) error {
	certs := state.PeerCertificates
	intermediates := x509.NewCertPool()
	for _, c := range certs[1:] {
		intermediates.AddCert(c)
	}
	_, err := certs[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: intermediates, DNSName: name})
	if err != nil {
		return &tls.CertificateVerificationError{UnverifiedCertificates: certs, Err: err}
	}
	return nil
}

// maxPEM bounds a file with certificates or a key: the largest bundles of authorities
// have a tenth of it.
const maxPEM = 4 << 20

// LoadAuthorities reads the authorities that are trusted.
func LoadAuthorities(file string) (*x509.CertPool, error) {
	bundle, err := trustedfile.ReadSetting(file, maxPEM)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(bundle) {
		return nil, fmt.Errorf("%s holds no PEM certificate", file)
	}
	return pool, nil
}

// LoadPair reads the client's certificate. On an error, key is the one to
// blame.
func (t Config) LoadPair() (pair *tls.Certificate, key string, err error) {
	certPEM, err := trustedfile.ReadSetting(t.CertFile, maxPEM)
	if err != nil {
		return nil, "cert_file", err
	}
	if block, _ := pem.Decode(certPEM); block == nil {
		return nil, "cert_file", fmt.Errorf("%s holds no PEM certificate", t.CertFile)
	}
	keyPEM, err := trustedfile.ReadSetting(t.KeyFile, maxPEM)
	if err != nil {
		return nil, "key_file", err
	}
	c, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return nil, "key_file", fmt.Errorf("%s does not go with %s: %w", t.KeyFile, t.CertFile, err)
	}
	return &c, "", nil
}
