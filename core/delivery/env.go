package delivery

import (
	"errors"
	"fmt"
	"time"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/internal/otelenv"
)

// bytesPerSpan is what a span is taken to need where only their number is
// known: it is larger than most.
const bytesPerSpan = 1 << 10

// WithEnv returns the configuration with what the OTEL_BSP_* variables set.
// OTEL_BSP_MAX_QUEUE_SIZE is in spans; they are taken to be of 1 KiB. A value that
// cannot be used counts as not set; the warnings have the variable's name for a path.
// Source: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/#batch-span-processor
func (c Config) WithEnv(getenv func(string) string) (_ Config, warnings []*component.FieldError) {
	r := &otelenv.Reader{Getenv: getenv}
	r.Read(duration(&c.Batch.MaxAge, otelenv.Duration), "OTEL_BSP_SCHEDULE_DELAY")
	r.Read(duration(&c.Send.Timeout, otelenv.Timeout), "OTEL_BSP_EXPORT_TIMEOUT")
	queue := 0 // no bound for a batch
	r.Read(func(value string) (err error) {
		if queue, err = otelenv.Integer(value, 1); err == nil {
			c.Queue.MaxBytes = max(minQueue, component.Size(queue)*bytesPerSpan)
		}
		return err
	}, otelenv.MaxQueueSize)
	r.Read(func(value string) error {
		n, err := otelenv.Integer(value, 1)
		switch {
		case err != nil:
			return err
		case n > maxSpans:
			return fmt.Errorf("%d is more than %d", n, maxSpans)
		case queue > 0 && n > queue:
			return errors.New("it is more than " + otelenv.MaxQueueSize)
		}
		c.Batch.MaxSpans = n
		return nil
	}, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE")
	return c, r.Warnings
}

func duration(into *component.Duration, read func(string) (time.Duration, error)) func(string) error {
	return func(value string) error {
		d, err := read(value)
		if err == nil {
			*into = component.Duration(d)
		}
		return err
	}
}
