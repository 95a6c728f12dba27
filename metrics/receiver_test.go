package metrics_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	colmetricspb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	_ "google.golang.org/grpc/encoding/gzip" // which clients may compress with
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// receiver takes metrics over gRPC or HTTP.
type receiver struct {
	colmetricspb.UnimplementedMetricsServiceServer
	address string

	mu      sync.Mutex
	refuses string // everything, in these words
	got     map[string]*metricspb.Metric
	// of the last request
	service, key, path string
}

func (r *receiver) take(req *colmetricspb.ExportMetricsServiceRequest, key, path string) (refused string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.key, r.path = key, path
	if r.refuses != "" {
		return r.refuses
	}
	for _, of := range req.GetResourceMetrics() {
		for _, a := range of.GetResource().GetAttributes() {
			if a.GetKey() == "service.name" {
				r.service = a.GetValue().GetStringValue()
			}
		}
		for _, scope := range of.GetScopeMetrics() {
			for _, m := range scope.GetMetrics() {
				r.got[m.GetName()] = m
			}
		}
	}
	return ""
}

func (r *receiver) refuse(why string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refuses = why
}

// last is the metric that came last under a name; nil if none did.
func (r *receiver) last(name string) *metricspb.Metric {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.got[name]
}

// sum is that of all points of a metric's last state.
func (r *receiver) sum(name string) (sum int64) {
	for _, p := range r.last(name).GetSum().GetDataPoints() {
		sum += p.GetAsInt()
	}
	return sum
}

func (r *receiver) Export(ctx context.Context, req *colmetricspb.ExportMetricsServiceRequest) (*colmetricspb.ExportMetricsServiceResponse, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	key := ""
	if keys := md.Get("x-key"); len(keys) > 0 {
		key = keys[0]
	}
	if why := r.take(req, key, ""); why != "" {
		return nil, status.Error(codes.PermissionDenied, why)
	}
	return &colmetricspb.ExportMetricsServiceResponse{}, nil
}

func overGRPC(t *testing.T) *receiver {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &receiver{got: map[string]*metricspb.Metric{}, address: l.Addr().String()}
	s := grpc.NewServer()
	colmetricspb.RegisterMetricsServiceServer(s, r)
	var serving sync.WaitGroup
	serving.Go(func() { _ = s.Serve(l) })
	t.Cleanup(func() { s.Stop(); serving.Wait() })
	return r
}

func overHTTP(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{got: map[string]*metricspb.Metric{}}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		if z, err := gzip.NewReader(bytes.NewReader(body)); err == nil {
			body, _ = io.ReadAll(z)
		}
		var msg colmetricspb.ExportMetricsServiceRequest
		if err := proto.Unmarshal(body, &msg); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if why := r.take(&msg, req.Header.Get("X-Key"), req.URL.RequestURI()); why != "" {
			http.Error(w, why, http.StatusForbidden)
			return
		}
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	t.Cleanup(s.Close)
	r.address = s.URL
	return r
}
