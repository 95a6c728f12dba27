package plugins

import "google.golang.org/grpc"

// Conn is the connection to the plugin at the moment, for those who check what it
// says on the wire; nil while there is none. It belongs to the plugin.
func (p *Plugin) Conn() *grpc.ClientConn {
	if l := p.current.Load(); l != nil {
		return l.conn
	}
	return nil
}
