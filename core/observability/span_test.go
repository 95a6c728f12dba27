package observability_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"

	"github.com/riffletrace/riffle/core/observability"
	"github.com/riffletrace/riffle/core/observability/internal/spantest"
)

func TestRecordError(t *testing.T) {
	failed := fmt.Errorf("working: %w", errors.New("no"))
	tests := []struct {
		name   string
		err    error
		opts   []observability.ErrorOption
		event  bool
		stack  bool
		status codes.Code
	}{
		{"nil", nil, nil, false, false, codes.Unset},
		{"error", failed, nil, true, false, codes.Error},
		{"with stack", failed, []observability.ErrorOption{observability.WithStack}, true, true, codes.Error},
		{"canceled", context.Canceled, nil, true, false, codes.Error},
		{"canceled is none", fmt.Errorf("x: %w", context.Canceled), []observability.ErrorOption{observability.CanceledIsNoError}, false, false, codes.Unset},
		{"other is one", failed, []observability.ErrorOption{observability.CanceledIsNoError, observability.WithStack}, true, true, codes.Error},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			spans := spantest.Record(t)
			ctx, span := observability.StartSpan(t.Context(), "s")
			observability.RecordError(ctx, tt.err, tt.opts...)
			span.End()
			s := spans.One("s")
			e, event := spantest.Events(s)["exception"]
			if event != tt.event || s.Status.Code != tt.status {
				t.Fatalf("event %v, status %v", event, s.Status)
			}
			if !event {
				return
			}
			if e["exception.type"] != fmt.Sprintf("%T", tt.err) || e["exception.message"] != tt.err.Error() || s.Status.Description != tt.err.Error() {
				t.Errorf("event %v, status %v", e, s.Status)
			}
			if got := strings.Contains(e["exception.stacktrace"], "TestRecordError"); got != tt.stack {
				t.Errorf("stack %q", e["exception.stacktrace"])
			}
		})
	}
}

func TestEndDBSpan(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want codes.Code
	}{
		{nil, codes.Unset},
		{sql.ErrNoRows, codes.Unset},
		{fmt.Errorf("user: %w", sql.ErrNoRows), codes.Unset},
		{errors.New("no"), codes.Error},
	} {
		spans := spantest.Record(t)
		_, span := observability.StartDBSpan(t.Context(), "select", "")
		observability.EndDBSpan(span, tt.err)
		s := spans.One("db.select")
		if s.Status.Code != tt.want {
			t.Errorf("%v: status %v", tt.err, s.Status)
		}
		if _, ok := spantest.Attributes(s)["db.table"]; ok {
			t.Error("an empty table is an attribute")
		}
	}
}

func TestResults(t *testing.T) {
	failed := errors.New("no")
	tests := []struct {
		name string
		set  func(context.Context)
		want codes.Code
		text string
	}{
		{"200", func(ctx context.Context) { observability.SetFunctionResult(ctx, 200, time.Second, nil) }, codes.Unset, ""},
		{"399", func(ctx context.Context) { observability.SetFunctionResult(ctx, 399, 0, nil) }, codes.Unset, ""},
		{"400", func(ctx context.Context) { observability.SetFunctionResult(ctx, 400, 0, nil) }, codes.Error, "HTTP status 400"},
		{"200 with an error", func(ctx context.Context) { observability.SetFunctionResult(ctx, 200, 0, failed) }, codes.Error, "no"},
		{"completed", func(ctx context.Context) { observability.SetJobResult(ctx, "completed", 0, nil) }, codes.Unset, ""},
		{"failed", func(ctx context.Context) { observability.SetJobResult(ctx, "failed", 0, nil) }, codes.Error, "job failed"},
		{"cancelled", func(ctx context.Context) { observability.SetJobResult(ctx, "cancelled", 0, nil) }, codes.Error, "job cancelled"},
		{"failed with an error", func(ctx context.Context) { observability.SetJobResult(ctx, "failed", 0, failed) }, codes.Error, "no"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			spans := spantest.Record(t)
			ctx, span := observability.StartSpan(t.Context(), "s")
			tt.set(ctx)
			span.End()
			if s := spans.One("s").Status; s.Code != tt.want || s.Description != tt.text {
				t.Errorf("status %v", s)
			}
		})
	}
}

func TestNamesWithoutNamespace(t *testing.T) {
	spans := spantest.Record(t)
	_, f := observability.StartFunctionSpan(t.Context(), observability.FunctionSpanConfig{Name: "f"})
	f.End()
	_, j := observability.StartJobSpan(t.Context(), observability.JobSpanConfig{JobName: "j"})
	j.End()
	if diff := cmp.Diff(map[string]string{"function.name": "f"}, spantest.Attributes(spans.One("function.f"))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{"job.name": "j", "job.priority": "0"}, spantest.Attributes(spans.One("job.j"))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Names that never end, such as those with an ID, are right and not kept.
func TestManyNames(t *testing.T) {
	spans := spantest.Record(t)
	for i := range 3000 {
		_, s := observability.StartAuthSpan(t.Context(), fmt.Sprint(i))
		s.End()
	}
	for i, name := range spans.Names() {
		if want := fmt.Sprintf("auth.%d", i); name != want {
			t.Fatalf("name %q, want %q", name, want)
		}
	}
}

func TestHugeValues(t *testing.T) {
	huge := strings.Repeat("ä", observability.MaxValueLength) // two bytes each
	const marker = "...[truncated]"
	spans := spantest.Record(t)
	ctx, span := observability.StartStorageSpan(t.Context(), "upload", "b", huge)
	observability.SetSpanAttributes(ctx, attribute.String("s", huge), attribute.StringSlice("l", []string{"a", huge, huge}), attribute.StringSlice("h", []string{huge}), attribute.Int("i", 1))
	observability.AddSpanEvent(ctx, "e", attribute.String("s", huge))
	observability.SetJobProgress(ctx, 1, huge)
	observability.RecordError(ctx, errors.New(huge))
	span.End()
	s := spans.One("storage.upload")
	attrs := spantest.Attributes(s)
	for name, got := range map[string]string{
		"storage.key": attrs["storage.key"], "s": attrs["s"], "event": spantest.Events(s)["e"]["s"],
		"progress": spantest.Events(s)["job.progress"]["job.progress_message"],
		"message":  spantest.Events(s)["exception"]["exception.message"], "status": s.Status.Description,
	} {
		if !strings.HasSuffix(got, marker) || len(got) > observability.MaxValueLength || len(got) < observability.MaxValueLength-4 {
			t.Errorf("%s has %d bytes and ends with %q", name, len(got), got[max(0, len(got)-40):])
		}
	}
	for _, name := range []string{"l", "h"} {
		if got := attrs[name]; len(got) > observability.MaxValueLength+100 || !strings.Contains(got, marker) {
			t.Errorf("list %q has %d bytes", name, len(got))
		}
	}
	if attrs["i"] != "1" {
		t.Errorf("i = %q", attrs["i"])
	}
}
