//go:build !unix

package process

import "os"

// inherited returns nothing: handles are inherited only where it is asked for.
func inherited() []*os.File { return nil }
