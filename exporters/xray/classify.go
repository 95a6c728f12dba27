package xray

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/aws/smithy-go"

	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/internal/otlpclient"
	"github.com/riffletrace/riffle/internal/otlpstatus"
)

// maxSkew is how far the clock of a signature may be from AWS's.
// Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html, seen on 2026-11-25
const maxSkew = 5 * time.Minute

// classify tells what AWS means by a refusal besides its status. What is wrong with an
// account, its credentials or a clock is nothing that a batch should be dropped for.
func (s *signer) classify(resp *http.Response, message string, f *delivery.ExportError) {
	kind := errorType(resp, message)
	says := func(parts ...string) bool {
		for _, p := range parts {
			if strings.Contains(kind, p) || strings.Contains(message, p) {
				return true
			}
		}
		return false
	}
	advise := func(format string, args ...any) {
		f.Outcome = delivery.Retry
		f.Err = &otlpclient.Error{Message: s.destination.resolved.Address + " " + fmt.Sprintf(format, args...), Cause: f.Err}
	}
	denied := resp.StatusCode == http.StatusForbidden || resp.StatusCode == http.StatusUnauthorized
	skew, skewed := clockSkew(resp, time.Now())
	m, known := otlpstatus.AWS(kind)

	switch {
	case known:
		f.Outcome, f.Throttled = m.Outcome, m.Throttled
	case says("Trace Segment Destination"):
		advise("takes no traces yet: switch on Transaction Search in CloudWatch, in region %s "+
			"(aws xray update-trace-segment-destination --destination CloudWatchLogs)", s.destination.region)
	case says("RequestTimeTooSkewed", "RequestExpired", "Signature expired", "Signature not yet current"), denied && skewed:
		advise("refused the signature because of its time: the clock of this machine is %s: set it right", skew)
	case says("ExpiredToken", "security token included in the request is expired"):
		s.forget()
		advise("says that the credentials have expired: new ones are fetched")
	case says("Credential should be scoped to"):
		advise("is of another region than %s: set region to that of the endpoint (%s)", s.destination.region, brief(message))
	case says("AccessDenied", "not authorized to perform"):
		s.forget() // the next ones may be another role's
		advise("does not let these credentials send: allow it, as the managed policy AWSXrayWriteOnlyAccess does (%s)", brief(message))
	case denied:
		s.forget()
		advise("refused the credentials (%s)", brief(message))
	}
}

// errorType is AWS's name of an error, which is in a header or in the body, with or
// without a namespace before it and a URL behind it; "" if there is none.
// Source: https://smithy.io/2.0/aws/protocols/aws-restjson1-protocol.html, Operation error serialization
func errorType(resp *http.Response, message string) string {
	kind := resp.Header.Get("X-Amzn-Errortype")
	if kind == "" {
		var body struct {
			Type string `json:"__type"`
			Code string `json:"code"`
		}
		_ = json.Unmarshal([]byte(message), &body) // what is no JSON names none
		kind = cmp.Or(body.Type, body.Code)
	}
	if _, name, ok := strings.Cut(kind, "#"); ok {
		kind = name
	}
	kind, _, _ = strings.Cut(kind, ":")
	return kind
}

// clockSkew compares the clock with that of the response.
func clockSkew(resp *http.Response, now time.Time) (described string, skewed bool) {
	date, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		return "wrong", false
	}
	d := now.Sub(date)
	switch {
	case d >= maxSkew:
		return fmt.Sprintf("%s ahead of AWS's", d.Round(time.Minute)), true
	case d <= -maxSkew:
		return fmt.Sprintf("%s behind AWS's", -d.Round(time.Minute)), true
	default:
		return "not AWS's", false
	}
}

// brief is a message without the JSON around it.
func brief(message string) string {
	for _, key := range []string{`"message":"`, `"Message":"`, `"message": "`, `"Message": "`} {
		if _, rest, ok := strings.Cut(message, key); ok {
			if said, _, ok := strings.Cut(rest, `"`); ok && said != "" {
				return said
			}
		}
	}
	if message == "" {
		return "it does not say why"
	}
	return message
}

// reason is the innermost part of the SDK's errors, which say everything twice.
func reason(err error) string {
	var op *smithy.OperationError
	for errors.As(err, &op) {
		err = op.Err
	}
	return err.Error()
}
