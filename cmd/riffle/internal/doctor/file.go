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

// fileOf is the file that an exporter of the type "file" writes; "" of any other. Its
// configuration is known here by its keys alone: the command line links no component.
func fileOf(e *core.ExporterEntry) string {
	c := reflect.Indirect(reflect.ValueOf(e.Config()))
	if e.Type() != "file" || c.Kind() != reflect.Struct {
		return ""
	}
	for i := range c.NumField() {
		if key, _ := component.FieldKey(c.Type().Field(i)); key == "path" && c.Field(i).Kind() == reflect.String {
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
