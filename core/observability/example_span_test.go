package observability_test

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"go.opentelemetry.io/otel/attribute"

	"github.com/riffletrace/riffle/core/observability"
)

var errPayment = errors.New("card declined")

func checkout(ctx context.Context, order string) (err error) {
	ctx, span := observability.StartSpan(ctx, "checkout")
	defer span.End()
	defer func() { observability.RecordError(ctx, err) }()

	observability.SetSpanAttributes(ctx, attribute.String("order.id", order))
	observability.AddSpanEvent(ctx, "cart.priced", attribute.Int("cart.items", 3))
	return errPayment
}

func ExampleStartSpan() {
	show(func(ctx context.Context) { _ = checkout(ctx, "o-17") })
	// Output:
	// checkout (internal)
	//   order.id = o-17
	//   event cart.priced
	//     cart.items = 3
	//   event exception
	//     exception.message = card declined
	//     exception.type = *errors.errorString
	//   status Error: card declined
}

func ExampleRecordError() {
	show(func(ctx context.Context) {
		ctx, span := observability.StartSpan(ctx, "stream")
		defer span.End()
		// The client went away: that is no error of the service.
		observability.RecordError(ctx, context.Canceled, observability.CanceledIsNoError)
		observability.RecordError(ctx, nil) // does nothing
	})
	// Output:
	// stream (internal)
}

func ExampleSpanFromContext() {
	cart := []string{"book", "pen"}
	show(func(ctx context.Context) {
		ctx, span := observability.StartSpan(ctx, "price")
		defer span.End()
		if span := observability.SpanFromContext(ctx); span.IsRecording() {
			observability.SetSpanAttributes(ctx, attribute.String("cart", strings.Join(cart, ",")))
		}
	})
	// Output:
	// price (internal)
	//   cart = book,pen
}

func ExampleContextWithSpan() {
	show(func(ctx context.Context) {
		_, span := observability.StartSpan(ctx, "export")
		defer span.End()
		// The work goes on after the request, and stays in its trace.
		background := observability.ContextWithSpan(context.Background(), span)
		observability.AddSpanEvent(background, "started")
	})
	// Output:
	// export (internal)
	//   event started
}

func ExampleExtractTraceID() {
	show(func(ctx context.Context) {
		fmt.Printf("%q %q\n", observability.ExtractTraceID(ctx), observability.ExtractSpanID(ctx))
		ctx, span := observability.StartSpan(ctx, "request")
		defer span.End()
		fmt.Println(len(observability.ExtractTraceID(ctx)), len(observability.ExtractSpanID(ctx)))
	})
	// Output:
	// "" ""
	// 32 16
	// request (internal)
}

func queryUsers(ctx context.Context) (err error) {
	_, span := observability.StartDBSpan(ctx, "select", "users")
	defer func() { observability.EndDBSpan(span, err) }()
	// ... the query
	return nil
}

func ExampleStartDBSpan() {
	show(func(ctx context.Context) { _ = queryUsers(ctx) })
	// Output:
	// db.select (client)
	//   db.operation = select
	//   db.system = postgresql
	//   db.table = users
}

func ExampleStartAuthSpan() {
	show(func(ctx context.Context) {
		ctx, span := observability.StartAuthSpan(ctx, "magic_link")
		defer span.End()
		observability.SetSpanAttributes(ctx, attribute.String("user.id", "u-1"))
	})
	// Output:
	// auth.magic_link (internal)
	//   auth.operation = magic_link
	//   user.id = u-1
}

func ExampleStartStorageSpan() {
	show(func(ctx context.Context) {
		_, span := observability.StartStorageSpan(ctx, "upload", "avatars", "u-1.png")
		defer span.End()
	})
	// Output:
	// storage.upload (client)
	//   storage.bucket = avatars
	//   storage.key = u-1.png
	//   storage.operation = upload
}
