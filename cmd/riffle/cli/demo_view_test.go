package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/riffletrace/riffle/cmd/riffle/cli"
	"github.com/riffletrace/riffle/findings"
)

// What is planted in the demo is found, and seen by who looks, while it runs.
func TestDemoView(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	stderr, code := &output{}, make(chan int, 1)
	go func() {
		code <- cli.Run(ctx, []string{"demo", "--view", "--listen", "127.0.0.1:0", "--requests", "200"}, &output{}, stderr, options()...)
	}()
	url := regexp.MustCompile(`viewer: (http://\S+)\n`)
	planted := func(want findings.Finding) bool {
		found := url.FindStringSubmatch(stderr.String())
		if found == nil {
			return false
		}
		var answer struct{ Findings []findings.Finding }
		if err := fetch(ctx, found[1]+"api/findings", &answer); err != nil {
			t.Log(err)
			return false
		}
		return slices.ContainsFunc(answer.Findings, func(f findings.Finding) bool {
			return f.Kind == want.Kind && f.Operation == want.Operation && f.CostMS > 0 && len(f.Traces) > 0
		})
	}
	for _, want := range []findings.Finding{
		{Kind: findings.NPlusOne, Operation: "SELECT author"},
		{Kind: findings.SequentialCalls, Operation: "GET /products/{id}"},
		{Kind: findings.ErrorOrigin, Operation: "POST /payments"},
	} {
		if !eventually(func() bool { return planted(want) }) {
			t.Errorf("no finding %s of %s; stderr:\n%s", want.Kind, want.Operation, stderr)
		}
	}
	interrupt()
	if got := <-code; got != 0 {
		t.Errorf("interrupted, it ends with %d; stderr:\n%s", got, stderr)
	}
}

func TestDemoViewWantsView(t *testing.T) {
	code, _, stderr := command("demo", "--open")
	if want := "riffle: --open and --listen want --view\nRun 'riffle demo --help' for usage.\n"; code != 2 || stderr != want {
		t.Errorf("exit code %d, %q; want 2, %q", code, stderr, want)
	}
}

func fetch(ctx context.Context, url string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", url, resp.Status)
	}
	return json.NewDecoder(resp.Body).Decode(into)
}

// eventually waits for a state, as long as a busy machine may take.
func eventually(is func() bool) bool {
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if is() {
			return true
		}
	}
	return false
}

// output is what is printed, and can be read meanwhile.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}
