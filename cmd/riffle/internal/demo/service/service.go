// Package service is what the demo traces: a shop that checks who is asking,
// reads from a cache, a search engine and a store and, at a checkout, calls a second
// service for the payment. Both listen on loopback and are instrumented as any service
// would be. Nothing in it knows how its traces are sampled.
//
// It has what services have: the authors of a product's reviews are read one by one, the
// search waits for the cache though it needs nothing of it, and payments are refused.
package service

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// What a request tells the shop: which number it has, how long the work for
// it takes and whether that fails. The shop answers with the trace ID and, after all
// else, with how long the request took by a clock that is not riffle's.
const (
	NumberHeader  = "Demo-Number"
	WorkHeader    = "Demo-Work" // a duration
	FailHeader    = "Demo-Fail" // "true"
	TraceIDHeader = "X-Trace-ID"
	TookTrailer   = "Demo-Took" // a duration
)

// The routes of the shop, and that of the second service. They are the names of the
// server spans.
const (
	RouteHealth   = "GET /healthz"
	RouteProduct  = "GET /products/{id}"
	RouteCheckout = "POST /checkout/{id}"
	RoutePayment  = "POST /payments"
)

// What the shop reads from, as db.system.name has it.
const (
	store  = "postgresql"
	cache  = "redis"
	search = "opensearch"
)

// reviews is how many a product has.
const reviews = 6

var (
	errStore   = errors.New("connection reset by the database")
	errPayment = errors.New("the payment was refused")
)

// Shop is the running pair of services.
type Shop struct {
	shop, payments *http.Server
	url            string

	tracer      trace.Tracer
	transport   *http.Transport
	client      *http.Client // of the payments
	paymentsURL string

	hold          func()
	paid, refused atomic.Int64
}

// Start starts both services on loopback. Each request for a product or a checkout calls
// hold when all is done but to answer; nil is nothing.
func Start(ctx context.Context, provider trace.TracerProvider, propagator propagation.TextMapPropagator, hold func()) (*Shop, error) {
	options := []otelhttp.Option{otelhttp.WithTracerProvider(provider), otelhttp.WithPropagators(propagator)}
	transport := &http.Transport{MaxIdleConnsPerHost: 1024}
	s := &Shop{
		hold:      hold,
		tracer:    provider.Tracer("github.com/riffletrace/riffle/cmd/riffle/internal/demo/service"),
		transport: transport,
		client:    &http.Client{Transport: otelhttp.NewTransport(transport, options...)},
	}
	var err error
	if s.payments, s.paymentsURL, err = serve(ctx, options, nobody, map[string]http.HandlerFunc{
		RoutePayment: s.pay,
	}); err != nil {
		return nil, err
	}
	if s.shop, s.url, err = serve(ctx, options, tenants, map[string]http.HandlerFunc{
		RouteHealth:   s.health,
		RouteProduct:  s.product,
		RouteCheckout: s.checkout,
	}); err != nil {
		return nil, errors.Join(err, s.payments.Close())
	}
	return s, nil
}

// URL is where the shop listens.
func (s *Shop) URL() string { return s.url }

// Payments is how many requests the second service answered, as its handler counted
// them, and how many of them with an error.
func (s *Shop) Payments() (all, failed int) {
	failed = int(s.refused.Load())
	return int(s.paid.Load()) + failed, failed
}

// Close ends both services. Every request that was answered has ended its
// spans by then.
func (s *Shop) Close() error {
	s.transport.CloseIdleConnections()
	return errors.Join(s.shop.Close(), s.payments.Close())
}

// tenants are the shop's customers, who take turns.
var tenants = [][]attribute.KeyValue{
	{attribute.String("tenant.id", "acme"), attribute.String("tenant.plan", "enterprise")},
	{attribute.String("tenant.id", "globex"), attribute.String("tenant.plan", "pro")},
	{attribute.String("tenant.id", "initech"), attribute.String("tenant.plan", "free")},
}

// nobody is who calls a service that is called by the shop alone.
var nobody = [][]attribute.KeyValue{nil}

// serve serves routes on a free port. Their spans start when the route and the
// tenant are known, so that samplers can go by them.
func serve(ctx context.Context, options []otelhttp.Option, tenants [][]attribute.KeyValue, routes map[string]http.HandlerFunc) (server *http.Server, url string, err error) {
	mux := http.NewServeMux()
	for pattern, handler := range routes {
		var traced []http.Handler
		for _, tenant := range tenants {
			with := append(slices.Clip(options), otelhttp.WithSpanOptions(trace.WithAttributes(tenant...)))
			traced = append(traced, otelhttp.NewHandler(answerTraceID(handler), "", with...))
		}
		mux.Handle(pattern, numbered(traced))
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, "", err
	}
	server = &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: time.Minute, // a busy machine may be that late, with all connections at once
		ErrorLog:          slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
	}
	go func() { _ = server.Serve(listener) }() // it ends with Close
	return server, "http://" + listener.Addr().String(), nil
}

// answerTraceID tells the client which trace its request became.
func answerTraceID(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(TraceIDHeader, trace.SpanContextFromContext(r.Context()).TraceID().String())
		next.ServeHTTP(w, r)
	})
}

func (*Shop) health(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") }

func (s *Shop) product(w http.ResponseWriter, r *http.Request) {
	work, fail := orders(r)
	step := work / 20
	err := s.authenticate(r.Context(), 2*step)
	// Neither needs what the other answers, but one waits for the other.
	if err == nil {
		err = s.query(r.Context(), cache, "GET stock", 4*step, false)
	}
	if err == nil {
		err = s.query(r.Context(), search, "search similar", 5*step, false)
	}
	rest := work - 11*step
	if !fail {
		rest -= reviews * step // of the authors
	}
	if err == nil {
		err = s.query(r.Context(), store, "SELECT reviews", rest, fail)
	}
	for range reviews { // each author by itself, where one query would do
		if err == nil {
			err = s.query(r.Context(), store, "SELECT author", step, false)
		}
	}
	s.answer(w, err, http.StatusInternalServerError)
}

func (s *Shop) checkout(w http.ResponseWriter, r *http.Request) {
	work, fail := orders(r)
	step := work / 10
	err := s.authenticate(r.Context(), step)
	if err == nil {
		err = s.query(r.Context(), store, "SELECT cart", 2*step, false)
	}
	if err == nil {
		err = s.requestPayment(r.Context(), work-5*step, fail)
	}
	if err == nil {
		err = s.query(r.Context(), store, "INSERT order", 2*step, false)
	}
	s.answer(w, err, http.StatusBadGateway)
}

func (s *Shop) pay(w http.ResponseWriter, r *http.Request) {
	work, fail := orders(r)
	err := s.query(r.Context(), store, "INSERT payment", work, false)
	if err == nil && fail {
		err = errPayment
		trace.SpanFromContext(r.Context()).RecordError(err)
	}
	if err == nil {
		s.paid.Add(1)
	} else {
		s.refused.Add(1)
	}
	answer(w, err, http.StatusServiceUnavailable)
}

func (s *Shop) authenticate(ctx context.Context, work time.Duration) error {
	ctx, span := s.tracer.Start(ctx, "authenticate", trace.WithAttributes(attribute.String("enduser.scope", "customer")))
	defer span.End()
	return sleep(ctx, work)
}

func (s *Shop) query(ctx context.Context, system, statement string, work time.Duration, fail bool) error {
	ctx, span := s.tracer.Start(ctx, statement, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
		attribute.String("db.system.name", system),
		attribute.String("db.query.summary", statement),
	))
	defer span.End()
	err := sleep(ctx, work)
	if err == nil && fail {
		err = errStore
	}
	if err != nil {
		span.RecordError(err)
		span.SetStatus(codes.Error, err.Error())
	}
	return err
}

func (s *Shop) requestPayment(ctx context.Context, work time.Duration, fail bool) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.paymentsURL+"/payments", http.NoBody)
	if err != nil {
		return err
	}
	req.Header.Set(WorkHeader, work.String())
	if fail {
		req.Header.Set(FailHeader, "true")
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	err = errors.Join(err, resp.Body.Close())
	if err == nil && resp.StatusCode != http.StatusOK {
		err = errPayment
	}
	return err
}

// orders reads how long the work for a request takes, and whether it fails.
func orders(r *http.Request) (work time.Duration, fail bool) {
	work, _ = time.ParseDuration(r.Header.Get(WorkHeader)) // none means none
	return work, r.Header.Get(FailHeader) == "true"
}

func (s *Shop) answer(w http.ResponseWriter, err error, failure int) {
	if s.hold != nil {
		s.hold()
	}
	answer(w, err, failure)
}

func answer(w http.ResponseWriter, err error, failure int) {
	if err != nil {
		http.Error(w, err.Error(), failure)
		return
	}
	_, _ = io.WriteString(w, "done\n")
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
