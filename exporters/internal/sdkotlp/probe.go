package sdkotlp

import (
	"context"

	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/exporters/internal/otlpsend"
)

// Probe has the receiver take an export without spans, for riffle doctor. The SDK sends
// none such, so that it goes by riffle's own client, with the same headers and
// certificates; a proxy of the entry it does not know.
func (e *exporter) Probe(ctx context.Context) error {
	own := otlpsend.New(e.resolved, otlpsend.Options{})
	_, err := own.ExportRequest(ctx, delivery.Request{Body: e.resolved.Compression.Compress(nil)})
	if failed := own.Shutdown(ctx); err == nil {
		err = failed
	}
	return err
}
