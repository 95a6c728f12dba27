package doctor

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"strings"
	"time"
	"unicode"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/core/delivery/redact"
	"github.com/riffletrace/riffle/core/otlp"
)

// What --live sends besides one span: as much as a busy service sends in one request.
const (
	largeSpans = 64
	spanFill   = 1 << 10 // bytes of each, which no compression makes much smaller
)

// checkExport builds the exporter of an entry, as the service does, and has it send:
// nothing, and with --live spans. Where it sends nothing without spans, or may open a
// file, that is left to --live. t is nil where it does not say where it sends.
func (x *examination) checkExport(ctx context.Context, e *core.ExporterEntry, t *target) (r Result) {
	r = Result{Check: "export", Subject: e.ID(), Status: OK}
	if t == nil && !e.BuiltToCheck() && !x.Live {
		if file := textOf(e, "path"); file != "" && e.Type() == "file" {
			r.checkFile(file)
			return r
		}
		r.Status, r.Found = Skipped, fmt.Sprintf("type %s does not send over a network: --live has it take a span", e.Type())
		return r
	}
	build, cancel := context.WithTimeout(ctx, x.Timeout)
	defer cancel()
	exporter, err := e.Build(build, component.Settings{ID: e.ID(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		r.Status, r.Found, r.Do = Fault, "building it: "+err.Error(), "correct its entry"
		return r
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), x.Timeout)
		defer cancel()
		if err := exporter.Shutdown(ctx); err != nil && r.Status == OK {
			r.Status, r.Found, r.Do = Warning, "ending it: "+err.Error(), "look at its log: a service may lose what it has when it ends"
		}
	}()
	p := probe{x: x, exporter: exporter, entry: e, target: t}
	p.run(ctx, &r)
	return r
}

// probe is what is sent by one exporter.
type probe struct {
	x        *examination
	exporter sdktrace.SpanExporter
	entry    *core.ExporterEntry
	target   *target
}

func (p *probe) run(ctx context.Context, r *Result) {
	began := time.Now()
	var what string
	switch e := p.exporter.(type) {
	case delivery.RequestExporter:
		err := p.send(ctx, nil)
		if err != nil {
			p.failed(ctx, r, err)
			return
		}
		what, r.Milliseconds = "an empty export", since(began)
	case prober:
		if p.target == nil || textOf(p.entry, "proxy") != "" {
			break
		}
		timed, cancel := context.WithTimeout(ctx, p.x.Timeout)
		defer cancel()
		if err := e.Probe(timed); err != nil {
			p.failed(ctx, r, err)
			return
		}
		what, r.Milliseconds = "an empty export", since(began)
	}
	if p.x.Live {
		spans, err := Spans(ctx, p.x.spec, redactOf(p.entry), one)
		if err != nil {
			r.Status, r.Found, r.Do = Fault, "making a span: "+err.Error(), "correct the configuration"
			return
		}
		began = time.Now()
		if err := p.send(ctx, spans); err != nil {
			if p.failed(ctx, r, err); r.Status == Fault {
				r.Found = "one span: " + r.Found
			}
			return
		}
		what = "one span, of trace " + spans[0].SpanContext().TraceID().String()
		r.Milliseconds = max(r.Milliseconds, since(began))
	}
	if what == "" {
		r.Status, r.Found = Skipped, fmt.Sprintf("type %s sends nothing without spans: --live has it send one", p.entry.Type())
		return
	}
	r.Found = "it took " + what
	if d := time.Duration(r.Milliseconds * float64(time.Millisecond)); d >= slow {
		r.Status, r.Found = Warning, fmt.Sprintf("%s, slowly", r.Found)
		r.Do = "find out why the receiver, or the way to it, is slow: batches wait meanwhile, in memory or on disk, and a full queue loses them"
	}
	if _, connected := p.entry.Connection(); p.x.Live && (connected || p.entry.Type() == plugin) {
		p.large(ctx, r)
	}
}

// prober is an exporter that sends nothing without spans, but can.
type prober interface {
	Probe(ctx context.Context) error
}

// send has the exporter make one attempt.
func (p *probe) send(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	ctx, cancel := context.WithTimeout(ctx, p.x.Timeout)
	defer cancel()
	e, ok := p.exporter.(delivery.RequestExporter)
	if !ok {
		return p.exporter.ExportSpans(ctx, spans)
	}
	body := e.Traits().Compression.Compress(otlp.AppendRequest(nil, spans))
	resp, err := e.ExportRequest(ctx, delivery.Request{Body: body, Spans: len(spans)})
	if err == nil && resp.Rejected > 0 && len(spans) > 0 {
		return fmt.Errorf("rejected %d of %d spans: %s", resp.Rejected, len(spans), resp.Message)
	}
	return err
}

func (p *probe) failed(ctx context.Context, r *Result, err error) {
	if ctx.Err() != nil {
		*r = interrupted(r.Check, r.Subject)
		return
	}
	r.Status = Fault
	if r.Found, r.Do = advise(err); p.target == nil || p.target.secure || p.target.proxy != nil || p.target.socket != "" {
		return
	}
	// What speaks first looks like gRPC to HTTP, and hangs up on what it does not know.
	for _, text := range []string{"speaks gRPC", "malformed HTTP", "hung up"} {
		if strings.Contains(r.Found, text) {
			if greeting := greetingOf(ctx, p.target.address()); greeting != "" {
				r.Found = fmt.Sprintf("%s greets with %q: it speaks another protocol, and is no OTLP receiver", p.target.address(), greeting)
				r.Do = "correct the port: OTLP is usually taken at 4317 (gRPC) and 4318 (HTTP)"
			} else if text == "hung up" {
				p.identify(ctx, r)
			}
			return
		}
	}
}

// greetingOf is what a server says before it is asked, if it is a text; "" if it says
// nothing, or a frame of HTTP/2 as servers of gRPC do.
func greetingOf(ctx context.Context, address string) string {
	ctx, cancel := context.WithTimeout(ctx, slow)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return ""
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	var first [64]byte
	n, _ := conn.Read(first[:])
	line, _, _ := strings.Cut(string(first[:n]), "\n")
	line = strings.TrimSpace(line)
	if strings.ContainsFunc(line, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return ""
	}
	return line
}

// large sends as much as a service does, and where that is too large finds out how much
// is not.
func (p *probe) large(ctx context.Context, r *Result) {
	spans, err := Spans(ctx, p.x.spec, redactOf(p.entry), many)
	if err != nil || len(spans) < largeSpans {
		return
	}
	err = p.send(ctx, spans)
	if err == nil {
		r.Details = append(r.Details, fmt.Sprintf("and %d spans in one request of %s", len(spans), sizeText(sizeOf(spans))))
		return
	}
	if delivery.Classify(err).Outcome != delivery.TooLarge {
		if p.failed(ctx, r, err); r.Status == Fault {
			r.Found = fmt.Sprintf("%d spans in one request: %s", len(spans), r.Found)
		}
		return
	}
	taken, refused := 0, len(spans) // 0 is what was taken before: one small span
	search, cancel := context.WithTimeout(ctx, p.x.Timeout)
	defer cancel()
	for refused-taken > 1 {
		middle := (taken + refused) / 2
		err := p.send(search, spans[:middle])
		if err == nil {
			taken = middle
			continue
		}
		if delivery.Classify(err).Outcome != delivery.TooLarge {
			break // what is known so far is true
		}
		refused = middle
	}
	most := sizeOf(spans[:max(taken, 1)])
	r.Status = Fault
	r.Found = fmt.Sprintf("it refuses a request of %s as too large", sizeText(sizeOf(spans[:refused])))
	if taken > 0 {
		r.Found += fmt.Sprintf(", and takes one of %s", sizeText(most))
	} else {
		most = 1 << 10
	}
	r.Do = fmt.Sprintf("raise the limit of the receiver, or of the proxy before it; or write batch: {max_bytes: %s} in the entry", sizeText(most))
	if most < 1<<10 {
		r.Do = "raise the limit of the receiver, or of the proxy before it"
	}
}

func sizeOf(spans []sdktrace.ReadOnlySpan) int { return len(otlp.AppendRequest(nil, spans)) }

// sizeText is a size for people, cut to what a configuration takes.
func sizeText(n int) component.Size {
	if n < 1<<10 {
		return component.Size(n)
	}
	return component.Size(n >> 10 << 10)
}

const tracerName = "github.com/riffletrace/riffle/cmd/riffle"

// one makes the span of --live.
func one(ctx context.Context, t trace.Tracer) {
	_, span := t.Start(ctx, "riffle doctor")
	span.End()
}

// many makes the spans of the large request, of one trace.
func many(ctx context.Context, t trace.Tracer) {
	ctx, root := t.Start(ctx, "riffle doctor")
	defer root.End()
	fill := make([]byte, spanFill/2)
	random := rand.NewChaCha8([32]byte{})
	for range largeSpans - 1 {
		_, _ = random.Read(fill)
		_, span := t.Start(ctx, "riffle doctor", trace.WithAttributes(attribute.String("riffle.fill", hex.EncodeToString(fill))))
		span.End()
	}
}

// redactOf is what is taken out of the spans of one exporter alone.
func redactOf(e *core.ExporterEntry) *redact.Config {
	if e.Delivery == nil {
		return nil
	}
	return e.Delivery.Redact
}

// Spans makes spans as the service of a spec does, with its resource, all of which are
// kept. They come to no exporter of it. What its redact and the other one take out is
// taken out; the other one may be nil.
func Spans(ctx context.Context, spec core.Spec, more *redact.Config, with func(context.Context, trace.Tracer)) ([]sdktrace.ReadOnlySpan, error) {
	var c collector
	all := core.DefaultSpec()
	all.Enabled = true
	all.ServiceName, all.ServiceVersion, all.ServiceNamespace, all.Environment = spec.ServiceName, spec.ServiceVersion, spec.ServiceNamespace, spec.Environment
	all.Resource, all.ExactResource, all.Redact = spec.Resource, spec.ExactResource, spec.Redact
	factory := component.NewFactory("doctor", struct{}{}, func(context.Context, component.Settings, struct{}) (sdktrace.SpanExporter, error) { return &c, nil })
	line := delivery.Defaults()
	line.Redact = more
	all.Exporters = []core.ExporterEntry{core.UseExporter(factory, "", struct{}{}).WithDelivery(line)}
	p, err := core.New(ctx, all, core.Logger(slog.New(slog.DiscardHandler)))
	if err != nil {
		return nil, err
	}
	with(ctx, p.TracerProvider().Tracer(tracerName))
	err = p.Shutdown(ctx)
	if err == nil && len(c.spans) == 0 {
		err = errors.New("no span was made")
	}
	return c.spans, err
}

// collector keeps spans. Its line calls it by one goroutine, which has ended when the
// line is shut down.
type collector struct{ spans []sdktrace.ReadOnlySpan }

func (c *collector) ExportSpans(_ context.Context, spans []sdktrace.ReadOnlySpan) error {
	c.spans = append(c.spans, spans...)
	return nil
}

func (*collector) Shutdown(context.Context) error { return nil }
