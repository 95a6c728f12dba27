package bench

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"

	"github.com/riffletrace/riffle/bench/internal/shop"
	"github.com/riffletrace/riffle/internal/postgres"
)

// storeVariable tells the service where its database is.
const storeVariable = "RIFFLE_BENCH_STORE"

// shopName is of the target that riffle bench measures.
const shopName = "shop"

// Shop is the service that riffle bench measures: JSON in and out, two queries
// of PostgreSQL, one outgoing HTTP call, six spans. It is what [Main] takes;
// [OpenShop] adds the database.
func Shop() Target {
	return Target{
		Name:            shopName,
		Handler:         openShop,
		Requests:        shop.Requests(false),
		QuietRequests:   shop.Requests(true),
		SpansPerRequest: shop.Spans,
	}
}

// OpenShop is [Shop] with a database: the PostgreSQL server at a URL, or one
// that is started if url is empty, or else, with a note that says why, a store
// in memory. close removes what it has made.
func OpenShop(ctx context.Context, url string) (t Target, closeStore func() error, err error) {
	t = Shop()
	closeStore = func() error { return shop.Remove(context.WithoutCancel(ctx), url) }
	note := "PostgreSQL %s, given"
	if url == "" {
		server, err := postgres.Start(ctx)
		if ctx.Err() != nil {
			return t, nil, ctx.Err()
		}
		if err != nil {
			why, _, _ := strings.Cut(err.Error(), "\n") // PostgreSQL's own words follow
			t.Notes = append(t.Notes, fmt.Sprintf("the store is in memory, not PostgreSQL: %s; give a server with --postgres URL", why))
			return t, func() error { return nil }, nil
		}
		url, closeStore = server.URL, server.Close
		note = "PostgreSQL %s, started for this run"
	}
	version, err := shop.Prepare(ctx, url)
	if err != nil {
		return t, nil, errors.Join(fmt.Errorf("preparing the tables in PostgreSQL: %w", err), closeStore())
	}
	t.Notes = append(t.Notes, "the store is "+fmt.Sprintf(note, version))
	t.Env = append(t.Env, storeVariable+"="+url)
	return t, closeStore, nil
}

func openShop(ctx context.Context, s Service) (http.Handler, func(), error) {
	store := shop.Embedded()
	if url := os.Getenv(storeVariable); url != "" {
		var err error
		if store, err = shop.OpenPostgres(ctx, url); err != nil {
			return nil, nil, fmt.Errorf("connecting to PostgreSQL: %w", err)
		}
	}
	handler, closeIdle := shop.New(shop.Options{
		Tracers: s.Tracers, Propagator: s.Propagator, Peer: s.Peer, Store: store, Seen: s.Seen,
	})
	return handler, func() { closeIdle(); store.Close() }, nil
}
