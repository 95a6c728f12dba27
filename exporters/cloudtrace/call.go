package cloudtrace

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/internal/otlpclient"
)

// caller makes calls in the name of credentials.
type caller struct {
	creds   *credentials
	address string
}

// call is a [grpc.UnaryClientInterceptor].
func (c *caller) call(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	token, err := c.creds.tokens.Token(ctx)
	if err != nil {
		return c.advised(codes.Unavailable, "was sent nothing: there are no credentials: %s", err)
	}
	headers := []string{"authorization", "Bearer " + token}
	if quota := c.creds.quota; quota != "" {
		headers = append(headers, "x-goog-user-project", quota)
	}
	err = invoke(metadata.AppendToOutgoingContext(ctx, headers...), method, req, reply, cc, opts...)
	if err != nil && strings.Contains(err.Error(), token) { // some repeat what they were sent
		p := status.Convert(err).Proto()
		p.Message = strings.ReplaceAll(p.GetMessage(), token, "***")
		err = status.FromProto(p).Err()
	}
	return c.advise(err, token)
}

// advise says what to do about an error that is Google's.
func (c *caller) advise(err error, token string) error {
	s := status.Convert(err)
	switch s.Code() {
	case codes.Unauthenticated:
		c.creds.tokens.Invalidate(token)
		return c.advised(s.Code(), "refused the credentials (%s)", s.Message())
	case codes.PermissionDenied:
		return c.advised(s.Code(), "%s", c.denied(s))
	default:
		return err
	}
}

// denied says what to do about a permission that is missing.
func (c *caller) denied(s *status.Status) string {
	for _, d := range s.Details() {
		info, ok := d.(*errdetails.ErrorInfo)
		if !ok {
			continue
		}
		switch info.GetReason() {
		case "SERVICE_DISABLED":
			return fmt.Sprintf("takes no traces yet: switch the API on (gcloud services enable telemetry.googleapis.com cloudtrace.googleapis.com), in project %s",
				strings.TrimPrefix(info.GetMetadata()["consumer"], "projects/"))
		case "USER_PROJECT_DENIED":
			return fmt.Sprintf("does not let these credentials use the quota of %s: grant them roles/serviceusage.serviceUsageConsumer there, or set quota_project (%s)",
				c.creds.quota, s.Message())
		}
	}
	return fmt.Sprintf("does not let these credentials send: grant them roles/telemetry.tracesWriter in the project (%s)", s.Message())
}

// advised is an error of the code that says already what to do.
func (c *caller) advised(code codes.Code, format string, args ...any) error {
	message := c.address + " " + fmt.Sprintf(format, args...)
	return &otlpclient.Error{Message: message, Cause: status.Error(code, message)}
}

// withOutcome is an error with an outcome, unless it has one.
func withOutcome(address string, outcome delivery.Outcome, err error) error {
	if f := (*delivery.ExportError)(nil); errors.As(err, &f) {
		return err
	}
	return &delivery.ExportError{Outcome: outcome, Err: fmt.Errorf("%s was sent nothing: %w", address, err)}
}
