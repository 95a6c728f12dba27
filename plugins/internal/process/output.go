package process

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/riffletrace/riffle/internal/untrusted"
)

const (
	// maxHandshake bounds the first line on standard output, which has a
	// certificate in it.
	maxHandshake = 16 << 10
	// maxLine bounds a line that is logged; the rest of a longer one is left out.
	maxLine = 16 << 10
	// maxLines is how many lines of a plugin are logged per second.
	maxLines = 200
	// maxAttrs bounds the attributes of a line, maxShown what they say together.
	maxAttrs = 32
	maxShown = 4 << 10
)

// output reads what a program writes: the handshake on standard output, and all
// else for the log. It always reads on, so that the program never blocks.
type output struct {
	done sync.WaitGroup

	mu       sync.Mutex
	first    string // line on standard output
	whole    bool   // it ended
	overlong bool
	words    []string // the last lines before the handshake, for messages

	second  int64 // that lines are counted in
	lines   int
	dropped int
}

// read starts to read, until both pipes end, and returns the handshake's line.
func (o *output) read(logger *slog.Logger, stdout, stderr *os.File) io.ReadCloser {
	handshake, line := io.Pipe()
	o.done.Go(func() {
		r := bufio.NewReaderSize(stdout, maxHandshake)
		text, err := r.ReadSlice('\n')
		o.mu.Lock()
		o.first, o.whole, o.overlong = strings.TrimRight(string(text), "\r\n"), err == nil, errors.Is(err, bufio.ErrBufferFull)
		o.mu.Unlock()
		if err == nil {
			_, _ = line.Write(slices.Clone(text))
		}
		_ = line.Close()
		o.log(logger, r)
	})
	o.done.Go(func() { o.log(logger, bufio.NewReaderSize(stderr, maxLine)) })
	return handshake
}

// log logs every line.
func (o *output) log(logger *slog.Logger, r *bufio.Reader) {
	cut := false
	for {
		text, isPrefix, err := r.ReadLine()
		if err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, os.ErrClosed) {
				logger.Debug("reading what the plugin writes", "error", err)
			}
			return
		}
		if !cut && len(text) > 0 && o.admit(logger, string(text)) {
			logLine(logger, text)
		}
		cut = isPrefix
	}
}

// admit counts a line, and tells whether it is logged.
func (o *output) admit(logger *slog.Logger, text string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	const lastWords = 5
	if o.words = append(o.words, text); len(o.words) > lastWords {
		o.words = o.words[1:]
	}
	if now := time.Now().Unix(); now != o.second {
		if o.dropped > 0 {
			logger.Warn("the plugin writes too much: lines are left out", "lines", o.dropped)
		}
		o.second, o.lines, o.dropped = now, 0, 0
	}
	if o.lines++; o.lines > maxLines {
		o.dropped++
		return false
	}
	return true
}

// hosts are the keys that the host has in a line: of two, readers take the last.
var hosts = []string{slog.TimeKey, slog.LevelKey, slog.MessageKey, slog.SourceKey, "plugin"}

// logLine logs one line: an object with @level and @message, or plain text.
func logLine(logger *slog.Logger, text []byte) {
	level, message, attrs := slog.LevelInfo, "", []any(nil)
	var fields map[string]any
	room := maxShown
	if text[0] == '{' && json.Unmarshal(text, &fields) == nil {
		message, _ = fields["@message"].(string)
		if s, ok := fields["@level"].(string); ok {
			level = levelOf(s)
		}
		for _, k := range slices.Sorted(maps.Keys(fields)) {
			if k[:min(len(k), 1)] != "@" && len(attrs) < 2*maxAttrs && room > 0 {
				name, value := untrusted.Text(k, min(room, untrusted.Line)), shown(fields[k], min(room, untrusted.Line))
				if slices.Contains(hosts, name) {
					name = "fields." + name
				}
				room -= len(name)
				if text, ok := value.(string); ok {
					room -= len(text)
				}
				attrs = append(attrs, name, value)
			}
		}
	} else if strings.HasPrefix(string(text), "panic: ") || strings.HasPrefix(string(text), "fatal error: ") {
		level = slog.LevelError
	}
	if message == "" {
		message = string(text)
	}
	message = untrusted.Text(message, untrusted.Line)
	logger.Log(context.Background(), level, message, attrs...)
}

func levelOf(s string) slog.Level {
	switch strings.ToLower(s) {
	case "trace", "debug":
		return slog.LevelDebug
	case "warn", "warning":
		return slog.LevelWarn
	case "error", "critical":
		return slog.LevelError
	default:
		return slog.LevelInfo
	}
}

func (o *output) firstLine() (line string, whole, overlong bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.first, o.whole, o.overlong
}

// lastWords ends a message with the last lines that the program wrote.
func (o *output) lastWords() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.words) == 0 {
		return ""
	}
	return "; it wrote: " + untrusted.Text(strings.Join(o.words, " / "), untrusted.Line)
}

// shown is the value of an attribute, which came from JSON.
func shown(v any, most int) any {
	switch v := v.(type) {
	case nil, bool, float64:
		return v
	case string:
		return untrusted.Text(v, most)
	}
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return untrusted.Text(string(text), most)
}
