package sqltrace_test

import (
	"context"
	"database/sql"
	"errors"
	"testing"
	"time"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/observability"
	"github.com/riffletrace/riffle/core/observability/internal/spantest"
	"github.com/riffletrace/riffle/internal/pgtest"
	errorsampler "github.com/riffletrace/riffle/samplers/error"
	"github.com/riffletrace/riffle/samplers/ratio"
)

// Where what was canceled is no error, a request whose client goes away while it waits
// for the database is none, and one that the database refuses still is.
func TestCanceledIsNoError(t *testing.T) {
	url := pgtest.Start(t)
	watch := open(t, url)
	exec(t, watch, "CREATE TABLE orders (id int PRIMARY KEY)")
	exec(t, watch, "INSERT INTO orders VALUES (7)")
	for _, tt := range []struct {
		name string
		// run fails in a request, which leave cancels.
		run    func(ctx context.Context, db *sql.DB, leave func()) error
		failed bool // it is an error all the same
	}{
		{"a query", func(ctx context.Context, db *sql.DB, leave func()) error {
			go leaveWhenAsleep(watch, leave)
			_, err := db.ExecContext(ctx, "SELECT pg_sleep(60)")
			return err
		}, false},
		{"a transaction", func(ctx context.Context, db *sql.DB, leave func()) error {
			tx, err := db.BeginTx(ctx, nil)
			if err != nil {
				return err
			}
			leave()
			_, err = tx.ExecContext(ctx, "SELECT 1")
			return errors.Join(err, tx.Commit())
		}, false},
		{"a wait for a connection", func(ctx context.Context, db *sql.DB, leave func()) error {
			db.SetMaxOpenConns(1)
			conn, err := db.Conn(context.WithoutCancel(ctx))
			if err != nil {
				return err
			}
			leave()
			_, err = db.ExecContext(ctx, "SELECT 1")
			return errors.Join(err, conn.Close())
		}, false},
		{"a refusal", func(ctx context.Context, db *sql.DB, leave func()) error {
			_, err := db.ExecContext(ctx, "INSERT INTO orders VALUES (7)")
			leave()
			return err
		}, true},
		{"a deadline", func(ctx context.Context, db *sql.DB, _ func()) error {
			ctx, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
			defer cancel()
			_, err := db.ExecContext(ctx, "SELECT pg_sleep(60)")
			return err
		}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, ignore := range []bool{true, false} {
				db := open(t, url)
				exec(t, db, "SELECT 1")
				out := spantest.Install(t, core.Spec{Samplers: []core.SamplerEntry{
					core.UseSampler(errorsampler.Factory, "", errorsampler.Config{IgnoreCanceled: ignore}),
					core.UseSampler(ratio.Factory, "", ratio.Config{}),
				}})
				ctx, leave := context.WithCancel(t.Context())
				ctx, request := observability.StartSpan(ctx, "request")
				if err := tt.run(ctx, db, leave); err == nil {
					t.Error("nothing failed")
				} else {
					observability.RecordError(ctx, err)
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

// leaveWhenAsleep leaves once the server is at work on what does not end.
func leaveWhenAsleep(watch *sql.DB, leave func()) {
	defer leave()
	for range 10_000 {
		var asleep bool
		err := watch.QueryRowContext(context.Background(), "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event = 'PgSleep'").Scan(&asleep)
		if asleep || err != nil {
			return
		}
		time.Sleep(time.Millisecond)
	}
}
