package otlpstatus

import (
	"net/http"

	"google.golang.org/grpc/codes"

	"github.com/riffletrace/riffle/core/delivery"
)

// Backend is whose responses they are.
type Backend int

// The backends. The zero value is anything that takes OTLP.
const (
	OTLP Backend = iota
	XRay
	CloudTrace
	AzureMonitor
)

// Meaning is what becomes of a batch. The zero value is retry.
type Meaning struct {
	Outcome   delivery.Outcome
	Throttled bool // with Retry: the backend is busy
}

var (
	retry    = Meaning{Outcome: delivery.Retry}
	busy     = Meaning{Outcome: delivery.Retry, Throttled: true}
	refused  = Meaning{Outcome: delivery.Refused}
	invalid  = Meaning{Outcome: delivery.Invalid}
	tooLarge = Meaning{Outcome: delivery.TooLarge}
)

// ofHTTP are the statuses of HTTP that do not refuse a batch: those of a backend
// come before those of OTLP. What stands in neither does.
var ofHTTP = map[Backend]map[int]Meaning{
	// https://opentelemetry.io/docs/specs/otlp/#failures-1: 429, 502, 503 and 504 are
	// retryable, no other is. 400 is for data that cannot be decoded or is otherwise
	// invalid; 413 and 422 are HTTP's own words for size and content (RFC 9110, 15.5).
	OTLP: {
		http.StatusBadRequest:            invalid,
		http.StatusRequestEntityTooLarge: tooLarge,
		http.StatusUnprocessableEntity:   invalid,
		http.StatusTooManyRequests:       busy,
		http.StatusBadGateway:            retry,
		http.StatusServiceUnavailable:    retry,
		http.StatusGatewayTimeout:        retry,
	},
	// https://docs.aws.amazon.com/xray/latest/api/CommonErrors.html: 401 and 403 are about
	// the account, its credentials or the clock, which a person puts right, so that they
	// cost no spans. 408 is the status of RequestTimeoutException; AWS's SDKs repeat that
	// and 500 (aws/retry/standard.go of aws-sdk-go-v2).
	XRay: {
		http.StatusUnauthorized:        retry,
		http.StatusForbidden:           retry,
		http.StatusRequestTimeout:      retry,
		http.StatusInternalServerError: retry,
	},
	// https://github.com/Azure/azure-sdk-for-python/tree/main/sdk/monitor/azure-monitor-opentelemetry-exporter
	// retries 401, 403, 408, 429, 500, 502, 503 and 504. It drops what is past a quota, 402
	// and 439, which is there again tomorrow.
	AzureMonitor: {
		http.StatusUnauthorized:        retry,
		http.StatusPaymentRequired:     busy,
		http.StatusForbidden:           retry,
		http.StatusRequestTimeout:      retry,
		StatusDailyQuota:               busy,
		http.StatusInternalServerError: retry,
	},
}

// StatusDailyQuota is Application Insights' own: too many requests over an
// extended time.
const StatusDailyQuota = 439

// ofGRPC is the same for codes of gRPC.
var ofGRPC = map[Backend]map[codes.Code]Meaning{
	// https://opentelemetry.io/docs/specs/otlp/#failures. This departs from it once: OTLP
	// retries RESOURCE_EXHAUSTED only with RetryInfo. Many backends leave that out of their
	// rate limits, and what is dropped for one would be lost for nothing.
	OTLP: {
		codes.Canceled:          retry,
		codes.DeadlineExceeded:  retry,
		codes.ResourceExhausted: busy,
		codes.Aborted:           retry,
		codes.OutOfRange:        retry,
		codes.Unavailable:       retry,
		codes.DataLoss:          retry,
		codes.InvalidArgument:   invalid,
	},
	// https://cloud.google.com/apis/design/errors: both are about an account, which a person
	// puts right.
	CloudTrace: {
		codes.Unauthenticated:  retry,
		codes.PermissionDenied: retry,
	},
}

// aws are the error types of AWS that say more than the status they come with:
// most throttling comes with 400.
// https://github.com/aws/aws-sdk-go-v2/blob/main/aws/retry/standard.go, DefaultThrottleErrorCodes
// and DefaultRetryableErrorCodes.
var aws = map[string]Meaning{
	"BandwidthLimitExceeded":                 busy,
	"EC2ThrottledException":                  busy,
	"LimitExceededException":                 busy,
	"PriorRequestNotComplete":                busy,
	"ProvisionedThroughputExceededException": busy,
	"RequestLimitExceeded":                   busy,
	"RequestThrottled":                       busy,
	"RequestThrottledException":              busy,
	"SlowDown":                               busy,
	"Throttling":                             busy,
	"ThrottledException":                     busy,
	"ThrottlingException":                    busy,
	"TooManyRequestsException":               busy,
	"TransactionInProgressException":         busy,
	"RequestTimeout":                         retry,
	"RequestTimeoutException":                retry,
}

// AWS says what an error type of AWS means; ok is false where the status says it.
func AWS(errorType string) (m Meaning, ok bool) {
	m, ok = aws[errorType]
	return m, ok
}

// HTTP says what a status means that accepts nothing.
func (b Backend) HTTP(code int) Meaning {
	for _, of := range []Backend{b, OTLP} {
		if m, ok := ofHTTP[of][code]; ok {
			return m
		}
	}
	return refused
}

// GRPC says what a code means that is not OK.
func (b Backend) GRPC(code codes.Code) Meaning {
	for _, of := range []Backend{b, OTLP} {
		if m, ok := ofGRPC[of][code]; ok {
			return m
		}
	}
	return refused
}
