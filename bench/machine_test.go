package bench

import (
	"runtime/debug"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestVersions(t *testing.T) {
	const riffle, sdk = "github.com/riffletrace/riffle", "go.opentelemetry.io/otel/sdk"
	commit := []debug.BuildSetting{{Key: "vcs.revision", Value: "0400be4ce99982b2a15e45e27acd24a4d9a25a96"}, {Key: "vcs.modified", Value: "false"}}
	modified := []debug.BuildSetting{commit[0], {Key: "vcs.modified", Value: "true"}}
	for name, test := range map[string]struct {
		info debug.BuildInfo
		want map[string]string
	}{
		"nothing is known": {want: map[string]string{"riffle": "unknown"}},
		"the command line, in its workspace": {
			debug.BuildInfo{Settings: commit, Deps: []*debug.Module{{Path: riffle, Version: "(devel)"}, {Path: sdk, Version: "v1.47.0"}}},
			map[string]string{"riffle": "0400be4ce999", sdk: "v1.47.0"},
		},
		"a commit and changes": {
			debug.BuildInfo{Settings: modified, Deps: []*debug.Module{{Path: riffle, Version: "(devel)"}}},
			map[string]string{"riffle": "0400be4ce999 (modified)"},
		},
		"a service that requires a release": {
			debug.BuildInfo{Settings: commit, Deps: []*debug.Module{{Path: riffle, Version: "v0.1.0"}}},
			map[string]string{"riffle": "v0.1.0"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, versions(&test.info)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
