package plugintest

import (
	"context"
	"testing"
	"time"
)

func init() { maxWait = 5 * time.Second }

// CheckRule checks one rule alone.
func CheckRule(ctx context.Context, name, path string) (failures []string, ok bool) {
	for _, c := range cases() {
		if c.name == name {
			failures, _ = record(ctx, name, func(tb testing.TB) { c.run(tb, target{path: path}, makeOptions(nil)) })
			return failures, true
		}
	}
	return nil, false
}

// SetLongest sets how long the check of one rule may take, for a test.
func SetLongest(t *testing.T, d time.Duration) {
	t.Helper()
	before := longest
	longest = d
	t.Cleanup(func() { longest = before })
}
