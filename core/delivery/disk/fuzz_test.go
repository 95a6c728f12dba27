package disk

import (
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzParseName: a name that is taken for a batch's is the one that its entry has, and
// leads nowhere else.
func FuzzParseName(f *testing.F) {
	for _, seed := range []string{
		"0000000000000007-9e107d9d-18a3f2b1c0d4e5f6-200-1.batch", "", ".batch", "0-0-0-0-0.batch", "../x.batch",
		"0000000000000007-9e107d9d-18a3f2b1c0d4e5f6-ffffffff-1.batch", "0000000000000007-9e107d9d-ffffffffffffffff-200-1.batch",
		"+000000000000007-9e107d9d-18a3f2b1c0d4e5f6-200-1.batch", "0000000000000007-9e107d9d-18a3f2b1c0d4e5f6-200-1.batch\x00",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		e, ok := parseName(name)
		if !ok {
			return
		}
		if e.name() != name || e.Spans < 0 || filepath.Base(name) != name || !IsBatch(name) {
			t.Errorf("%q is taken for %+v", name, e)
		}
	})
}

// FuzzIdentity: whatever exporter.json holds, it is an identity that is written and
// read again, or an error; and its directory is a name below the queue's.
func FuzzIdentity(f *testing.F) {
	for _, seed := range []string{
		`{"name":"otlp","type":"otlp","endpoint":"localhost:4317"}`, `{}`, `null`, `[]`, `{"name":1}`, `{"name":"../../x","endpoint":"HTTPS://Host:443/a?b"}`,
		`{"endpoint":"http://[::1%25eth0]:80"}`, `{"endpoint":"//"}`, `{"endpoint":"HOST:0x50"}`, "{\"name\":\"\\u0000\x1b\"}",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		id, err := parseIdentity(text)
		if err != nil {
			return
		}
		if dir := id.dir(); filepath.Base(dir) != dir || strings.ContainsAny(dir, "\x00\n\x1b") || !id.mayOwn(dir) {
			t.Errorf("%+v has the directory %q", id, dir)
		}
		if n := id.normalized(); !n.Equal(id) || n.normalized() != n {
			t.Errorf("%+v is normalized to %+v, and that to %+v", id, n, n.normalized())
		}
		again, err := json.Marshal(id)
		if err != nil {
			t.Fatal(err)
		}
		if same, err := parseIdentity(again); err != nil || same != id {
			t.Errorf("%+v became %+v: %v", id, same, errors.Join(err))
		}
	})
}
