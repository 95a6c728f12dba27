package core

import (
	"context"
	"log/slog"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/internal/otelenv"
)

// readEnv adds what OpenTelemetry's variables say to a spec that was made in Go. In one
// that was read, its source has done so, and has the warnings.
func (p *plan) readEnv() {
	if p.Source != nil {
		return
	}
	r := otelenv.Process()
	p.attributes = r.Resource()
	limits := r.Limits()
	for key, to := range map[string]**int{
		"attribute_count":        &p.Limits.AttributeCount,
		"attribute_value_length": &p.Limits.AttributeValueLength,
		"event_count":            &p.Limits.EventCount,
		"link_count":             &p.Limits.LinkCount,
		"event_attribute_count":  &p.Limits.EventAttributeCount,
		"link_attribute_count":   &p.Limits.LinkAttributeCount,
	} {
		if n, ok := limits[key]; ok && *to == nil {
			*to = &n
		}
	}
	p.warn(r.Warnings)
}

// warnComponents adds the warnings of samplers and exporters.
func (p *plan) warnComponents() {
	for _, e := range p.Samplers {
		p.warn(e.IgnoredVariables())
	}
	for _, e := range p.Exporters {
		p.warn(e.IgnoredVariables())
	}
}

func (p *plan) warn(warnings []*component.FieldError) {
	if p.Source == nil {
		p.warnings = append(p.warnings, warnings...)
	}
}

// logWarnings logs each once, however many components read the variable.
func (p *plan) logWarnings(ctx context.Context, logger *slog.Logger) {
	for _, w := range otelenv.Once(p.warnings) {
		logger.WarnContext(ctx, "OpenTelemetry tracing: "+w.Err.Error(), "position", w.Path)
	}
}
