package wire

import (
	"path/filepath"
	"strings"

	goplugin "github.com/hashicorp/go-plugin"
)

// What both ends agree on before they talk. The cookie is no secret: it tells a
// program that it is run as a plugin.
const (
	ProtocolVersion  = 1
	MagicCookieKey   = "RIFFLE_PLUGIN"
	MagicCookieValue = "riffle.plugin.v1"
	// Prefix leads the file names of plugins.
	Prefix = "riffle-plugin-"
	// InstanceKey is the metadata that names the instance in calls of OTLP's
	// TraceService.
	InstanceKey = "riffle-instance"
	// DirVariable names the directory that the program was found in, to itself:
	// what runs is a copy somewhere else.
	DirVariable = "RIFFLE_PLUGIN_DIR"
	// MaxMessage is the size of messages that a plugin must accept, MaxResponse what
	// the host takes from a plugin in one message.
	MaxMessage  = 64 << 20
	MaxResponse = 8 << 20
)

// Handshake is what both ends compare.
var Handshake = goplugin.HandshakeConfig{
	ProtocolVersion:  ProtocolVersion,
	MagicCookieKey:   MagicCookieKey,
	MagicCookieValue: MagicCookieValue,
}

// ProgramName is the name of a plugin, from the file it is run from.
func ProgramName(file string) string {
	return strings.TrimPrefix(strings.TrimSuffix(filepath.Base(file), ".exe"), Prefix)
}
