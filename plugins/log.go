package plugins

import (
	"io"
	"log/slog"
	"strings"
	"time"
)

// A plugin logs to the host in lines of JSON on standard error.
const (
	logLevel   = "@level"
	logMessage = "@message"
	logTime    = "@timestamp"
	logLayout  = "2006-01-02T15:04:05.000000Z07:00"
)

// newLogger returns the logger of a plugin. The host has the last word about
// levels.
func newLogger(w io.Writer) *slog.Logger {
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{
		Level: slog.LevelDebug,
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) > 0 {
				return a
			}
			switch a.Key {
			case slog.TimeKey:
				if t, ok := a.Value.Any().(time.Time); ok {
					return slog.String(logTime, t.UTC().Format(logLayout))
				}
			case slog.LevelKey:
				if l, ok := a.Value.Any().(slog.Level); ok {
					return slog.String(logLevel, strings.ToLower(l.String()))
				}
			case slog.MessageKey:
				a.Key = logMessage
			}
			return a
		},
	}))
}
