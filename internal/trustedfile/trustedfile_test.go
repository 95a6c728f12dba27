package trustedfile_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/riffletrace/riffle/internal/trustedfile"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// made makes a file with a mode.
func made(t *testing.T, mode os.FileMode) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(name, []byte("text"), 0o600))
	must(t, os.Chmod(name, mode))
	return name
}

func giveAway(t *testing.T, name string, uid, gid int) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can give a file away; CI runs as root")
	}
	must(t, os.Chown(name, uid, gid))
}

func check(t *testing.T, name string, g trustedfile.Group) string {
	t.Helper()
	info, err := os.Stat(name)
	must(t, err)
	if err := trustedfile.Check(info, g); err != nil {
		return err.Error()
	}
	return ""
}

func TestCheck(t *testing.T) {
	if !trustedfile.Checked {
		t.Skip("there are no owners and modes; CI runs it on Linux")
	}
	for _, tt := range []struct {
		mode           os.FileMode
		alone, grouped string
	}{
		{0o600, "", ""},
		{0o644, "", ""},
		{0o660, "can be written by others (mode 0660): chmod go-w it", ""},
		{0o602, "can be written by others (mode 0602): chmod go-w it", "can be written by others (mode 0602): chmod go-w it"},
	} {
		name := made(t, tt.mode)
		if got := check(t, name, trustedfile.NoGroup); got != tt.alone {
			t.Errorf("%04o: %q, want %q", tt.mode, got, tt.alone)
		}
		if got := check(t, name, trustedfile.OwnGroup); got != tt.grouped {
			t.Errorf("%04o in a group: %q, want %q", tt.mode, got, tt.grouped)
		}
	}
	t.Run("another group", func(t *testing.T) {
		name := made(t, 0o660)
		giveAway(t, name, -1, 4711)
		must(t, os.Chmod(name, 0o660))
		if got := check(t, name, trustedfile.OwnGroup); got == "" {
			t.Error("a group that this process is not in may write it")
		}
	})
	t.Run("another user", func(t *testing.T) {
		name := made(t, 0o600)
		giveAway(t, name, 4711, -1)
		const want = "belongs to user 4711, who is neither root nor the user of this process (0): chown it if it is yours"
		if got := check(t, name, trustedfile.OwnGroup); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	})
}

// A directory is as safe as those that it is in.
func TestParents(t *testing.T) {
	if !trustedfile.Checked {
		t.Skip("there are no owners and modes; CI runs it on Linux")
	}
	outer := t.TempDir()
	dir := filepath.Join(outer, "a", "b")
	must(t, os.MkdirAll(dir, 0o700))
	link := filepath.Join(t.TempDir(), "link")
	must(t, os.Symlink(dir, link))
	for _, tt := range []struct {
		mode os.FileMode
		want string
	}{
		{0o755, ""},
		{0o777 | os.ModeSticky, ""},
		{0o777, "the directory " + filepath.Join(outer, "a") + " can be written by others (mode 0777): chmod go-w it, or set its sticky bit with chmod +t"},
	} {
		must(t, os.Chmod(filepath.Join(outer, "a"), tt.mode))
		for _, name := range []string{dir, link} {
			got := ""
			if err := trustedfile.Parents(name); err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("%s, %v: %q, want %q", name, tt.mode, got, tt.want)
			}
		}
	}
	must(t, os.Chmod(filepath.Join(outer, "a"), 0o700))
	between := filepath.Join(t.TempDir(), "between")
	must(t, os.Symlink(link, between))
	relative := filepath.Join(outer, "relative")
	must(t, os.Symlink(filepath.Join("a", ".", "b", "..", "b"), relative))
	round := filepath.Join(outer, "round")
	must(t, os.Symlink(round, round))
	for name, want := range map[string]bool{between: true, relative: true, round: false, filepath.Join(outer, "none"): false} {
		if err := trustedfile.Parents(name); (err == nil) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
	must(t, os.Chmod(filepath.Dir(link), 0o777))
	if err := trustedfile.Parents(between); err == nil {
		t.Error("a link between the name and the directory can be replaced")
	}
	if err := trustedfile.Parents(link); err == nil {
		t.Error("the link can be replaced")
	}
	t.Run("another user's link", func(t *testing.T) {
		must(t, os.Chmod(filepath.Dir(link), 0o777|os.ModeSticky))
		must(t, trustedfile.Parents(link))
		if os.Geteuid() != 0 {
			t.Skip("only root can give a file away; CI runs as root")
		}
		must(t, os.Lchown(link, 4711, -1))
		if err := trustedfile.Parents(link); err == nil || !strings.Contains(err.Error(), "the link "+link+" belongs to user 4711") {
			t.Errorf("its owner can replace it: %v", err)
		}
	})
}

// What is read is bounded, and does not hold up.
func TestRead(t *testing.T) {
	name := made(t, 0o644)
	if b, err := trustedfile.ReadSetting(name, 4); err != nil || string(b) != "text" {
		t.Errorf("%q, %v", b, err)
	}
	if _, err := trustedfile.ReadSetting(name, 3); !errors.Is(err, trustedfile.ErrTooLarge) {
		t.Errorf("larger than its bound: %v", err)
	}
	link := filepath.Join(t.TempDir(), "link")
	must(t, os.Symlink(name, link))
	if _, err := trustedfile.ReadSetting(link, 4); err != nil {
		t.Errorf("a link, as containers have: %v", err)
	}
	if _, _, err := trustedfile.OpenOwn(link); err == nil && trustedfile.Checked {
		t.Error("a link for a file of our own")
	}
	if err := os.Truncate(name, 1<<40); err == nil {
		if _, err := trustedfile.ReadSetting(name, 1<<20); !errors.Is(err, trustedfile.ErrTooLarge) || !strings.Contains(err.Error(), "want at most 1 MiB") {
			t.Errorf("1 TiB: %v", err)
		}
		if err := trustedfile.CheckSetting(name, 1<<20); !errors.Is(err, trustedfile.ErrTooLarge) {
			t.Errorf("1 TiB, read by others: %v", err)
		}
	}
	if _, err := trustedfile.ReadSetting(t.TempDir(), 4); err == nil {
		t.Error("a directory was read")
	}
	if trustedfile.Checked {
		if _, err := trustedfile.ReadSetting(made(t, 0o666), 4); err == nil || !strings.Contains(err.Error(), "can be written by everybody (mode 0666): chmod o-w it") {
			t.Errorf("writable by everybody: %v", err)
		}
	}
}

func TestCheckSettingLeavesTheRest(t *testing.T) {
	for _, name := range []string{"", os.DevNull, filepath.Join(t.TempDir(), "none"), made(t, 0o644)} {
		if err := trustedfile.CheckSetting(name, 4); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
}
