package doctor

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"

	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/internal/trustedfile"
)

// textOf is the text that an entry has at a key; "" if there is none. Configurations are
// known here by their keys alone: the command line links no component.
func textOf(e *core.ExporterEntry, key string) string {
	c := reflect.Indirect(reflect.ValueOf(e.Config()))
	for i := 0; c.Kind() == reflect.Struct && i < c.NumField(); i++ {
		if k, _ := component.FieldKey(c.Type().Field(i)); k == key && c.Field(i).Kind() == reflect.String {
			return c.Field(i).String()
		}
	}
	return ""
}

// checkFile finds out whether a file can be appended to, and changes nothing.
func (r *Result) checkFile(file string) {
	err := tryAppend(file)
	if err != nil {
		r.Status, r.Found, r.Do = Fault, "it cannot be written: "+err.Error(), "let the user of the service write there, or correct path"
		return
	}
	r.Found = file + " can be written; --live has it take a span"
}

func tryAppend(file string) error {
	info, err := os.Lstat(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return tryWrite(filepath.Dir(file))
	case err != nil:
		return err
	}
	if err := trustedfile.Check(info, trustedfile.OwnGroup); err != nil {
		return &fs.PathError{Op: "open", Path: file, Err: err}
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_APPEND|trustedfile.NoFollow|trustedfile.NonBlock, 0)
	if err != nil {
		return err
	}
	return f.Close()
}
