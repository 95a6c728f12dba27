// Package pgxtrace traces what pgx v5 does with PostgreSQL: queries, batches,
// copies, prepared statements, connections, and the wait for one in a pool.
//
//	cfg, err := pgxpool.ParseConfig(url)
//	...
//	cfg.ConnConfig.Tracer = pgxtrace.New()
//	pool, err := pgxpool.NewWithConfig(ctx, cfg)
//
// Each is a span as [observability.StartDBSpan] makes it, with the statement's
// operation and table, its text without literals (db.query.text), and where
// the server is. Parameters are not recorded unless asked for.
package pgxtrace

import (
	"context"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core/observability"
	"github.com/riffletrace/riffle/core/observability/internal/db"
)

// Option changes what a [Tracer] records.
type Option func(*Tracer)

// WithParameters records the parameters of queries as db.query.parameter.<n>.
// They hold what users typed; think of passwords.
func WithParameters() Option { return func(t *Tracer) { t.parameters = true } }

// Tracer traces connections that have it in their configuration. It is safe
// for concurrent use. pgx asks it; applications need only [New].
type Tracer struct{ parameters bool }

// New returns a tracer for [pgx.ConnConfig].Tracer.
func New(opts ...Option) *Tracer {
	t := &Tracer{}
	for _, opt := range opts {
		opt(t)
	}
	return t
}

// TraceQueryStart starts the span of Query, QueryRow or Exec.
func (t *Tracer) TraceQueryStart(ctx context.Context, conn *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	st := db.Describe(data.SQL)
	ctx, span := observability.StartDBSpan(ctx, st.Operation, st.Table)
	if span.IsRecording() {
		t.describe(span, conn, st, data.Args)
	}
	return ctx
}

// TraceQueryEnd ends it.
func (*Tracer) TraceQueryEnd(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryEndData) {
	end(trace.SpanFromContext(ctx), data.CommandTag, data.Err)
}

// TraceBatchStart starts the span db.batch.
func (*Tracer) TraceBatchStart(ctx context.Context, conn *pgx.Conn, data pgx.TraceBatchStartData) context.Context {
	ctx, span := observability.StartDBSpan(ctx, "batch", "")
	if span.IsRecording() {
		span.SetAttributes(server(conn)...)
		span.SetAttributes(attribute.Int("db.operation.batch.size", data.Batch.Len()))
	}
	return ctx
}

// TraceBatchQuery makes the span of one query of a batch, below that of the
// batch. It begins when pgx began to read the result.
func (t *Tracer) TraceBatchQuery(ctx context.Context, conn *pgx.Conn, data pgx.TraceBatchQueryData) {
	if !trace.SpanFromContext(ctx).IsRecording() {
		return
	}
	st := db.Describe(data.SQL)
	opts := []trace.SpanStartOption{
		trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(db.Chosen().Append(nil, st.Operation, st.Table)...),
	}
	if !data.ReadStartTime.IsZero() {
		opts = append(opts, trace.WithTimestamp(data.ReadStartTime))
	}
	_, span := observability.StartSpan(ctx, "db."+st.Operation, opts...)
	if span.IsRecording() {
		t.describe(span, conn, st, data.Args)
	}
	end(span, data.CommandTag, data.Err)
}

// TraceBatchEnd ends the span of a batch.
func (*Tracer) TraceBatchEnd(ctx context.Context, _ *pgx.Conn, data pgx.TraceBatchEndData) {
	observability.EndDBSpan(trace.SpanFromContext(ctx), data.Err)
}

// TraceCopyFromStart starts the span db.copy.
func (*Tracer) TraceCopyFromStart(ctx context.Context, conn *pgx.Conn, data pgx.TraceCopyFromStartData) context.Context {
	ctx, span := observability.StartDBSpan(ctx, "copy", strings.Join(data.TableName, "."))
	if span.IsRecording() {
		span.SetAttributes(server(conn)...)
	}
	return ctx
}

// TraceCopyFromEnd ends it.
func (*Tracer) TraceCopyFromEnd(ctx context.Context, _ *pgx.Conn, data pgx.TraceCopyFromEndData) {
	end(trace.SpanFromContext(ctx), data.CommandTag, data.Err)
}

// TracePrepareStart starts the span db.prepare.
func (t *Tracer) TracePrepareStart(ctx context.Context, conn *pgx.Conn, data pgx.TracePrepareStartData) context.Context {
	st := db.Describe(data.SQL)
	ctx, span := observability.StartDBSpan(ctx, "prepare", st.Table)
	if span.IsRecording() {
		t.describe(span, conn, st, nil)
	}
	return ctx
}

// TracePrepareEnd ends it.
func (*Tracer) TracePrepareEnd(ctx context.Context, _ *pgx.Conn, data pgx.TracePrepareEndData) {
	observability.EndDBSpan(trace.SpanFromContext(ctx), data.Err)
}

// TraceConnectStart starts the span db.connect, if somebody waits for the
// connection: what a pool opens ahead is no trace of its own.
func (*Tracer) TraceConnectStart(ctx context.Context, data pgx.TraceConnectStartData) context.Context {
	if !trace.SpanContextFromContext(ctx).IsValid() {
		return ctx
	}
	ctx, span := observability.StartDBSpan(ctx, "connect", "")
	if span.IsRecording() {
		span.SetAttributes(serverOf(data.ConnConfig)...)
	}
	return ctx
}

// TraceConnectEnd ends it.
func (*Tracer) TraceConnectEnd(ctx context.Context, data pgx.TraceConnectEndData) {
	if data.Conn != nil {
		data.Conn.PgConn().CustomData()[serverKey] = serverOf(data.Conn.Config())
	}
	observability.EndDBSpan(trace.SpanFromContext(ctx), data.Err)
}

// TraceAcquireStart starts the span db.acquire below another: the wait for a
// connection of the pool.
func (*Tracer) TraceAcquireStart(ctx context.Context, _ *pgxpool.Pool, _ pgxpool.TraceAcquireStartData) context.Context {
	if !trace.SpanContextFromContext(ctx).IsValid() {
		return ctx
	}
	ctx, _ = observability.StartDBSpan(ctx, "acquire", "")
	return ctx
}

// TraceAcquireEnd ends it.
func (*Tracer) TraceAcquireEnd(ctx context.Context, _ *pgxpool.Pool, data pgxpool.TraceAcquireEndData) {
	span := trace.SpanFromContext(ctx)
	if span.IsRecording() {
		span.SetAttributes(server(data.Conn)...)
	}
	observability.EndDBSpan(span, data.Err)
}

// describe says what a statement is and where it goes.
func (t *Tracer) describe(span trace.Span, conn *pgx.Conn, st db.Description, args []any) {
	span.SetAttributes(server(conn)...)
	span.SetAttributes(st.Text())
	if t.parameters {
		span.SetAttributes(parameters(args)...)
	}
}

// end ends the span of a statement, with how many rows it returned or changed.
func end(span trace.Span, tag pgconn.CommandTag, err error) {
	if err == nil && span.IsRecording() {
		key := "db.response.affected_rows"
		if tag.Select() {
			key = "db.response.returned_rows"
		}
		span.SetAttributes(attribute.Int64(key, tag.RowsAffected()))
	}
	observability.EndDBSpan(span, err)
}

// serverKey is where a connection keeps the attributes of its server: they are
// in its configuration, which cannot be read without copying all of it.
const serverKey = "riffle.server"

// server are the attributes of a connection's server.
func server(conn *pgx.Conn) []attribute.KeyValue {
	if conn == nil {
		return nil
	}
	attrs, _ := conn.PgConn().CustomData()[serverKey].([]attribute.KeyValue)
	return attrs
}

func serverOf(cfg *pgx.ConnConfig) []attribute.KeyValue {
	return db.Chosen().Server(make([]attribute.KeyValue, 0, 4), cfg.Host, int(cfg.Port), cfg.Database)
}

// parameters are the attributes of a query's arguments, without the options
// that pgx takes among them.
func parameters(args []any) []attribute.KeyValue {
	attrs := make([]attribute.KeyValue, 0, len(args))
	for _, arg := range args {
		switch arg.(type) {
		case pgx.QueryExecMode, pgx.QueryResultFormats, pgx.QueryResultFormatsByOID, comment:
		default:
			attrs = append(attrs, db.Parameter(len(attrs)+1, arg))
		}
	}
	return attrs
}

// Comment is a first argument of a query that carries the trace context to
// PostgreSQL in a comment behind the statement, as sqlcommenter does. It is
// then in pg_stat_activity and in the server's log. Each text is another
// then, so leave statements unprepared:
//
//	pool.Query(ctx, sql, pgx.QueryExecModeExec, pgxtrace.Comment, args...)
var Comment pgx.QueryRewriter = comment{}

type comment struct{}

func (comment) RewriteQuery(ctx context.Context, _ *pgx.Conn, sql string, args []any) (string, []any, error) {
	return db.Commented(ctx, sql), args, nil
}

// Interface guards.
var (
	_ pgx.QueryTracer       = (*Tracer)(nil)
	_ pgx.BatchTracer       = (*Tracer)(nil)
	_ pgx.CopyFromTracer    = (*Tracer)(nil)
	_ pgx.PrepareTracer     = (*Tracer)(nil)
	_ pgx.ConnectTracer     = (*Tracer)(nil)
	_ pgxpool.AcquireTracer = (*Tracer)(nil)
)
