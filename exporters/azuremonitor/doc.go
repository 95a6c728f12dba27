// Package azuremonitor is the exporter that sends spans to Azure Monitor, in one
// of two ways: to Application Insights, which a connection string names, as the
// telemetry items of its own schema; or to the OTLP endpoint of a data
// collection rule, with tokens of Entra ID.
//
// # Sources
//
// The schema of telemetry items and its lengths: microsoft/ApplicationInsights-Home,
// EndpointSpecs/Schemas (Bond and Docs), read in November 2026. An item has up to
// 64 KB, and a request up to 64,000 items: "Application Insights limits",
// https://learn.microsoft.com/azure/azure-monitor/fundamentals/service-limits.
//
// What the schema leaves open follows what Microsoft's exporters and the
// OpenTelemetry Collector's azuremonitor exporter do, so that dashboards and
// queries find things where they are used to: server and consumer spans are
// requests, all others dependencies; exception events are exceptions, other
// events are traces; attributes are custom dimensions.
//
// Responses of /v2.1/track: 200; 206 with the items that were not accepted, each
// with a status; if none was, the status of the first; 307 and 308 to another
// ingestion endpoint; 402 and 439 for quotas, 429 and 503 for a while:
// EndpointSpecs/ENDPOINT-PROTOCOL.md of the same repository. Which of them are
// worth another attempt is what Microsoft's exporters retry
// (Azure/azure-sdk-for-python, azure-monitor-opentelemetry-exporter, _constants.py).
//
// Connection strings: https://learn.microsoft.com/azure/azure-monitor/app/connection-strings.
// OTLP endpoints, their scope and the name of the stream:
// https://learn.microsoft.com/azure/azure-monitor/containers/opentelemetry-protocol-ingestion.
// Both read in November 2026.
package azuremonitor
