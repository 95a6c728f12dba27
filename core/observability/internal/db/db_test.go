package db

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
)

func TestParse(t *testing.T) {
	tests := []struct{ sql, operation, table string }{
		{"SELECT * FROM users WHERE id = $1", "select", "users"},
		{"select 1", "select", ""},
		{"  -- name: ListUsers :many\n/* a /* nested */ comment */ select id\nfrom\tusers", "select", "users"},
		{`SELECT * FROM "Order Items"`, "select", "Order Items"},
		{`SELECT * FROM "we""ird"`, "select", `we"ird`},
		{`SELECT * FROM Auth . "Users" u`, "select", "auth.Users"},
		{"SELECT * FROM app.auth.users", "select", "app.auth.users"},
		{"SELECT * FROM ONLY users", "select", "users"},
		{"SELECT a.x, b.y FROM a JOIN b ON a.id = b.id", "select", "a"},
		{"SELECT EXTRACT(year FROM created_at) FROM events", "select", "events"},
		{"SELECT a IS DISTINCT FROM b FROM pairs", "select", "pairs"},
		{"SELECT DISTINCT name FROM users", "select", "users"},
		{"SELECT (SELECT count(*) FROM posts p WHERE p.u = u.id) FROM users u", "select", "users"},
		{"SELECT * FROM (SELECT * FROM orders) o", "select", "orders"},
		{"SELECT * FROM ((SELECT id FROM a) UNION (SELECT id FROM b)) x", "select", "a"},
		{"SELECT * FROM (a JOIN b USING (id))", "select", "a"},
		{"(SELECT id FROM a) UNION ALL (SELECT id FROM b)", "select", "a"},
		{"SELECT * FROM generate_series(1, 10)", "select", ""},
		{"SELECT ' FROM secrets', $$ from secrets $$, E'\\' from secrets' FROM users", "select", "users"},
		{"SELECT $tag$ from a $x$ from b $tag$ FROM c", "select", "c"},
		{"INSERT INTO users (id) VALUES (1)", "insert", "users"},
		{"INSERT INTO users(id) VALUES (1)", "insert", "users"},
		{`insert into "auth"."users" select * from old_users`, "insert", "auth.users"},
		{"UPDATE ONLY users SET name = 'x'", "update", "users"},
		{"UPDATE users SET name = s.name FROM staging s", "update", "users"},
		{"DELETE FROM sessions USING users", "delete", "sessions"},
		{"MERGE INTO stock USING deliveries ON true WHEN MATCHED THEN DELETE", "merge", "stock"},
		{"WITH x AS (SELECT * FROM users) SELECT * FROM x", "select", "users"},
		{"WITH x AS (SELECT * FROM users), y AS NOT MATERIALIZED (SELECT * FROM x) SELECT * FROM y", "select", "users"},
		{"WITH RECURSIVE t(n) AS (VALUES (1) UNION ALL SELECT n+1 FROM t WHERE n < 9) SELECT sum(n) FROM t", "select", ""},
		{"WITH RECURSIVE tree AS (SELECT * FROM nodes UNION ALL SELECT n.* FROM nodes n JOIN tree ON true) SEARCH DEPTH FIRST BY id SET o SELECT * FROM tree", "select", "nodes"},
		{"WITH next AS (SELECT id FROM jobs FOR UPDATE SKIP LOCKED LIMIT 1) UPDATE jobs SET s = 1 FROM next WHERE jobs.id = next.id", "update", "jobs"},
		{"WITH gone AS (DELETE FROM queue RETURNING *) INSERT INTO archive SELECT * FROM gone", "insert", "archive"},
		{"WITH gone AS (DELETE FROM queue RETURNING *) SELECT * FROM gone", "select", "queue"},
		{"WITH users AS (SELECT 1) SELECT * FROM auth.users", "select", "auth.users"},
		{"COPY users (id, name) FROM STDIN", "copy", "users"},
		{"COPY (SELECT * FROM users) TO STDOUT", "copy", "users"},
		{"TRUNCATE TABLE ONLY users", "truncate", "users"},
		{"TABLE users", "select", "users"},
		{"CREATE TEMP TABLE IF NOT EXISTS t (id int)", "create", "t"},
		{"CREATE UNIQUE INDEX CONCURRENTLY i ON users (email)", "create", "users"},
		{"CREATE OR REPLACE VIEW v AS SELECT 1", "create", "v"},
		{"ALTER TABLE IF EXISTS ONLY users ADD x int", "alter", "users"},
		{"DROP TABLE IF EXISTS users", "drop", "users"},
		{"REFRESH MATERIALIZED VIEW CONCURRENTLY totals", "refresh", "totals"},
		{"EXPLAIN (ANALYZE, BUFFERS) SELECT * FROM users", "explain", "users"},
		{"EXPLAIN ANALYZE VERBOSE DELETE FROM users", "explain", "users"},
		{"VACUUM (FULL) users", "vacuum", "users"},
		{"LOCK TABLE users IN SHARE MODE", "lock", "users"},
		{"PREPARE p (int) AS SELECT * FROM users", "prepare", "users"},
		{"DECLARE c CURSOR FOR SELECT * FROM users", "declare", "users"},
		{"begin", "begin", ""},
		{"ROLLBACK TO SAVEPOINT s", "rollback", ""},
		{"SET search_path = app", "set", ""},
		{"VALUES (1), (2)", "values", ""},
		{"select 1; delete from users", "select", ""},
		{"", "query", ""},
		{";", "query", ""},
		{"'", "query", ""},
		{"WITH", "query", ""},
		{"SELECT * FROM " + strings.Repeat("(SELECT * FROM ", 1000) + "x", "select", ""},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(Statement{tt.operation, tt.table}, Parse(tt.sql)); diff != "" {
			t.Errorf("%.80s (-want +got):\n%s", tt.sql, diff)
		}
	}
}

func TestQueryText(t *testing.T) {
	tests := []struct{ sql, want string }{
		{"SELECT * FROM users WHERE id = $1", "SELECT * FROM users WHERE id = $1"},
		{"select  'it''s', E'it\\'s', U&'x', b'01', X'ff', N'a', 12, 1.5e-3, .5, 0xff, 1_000", "select ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?"},
		{"select -- secret\n 1 /* token=abc */ ", "select ?"},
		{`select "Name", U&"x" from t where a=-5`, `select "Name", U&"x" from t where a=-?`},
		{"select $$secret$$, $a$ $$ $a$, $1::int", "select ?, ?, $1::int"},
		{"select 'not closed", "select ?"},
		{"select col1, t2.x from t2", "select col1, t2.x from t2"},
		{"a in (1,2, 3)", "a in (?,?, ?)"},
		{"select 'é', \"ü\" from naïve", "select ?, \"ü\" from naïve"},
	}
	for _, tt := range tests {
		if got := QueryText(tt.sql); got != tt.want {
			t.Errorf("%s\n got %s\nwant %s", tt.sql, got, tt.want)
		}
	}
	if got := QueryText("select " + strings.Repeat("x, ", 10_000)); len(got) > maxText+3 || !strings.HasSuffix(got, "...") {
		t.Errorf("a long text has %d bytes and ends with %q", len(got), got[len(got)-8:])
	}
}

func FuzzSQL(f *testing.F) {
	for _, s := range []string{"select 'a', $$b$$, 1 from \"t\"", "with a as (select 1) select * from a", "select e'\\", "$a$", "/*", "u&\"", "1e+"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, sql string) {
		Parse(sql)
		text := QueryText(sql)
		l := lexer{sql: text}
		for tok := l.next(); tok.kind != end; tok = l.next() {
			if tok.kind == literal {
				t.Fatalf("%q has the literal %q", text, l.text(tok))
			}
		}
		if again := QueryText(text); again != text && len(text) < maxText {
			t.Fatalf("%q becomes %q", text, again)
		}
	})
}

func TestOptIn(t *testing.T) {
	for value, want := range map[string]Names{
		"":                      {Old: true},
		"http":                  {Old: true},
		"database":              {Stable: true},
		"http, database":        {Stable: true},
		"database/dup":          {Old: true, Stable: true},
		"database/dup,http":     {Old: true, Stable: true},
		"database,http/dup":     {Stable: true},
		"database/dup,database": {Old: true, Stable: true},
	} {
		if got := OptIn(value); got != want {
			t.Errorf("OptIn(%q) = %+v, want %+v", value, got, want)
		}
	}
	want := []attribute.KeyValue{
		attribute.String("db.system", "postgresql"), attribute.String("db.operation", "select"), attribute.String("db.table", "users"),
		attribute.String("db.system.name", "postgresql"), attribute.String("db.operation.name", "select"), attribute.String("db.collection.name", "users"),
	}
	got := Names{Old: true, Stable: true}.Append(nil, "select", "users")
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b attribute.KeyValue) bool { return a == b })); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

type stateError struct{ state, message string }

func (e stateError) Error() string    { return e.message }
func (e stateError) SQLState() string { return e.state }

func TestMessage(t *testing.T) {
	tests := []struct {
		err  error
		want string
	}{
		{stateError{"22P02", `invalid input syntax for type integer: "secret" (SQLSTATE 22P02)`}, `invalid input syntax for type integer: "?" (SQLSTATE 22P02)`},
		{fmt.Errorf("query: %w", stateError{"22P02", `for "a "secret" b" (SQLSTATE 22P02)`}), `query: for "?" (SQLSTATE 22P02)`},
		{stateError{"22P02", `unclosed "secret`}, `unclosed "?"`},
		{stateError{"42P01", `relation "users" does not exist`}, `relation "users" does not exist`},
		{errors.New(`say "hello"`), `say "hello"`},
	}
	for _, tt := range tests {
		if got := Message(tt.err); got != tt.want {
			t.Errorf("got %s\nwant %s", got, tt.want)
		}
	}
}
