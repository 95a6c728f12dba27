package pgxtrace_test

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/riffletrace/riffle/core/observability/pgxtrace"
)

func openPool(ctx context.Context, url string, opts ...pgxtrace.Option) (*pgxpool.Pool, error) {
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	cfg.ConnConfig.Tracer = pgxtrace.New(opts...)
	return pgxpool.NewWithConfig(ctx, cfg)
}

func commented(ctx context.Context, pool *pgxpool.Pool, sql string, args ...any) (pgx.Rows, error) {
	return pool.Query(ctx, sql, append([]any{pgx.QueryExecModeExec, pgxtrace.Comment}, args...)...)
}
