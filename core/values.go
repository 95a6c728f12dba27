package core

import "github.com/riffletrace/riffle/core/units"

// The types of values in configurations.
type (
	// Duration is a duration: "1s", "250ms".
	Duration = units.Duration
	// Size is a number of bytes: "64MiB", "5MB", "512".
	Size = units.Size
	// Secret is a value that is never printed: a key, a header's value. Convert
	// it to string to use it.
	Secret = units.Secret
	// JSON is a part of a configuration that is somebody else's to read.
	JSON = units.JSON
)
