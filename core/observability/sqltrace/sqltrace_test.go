package sqltrace_test

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/codes"
	"go.uber.org/goleak"

	"github.com/riffletrace/riffle/core/observability/internal/spantest"
	"github.com/riffletrace/riffle/core/observability/sqltrace"
	"github.com/riffletrace/riffle/internal/pgtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, url string) *sql.DB {
	t.Helper()
	db, err := openDB(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func exec(t *testing.T, db *sql.DB, query string, args ...any) {
	t.Helper()
	if _, err := db.ExecContext(t.Context(), query, args...); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

func TestPostgres(t *testing.T) {
	url := pgtest.Start(t)
	db := open(t, url)
	exec(t, db, "CREATE TABLE users (id int PRIMARY KEY, name text)")

	t.Run("success", func(t *testing.T) {
		spans := spantest.Record(t)
		ctx, request := otel.Tracer("test").Start(t.Context(), "request")
		if _, err := db.ExecContext(ctx, "INSERT INTO users VALUES (1, 'secret'), ($1, $2)", 2, "parameter"); err != nil {
			t.Fatal(err)
		}
		request.End()
		s := spans.One("db.insert")
		if s.Parent.SpanID() != request.SpanContext().SpanID() {
			t.Error("the statement is not below the request")
		}
		want := map[string]string{
			"db.system": "postgresql", "db.operation": "insert", "db.table": "users",
			"db.query.text": "INSERT INTO users VALUES (?, ?), ($1, $2)",
		}
		if diff := cmp.Diff(want, spantest.Attributes(s)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})

	t.Run("no rows", func(t *testing.T) {
		spans := spantest.Record(t)
		var name string
		if err := db.QueryRowContext(t.Context(), "SELECT name FROM users WHERE id = 99").Scan(&name); !errors.Is(err, sql.ErrNoRows) {
			t.Fatal(err)
		}
		if s := spans.One("db.select"); s.Status.Code != codes.Unset {
			t.Errorf("status %v", s.Status)
		}
		if names := spans.Names(); len(names) != 1 { // none of the rows, or of the session
			t.Errorf("spans %q", names)
		}
	})

	t.Run("connect below a request only", func(t *testing.T) {
		spans := spantest.Record(t)
		exec(t, open(t, url), "SELECT 1")
		if diff := cmp.Diff([]string{"db.select"}, spans.Names()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		ctx, request := otel.Tracer("test").Start(t.Context(), "request")
		if err := open(t, url).PingContext(ctx); err != nil {
			t.Fatal(err)
		}
		request.End()
		if s := spans.One("db.connect"); s.Parent.SpanID() != request.SpanContext().SpanID() {
			t.Error("db.connect is not below the request")
		}
	})

	t.Run("SQL error", func(t *testing.T) {
		spans := spantest.Record(t)
		if _, err := db.ExecContext(t.Context(), "SELECT 'secret'::int", pgx.QueryExecModeExec); err == nil {
			t.Fatal("no error")
		}
		s := spans.One("db.select")
		if s.Status.Code != codes.Error || strings.Contains(s.Status.Description, "secret") || !strings.Contains(s.Status.Description, "invalid input syntax") {
			t.Errorf("status %+v", s.Status)
		}
		if len(s.Events) != 1 {
			t.Errorf("events %v", s.Events)
		}
		if got := spantest.Attributes(s)["db.response.status_code"]; got != "22P02" {
			t.Errorf("SQLSTATE %q", got)
		}
	})

	t.Run("cancel", func(t *testing.T) {
		spans := spantest.Record(t)
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if _, err := db.ExecContext(ctx, "SELECT pg_sleep(60)"); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		if s := spans.One("db.select"); s.Status.Code != codes.Error {
			t.Errorf("status %v", s.Status)
		}
	})

	t.Run("transaction", func(t *testing.T) {
		spans := spantest.Record(t)
		for _, commit := range []bool{true, false} {
			tx, err := db.BeginTx(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			stmt, err := tx.PrepareContext(t.Context(), "UPDATE users SET name = $1")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := stmt.ExecContext(t.Context(), "x"); err != nil {
				t.Fatal(err)
			}
			end := tx.Rollback
			if commit {
				end = tx.Commit
			}
			if err := errors.Join(stmt.Close(), end()); err != nil {
				t.Fatal(err)
			}
		}
		want := []string{"db.begin", "db.prepare", "db.update", "db.commit", "db.begin", "db.prepare", "db.update", "db.rollback"}
		if diff := cmp.Diff(want, spans.Names()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		for _, s := range spans.GetSpans() {
			got := spantest.Attributes(s)
			if "db."+got["db.operation"] != s.Name {
				t.Errorf("%s has the operation %q", s.Name, got["db.operation"])
			}
			if table := got["db.table"]; (s.Name == "db.prepare" || s.Name == "db.update") != (table == "users") {
				t.Errorf("%s has the table %q", s.Name, table)
			}
		}
	})

	t.Run("connection lost", func(t *testing.T) {
		spans := spantest.Record(t)
		conn, err := db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		var pid int
		if err := conn.QueryRowContext(t.Context(), "SELECT pg_backend_pid()").Scan(&pid); err != nil {
			t.Fatal(err)
		}
		exec(t, db, "SELECT pg_terminate_backend($1)", pid)
		spans.Reset()
		if _, err := conn.ExecContext(t.Context(), "UPDATE users SET name = 'x'", pgx.QueryExecModeExec); err == nil {
			t.Fatal("no error")
		}
		if s := spans.One("db.update"); s.Status.Code != codes.Error {
			t.Errorf("status %v", s.Status)
		}
	})

	t.Run("parameters and comments", func(t *testing.T) {
		spans := spantest.Record(t)
		cfg, err := pgx.ParseConfig(url)
		if err != nil {
			t.Fatal(err)
		}
		cfg.DefaultQueryExecMode = pgx.QueryExecModeExec
		asked := sqltrace.OpenDB(stdlib.GetConnector(*cfg), sqltrace.WithParameters(), sqltrace.WithComments())
		defer asked.Close()
		const self = "SELECT query FROM pg_stat_activity WHERE pid = pg_backend_pid() AND $1 = 7"
		var activity string
		if err := asked.QueryRowContext(t.Context(), self, 7).Scan(&activity); err != nil {
			t.Fatal(err)
		}
		s := spans.One("db.select")
		sc := s.SpanContext
		if want := self + " /*traceparent='00-" + sc.TraceID().String() + "-" + sc.SpanID().String() + "-01'*/"; activity != want {
			t.Errorf("PostgreSQL runs %q, want %q", activity, want)
		}
		if got := spantest.Attributes(s)["db.query.parameter.1"]; got != "7" {
			t.Errorf("parameter %q", got)
		}
	})

	t.Run("unknown driver", func(t *testing.T) {
		if _, err := sqltrace.Open("nothing", url); err == nil || !strings.Contains(err.Error(), "nothing") {
			t.Error(err)
		}
	})
}
