package bench

import (
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/riffletrace/riffle/plugins"
	"github.com/riffletrace/riffle/samplers/ratio"
)

const (
	pluginVariable = "RIFFLE_BENCH_PLUGIN" // of configurations
	pluginFile     = plugins.Prefix + "bench"
)

func servePlugin() int { return plugins.Main(plugins.Sampler(ratio.Factory)) }

// copyProgram puts this program where it may run as a plugin: in a directory
// that nobody else can write.
func copyProgram(dir string) (file string, err error) {
	program, err := os.Executable()
	if err != nil {
		return "", err
	}
	from, err := os.Open(program)
	if err != nil {
		return "", err
	}
	defer from.Close()
	file = filepath.Join(dir, pluginFile+filepath.Ext(program))
	to, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o700)
	if err != nil {
		return "", err
	}
	_, err = io.Copy(to, from)
	return file, errors.Join(err, to.Close())
}
