// Jobs is a job queue in a table of PostgreSQL, whose jobs run in the trace of
// the request that enqueued them. Run it in the directory above, with a
// database that it may make a table in:
//
//	DATABASE_URL=postgres://localhost/postgres GOWORK=off go run ./jobs
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/riffletrace/riffle"
	"github.com/riffletrace/riffle/core/observability"
	"github.com/riffletrace/riffle/core/observability/pgxtrace"
)

func main() {
	if err := run(context.Background(), os.Getenv("DATABASE_URL")); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, url string) (err error) {
	tracing, err := riffle.Start(ctx, "fluxbase.yaml", riffle.App("fluxbase"))
	if err != nil {
		return err
	}
	defer func() {
		if err := tracing.Shutdown(ctx); err != nil { // what did not arrive is no failure of the service
			log.Print(err)
		}
	}()

	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		return err
	}
	cfg.ConnConfig.Tracer = pgxtrace.New()
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return err
	}
	defer pool.Close()

	q := &queue{pool: pool}
	if err := q.create(ctx); err != nil {
		return err
	}
	// A request enqueues a job; a worker, which may be another process, runs it.
	if err := request(ctx, q); err != nil {
		return err
	}
	return q.work(ctx, map[string]func(context.Context) error{"invoice": invoice})
}

func request(ctx context.Context, q *queue) error {
	ctx, span := observability.StartSpan(ctx, "request")
	defer span.End()
	err := q.enqueue(ctx, "invoice")
	observability.RecordError(ctx, err)
	return err
}

func invoice(ctx context.Context) error {
	observability.SetJobProgress(ctx, 50, "rendered")
	fmt.Println("an invoice, in the trace", observability.ExtractTraceID(ctx))
	return nil
}

type queue struct{ pool *pgxpool.Pool }

func (q *queue) create(ctx context.Context) error {
	_, err := q.pool.Exec(ctx, `CREATE TABLE IF NOT EXISTS riffle_example_jobs (
		id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
		name text NOT NULL,
		scheduled_at timestamptz NOT NULL DEFAULT now(),
		trace jsonb NOT NULL)`)
	return err
}

// enqueue stores the trace context beside the job.
func (q *queue) enqueue(ctx context.Context, name string) error {
	_, err := q.pool.Exec(ctx, "INSERT INTO riffle_example_jobs (name, trace) VALUES ($1, $2)", name, observability.InjectMap(ctx))
	return err
}

type job struct {
	ID          int64
	Name        string
	ScheduledAt time.Time
	Trace       map[string]string
}

// work runs jobs until there are none. A job that fails is done too; what is
// interrupted comes back with the end of the transaction.
func (q *queue) work(ctx context.Context, handlers map[string]func(context.Context) error) error {
	for {
		if err := q.take(ctx, handlers); errors.Is(err, pgx.ErrNoRows) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// take takes a job and runs it. Its queries are one trace, the job is in that
// of the request.
func (q *queue) take(ctx context.Context, handlers map[string]func(context.Context) error) error {
	ctx, span := observability.StartSpan(ctx, "take a job")
	defer span.End()
	return pgx.BeginFunc(ctx, q.pool, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `DELETE FROM riffle_example_jobs WHERE id = (
				SELECT id FROM riffle_example_jobs ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)
				RETURNING id, name, scheduled_at, trace`)
		if err != nil {
			return err
		}
		j, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[job])
		if err != nil {
			return err
		}
		j.run(ctx, handlers[j.Name])
		return nil
	})
}

// run runs a job in the trace that it was enqueued in.
func (j *job) run(ctx context.Context, handler func(context.Context) error) {
	ctx, span := observability.StartJobSpan(observability.ExtractMap(ctx, j.Trace), observability.JobSpanConfig{
		JobID:       fmt.Sprint(j.ID),
		JobName:     j.Name,
		ScheduledAt: j.ScheduledAt.Format(time.RFC3339),
		WorkerName:  "worker-1",
	})
	defer span.End()
	start := time.Now()
	err := errors.New("nobody knows how to do this job")
	if handler != nil {
		err = handler(ctx)
	}
	status := "completed"
	if err != nil {
		status = "failed"
	}
	observability.SetJobResult(ctx, status, time.Since(start), err)
}
