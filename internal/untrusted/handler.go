package untrusted

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
)

// Attribute is how many bytes of one attribute of a log line are shown, and of its
// message.
const Attribute = 4 << 10

// Logger returns a logger whose lines are those of l with each message, key and value
// made what [Text] makes of it. Components log with one: what they say is often what
// a backend, a plugin or a file has said to them.
func Logger(l *slog.Logger) *slog.Logger {
	if _, ok := l.Handler().(handler); ok {
		return l
	}
	return slog.New(handler{l.Handler()})
}

type handler struct{ next slog.Handler }

func (h handler) Enabled(ctx context.Context, l slog.Level) bool { return h.next.Enabled(ctx, l) }

func (h handler) Handle(ctx context.Context, r slog.Record) error {
	out := slog.NewRecord(r.Time, r.Level, Text(r.Message, Attribute), r.PC)
	r.Attrs(func(a slog.Attr) bool {
		out.AddAttrs(attr(a))
		return true
	})
	return h.next.Handle(ctx, out)
}

func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return handler{h.next.WithAttrs(each(attrs))}
}

func (h handler) WithGroup(name string) slog.Handler {
	return handler{h.next.WithGroup(Text(name, Line))}
}

func each(attrs []slog.Attr) []slog.Attr {
	out := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		out[i] = attr(a)
	}
	return out
}

func attr(a slog.Attr) slog.Attr { return slog.Attr{Key: Text(a.Key, Line), Value: value(a.Value)} }

// texts is a list of texts, as long as one may be.
func texts(list []string) []string {
	out := []string{}
	for room, i := Attribute, 0; i < len(list); i++ {
		if room <= 0 {
			return append(out, fmt.Sprintf("... (%d more)", len(list)-i))
		}
		text := Text(list[i], min(room, Line))
		room -= len(text) + 1
		out = append(out, text)
	}
	return out
}

// value is what is shown of v. What is no text, number or error is shown as JSON,
// or as fmt prints it: handlers differ in what they make of it.
func value(v slog.Value) slog.Value {
	v = v.Resolve()
	switch v.Kind() {
	case slog.KindString:
		return slog.StringValue(Text(v.String(), Attribute))
	case slog.KindGroup:
		return slog.GroupValue(each(v.Group())...)
	case slog.KindAny:
	default:
		return v
	}
	switch x := v.Any().(type) {
	case nil:
		return v
	case error:
		return slog.AnyValue(Error(x, Attribute))
	case []string:
		return slog.AnyValue(texts(x))
	case fmt.Stringer:
		return slog.StringValue(Text(x.String(), Attribute))
	default:
		text, err := json.Marshal(x)
		if err != nil {
			text = fmt.Append(nil, x)
		}
		return slog.StringValue(Text(string(text), Attribute))
	}
}
