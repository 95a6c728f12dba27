package delivery

import (
	"errors"
	"fmt"
	"time"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/delivery/redact"
)

// Config is what users set of a line, in the entry of its exporter. Start from
// [Defaults].
type Config struct {
	Filter *Filter        `yaml:"filter" doc:"which of the kept spans it gets; by default all"`
	Redact *redact.Config `yaml:"redact" doc:"what to take out of its spans, besides what the top-level redact does"`
	Batch  BatchConfig    `yaml:"batch" doc:"what goes into one request"`
	Queue  QueueConfig    `yaml:"queue" doc:"what waits for the backend"`
	Send   SendConfig     `yaml:"send" doc:"how batches are sent"`

	// RedactAll comes before Redact. It is what the host wants taken out of every
	// span.
	RedactAll *redact.Config `yaml:"-"`
	// Cut is what the host knows of values that were cut before they come here.
	Cut redact.Cut `yaml:"-"`
}

// BatchConfig says when a batch is complete: at the first of three limits.
type BatchConfig struct {
	MaxSpans int                `yaml:"max_spans" doc:"spans in a batch"`
	MaxBytes component.Size     `yaml:"max_bytes" doc:"about the size of a batch, before compression; default 2MiB, or an eighth of queue.max_bytes if that is less"`
	MaxAge   component.Duration `yaml:"max_age" doc:"longest wait of a span for its batch to fill; 0 is none: what is there is sent at once"`
}

// QueueConfig says where batches wait, and bounds them.
type QueueConfig struct {
	Storage  Storage            `yaml:"storage" doc:"memory, or disk: what waits there outlives the process"`
	Dir      string             `yaml:"dir" doc:"directory of storage: disk; exporters and processes can share it"`
	MaxBytes component.Size     `yaml:"max_bytes" doc:"size of what waits, as it waits: compressed if it is sent so; default 32MiB, on disk 1GiB"`
	WhenFull WhenFull           `yaml:"when_full" doc:"drop_newest or drop_oldest"`
	Fsync    Fsync              `yaml:"fsync" doc:"when a batch that waits is written to the disk, to survive a power failure: after a duration, or always, at once; never writes at once, to survive the process only"`
	MaxAge   component.Duration `yaml:"max_age" doc:"drop batches with a span that ended longer ago than this, for backends that refuse old ones; 0 is never"`
}

const defaultBatch component.Size = 2 << 20

// batch is Batch with its defaults: the queue can hold several.
func (c *Config) batch() BatchConfig {
	b := c.Batch
	if b.MaxBytes == 0 {
		b.MaxBytes = min(defaultBatch, c.Queue.maxBytes()/8)
	}
	return b
}

// WhenFull says whom a full queue drops.
type WhenFull string

// The values of when_full.
const (
	DropNewest WhenFull = "drop_newest"
	DropOldest WhenFull = "drop_oldest"
)

// ConfigSchema lists the values.
func (WhenFull) ConfigSchema() component.Schema { return component.Enum(DropNewest, DropOldest) }

// SendConfig says how batches are sent.
type SendConfig struct {
	Workers    int                `yaml:"workers" doc:"batches under way at once; an exporter that takes no OTLP bytes gets one at a time"`
	Timeout    component.Duration `yaml:"timeout" doc:"longest time for one attempt"`
	Backoff    Backoff            `yaml:"backoff" doc:"waits between attempts, each a random part of what is given here"`
	MaxElapsed component.Duration `yaml:"max_elapsed" doc:"drop a batch that failed for this long; 0 is never"`

	MaxRetryAfter component.Duration `yaml:"max_retry_after" doc:"longest wait that a backend can ask for, by Retry-After or the like; max_elapsed bounds it too"`
}

// retryAfter is how long a backend that asks for so much is left alone.
func (c *SendConfig) retryAfter(asked time.Duration) time.Duration {
	most := time.Duration(c.MaxRetryAfter)
	if c.MaxElapsed > 0 {
		most = min(most, time.Duration(c.MaxElapsed))
	}
	return min(max(asked, 0), most)
}

// Backoff grows from Initial to Max, twice as long after each failure.
type Backoff struct {
	Initial component.Duration `yaml:"initial" doc:"after the first failure"`
	Max     component.Duration `yaml:"max" doc:"after many"`
}

// Defaults is the configuration of a line for which nothing is set.
func Defaults() Config {
	return Config{
		Batch: BatchConfig{MaxSpans: 2048, MaxAge: component.Duration(time.Second)},
		Queue: QueueConfig{Storage: StorageMemory, WhenFull: DropNewest, Fsync: "1s"},
		Send: SendConfig{
			Workers: 4,
			Timeout: component.Duration(30 * time.Second),
			Backoff: Backoff{Initial: component.Duration(500 * time.Millisecond), Max: component.Duration(30 * time.Second)},

			MaxRetryAfter: component.Duration(15 * time.Minute),
		},
	}
}

const (
	minQueue   component.Size = 64 << 10
	maxSpans                  = 1 << 16
	maxWorkers                = 64
)

// Validate finds every mistake. Its errors are [component.FieldError]s, joined.
func (c *Config) Validate() error {
	var errs []error
	check := func(path string, ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, &component.FieldError{Path: path, Err: fmt.Errorf(format, args...)})
		}
	}
	b, q, s := c.Batch, c.Queue, c.Send
	q.MaxBytes = q.maxBytes()
	add := func(path string, err error) { errs = append(errs, &component.FieldError{Path: path, Err: err}) }
	if c.Filter != nil {
		c.Filter.check(add)
	}
	if c.Redact != nil {
		err := c.Redact.Validate()
		if err == nil && c.RedactAll != nil {
			_, err = redact.New(c.Cut, c.RedactAll, c.Redact) // are they too many together?
		}
		addFields(add, "redact", err)
	}
	q.check(add)
	check("batch.max_spans", b.MaxSpans >= 1 && b.MaxSpans <= maxSpans, "%d is not from 1 to %d", b.MaxSpans, maxSpans)
	check("batch.max_age", b.MaxAge >= 0, "%s is negative", b.MaxAge)
	check("batch.max_bytes", b.MaxBytes >= 0, "%s is negative", b.MaxBytes)
	check("batch.max_bytes", b.MaxBytes <= q.MaxBytes || q.MaxBytes < minQueue, "%s is more than what may wait: queue.max_bytes is %s", b.MaxBytes, q.MaxBytes)
	check("queue.max_bytes", q.MaxBytes >= minQueue, "%s is too little: want %s or more", q.MaxBytes, minQueue)
	check("queue.when_full", q.WhenFull == DropNewest || q.WhenFull == DropOldest, "%s is not one of %s, %s", component.Shown(string(q.WhenFull)), DropNewest, DropOldest)
	check("send.workers", s.Workers >= 1 && s.Workers <= maxWorkers, "%d is not from 1 to %d", s.Workers, maxWorkers)
	check("send.timeout", s.Timeout > 0, "%s is not positive", s.Timeout)
	check("send.backoff.initial", s.Backoff.Initial > 0, "%s is not positive", s.Backoff.Initial)
	check("send.backoff.max", s.Backoff.Max >= s.Backoff.Initial, "%s is less than initial (%s)", s.Backoff.Max, s.Backoff.Initial)
	check("send.max_elapsed", s.MaxElapsed >= 0, "%s is negative", s.MaxElapsed)
	check("send.max_retry_after", s.MaxRetryAfter >= 0, "%s is negative", s.MaxRetryAfter)
	return errors.Join(errs...)
}
