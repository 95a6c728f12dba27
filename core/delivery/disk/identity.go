package disk

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/riffletrace/riffle/internal/trustedfile"
)

// Identity is what an exporter is known by. Batches are sent by an exporter
// with the same one only. Endpoints that differ in the case of the host, or in a
// port that the scheme implies, are the same.
type Identity struct {
	Name     string `json:"name"`
	Type     string `json:"type"`
	Endpoint string `json:"endpoint"`
}

const identityFile = "exporter.json"

// normalized is the one of all that are the same.
func (id Identity) normalized() Identity {
	id.Endpoint = normalizeEndpoint(id.Endpoint)
	return id
}

// written is an identity as its file tells it, which is UTF-8.
func (id Identity) written() Identity {
	for _, s := range []*string{&id.Name, &id.Type, &id.Endpoint} {
		*s = string([]rune(*s))
	}
	return id
}

// Equal reports whether both are the same exporter's.
func (id Identity) Equal(other Identity) bool { return id.normalized() == other.normalized() }

// normalizeEndpoint changes host:port and URLs with a host; what else an exporter
// says of itself, such as a path, it leaves as it is.
func normalizeEndpoint(s string) string {
	if !strings.Contains(s, "://") {
		host, port, err := net.SplitHostPort(s)
		if _, e := strconv.ParseUint(port, 10, 16); err != nil || e != nil || strings.ContainsAny(host, `/\`) {
			return s
		}
		return net.JoinHostPort(strings.ToLower(host), port)
	}
	u, err := url.Parse(s)
	if err != nil || u.Host == "" {
		return s
	}
	u.Host = strings.ToLower(u.Host)
	if implied := map[string]string{"http": ":80", "https": ":443"}[u.Scheme]; implied != "" && u.Port() != "" {
		u.Host = strings.TrimSuffix(u.Host, implied)
	}
	return u.String()
}

// dir is the name of the exporter's directory.
func (id Identity) dir() string {
	h := sha256.New()
	for _, s := range []string{id.Name, id.Type, id.Endpoint} {
		fmt.Fprintf(h, "%d:%s", len(s), s)
	}
	return id.dirPrefix() + hex.EncodeToString(h.Sum(nil)[:hashSize])
}

const hashSize = 8

func (id Identity) dirPrefix() string { return slug(id.Name) + "-" }

// mayOwn reports whether a directory may be one of the exporters of this name.
func (id Identity) mayOwn(dir string) bool {
	hash, ok := strings.CutPrefix(dir, id.dirPrefix())
	b, err := hex.DecodeString(hash)
	return ok && err == nil && len(b) == hashSize
}

// slug is what of a name any file system takes.
func slug(name string) string {
	s := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_', r == '-':
			return r
		default:
			return '_'
		}
	}, name)
	return s[:min(len(s), 64)]
}

// isOf reports whether a directory is that of one of the exporters; have is the
// identity that its file tells, zero if it cannot be read.
func isOf(ids []Identity, dir string, have Identity) bool {
	return slices.ContainsFunc(ids, func(id Identity) bool {
		if have != (Identity{}) {
			return have.Equal(id.written())
		}
		return dir == id.dir() || dir == id.normalized().dir()
	})
}

// otherDirs are the directories of an exporter besides its own, which a riffle made
// that took the endpoint as it was written.
func (id Identity) otherDirs(fsys FS, dir string) (others []string, err error) {
	entries, err := fsys.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	own := id.normalized().dir()
	for _, d := range entries {
		if !d.IsDir() || d.Name() == own || !id.mayOwn(d.Name()) {
			continue
		}
		name := filepath.Join(dir, d.Name())
		have, _ := loadIdentity(fsys, name) // without it, the name may tell
		if isOf([]Identity{id}, d.Name(), have) {
			others = append(others, name)
		}
	}
	return others, nil
}

// save writes the identity, for people, unless it is there.
func (id Identity) save(fsys FS, dir string) error {
	name := filepath.Join(dir, identityFile)
	if have, err := loadIdentity(fsys, dir); err == nil && have == id {
		return nil
	}
	text, err := json.Marshal(id)
	if err != nil {
		return err
	}
	tmp := filepath.Join(dir, identityFile+"-"+random())
	f, err := fsys.Create(tmp)
	if err != nil {
		return err
	}
	_, err = f.Write(append(text, '\n'))
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = fsys.Rename(tmp, name)
	}
	if err != nil {
		_ = fsys.Remove(tmp)
	}
	return err
}

func loadIdentity(fsys FS, dir string) (id Identity, err error) {
	name := filepath.Join(dir, identityFile)
	if info, err := fsys.Lstat(name); err != nil || info.Size() > maxIdentity {
		return id, cmp.Or(err, error(&fs.PathError{Op: "read", Path: name, Err: trustedfile.ErrTooLarge}))
	}
	text, err := fsys.ReadFile(name)
	if err != nil {
		return id, err
	}
	return parseIdentity(text)
}

// maxIdentity bounds the file of an identity.
const maxIdentity = 64 << 10

func parseIdentity(text []byte) (id Identity, err error) {
	err = json.Unmarshal(text, &id)
	return id, err
}
