// Package xray is the exporter that sends spans to AWS X-Ray, at the OTLP
// endpoint of a region: over HTTP/1.1, each request signed (SigV4) with
// credentials of the AWS SDK's default chain.
//
// Credentials are fetched when there is something to send, on the goroutine
// that sends: nothing waits for a metadata server but spans, which are kept.
// What is wrong with an account, and not with a batch, is retried until
// somebody has put it right.
//
// What X-Ray does not take (in size, age or number) is not sent to it: see
// [delivery.Limits].
//
// Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch-OTLPEndpoint.html
// and the page "Troubleshooting" beside it, seen on 2026-11-25.
package xray
