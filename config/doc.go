// Package config reads a [core.Spec] from a YAML file and the environment.
//
// [Load] reads one section of a file, which may be the application's own:
// observability.tracing, or the one that [Section] names. Later sources win:
// defaults, OTEL_* variables, the file, and the application's variables,
// FLUXBASE_OBSERVABILITY_TRACING_* for one called fluxbase. Nothing is built, started or logged.
//
// A file of OpenTelemetry's declarative configuration is read as well. It is checked by
// a table of its schema, and becomes a tree of riffle's section, which takes the place
// of the OTEL_* variables, also where OTEL_CONFIG_FILE names it.
//
// Every mistake is found in one run. Each is a [core.ConfigError] with its
// position, path and the quoted line; together they are [core.ConfigErrors].
//
// A source becomes a tree of nodes that know where they came from. What one
// source overrides of another, and what the short form says, is put into the
// tree with its origin, so that an error about a value leads to the source that set it.
package config
