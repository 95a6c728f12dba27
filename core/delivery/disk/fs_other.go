//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd || windows)

package disk

import (
	"errors"
	"os"
)

func lock(*os.File) error { return errors.ErrUnsupported }

func syncName(string) error { return errors.ErrUnsupported }
