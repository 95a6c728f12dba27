package pgxtrace_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/observability"
	"github.com/riffletrace/riffle/core/observability/internal/spantest"
	"github.com/riffletrace/riffle/core/observability/pgxtrace"
	"github.com/riffletrace/riffle/internal/pgtest"
	errorsampler "github.com/riffletrace/riffle/samplers/error"
	"github.com/riffletrace/riffle/samplers/ratio"
)

// asking makes pgx ask the server to cancel, which then answers with an SQLSTATE, where
// it would close the connection.
func asking(c *pgx.ConnConfig) {
	c.BuildContextWatcherHandler = func(conn *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.CancelRequestContextWatcherHandler{Conn: conn, CancelRequestDelay: 0, DeadlineDelay: time.Minute}
	}
}

// Where what was canceled is no error, a request whose client goes away while it waits
// for the database is none, and one that the database refuses still is.
func TestCanceledIsNoError(t *testing.T) {
	url := pgtest.Start(t)
	watch := newPool(t, url)
	execute(t, watch, "CREATE TABLE orders (id int PRIMARY KEY); INSERT INTO orders VALUES (7)", pgx.QueryExecModeSimpleProtocol)
	for _, tt := range []struct {
		name    string
		setting func(*pgx.ConnConfig)
		// run fails in a request, which leave cancels.
		run    func(ctx context.Context, pool *pgxpool.Pool, leave func()) error
		failed bool // it is an error all the same
	}{
		{"a query", func(*pgx.ConnConfig) {}, sleeps(watch), false},
		{"a query that the server cancels", asking, sleeps(watch), false},
		{"a batch", asking, func(ctx context.Context, pool *pgxpool.Pool, leave func()) error {
			batch := &pgx.Batch{}
			batch.Queue("SELECT 1")
			batch.Queue("SELECT pg_sleep(60)")
			go leaveWhenAsleep(watch, leave)
			return pool.SendBatch(ctx, batch).Close()
		}, false},
		{"a wait for a connection", func(*pgx.ConnConfig) {}, func(ctx context.Context, pool *pgxpool.Pool, leave func()) error {
			conn, err := pool.Acquire(context.WithoutCancel(ctx))
			if err != nil {
				return err
			}
			defer conn.Release()
			leave()
			_, err = pool.Exec(ctx, "SELECT 1")
			return err
		}, false},
		{"a transaction", func(*pgx.ConnConfig) {}, func(ctx context.Context, pool *pgxpool.Pool, leave func()) error {
			tx, err := pool.Begin(ctx)
			if err != nil {
				return err
			}
			leave()
			return errors.Join(tx.Commit(ctx), tx.Rollback(context.WithoutCancel(ctx)))
		}, false},
		{"a refusal", func(*pgx.ConnConfig) {}, func(ctx context.Context, pool *pgxpool.Pool, leave func()) error {
			_, err := pool.Exec(ctx, "INSERT INTO orders VALUES (7)")
			leave()
			return err
		}, true},
		{"a statement that takes too long", func(c *pgx.ConnConfig) { c.RuntimeParams["statement_timeout"] = "10ms" }, func(ctx context.Context, pool *pgxpool.Pool, _ func()) error {
			_, err := pool.Exec(ctx, "SELECT pg_sleep(60)")
			return err
		}, true},
		{"a deadline", func(*pgx.ConnConfig) {}, func(ctx context.Context, pool *pgxpool.Pool, _ func()) error {
			ctx, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
			defer cancel()
			_, err := pool.Exec(ctx, "SELECT pg_sleep(60)")
			return err
		}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, ignore := range []bool{true, false} {
				cfg, err := pgxpool.ParseConfig(url)
				if err != nil {
					t.Fatal(err)
				}
				cfg.ConnConfig.Tracer, cfg.MaxConns = pgxtrace.New(), 1
				tt.setting(cfg.ConnConfig)
				pool, err := pgxpool.NewWithConfig(t.Context(), cfg)
				if err != nil {
					t.Fatal(err)
				}
				defer pool.Close()
				execute(t, pool, "SELECT 1")
				out := spantest.Install(t, core.Spec{Samplers: []core.SamplerEntry{
					core.UseSampler(errorsampler.Factory, "", errorsampler.Config{IgnoreCanceled: ignore}),
					core.UseSampler(ratio.Factory, "", ratio.Config{}),
				}})
				ctx, leave := context.WithCancel(t.Context())
				ctx, request := observability.StartSpan(ctx, "request")
				if err := tt.run(ctx, pool, leave); err == nil {
					t.Error("nothing failed")
				}
				request.End()
				leave()
				if kept, want := len(out()) > 0, tt.failed || !ignore; kept != want {
					t.Errorf("ignore_canceled %v: kept %v, want %v", ignore, kept, want)
					for _, s := range out() {
						t.Logf("%s: %+v %v", s.Name, s.Status, spantest.Attributes(s))
					}
				}
			}
		})
	}
}

// sleeps waits for a query that does not end.
func sleeps(watch *pgxpool.Pool) func(context.Context, *pgxpool.Pool, func()) error {
	return func(ctx context.Context, pool *pgxpool.Pool, leave func()) error {
		go leaveWhenAsleep(watch, leave)
		_, err := pool.Exec(ctx, "SELECT pg_sleep(60)")
		return err
	}
}

// leaveWhenAsleep leaves once the server is at work on what does not end.
func leaveWhenAsleep(watch *pgxpool.Pool, leave func()) {
	defer leave()
	for range 10_000 {
		var asleep bool
		err := watch.QueryRow(context.Background(), "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event = 'PgSleep'").Scan(&asleep)
		if asleep || err != nil {
			return
		}
		time.Sleep(time.Millisecond)
	}
}
