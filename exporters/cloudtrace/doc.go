// Package cloudtrace is the exporter that sends spans to Google Cloud Trace: as
// OTLP over gRPC, to the Telemetry API.
//
// # Sources
//
// Endpoint, scopes and headers: Google Cloud, "Telemetry (OTLP) API" and
// "Migrate from the Trace exporter to the OTLP endpoint",
// https://docs.cloud.google.com/stackdriver/docs/reference/telemetry/v1.traces,
// read in November 2026. A request wants one of the scopes trace.append and
// cloud-platform, the resource attribute gcp.project_id says whose the spans
// are, and x-goog-user-project whose quota they count to.
//
// Limits: "Telemetry API limits", section "Limits for ingestion of traces",
// https://docs.cloud.google.com/stackdriver/quotas, read in November 2026. The
// page gives no limit for the size of a request, nor for the age of a span.
// Quotas are bytes per minute and region since March 2026; what is past them is
// answered with RESOURCE_EXHAUSTED.
package cloudtrace
