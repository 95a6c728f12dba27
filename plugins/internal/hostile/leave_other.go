//go:build !unix

package hostile

import "errors"

func leave(string) error { return errors.ErrUnsupported }
