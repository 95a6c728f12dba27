package shop

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/jackc/pgx/v5/pgxpool"
)

// rows is how many each table has.
const rows = 1000

// The statements of a request.
const (
	Customers = "SELECT name FROM riffle_bench.customers WHERE id = $1 AND active"
	Products  = "SELECT name FROM riffle_bench.products WHERE id = $1 AND active"
)

// Store answers the statements.
type Store interface {
	Name(ctx context.Context, statement string, id int) (string, error)
	Close()
}

// Prepare makes the tables in a PostgreSQL database, in a schema of their own,
// and returns the server's version.
func Prepare(ctx context.Context, url string) (version string, err error) {
	pool, err := pgxpool.New(ctx, url)
	if err != nil {
		return "", err
	}
	defer pool.Close()
	if _, err := pool.Exec(ctx, fmt.Sprintf(`
		DROP SCHEMA IF EXISTS riffle_bench CASCADE;
		CREATE SCHEMA riffle_bench;
		CREATE TABLE riffle_bench.customers (id int PRIMARY KEY, name text NOT NULL, active bool NOT NULL);
		CREATE TABLE riffle_bench.products (id int PRIMARY KEY, name text NOT NULL, active bool NOT NULL);
		INSERT INTO riffle_bench.customers SELECT n, 'customer ' || n, true FROM generate_series(1, %d) n;
		INSERT INTO riffle_bench.products SELECT n, 'product ' || n, true FROM generate_series(1, %[1]d) n;
		ANALYZE riffle_bench.customers;
		ANALYZE riffle_bench.products`, rows)); err != nil {
		return "", err
	}
	err = pool.QueryRow(ctx, "SHOW server_version").Scan(&version)
	return version, err
}

// Remove removes what Prepare has made.
func Remove(ctx context.Context, url string) error {
	pool, err := pgxpool.New(ctx, url)
	if err != nil {
		return err
	}
	defer pool.Close()
	_, err = pool.Exec(ctx, "DROP SCHEMA IF EXISTS riffle_bench CASCADE")
	return err
}

// OpenPostgres connects to a prepared database.
func OpenPostgres(ctx context.Context, url string) (Store, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	config.MaxConns, config.MinConns = 16, 4
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, err
	}
	return postgres{pool}, nil
}

type postgres struct{ *pgxpool.Pool }

func (p postgres) Name(ctx context.Context, statement string, id int) (name string, err error) {
	err = p.QueryRow(ctx, statement, id).Scan(&name)
	return name, err
}

// Embedded is a store in memory, for machines without a server.
func Embedded() Store {
	e := &embedded{tables: map[string][]string{}}
	for i := range rows {
		e.tables[Customers] = append(e.tables[Customers], fmt.Sprintf("customer %d", i+1))
		e.tables[Products] = append(e.tables[Products], fmt.Sprintf("product %d", i+1))
	}
	return e
}

type embedded struct {
	mu     sync.RWMutex
	tables map[string][]string
}

func (e *embedded) Name(_ context.Context, statement string, id int) (string, error) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	if table := e.tables[statement]; id >= 1 && id <= len(table) {
		return table[id-1], nil
	}
	return "", errors.New("no rows in result set")
}

func (*embedded) Close() {}
