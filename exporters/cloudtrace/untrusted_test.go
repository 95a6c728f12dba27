package cloudtrace_test

import (
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/riffletrace/riffle/internal/googletest"
	"github.com/riffletrace/riffle/internal/untrustedtest"
)

// What Google's names say is shown in one line, bounded and without control characters,
// also where it is a part of an advice.
func TestWhatGoogleSays(t *testing.T) {
	said := untrustedtest.Say(256 << 10)
	disabled := &errdetails.ErrorInfo{Reason: "SERVICE_DISABLED", Metadata: map[string]string{"consumer": "x\n" + untrustedtest.Forged + "\x1b[2J"}}
	for name, refusal := range map[string]error{
		"invalid":         status.Error(codes.InvalidArgument, said),
		"unavailable":     status.Error(codes.Unavailable, said),
		"unauthenticated": status.Error(codes.Unauthenticated, said),
		"denied":          status.Error(codes.PermissionDenied, said),
		"disabled":        detailed(codes.PermissionDenied, "no", disabled),
		"no quota":        detailed(codes.PermissionDenied, "\x1b[2J\n"+untrustedtest.Forged, &errdetails.ErrorInfo{Reason: "USER_PROJECT_DENIED"}),
	} {
		t.Run(name, func(t *testing.T) {
			f := googletest.New(t)
			f.Refuse = func(int, string) error { return refusal }
			c := to(f)
			c.CredentialsFile = f.KeyFile(t, nil)
			err := export(t, build(t, c), "a")
			if err == nil {
				t.Fatal("accepted")
			}
			untrustedtest.Check(t, name, err.Error())
		})
	}
}
