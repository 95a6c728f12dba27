package findings

import (
	"strings"
	"testing"
)

func TestStatementShape(t *testing.T) {
	for _, tt := range []struct{ system, in, want string }{
		{"", "select  *\n from\tOrders where ID=17", "SELECT * FROM Orders WHERE ID = ?"},
		{"", "SELECT a.b, \"Odd Name\".`c` FROM t", "SELECT a.b, \"Odd Name\".`c` FROM t"},
		{"", "SELECT 1, -2, 3.5e-7, 0xFF, 'it''s', .5", "SELECT ?"},
		{"", "SELECT a-1, a - 1 FROM t", "SELECT a - ?, a - ? FROM t"},
		{"", "SELECT a FROM t WHERE b = -1 AND c>=2", "SELECT a FROM t WHERE b = ? AND c >= ?"},
		{"", "SELECT a FROM t WHERE b IN (1, 2,3)", "SELECT a FROM t WHERE b IN (?)"},
		{"", "SELECT a FROM t WHERE b in ($1,$2)", "SELECT a FROM t WHERE b IN (?)"},
		{"", "SELECT a FROM t WHERE b = :name AND c = @p1 AND d = ? AND e = %s AND f = %(x)s", "SELECT a FROM t WHERE b = ? AND c = ? AND d = ? AND e = ? AND f = ?"},
		{"", "INSERT INTO t (a, b) VALUES (1, 'x'), (2, 'y'), (3, 'z') RETURNING id", "INSERT INTO t(a, b) VALUES (?) RETURNING id"},
		{"", "insert into t values (1, now(), 'x'), (2, now(), DEFAULT) ON CONFLICT DO NOTHING", "INSERT INTO t VALUES (?, now(), ?) ON CONFLICT DO NOTHING"},
		{"", "/* trace=1 */ SELECT 1 -- why\n FROM t /* more */;", "SELECT ? FROM t"},
		{"", "SELECT $1::int, $$a ' b$$, $x$ $1 $x$", "SELECT ?::int, ?"},
		{"", "SELECT a FROM t WHERE b IS NOT NULL AND c IS NULL AND d = NULL AND e = true", "SELECT a FROM t WHERE b IS NOT NULL AND c IS NULL AND d = ? AND e = ?"},
		{"", "SELECT E'a\\'b', N'x', x'ff'", "SELECT ?"},
		{"", "SELECT a1 FROM t_2 WHERE größe = 1", "SELECT a1 FROM t_2 WHERE größe = ?"},
		{"", "SELECT 'never ends", "SELECT ?"},
		{"", "SELECT /* never ends", "SELECT"},
		{"mysql", `SELECT "a\"b" FROM t # why`, "SELECT ? FROM t"},
		{"mssql", "SELECT [odd name] FROM [t]", "SELECT [odd name] FROM [t]"},
		{"redis", "GET user:17", "GET user ?"},
		{"redis", "get session:af31bc22-99aa-4bcd-b1c2-d3e4f5a6b7c8", "GET session ?"},
		{"redis", "HSET af31bc22-99aa-4bcd-b1c2-d3e4f5a6b7c8 name x", "HSET ?"},
		{"valkey", "GET config", "GET config"},
		{"redis", "MGET ? ?", "MGET ?"},
		{"memcached", " get  \"cart-9\" ", "GET cart ?"},
		{"redis", "PING", "PING"},
		{"mongodb", `{"find": "users", "filter": {"_id": "a\"b", "n": 5, "in": [1, 2, 3]}}`, `{"find" : ?, "filter" : {"_id" : ?, "n" : ?, "in" : [?]}}`},
		{"", "", ""},
	} {
		if got := statementShape(tt.in, tt.system); got != tt.want {
			t.Errorf("%s %q\n got %q\nwant %q", tt.system, tt.in, got, tt.want)
		}
	}
}

// A statement costs what its first part does, and its shape fits on a page.
func TestLongStatements(t *testing.T) {
	for _, unit := range []string{"1,", "a ", "(", "'", "--", "/*", "$x", "$", "(1),", "values(", "\"", "{\"a\":", "ä", "é'", "::", "-1 "} {
		got := statementShape(strings.Repeat(unit, 1<<20), "")
		if len(got) > maxShape {
			t.Errorf("of %q the shape has %d bytes", unit, len(got))
		}
	}
	list := func(n int) string {
		return "SELECT a FROM t WHERE b IN (" + strings.Repeat("17, ", n) + "18) AND c = 1"
	}
	if a, b := statementShape(list(1), ""), statementShape(list(10_000), ""); a != b {
		t.Errorf("%s, and of a long list %s", a, b)
	}
}

func FuzzStatementShape(f *testing.F) {
	for _, s := range []string{"SELECT a, -1 FROM t WHERE b IN (1, 'x') -- c", "INSERT INTO t VALUES (1), (2)", `{"find": "x", "n": [1]}`, "$$ $1::x @@y :z %(a)s /* */ E'\\'' [a] \"b\" `c` #"} {
		f.Add(s, "")
		f.Add(s, "mysql")
		f.Add(s, "mssql")
		f.Add(s, "redis")
	}
	f.Fuzz(func(t *testing.T, text, system string) {
		shape := statementShape(text, system)
		if len(shape) > maxShape {
			t.Errorf("%d bytes", len(shape))
		}
		if len(shape) > 8*len(text)+8 {
			t.Errorf("%q is of %d bytes", shape, len(text))
		}
		if again := statementShape(" \n"+text, system); again != shape {
			t.Errorf("behind white space it is %q, not %q", again, shape)
		}
		verbOf(shape)
		changes(shape)
	})
}
