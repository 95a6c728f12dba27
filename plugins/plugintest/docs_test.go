package plugintest

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/protobuf/proto"

	"github.com/riffletrace/riffle/plugins/internal/descendants"
	"github.com/riffletrace/riffle/plugins/internal/hostile"
)

// What docs/plugins-languages.md shows is what the suite, and a host, take.
func TestLanguagesPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/plugins-languages.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := make(map[string]string)
	for _, m := range regexp.MustCompile("(?ms)^```(\\w+)\n(.*?)^```").FindAllStringSubmatch(string(page), -1) {
		blocks[m[1]] = m[2]
	}
	if got, want := slices.Sorted(maps.Keys(blocks)), []string{"bytes", "environment", "handshake", "json", "python", "sh"}; !slices.Equal(got, want) {
		t.Errorf("blocks of %v, want %v", got, want)
	}

	h, err := parseHandshake(strings.TrimSuffix(blocks["handshake"], "\n"))
	if err != nil {
		t.Fatal(err)
	}
	if err := h.certificate.VerifyHostname("localhost"); err != nil {
		t.Error(err)
	}

	serving, err := proto.Marshal(&healthpb.HealthCheckResponse{Status: healthpb.HealthCheckResponse_SERVING})
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.TrimSpace(blocks["bytes"]); got != fmt.Sprintf("% x", serving) {
		t.Errorf("the answer to Check is % x, not %s", serving, got)
	}

	var entry struct {
		Time string `json:"@timestamp"`
	}
	if err := json.Unmarshal([]byte(blocks["json"]), &entry); err != nil {
		t.Error(err)
	}
	if _, err := time.Parse("2006-01-02T15:04:05.000000Z07:00", entry.Time); err != nil {
		t.Error(err)
	}

	var listed []string
	set := []string{descendants.Variable} // the host's own, which the suite needs not
	for line := range strings.Lines(blocks["environment"]) {
		listed = append(listed, strings.Fields(line)[0])
	}
	p, err := start(t.Context(), hostile.Script(t, hostile.Good))
	if err != nil {
		t.Fatal(err)
	}
	defer p.stop()
	for _, v := range p.cmd.Env {
		if name, _, _ := strings.Cut(v, "="); name != "TMPDIR" { // where the test's files go
			set = append(set, name)
		}
	}
	slices.Sort(listed)
	slices.Sort(set)
	if diff := cmp.Diff(set, listed); diff != "" {
		t.Errorf("environment (-set +listed):\n%s", diff)
	}
}
