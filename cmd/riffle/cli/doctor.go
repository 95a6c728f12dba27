package cli

import (
	"fmt"
	"io"
	"log" //nolint:depguard // net/http logs there, whoever calls it
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/riffletrace/riffle/cmd/riffle/internal/command"
	"github.com/riffletrace/riffle/cmd/riffle/internal/doctor"
)

func (p *program) newDoctor() *cobra.Command {
	var (
		o      = doctor.Options{Source: p.source, Program: p.name}
		asJSON bool
	)
	cmd := &cobra.Command{
		Use:   "doctor [--config FILE]",
		Short: "find out why no traces arrive, and what to do",
		Long: `doctor does in order what a service does with its configuration, and says of each step
what it found and what to do about it:

  config       which file, section and variables count, and what is wrong in them
  enabled      whether tracing is on, and who says so
  proxy, resolve, connect, tls, export
               of each exporter: whether the endpoint has an address, which of them
               answer, until when its certificate is valid, and whether the exporter
               itself, with its certificates and headers, has an empty export taken
  sampling     what the samplers keep of the demo's requests, without the network
  propagators  whether traces go on in other services
  clock        how far the clocks of this machine and of the receiver are apart
  queue        whether disk queues can be written, and what waits in them
  plugin       whether plugins are pinned, start and take their configuration
  memory, files  whether there is room for what is held

Run it where the service runs, as its user and with its variables. Without --config it
reads the variables alone, as a service without a file does. No exporter but those of
plugins sends anything else than an empty export, unless --live: then each sends one
span, called "riffle doctor", and over the network a request of about 70 KiB, to find out
what is too large.
A disk queue is tried with a file that is deleted at once.

Each step, and each request of one, is given up after --timeout. The exit code is 0
if there is no fault, 1 if there is one, 2 for a mistake in the command line.`,
		Example: "  " + p.name + " doctor --config fluxbase.yaml --app fluxbase\n" +
			"  " + p.name + " doctor --config fluxbase.yaml --live --json",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.Timeout <= 0 {
				return command.Usage(fmt.Errorf("--timeout %s: want more than 0s", o.Timeout))
			}
			// What net/http says of servers that are none of HTTP is in the report.
			defer log.SetOutput(log.Writer())
			log.SetOutput(io.Discard)
			// What the exporter stdout prints must not get into the object.
			if stdout := os.Stdout; asJSON && cmd.OutOrStdout() == io.Writer(stdout) {
				defer func() { os.Stdout = stdout }()
				os.Stdout = os.Stderr
			}
			report := doctor.Run(cmd.Context(), o)
			var err error
			if asJSON {
				err = command.WriteJSON(cmd.OutOrStdout(), report)
			} else {
				err = report.Print(cmd.OutOrStdout())
			}
			if err == nil && !report.OK {
				err = errReported
			}
			return err
		},
	}
	o.Source.AddFlags(cmd)
	f := cmd.Flags()
	f.StringVar(&o.File, "config", "", "configuration `FILE`; without it, the variables alone")
	f.BoolVar(&o.Live, "live", false, "send spans to each exporter")
	f.DurationVar(&o.Timeout, "timeout", 10*time.Second, "give a step, and each request of one, up after `TIME`")
	f.BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}
