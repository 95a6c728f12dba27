package process

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"testing"
)

// A plugin does not say for the host when, how bad and about which plugin a line is.
func TestKeysOfTheHost(t *testing.T) {
	var out bytes.Buffer
	logger := slog.New(slog.NewJSONHandler(&out, nil)).With("plugin", "real")
	logLine(logger, []byte(`{"@level":"info","@message":"real","level":"ERROR","msg":"forged","plugin":"forged"," plugin\n":"forged","time":"forged","source":"forged","count":1}`))
	var line map[string]any
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatal(err)
	}
	if line["level"] != "INFO" || line["msg"] != "real" || line["plugin"] != "real" || line["time"] == "forged" || line["source"] != nil {
		t.Errorf("the line is %s", out.Bytes())
	}
	if line["count"] != 1.0 || line["fields.msg"] != "forged" {
		t.Errorf("fields are gone: %s", out.Bytes())
	}
}
