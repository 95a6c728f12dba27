package sqltrace_test

import (
	"database/sql"

	_ "github.com/jackc/pgx/v5/stdlib"

	"github.com/riffletrace/riffle/core/observability/sqltrace"
)

func openDB(url string, opts ...sqltrace.Option) (*sql.DB, error) {
	return sqltrace.Open("pgx", url, opts...)
}
