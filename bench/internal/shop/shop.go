// Package shop is the service that is measured: it reads an order as JSON,
// asks a database twice and a peer once, and answers with JSON. A request makes
// six spans, through OpenTelemetry's API and with the attributes of its semantic
// conventions, whoever provides them.
package shop

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/bench/internal/load"
)

// Spans is how many spans a request makes, whether it fails or not.
const Spans = 6

// slow is how long a slow request sleeps: more than 250 ms, from which on one
// is kept.
const slow = 300 * time.Millisecond

// Of so many requests one fails, and one is slow.
const (
	failEvery = 100
	slowEvery = 1000
)

var errPayment = errors.New("the card was declined")

// order and receipt are what comes in and goes out.
type order struct {
	Customer int      `json:"customer"`
	Product  int      `json:"product"`
	Quantity int      `json:"quantity"`
	Notes    []string `json:"notes"`
	Declined bool     `json:"declined"`
	Slow     bool     `json:"slow"`
}

type receipt struct {
	Customer string `json:"customer"`
	Product  string `json:"product"`
	Cents    int    `json:"cents"`
	Currency string `json:"currency"`
}

// Requests are a turn of requests: 1 % fail and, unless quiet, 0.1 % are slow.
func Requests(quiet bool) []load.Request {
	all := make([]load.Request, slowEvery)
	for i := range all {
		body, _ := json.Marshal(order{ //nolint:errchkjson // it can be
			Customer: i*7%rows + 1,
			Product:  i*13%rows + 1,
			Quantity: i%5 + 1,
			Notes:    []string{"leave it at the door", "no plastic"},
			Declined: i%failEvery == failEvery/2,
			Slow:     !quiet && i == slowEvery/2+1,
		})
		all[i] = load.Request{
			Method: http.MethodPost,
			Path:   "/orders/" + strconv.Itoa(i+1),
			Body:   string(body),
			Header: map[string]string{"Content-Type": "application/json"},
		}
	}
	return all
}

// Options are what the shop works with.
type Options struct {
	Tracers    trace.TracerProvider
	Propagator propagation.TextMapPropagator
	Peer       string // tells a price
	Store      Store
	Seen       func(context.Context)
}

type shop struct {
	Options
	tracer trace.Tracer
	client *http.Client
	base   *http.Transport
}

// New returns the service. close ends its connections, but not the store.
func New(o Options) (handler http.Handler, closeIdle func()) {
	options := []otelhttp.Option{otelhttp.WithTracerProvider(o.Tracers), otelhttp.WithPropagators(o.Propagator)}
	base := &http.Transport{MaxIdleConnsPerHost: 256, DisableCompression: true}
	s := &shop{
		Options: o,
		tracer:  o.Tracers.Tracer("github.com/riffletrace/riffle/bench"),
		client:  &http.Client{Transport: otelhttp.NewTransport(base, options...)},
		base:    base,
	}
	mux := http.NewServeMux()
	mux.Handle("POST /orders/{id}", otelhttp.NewHandler(http.HandlerFunc(s.order), "POST /orders/{id}", options...))
	return mux, base.CloseIdleConnections
}

func (s *shop) order(w http.ResponseWriter, r *http.Request) {
	s.Seen(r.Context())
	var o order
	if err := json.NewDecoder(r.Body).Decode(&o); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	answer, err := s.place(r.Context(), &o)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer) //nolint:errchkjson // the client may be gone
}

func (s *shop) place(ctx context.Context, o *order) (*receipt, error) {
	s.authorize(ctx, o)
	customer, err := s.query(ctx, "customers", Customers, o.Customer)
	if err != nil {
		return nil, err
	}
	product, err := s.query(ctx, "products", Products, o.Product)
	if err != nil {
		return nil, err
	}
	price, err := s.price(ctx)
	if err != nil {
		return nil, err
	}
	price.Customer, price.Product, price.Cents = customer, product, price.Cents*o.Quantity
	return price, s.charge(ctx, o, price)
}

func (s *shop) authorize(ctx context.Context, o *order) {
	_, span := s.tracer.Start(ctx, "authorize", trace.WithAttributes(
		attribute.Int("enduser.id", o.Customer),
		attribute.String("enduser.scope", "orders:write"),
	))
	span.End()
}

func (s *shop) query(ctx context.Context, table, statement string, id int) (string, error) {
	ctx, span := s.tracer.Start(ctx, "SELECT "+table, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
		attribute.String("db.system.name", "postgresql"),
		attribute.String("db.namespace", "shop"),
		attribute.String("db.collection.name", table),
		attribute.String("db.operation.name", "SELECT"),
		attribute.String("db.query.text", statement),
		attribute.String("server.address", "127.0.0.1"),
		attribute.Int("server.port", 5432),
	))
	defer span.End()
	name, err := s.Store.Name(ctx, statement, id)
	if err != nil {
		span.RecordError(err)
		span.SetStatus(codes.Error, err.Error())
		return "", fmt.Errorf("reading %s %d: %w", table, id, err)
	}
	span.SetAttributes(attribute.Int("db.response.returned_rows", 1))
	return name, nil
}

func (s *shop) price(ctx context.Context) (*receipt, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.Peer, http.NoBody)
	if err != nil {
		return nil, err
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(resp.Body)
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		return nil, err
	}
	r := new(receipt)
	return r, json.Unmarshal(body, r)
}

func (s *shop) charge(ctx context.Context, o *order, r *receipt) error {
	_, span := s.tracer.Start(ctx, "charge", trace.WithAttributes(
		attribute.Int("order.cents", r.Cents),
		attribute.String("order.currency", r.Currency),
		attribute.Int("order.quantity", o.Quantity),
	))
	defer span.End()
	if o.Slow {
		time.Sleep(slow)
	}
	if o.Declined {
		span.RecordError(errPayment)
		span.SetStatus(codes.Error, errPayment.Error())
		return errPayment
	}
	span.AddEvent("charged", trace.WithAttributes(attribute.String("payment.method", "card")))
	return nil
}
