//go:build !windows

package disk

// modes tells whether the file system keeps modes.
const modes = true
