package hostile

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/riffletrace/riffle/internal/untrustedtest"
	pluginpb "github.com/riffletrace/riffle/plugins/proto"
)

// play is the program. It speaks go-plugin's handshake by itself, because
// go-plugin would not let it do so wrongly.
func play(kind string) int {
	if os.Getenv("PLUGIN_PROTOCOL_VERSIONS") == "" || len(os.Args) > 1 {
		fmt.Fprintln(os.Stderr, "this is a plugin of riffle; it is started by the programs whose configuration names it")
		return 2
	}
	switch kind {
	case "exits":
		fmt.Fprintln(os.Stderr, "no license found")
		return 3
	case "silent":
		fmt.Print("1|1|unix|")
		select {}
	case "garbage":
		fmt.Println("Hello, I am a plugin!\x1b[31m")
		_, _ = io.CopyN(os.Stdout, rand.Reader, 1<<20)
		select {}
	case "endless":
		for {
			if _, err := fmt.Print(strings.Repeat("x", 1<<10)); err != nil {
				return 1
			}
		}
	}
	if err := serve(kind); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func serve(kind string) error {
	address := filepath.Join(os.Getenv("PLUGIN_UNIX_SOCKET_DIR"), fmt.Sprintf("%d.sock", os.Getpid()))
	listener, err := new(net.ListenConfig).Listen(context.Background(), "unix", address)
	if err != nil {
		return err
	}
	key, err := newKey()
	if err != nil {
		return err
	}
	clients := x509.NewCertPool()
	if !clients.AppendCertsFromPEM([]byte(os.Getenv("PLUGIN_CLIENT_CERT"))) {
		return errors.New("PLUGIN_CLIENT_CERT holds no certificate")
	}
	config := &tls.Config{Certificates: []tls.Certificate{key}, ClientCAs: clients, ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS12}
	if kind == "anyone" {
		config.ClientAuth = tls.NoClientCert
	}
	const most = 64 << 20
	options := []grpc.ServerOption{grpc.Creds(credentials.NewTLS(config)), grpc.MaxSendMsgSize(2 * most)}
	if kind != "small" {
		options = append(options, grpc.MaxRecvMsgSize(most))
	}
	if kind == "plaintext" {
		options = options[1:]
	}
	server := grpc.NewServer(options...)
	over := make(chan struct{}, 2)
	register(server, kind, over)

	line := "1|1|unix|" + address + "|grpc|" + base64.RawStdEncoding.EncodeToString(key.Certificate[0])
	switch kind {
	case "version":
		line = strings.Replace(line, "1|1|", "1|99|", 1)
	case "plaintext":
		line, _, _ = strings.Cut(line, "|grpc|")
		line += "|grpc|"
	case "stranger":
		other, err := newKey()
		if err != nil {
			return err
		}
		line = "1|1|unix|" + address + "|grpc|" + base64.RawStdEncoding.EncodeToString(other.Certificate[0])
	case "forged":
		line = "1|1|unix|" + address + "|grpc|" + strings.Repeat("A", 100)
	case "log": // go-plugin's host panics on the first
		fmt.Fprintln(os.Stderr, `{"@level":"info","@message":1,"@timestamp":"2026-01-02T03:04:05.000000Z"}`)
		fmt.Fprintln(os.Stderr, strings.Repeat("y", 1<<20))
	case "forks":
		if err := exec.CommandContext(context.Background(), "/bin/sleep", "600").Start(); err != nil {
			return err
		}
	case "shouts":
		said := untrustedtest.Say(12 << 20)
		text, err := json.Marshal(map[string]any{"@level": "warn", "@message": said[:2<<10], said[:500]: said[:1<<10], "list": []string{said[:500]}})
		if err != nil {
			return err
		}
		fmt.Fprintln(os.Stderr, string(text)) // before there are too many
		fmt.Fprintln(os.Stderr, strings.ReplaceAll(said, "\n", " "))
		fmt.Fprintln(os.Stderr, said)
	case "detaches", "strips", "daemon":
		if err := leave(kind); err != nil {
			return err
		}
	}
	fmt.Println(line)
	if kind == "chatter" {
		fmt.Println("listening")
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // until the host is gone
		if kind != "orphan" {
			over <- struct{}{}
		}
	}()
	go func() { _ = server.Serve(listener) }()
	<-over
	server.Stop()
	return nil
}

// register serves what a plugin must. over is told when it is to end.
func register(server *grpc.Server, kind string, over chan<- struct{}) {
	p := &plugin{kind: kind, instances: make(map[string]bool)}
	pluginpb.RegisterComponentsServer(server, p)
	pluginpb.RegisterExportersServer(server, p)
	pluginpb.RegisterStartSamplersServer(server, p)
	pluginpb.RegisterSegmentSamplersServer(server, segmentSamplers{plugin: p})
	coltracepb.RegisterTraceServiceServer(server, p)
	state := health.NewServer()
	status := healthpb.HealthCheckResponse_SERVING
	if kind == "unhealthy" {
		status = healthpb.HealthCheckResponse_NOT_SERVING
	}
	state.SetServingStatus("plugin", status)
	healthpb.RegisterHealthServer(server, state)
	server.RegisterService(&grpc.ServiceDesc{
		ServiceName: "plugin.GRPCController",
		HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{
			MethodName: "Shutdown",
			Handler: func(any, context.Context, func(any) error, grpc.UnaryServerInterceptor) (any, error) {
				if kind != "stubborn" {
					over <- struct{}{}
				}
				return new(emptypb.Empty), nil
			},
		}},
	}, p)
}

func newKey() (key tls.Certificate, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return key, err
	}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"}, SerialNumber: big.NewInt(time.Now().UnixNano()),
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private}, err
}
