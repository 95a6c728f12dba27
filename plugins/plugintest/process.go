package plugintest

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/riffletrace/riffle/plugins/internal/wire"
)

const (
	// maxLine bounds the handshake line and what is held of other lines.
	maxLine = 64 << 10
	// maxHeld bounds what is held of an output.
	maxHeld = 1 << 20
)

// process is a plugin that runs, started as a host does it but without any of
// the host's tolerance.
type process struct {
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stdout *output // all of it; the first line is the handshake
	stderr *output
	dir    string
	exited chan struct{} // closed when it is gone and its outputs are read
	told   bool          // the case has told it to end

	line handshake
	key  tls.Certificate // the host's
	conn *grpc.ClientConn
}

// handshake is the line that a plugin begins with.
type handshake struct {
	network, address string
	certificate      *x509.Certificate
}

// spawn starts the program in a clean environment, with arguments and
// variables, and leaves it alone.
func spawn(path string, args, env []string) (*process, error) {
	dir, err := os.MkdirTemp("", "riffle-plugintest")
	if err != nil {
		return nil, err
	}
	p := &process{
		cmd:    exec.Command(path, args...), //nolint:noctx // stop ends it, and all that it started
		stdout: newOutput(),
		stderr: newOutput(),
		dir:    dir,
		exited: make(chan struct{}),
	}
	p.cmd.Dir = dir
	p.cmd.Env = append(env, "PLUGIN_UNIX_SOCKET_DIR="+dir, "TMPDIR="+dir)
	p.cmd.Stdout, p.cmd.Stderr = p.stdout, p.stderr
	p.cmd.WaitDelay = time.Second // for a child of its that holds the outputs open
	inGroup(p.cmd)
	if p.stdin, err = p.cmd.StdinPipe(); err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	go func() {
		defer close(p.exited)
		_ = p.cmd.Wait() // how it ended is in ProcessState
		p.stdout.close()
		p.stderr.close()
	}()
	return p, nil
}

// start starts a plugin, reads its handshake and connects.
func start(ctx context.Context, path string) (*process, error) {
	key, text, err := newCertificate()
	if err != nil {
		return nil, err
	}
	p, err := spawn(path, nil, []string{
		wire.MagicCookieKey + "=" + wire.MagicCookieValue,
		"PLUGIN_PROTOCOL_VERSIONS=" + strconv.Itoa(wire.ProtocolVersion),
		"PLUGIN_MIN_PORT=0", "PLUGIN_MAX_PORT=0",
		"PLUGIN_CLIENT_CERT=" + text,
		wire.DirVariable + "=" + filepath.Dir(path),
	})
	if err != nil {
		return nil, err
	}
	p.key = key
	if err := p.connect(ctx); err != nil {
		p.stop()
		return nil, err
	}
	return p, nil
}

func (p *process) connect(ctx context.Context) error {
	line, err := p.stdout.firstLine(ctx)
	if err != nil {
		return fmt.Errorf("%w%s", err, p.lastWords())
	}
	if p.line, err = parseHandshake(line); err != nil {
		return err
	}
	p.conn, err = p.dial(&p.key)
	return err
}

// dial connects with a certificate of the host, or none.
func (p *process) dial(key *tls.Certificate) (*grpc.ClientConn, error) {
	roots := x509.NewCertPool()
	roots.AddCert(p.line.certificate)
	config := &tls.Config{RootCAs: roots, ServerName: "localhost", MinVersion: tls.VersionTLS12}
	if key != nil {
		config.Certificates = []tls.Certificate{*key}
	}
	return grpc.NewClient("passthrough:///plugin",
		grpc.WithTransportCredentials(credentials.NewTLS(config)),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, p.line.network, p.line.address)
		}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(wire.MaxResponse), grpc.MaxCallSendMsgSize(wire.MaxMessage)))
}

// gone waits until the process has ended, and reports whether it did.
func (p *process) gone(within time.Duration) bool {
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case <-p.exited:
		return true
	case <-timer.C:
		return false
	}
}

// stop ends the process and what it started, by force.
func (p *process) stop() {
	if p.conn != nil {
		_ = p.conn.Close()
	}
	_ = p.stdin.Close()
	killGroup(p.cmd)
	<-p.exited
	_ = os.RemoveAll(p.dir)
}

// lastWords is the end of what the process wrote to stderr, for a message.
func (p *process) lastWords() string {
	text := strings.TrimSpace(string(p.stderr.bytes()))
	const enough = 1 << 10
	if len(text) > enough {
		text = "..." + text[len(text)-enough:]
	}
	if text == "" {
		return ""
	}
	return "; on stderr it said:\n" + text
}

// parseHandshake reads core|version|network|address|protocol|certificate.
func parseHandshake(line string) (h handshake, err error) {
	parts := strings.Split(line, "|")
	if len(parts) < 6 {
		return h, fmt.Errorf("the first line on stdout is %.200q: want 1|%d|unix|/path/of/socket|grpc|certificate", line, wire.ProtocolVersion)
	}
	if parts[0] != "1" {
		return h, fmt.Errorf("the handshake begins with %.40q: want 1, the version of go-plugin's own protocol", parts[0])
	}
	if parts[1] != strconv.Itoa(wire.ProtocolVersion) {
		return h, fmt.Errorf("the handshake names version %.40q of the protocol: want %d, which PLUGIN_PROTOCOL_VERSIONS components", parts[1], wire.ProtocolVersion)
	}
	if h.network, h.address = parts[2], parts[3]; h.network != "unix" && h.network != "tcp" || h.address == "" {
		return h, fmt.Errorf("the handshake names the address %.200q of the network %.40q: want a path and unix, or host:port and tcp", h.address, h.network)
	}
	if parts[4] != "grpc" {
		return h, fmt.Errorf("the handshake names the protocol %.40q: want grpc", parts[4])
	}
	der, err := base64.RawStdEncoding.DecodeString(parts[5])
	if err == nil {
		h.certificate, err = x509.ParseCertificate(der)
	}
	if err != nil {
		return h, fmt.Errorf("the sixth part of the handshake is no certificate (DER in base64 without padding): %w", err)
	}
	return h, nil
}

// newCertificate makes a certificate of the kind that hosts have: a P-521 key,
// which some TLS libraries refuse.
func newCertificate() (key tls.Certificate, text string, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	if err != nil {
		return key, "", err
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "localhost", Organization: []string{"riffle"}},
		DNSNames:              []string{"localhost"},
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment | x509.KeyUsageKeyAgreement | x509.KeyUsageCertSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		SerialNumber:          big.NewInt(time.Now().UnixNano()),
		NotBefore:             time.Now().Add(-30 * time.Second),
		NotAfter:              time.Now().Add(24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		return key, "", err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private},
		string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), nil
}

// output holds the beginning of what a process writes, and never blocks it.
type output struct {
	mu      sync.Mutex
	held    []byte
	written int64
	changed chan struct{} // replaced and closed at each change
	closed  bool
}

func newOutput() *output { return &output{changed: make(chan struct{})} }

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.written += int64(len(b))
	o.held = append(o.held, b[:min(len(b), maxHeld-len(o.held))]...)
	o.change()
	return len(b), nil
}

func (o *output) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	o.change()
}

func (o *output) change() {
	close(o.changed)
	o.changed = make(chan struct{})
}

func (o *output) bytes() []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	return bytes.Clone(o.held)
}

// firstLine waits for it.
func (o *output) firstLine(ctx context.Context) (string, error) {
	for {
		o.mu.Lock()
		line, _, complete := bytes.Cut(o.held, []byte("\n"))
		text, changed, closed := string(line), o.changed, o.closed
		o.mu.Unlock()
		switch {
		case complete && len(text) <= maxLine:
			return strings.TrimSuffix(text, "\r"), nil
		case len(text) > maxLine:
			return "", fmt.Errorf("stdout begins with %d bytes without an end of line, %.60q...: want the handshake", len(text), text)
		case closed:
			return "", fmt.Errorf("the process ended without a handshake; on stdout is %.200q", text)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return "", fmt.Errorf("no handshake in time; on stdout is %.200q", text)
		}
	}
}

// afterFirstLine is what came after the handshake.
func (o *output) afterFirstLine() []byte {
	_, rest, _ := bytes.Cut(o.bytes(), []byte("\n"))
	return rest
}
