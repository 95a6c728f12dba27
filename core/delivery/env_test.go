package delivery_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/delivery"
)

// What each of OTEL_BSP_* sets, and what is ignored of them.
func TestWithEnv(t *testing.T) {
	const noLimit = (1<<31 - 1) * time.Millisecond
	for _, tt := range []struct {
		env      string // words
		change   func(*delivery.Config)
		warnings string
	}{
		{env: "", change: func(*delivery.Config) {}},
		{
			env: "OTEL_BSP_SCHEDULE_DELAY=200 OTEL_BSP_EXPORT_TIMEOUT=3000 OTEL_BSP_MAX_QUEUE_SIZE=1024 OTEL_BSP_MAX_EXPORT_BATCH_SIZE=10",
			change: func(c *delivery.Config) {
				c.Batch.MaxAge, c.Send.Timeout = component.Duration(200*time.Millisecond), component.Duration(3*time.Second)
				c.Queue.MaxBytes, c.Batch.MaxSpans = 1<<20, 10
			},
		},
		{
			env: "OTEL_BSP_SCHEDULE_DELAY=0 OTEL_BSP_EXPORT_TIMEOUT=0 OTEL_BSP_MAX_QUEUE_SIZE=1 OTEL_BSP_MAX_EXPORT_BATCH_SIZE=1",
			change: func(c *delivery.Config) {
				c.Batch.MaxAge, c.Send.Timeout = 0, component.Duration(noLimit)
				c.Queue.MaxBytes, c.Batch.MaxSpans = 64<<10, 1
			},
		},
		{
			env: "OTEL_BSP_SCHEDULE_DELAY=1s OTEL_BSP_EXPORT_TIMEOUT=-1 OTEL_BSP_MAX_QUEUE_SIZE=0 OTEL_BSP_MAX_EXPORT_BATCH_SIZE=0",
			warnings: `OTEL_BSP_SCHEDULE_DELAY: "1s" is not a number of milliseconds from 0 to 2147483647 (did you mean 1000?): ignored
OTEL_BSP_EXPORT_TIMEOUT: "-1" is not a number of milliseconds from 0 to 2147483647: ignored
OTEL_BSP_MAX_QUEUE_SIZE: "0" is not a whole number from 1 to 2147483647: ignored
OTEL_BSP_MAX_EXPORT_BATCH_SIZE: "0" is not a whole number from 1 to 2147483647: ignored`,
		},
		{env: "OTEL_BSP_MAX_EXPORT_BATCH_SIZE=65537", warnings: "OTEL_BSP_MAX_EXPORT_BATCH_SIZE: 65537 is more than 65536: ignored"},
		{
			env:      "OTEL_BSP_MAX_QUEUE_SIZE=100 OTEL_BSP_MAX_EXPORT_BATCH_SIZE=101",
			change:   func(c *delivery.Config) { c.Queue.MaxBytes = 100 << 10 },
			warnings: "OTEL_BSP_MAX_EXPORT_BATCH_SIZE: it is more than OTEL_BSP_MAX_QUEUE_SIZE: ignored",
		},
	} {
		env := map[string]string{}
		for kv := range strings.FieldsSeq(tt.env) {
			name, value, _ := strings.Cut(kv, "=")
			env[name] = " " + value + " "
		}
		got, warnings := delivery.Defaults().WithEnv(func(name string) string { return env[name] })
		want := delivery.Defaults()
		if tt.change != nil {
			tt.change(&want)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.env, diff)
		}
		var lines []string
		for _, w := range warnings {
			lines = append(lines, w.Error())
		}
		if diff := cmp.Diff(tt.warnings, strings.Join(lines, "\n")); diff != "" {
			t.Errorf("%s: warnings (-want +got):\n%s", tt.env, diff)
		}
		if err := got.Validate(); err != nil {
			t.Errorf("%s: %v", tt.env, err)
		}
	}
}

// Without a longest wait, what is there is sent at once.
func TestNoAge(t *testing.T) {
	b := &backend{}
	f, l := one(t, b, &journal{}, func(c *delivery.Config) { c.Batch.MaxAge = 0 })
	f.HandOver(span("a", 0))
	for deadline := time.Now().Add(time.Minute); l.Stats().Sent == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not sent: %+v", l.Stats())
		}
	}
}
