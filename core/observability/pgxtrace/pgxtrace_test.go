package pgxtrace_test

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.uber.org/goleak"

	"github.com/riffletrace/riffle/core/observability/internal/functiontest"
	"github.com/riffletrace/riffle/core/observability/internal/spantest"
	"github.com/riffletrace/riffle/core/observability/pgxtrace"
	"github.com/riffletrace/riffle/internal/pgtest"
)

func TestMain(m *testing.M) {
	if callback := os.Getenv(functiontest.Callback); callback != "" {
		os.Exit(functiontest.Play(callback))
	}
	goleak.VerifyTestMain(m)
}

func newPool(t *testing.T, url string, opts ...pgxtrace.Option) *pgxpool.Pool {
	t.Helper()
	pool, err := openPool(t.Context(), url, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

func execute(t *testing.T, pool *pgxpool.Pool, sql string, args ...any) {
	t.Helper()
	if _, err := pool.Exec(t.Context(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// want checks the attributes of a span, but for where the server is.
func want(t *testing.T, span tracetest.SpanStub, attrs map[string]string) {
	t.Helper()
	got := spantest.Attributes(span)
	for _, key := range []string{"server.address", "server.port", "db.name"} {
		if got[key] == "" {
			t.Errorf("%s has no %s", span.Name, key)
		}
		delete(got, key)
	}
	attrs["db.system"] = "postgresql"
	if diff := cmp.Diff(attrs, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", span.Name, diff)
	}
}

func TestPostgres(t *testing.T) {
	url := pgtest.Start(t)
	pool := newPool(t, url)
	execute(t, pool, "CREATE TABLE users (id int PRIMARY KEY, name text)")

	t.Run("success", func(t *testing.T) {
		spans := spantest.Record(t)
		execute(t, pool, "INSERT INTO users VALUES (1, 'secret'), ($1, $2)", 2, "parameter")
		want(t, spans.One("db.insert"), map[string]string{
			"db.operation": "insert", "db.table": "users", "db.response.affected_rows": "2",
			"db.query.text": "INSERT INTO users VALUES (?, ?), ($1, $2)",
		})
		var name string
		if err := pool.QueryRow(t.Context(), "SELECT name FROM users WHERE id = $1", 2).Scan(&name); err != nil || name != "parameter" {
			t.Fatal(name, err)
		}
		want(t, spans.One("db.select"), map[string]string{
			"db.operation": "select", "db.table": "users", "db.response.returned_rows": "1",
			"db.query.text": "SELECT name FROM users WHERE id = $1",
		})
		// The statement cache prepares below the query.
		var parents []string
		for _, s := range spans.GetSpans() {
			if s.Name == "db.prepare" {
				parents = append(parents, s.Parent.SpanID().String())
			}
		}
		if diff := cmp.Diff([]string{spans.One("db.insert").SpanContext.SpanID().String(), spans.One("db.select").SpanContext.SpanID().String()}, parents); diff != "" {
			t.Errorf("parents of db.prepare (-want +got):\n%s", diff)
		}
	})

	t.Run("no rows", func(t *testing.T) {
		spans := spantest.Record(t)
		var name string
		if err := pool.QueryRow(t.Context(), "SELECT name FROM users WHERE id = 99").Scan(&name); !errors.Is(err, pgx.ErrNoRows) {
			t.Fatal(err)
		}
		if s := spans.One("db.select"); s.Status.Code != codes.Unset {
			t.Errorf("status %v", s.Status)
		}
	})

	t.Run("acquire and connect below a request only", func(t *testing.T) {
		spans := spantest.Record(t)
		fresh := newPool(t, url)
		execute(t, fresh, "SELECT 1")
		for _, name := range spans.Names() {
			if name == "db.acquire" || name == "db.connect" {
				t.Errorf("%s is a trace of its own", name)
			}
		}
		fresh.Reset()
		ctx, request := otel.Tracer("test").Start(t.Context(), "request")
		if _, err := fresh.Exec(ctx, "SELECT 1"); err != nil {
			t.Fatal(err)
		}
		request.End()
		acquire := spans.One("db.acquire")
		want(t, acquire, map[string]string{"db.operation": "acquire"})
		if acquire.Parent.SpanID() != request.SpanContext().SpanID() {
			t.Error("db.acquire is not below the request")
		}
		want(t, spans.One("db.connect"), map[string]string{"db.operation": "connect"})
	})

	t.Run("SQL error", func(t *testing.T) {
		spans := spantest.Record(t)
		if _, err := pool.Exec(t.Context(), "SELECT 'secret'::int", pgx.QueryExecModeExec); err == nil {
			t.Fatal("no error")
		}
		s := spans.One("db.select")
		want(t, s, map[string]string{
			"db.operation": "select", "db.query.text": "SELECT ?::int",
			"db.response.status_code": "22P02", "error.type": "22P02",
		})
		if s.Status.Code != codes.Error || strings.Contains(s.Status.Description, "secret") || !strings.Contains(s.Status.Description, "invalid input syntax") {
			t.Errorf("status %+v", s.Status)
		}
		if e := spantest.Events(s)["exception"]; e["exception.type"] != "*pgconn.PgError" || strings.Contains(e["exception.message"], "secret") {
			t.Errorf("exception %v", e)
		}
	})

	t.Run("cancel", func(t *testing.T) {
		spans := spantest.Record(t)
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if _, err := pool.Exec(ctx, "SELECT pg_sleep(60)"); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		if s := spans.One("db.select"); s.Status.Code != codes.Error {
			t.Errorf("status %v", s.Status)
		}
	})

	t.Run("deadlock", func(t *testing.T) {
		execute(t, pool, "CREATE TABLE locks (id int PRIMARY KEY); INSERT INTO locks VALUES (1), (2)", pgx.QueryExecModeSimpleProtocol)
		spans := spantest.Record(t)
		failed := make(chan error, 2)
		locked := make(chan struct{}, 2)
		both := make(chan struct{})
		for _, order := range [][2]int{{1, 2}, {2, 1}} {
			go func() {
				failed <- pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
					_, err := tx.Exec(t.Context(), "UPDATE locks SET id = id WHERE id = $1", order[0])
					locked <- struct{}{}
					<-both
					if err != nil {
						return err
					}
					_, err = tx.Exec(t.Context(), "UPDATE locks SET id = id WHERE id = $1", order[1])
					return err
				})
			}()
		}
		<-locked
		<-locked
		close(both)
		if err1, err2 := <-failed, <-failed; (err1 == nil) == (err2 == nil) {
			t.Fatal(err1, err2)
		}
		var states []string
		for _, s := range spans.GetSpans() {
			if state := spantest.Attributes(s)["db.response.status_code"]; state != "" {
				states = append(states, state)
			}
		}
		if diff := cmp.Diff([]string{"40P01"}, states); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})

	t.Run("transaction", func(t *testing.T) {
		spans := spantest.Record(t)
		err := pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
			_, err := tx.Exec(t.Context(), "DELETE FROM users WHERE id = 2")
			return errors.Join(err, errors.New("undo"))
		})
		if err == nil {
			t.Fatal("no error")
		}
		var got []string
		for _, n := range spans.Names() {
			if n != "db.prepare" {
				got = append(got, n)
			}
		}
		if diff := cmp.Diff([]string{"db.begin", "db.delete", "db.rollback"}, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})

	t.Run("batch", func(t *testing.T) {
		spans := spantest.Record(t)
		batch := &pgx.Batch{}
		batch.Queue("INSERT INTO users VALUES (10, 'batch')")
		batch.Queue("SELECT name FROM users WHERE id = $1", 10)
		batch.Queue("SELECT * FROM nowhere")
		ctx, request := otel.Tracer("test").Start(t.Context(), "request")
		err := pool.SendBatch(ctx, batch).Close()
		request.End()
		if err == nil {
			t.Fatal("no error")
		}
		s := spans.One("db.batch")
		if got := spantest.Attributes(s)["db.operation.batch.size"]; got != "3" || s.Status.Code != codes.Error {
			t.Errorf("batch size %q, status %v", got, s.Status)
		}
	})

	t.Run("batch queries", func(t *testing.T) {
		spans := spantest.Record(t)
		batch := &pgx.Batch{}
		batch.Queue("INSERT INTO users VALUES (20, 'batch')")
		batch.Queue("SELECT name FROM users WHERE id = $1", 20)
		if err := pool.SendBatch(t.Context(), batch).Close(); err != nil {
			t.Fatal(err)
		}
		whole := spans.One("db.batch")
		for _, name := range []string{"db.insert", "db.select"} {
			s := spans.One(name)
			if s.Parent.SpanID() != whole.SpanContext.SpanID() {
				t.Errorf("%s is not below the batch", name)
			}
			if got := spantest.Attributes(s)["db.table"]; got != "users" {
				t.Errorf("%s has the table %q", name, got)
			}
		}
	})

	t.Run("copy", func(t *testing.T) {
		spans := spantest.Record(t)
		n, err := pool.CopyFrom(t.Context(), pgx.Identifier{"public", "users"}, []string{"id", "name"}, pgx.CopyFromRows([][]any{{30, "a"}, {31, "b"}}))
		if err != nil || n != 2 {
			t.Fatal(n, err)
		}
		want(t, spans.One("db.copy"), map[string]string{"db.operation": "copy", "db.table": "public.users", "db.response.affected_rows": "2"})
		if _, err := pool.CopyFrom(t.Context(), pgx.Identifier{"users"}, []string{"id"}, pgx.CopyFromRows([][]any{{30}})); err == nil {
			t.Error("a duplicate is no error")
		}
		if last := spans.GetSpans()[len(spans.GetSpans())-1]; last.Name != "db.copy" || spantest.Attributes(last)["db.response.status_code"] != "23505" {
			t.Errorf("%s: %v", last.Name, last.Attributes)
		}
	})

	t.Run("connection lost", func(t *testing.T) {
		spans := spantest.Record(t)
		err := pool.AcquireFunc(t.Context(), func(c *pgxpool.Conn) error {
			execute(t, pool, "SELECT pg_terminate_backend($1)", c.Conn().PgConn().PID())
			spans.Reset()
			_, err := c.Exec(t.Context(), "UPDATE users SET name = 'x'", pgx.QueryExecModeExec)
			return err
		})
		if err == nil {
			t.Fatal("no error")
		}
		if s := spans.One("db.update"); s.Status.Code != codes.Error || len(s.Events) != 1 {
			t.Errorf("status %v, events %v", s.Status, s.Events)
		}
	})

	t.Run("no server", func(t *testing.T) {
		spans := spantest.Record(t)
		ctx, request := otel.Tracer("test").Start(t.Context(), "request")
		gone := newPool(t, "postgres://riffle@127.0.0.1:1/postgres")
		if err := gone.Ping(ctx); err == nil {
			t.Fatal("no error")
		}
		request.End()
		for _, name := range []string{"db.connect", "db.acquire"} {
			if s := spans.One(name); s.Status.Code != codes.Error {
				t.Errorf("%s: status %v", name, s.Status)
			}
		}
	})

	t.Run("parameters and comment", func(t *testing.T) {
		spans := spantest.Record(t)
		asked := newPool(t, url, pgxtrace.WithParameters())
		var activity string
		const self = "SELECT query FROM pg_stat_activity WHERE pid = pg_backend_pid() AND $1 = 7"
		rows, err := commented(t.Context(), asked, self, 7)
		if err != nil {
			t.Fatal(err)
		}
		if activity, err = pgx.CollectExactlyOneRow(rows, pgx.RowTo[string]); err != nil {
			t.Fatal(err)
		}
		s := spans.One("db.select")
		sc := s.SpanContext
		if want := self + " /*traceparent='00-" + sc.TraceID().String() + "-" + sc.SpanID().String() + "-01'*/"; activity != want {
			t.Errorf("PostgreSQL runs %q, want %q", activity, want)
		}
		want(t, s, map[string]string{
			"db.operation": "select", "db.table": "pg_stat_activity", "db.response.returned_rows": "1", "db.query.parameter.1": "7",
			"db.query.text": "SELECT query FROM pg_stat_activity WHERE pid = pg_backend_pid() AND $1 = ?",
		})
	})
}

// The helpers know that there are no rows by the error of database/sql.
func TestNoRows(t *testing.T) {
	if !errors.Is(pgx.ErrNoRows, sql.ErrNoRows) {
		t.Error("pgx.ErrNoRows is no sql.ErrNoRows")
	}
}
