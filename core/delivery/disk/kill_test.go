package disk_test

import (
	"bufio"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/riffletrace/riffle/core/delivery/disk"
)

var rounds = flag.Int("rounds", 5, "rounds of killing a process")

const childDir = "RIFFLE_TEST_QUEUE"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		if err := child(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	goleak.VerifyTestMain(m)
}

// child sends and writes batches until it is killed. It says which it has stored,
// and which it is about to delete.
func child(dir string) error {
	s, entries, err := disk.Open(disk.OS{}, dir, identity)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(os.Stdout)
	last := uint64(time.Now().UnixNano())
	for round := 0; ; round++ {
		var group []disk.Batch
		for range 1 + round%4 {
			last++
			group = append(group, batch(last))
		}
		stored, err := s.Write(group, round%8 == 0)
		if err != nil {
			return err
		}
		for _, b := range group {
			fmt.Fprintln(out, "stored", idOf(b.Payload))
		}
		entries = append(entries, stored...)
		for len(entries) > 20 {
			b, err := s.Read(entries[0])
			if err != nil {
				return err
			}
			fmt.Fprintln(out, "sent", idOf(b.Payload))
			if err := out.Flush(); err != nil {
				return err
			}
			if err := s.Remove(entries[0]); err != nil {
				return err
			}
			entries = entries[1:]
		}
		if err := out.Flush(); err != nil {
			return err
		}
	}
}

// A process is killed at any time: what it had said to be stored is found.
func TestKill(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	stored := map[uint64]bool{}
	for round := range *rounds {
		cmd := exec.CommandContext(t.Context(), program)
		cmd.Env = append(os.Environ(), childDir+"="+dir)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		begun := false
		for lines.Scan() {
			if !begun {
				begun = true
				time.AfterFunc(rand.N(50*time.Millisecond), func() { _ = cmd.Process.Kill() })
			}
			var what, number string
			if n, _ := fmt.Sscan(lines.Text(), &what, &number); n != 2 {
				continue
			}
			// The last line may be cut short, and its number be another's.
			id, err := strconv.ParseUint(number, 10, 64)
			if err != nil || len(number) < 19 {
				continue
			}
			if what == "stored" {
				stored[id] = true
			} else {
				delete(stored, id)
			}
		}
		if err := cmd.Wait(); cmd.ProcessState.ExitCode() >= 0 {
			t.Fatalf("round %d: the process ended by itself: %v", round, err)
		}
		s, entries := open(t, dir)
		found := map[uint64]bool{}
		for _, id := range idsOf(t, s, entries) {
			found[id] = true
		}
		for id := range stored {
			if !found[id] {
				t.Errorf("round %d: batch %d is lost", round, id)
			}
		}
		stored = found
		closed(t, s)
	}
}
