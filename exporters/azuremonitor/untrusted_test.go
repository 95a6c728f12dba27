package azuremonitor_test

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/riffletrace/riffle/internal/azuretest"
	"github.com/riffletrace/riffle/internal/untrustedtest"
)

// What Azure's names say is shown in one line, bounded and without control characters,
// also about single items.
func TestWhatAzureSays(t *testing.T) {
	said := untrustedtest.Say(1 << 20)
	body, err := json.Marshal(map[string]any{
		"itemsReceived": 2, "itemsAccepted": 0,
		"errors": []any{map[string]any{"index": 0, "statusCode": 400, "message": said}, map[string]any{"index": 1, "statusCode": 500, "message": said}},
	})
	if err != nil {
		t.Fatal(err)
	}
	bodies := []string{said, string(body), strings.Replace(string(body), `"itemsAccepted":0`, `"itemsAccepted":1`, 1)}
	for _, code := range []int{206, 400, 401, 402, 403, 404, 429, 439, 500, 503} {
		for i, body := range bodies {
			t.Run(strconv.Itoa(code)+" "+strconv.Itoa(i), func(t *testing.T) {
				f := azuretest.New(t)
				f.Respond = func(int, []*azuretest.Item) (int, http.Header, string) { return code, nil, body }
				err := export(t, build(t, with(f.Connection())), "a", "b")
				if err == nil {
					t.Fatal("accepted")
				}
				untrustedtest.Check(t, "the error", err.Error())
			})
		}
	}
}
