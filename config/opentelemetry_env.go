package config

import (
	"fmt"
	"regexp"
	"strings"
)

var (
	// otelReference is SUBSTITUTION-REF, and envSubstitution ENV-SUBSTITUTION.
	// Source: https://opentelemetry.io/docs/specs/otel/configuration/data-model/#environment-variable-substitution
	otelReference   = regexp.MustCompile(`\$\{[^}]+\}`)
	envSubstitution = regexp.MustCompile(`^(?:env:)?([A-Za-z_][A-Za-z0-9_]*)(?::-([^\n]*))?$`)
)

// substituteOTel replaces ${NAME}, ${env:NAME}, ${NAME:-default} and $$ in a scalar of
// an OpenTelemetry file. Unlike in riffle's own, a variable that is not set is empty,
// and what is no reference stays as it is.
func (env environment) substituteOTel(text string) (_ string, substituted bool, missing, errs []error) {
	parts := strings.Split(text, "$$") // nothing reaches across an escaped $
	for i, part := range parts {
		parts[i] = otelReference.ReplaceAllStringFunc(part, func(ref string) string {
			m := envSubstitution.FindStringSubmatch(ref[len("${") : len(ref)-1])
			if m == nil {
				errs = append(errs, fmt.Errorf("${...} that is no variable: want ${NAME}, ${env:NAME} or ${NAME:-default} (a $ that is meant is written $$)"))
				return ""
			}
			if value := env[m[1]]; value != "" {
				substituted = true
				return value
			}
			return m[2]
		})
	}
	return strings.Join(parts, "$"), substituted, nil, errs
}
