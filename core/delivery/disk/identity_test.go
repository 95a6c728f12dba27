package disk_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/riffletrace/riffle/core/delivery/disk"
)

func at(endpoint string) disk.Identity {
	return disk.Identity{Name: "otlp", Type: "otlp", Endpoint: endpoint}
}

func TestIdentityEqual(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want bool
	}{
		{"LOCALHOST:4317", "localhost:4317", true},
		{"localhost:4317", "localhost:4318", false},
		{"[FE80::1]:4317", "[fe80::1]:4317", true},
		{"HTTPS://Collector.Example.com/v1/Traces", "https://collector.example.com/v1/Traces", true},
		{"https://a/v1/Traces", "https://a/v1/traces", false},
		{"https://a:443/v1/traces", "https://a/v1/traces", true},
		{"http://a:80/v1/traces", "http://a/v1/traces", true},
		{"http://a:443/v1/traces", "http://a/v1/traces", false},
		{"http://a/v1/traces", "https://a/v1/traces", false},
		{"unix:///Run/a", "unix:///run/a", false},
		{"/var/Spans", "/var/spans", false},
		{"C:/Spans:1", "c:/spans:1", false},
		{"", "", true},
		{"http://%zz", "http://%zz", true},
	} {
		if got := at(tt.a).Equal(at(tt.b)); got != tt.want {
			t.Errorf("%q and %q: %t", tt.a, tt.b, got)
		}
	}
	if at("a:1").Equal(disk.Identity{Name: "other", Type: "otlp", Endpoint: "a:1"}) {
		t.Error("another name is the same exporter")
	}
}

// writtenAs is the directory that a riffle made that took the endpoint as it was
// written.
func writtenAs(id disk.Identity) string {
	h := sha256.New()
	for _, s := range []string{id.Name, id.Type, id.Endpoint} {
		fmt.Fprintf(h, "%d:%s", len(s), s)
	}
	return id.Name + "-" + hex.EncodeToString(h.Sum(nil)[:8])
}

// storedAt stores batches of an exporter and closes the store.
func storedAt(t *testing.T, dir string, id disk.Identity, ids ...uint64) (part string) {
	t.Helper()
	s, _, err := disk.Open(disk.OS{}, dir, id)
	if err != nil {
		t.Fatal(err)
	}
	write(t, s, ids...)
	closed(t, s)
	return s.Dir()
}

// One queue is found however its endpoint is written, also one that was made when
// that mattered, and while it is in use it is left alone.
func TestEndpointsAsWritten(t *testing.T) {
	for _, tt := range []struct{ name, was, is string }{
		{"as before", "LOCALHOST:4317", "LOCALHOST:4317"},
		{"in lower case now", "LOCALHOST:4317", "localhost:4317"},
		{"with a port", "https://a/x", "https://a:443/x"},
		{"without a port", "https://a:443/x", "https://A/x"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			storedAt(t, dir, at(tt.was), 1)
			storedAt(t, dir, at(tt.is), 2)
			if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
				t.Fatalf("%v: %v", entries, err)
			}

			dir = t.TempDir()
			part := storedAt(t, dir, at(tt.was), 1, 2)
			old := filepath.Join(dir, writtenAs(at(tt.was)))
			rename(t, filepath.Dir(part), old)
			text := fmt.Sprintf(`{"name":"otlp","type":"otlp","endpoint":%q}`, tt.was)
			if err := os.WriteFile(filepath.Join(old, "exporter.json"), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			holder, _, err := (&disk.Part{Dir: filepath.Join(old, filepath.Base(part))}).Open(disk.OS{})
			if err != nil {
				t.Fatal(err)
			}
			s, entries, err := disk.Open(disk.OS{}, dir, at(tt.is))
			if err != nil || old != filepath.Dir(s.Dir()) && len(entries) != 0 {
				t.Fatalf("%d batches of a process that lives: %v", len(entries), err)
			}
			closed(t, holder)
			more, err := s.TakeOver()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]uint64{1, 2}, idsOf(t, s, append(entries, more...))); diff != "" {
				t.Error(diff)
			}
			closed(t, s)
		})
	}
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	if from == to {
		return
	}
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

// A queue whose file with the identity is gone is found by its name.
func TestEndpointAsWrittenWithoutIdentity(t *testing.T) {
	dir := t.TempDir()
	old := filepath.Join(dir, writtenAs(at("LOCALHOST:4317")))
	rename(t, filepath.Dir(storedAt(t, dir, at("LOCALHOST:4317"), 1)), old)
	if err := os.Remove(filepath.Join(old, "exporter.json")); err != nil {
		t.Fatal(err)
	}
	s, entries, err := disk.Open(disk.OS{}, dir, at("LOCALHOST:4317"))
	if err != nil || len(entries) != 1 {
		t.Errorf("%d batches: %v", len(entries), err)
	}
	closed(t, s)
}

// What is stranded waits for an exporter of the same name that this process does not
// have, and nobody works with it.
func TestStranded(t *testing.T) {
	dir := t.TempDir()
	stranded := func(id disk.Identity, known ...disk.Identity) (endpoints []string) {
		t.Helper()
		queues, err := disk.Stranded(disk.OS{}, dir, id, known)
		if err != nil {
			t.Fatal(err)
		}
		for _, q := range queues {
			batches, spans := q.Waiting()
			endpoints = append(endpoints, fmt.Sprintf("%s %s: %d, %d", q.Type, q.Endpoint, batches, spans))
		}
		slices.Sort(endpoints)
		return endpoints
	}
	if err := os.WriteFile(filepath.Join(dir, "otlp-0011223344556677"), nil, 0o600); err != nil { // nobody's
		t.Fatal(err)
	}
	storedAt(t, dir, at("old:4317"), 1, 2)
	storedAt(t, dir, at("new:4317"), 3)
	storedAt(t, dir, at("second:4317"), 4)
	storedAt(t, dir, disk.Identity{Name: "otlp", Type: "otlptracegrpc", Endpoint: "new:4317"}, 5)
	storedAt(t, dir, disk.Identity{Name: "otlp-2", Type: "otlp", Endpoint: "old:4317"}, 6)
	storedAt(t, dir, at("empty:4317"))
	s, _, err := disk.Open(disk.OS{}, dir, at("used:4317"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, s, 7)

	want := []string{"otlp old:4317: 2, 5", "otlptracegrpc new:4317: 1, 6"}
	if diff := cmp.Diff(want, stranded(at("NEW:4317"), at("Second:4317"))); diff != "" {
		t.Error(diff)
	}
	closed(t, s)
	want = slices.Insert(want, 1, "otlp used:4317: 1, 1")
	if diff := cmp.Diff(want, stranded(at("new:4317"), at("second:4317"))); diff != "" {
		t.Error(diff)
	}
	if got := stranded(disk.Identity{Name: "elsewhere"}); len(got) != 0 {
		t.Errorf("of a name that nobody has had: %v", got)
	}
	if _, err := disk.Stranded(disk.OS{}, filepath.Join(dir, "absent"), at("new:4317"), nil); err == nil {
		t.Error("no error about a directory that is not there")
	}

	// Whose identity is gone is of the name, unless it is one that is known.
	for _, id := range []disk.Identity{at("old:4317"), at("new:4317")} {
		if err := os.Remove(filepath.Join(dir, writtenAs(id), "exporter.json")); err != nil {
			t.Fatal(err)
		}
	}
	want = []string{" : 2, 5", "otlp used:4317: 1, 1", "otlptracegrpc new:4317: 1, 6"}
	if diff := cmp.Diff(want, stranded(at("new:4317"), at("second:4317"))); diff != "" {
		t.Error(diff)
	}
}

// Looking for what is stranded holds up nobody who opens a queue that is known.
func TestStrandedLocksNobody(t *testing.T) {
	dir := t.TempDir()
	storedAt(t, dir, at("new:4317"), 1)
	storedAt(t, dir, at("old:4317"), 2)
	if _, err := disk.Stranded(locks{disk.OS{}, t, filepath.Join(dir, writtenAs(at("old:4317")))}, dir, at("new:4317"), nil); err != nil {
		t.Error(err)
	}
}

// A part is opened by itself, unless a process has it.
func TestOpenPart(t *testing.T) {
	dir := t.TempDir()
	s, _ := open(t, dir)
	write(t, s, 1, 2, 3)
	part := disk.Part{Dir: s.Dir()}
	if _, _, err := part.Open(disk.OS{}); !errors.Is(err, disk.ErrLocked) {
		t.Errorf("a part that is in use: %v", err)
	}
	closed(t, s)
	if err := os.Truncate(files(t, dir, "*.batch")[1], 50); err != nil {
		t.Fatal(err)
	}
	s, entries, err := part.Open(disk.OS{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]uint64{1, 0, 3}, idsOf(t, s, entries)); diff != "" {
		t.Error(diff)
	}
	if err := s.Remove(entries[0]); err != nil {
		t.Error(err)
	}
	other, entries := open(t, dir)
	if len(entries) != 0 {
		t.Errorf("another process has %d batches of the part", len(entries))
	}
	closed(t, s)
	entries, err = other.TakeOver()
	if diff := cmp.Diff([]uint64{3}, idsOf(t, other, entries)); diff != "" || err != nil {
		t.Error(diff, err)
	}
	closed(t, other)
}
