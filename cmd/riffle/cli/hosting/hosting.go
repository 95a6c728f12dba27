// Package hosting lets a command line of package cli start plugins to list what they
// serve. It links the host of plugins.
package hosting

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/riffletrace/riffle/cmd/riffle/cli"
	"github.com/riffletrace/riffle/plugins/host"
)

// closeTimeout is how long a plugin has to end.
const closeTimeout = 10 * time.Second

// Plugins adds the command plugins list.
func Plugins() cli.Option { return cli.ListPlugins(list) }

func list(ctx context.Context, path string) (_ cli.Served, err error) {
	p, err := host.Open(ctx, path, host.OpenOptions{Pinned: true, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return cli.Served{}, err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(ctx, closeTimeout)
		defer cancel()
		err = errors.Join(err, p.Close(ctx))
	}()
	d := p.Describe()
	s := cli.Served{Plugin: p.Name(), Version: d.Version}
	for _, c := range d.Components {
		s.Components = append(s.Components, cli.ServedComponent{Kind: c.Kind, Name: c.Name, Doc: c.Doc})
	}
	return s, nil
}
