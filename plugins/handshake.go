package plugins

import (
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
	// MaxMessage is the size of messages that a plugin must accept.
	MaxMessage = 64 << 20
)

var handshake = goplugin.HandshakeConfig{
	ProtocolVersion:  ProtocolVersion,
	MagicCookieKey:   MagicCookieKey,
	MagicCookieValue: MagicCookieValue,
}
