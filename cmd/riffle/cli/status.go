package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/riffletrace/riffle/cmd/riffle/internal/command"
	"github.com/riffletrace/riffle/core"
	"github.com/riffletrace/riffle/internal/network"
	"github.com/riffletrace/riffle/internal/untrusted"
)

// maxStatus bounds what is read of a status: one of 1,000 samplers with all their rules
// takes less.
const maxStatus = 16 << 20

// statusQuery is what is asked of whom.
type statusQuery struct {
	headers []string
	timeout time.Duration
	asJSON  bool
	config  bool
}

func (p *program) newStatus() *cobra.Command {
	var q statusQuery
	cmd := &cobra.Command{
		Use:   "status URL",
		Short: "print what a running service does with its traces",
		Long: `status asks a service that has mounted tracing.Handler() what it does with its traces,
and prints it: what a person should look at, segments and memory, what each sampler was
asked, answered and kept, how each exporter fares, and the longest open segments.

  ` + p.name + ` status http://localhost:8080/debug/riffle

It exits with 1 if there is something to look at: an exporter is failing, spans are
lost, a sampler is suspended, a plugin is not running, memory is short, or the last
reload has failed; also if the service cannot be asked.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			target, err := statusURL(args[0])
			if err != nil {
				return command.Usage(err)
			}
			header, err := parseHeaders(q.headers)
			if err != nil {
				return command.Usage(err)
			}
			if q.timeout <= 0 {
				return command.Usage(fmt.Errorf("--timeout %s: want more than 0s", q.timeout))
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), q.timeout)
			defer cancel()
			s, err := askStatus(ctx, target, header)
			if err != nil {
				return untrusted.Error(fmt.Errorf("asking %s: %w", shownTarget(target), err), untrusted.Attribute)
			}
			if q.asJSON {
				err = command.WriteJSON(cmd.OutOrStdout(), s)
			} else {
				err = printStatus(cmd.OutOrStdout(), s, q.config)
			}
			if err == nil && len(s.Problems) > 0 {
				err = errReported
			}
			return err
		},
	}
	f := cmd.Flags()
	f.StringArrayVar(&q.headers, "header", nil, "send the header `NAME:VALUE`, such as Authorization; may be repeated")
	f.DurationVar(&q.timeout, "timeout", 10*time.Second, "how long it may take")
	f.BoolVar(&q.asJSON, "json", false, "print JSON, as the service tells it")
	f.BoolVar(&q.config, "config", false, "print the configuration in force too, with the origin of each value")
	return cmd
}

// statusURL is where to ask. Without a scheme it is http.
func statusURL(text string) (*url.URL, error) {
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, errors.New("want a URL, such as http://localhost:8080/debug/riffle")
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return nil, fmt.Errorf("%q is no URL of http or https", u.Redacted())
	}
	query := u.Query()
	query.Set("format", "json")
	u.RawQuery, u.Fragment = query.Encode(), ""
	return u, nil
}

// shownTarget is where is asked, without what may be a key.
func shownTarget(u *url.URL) string {
	shown := *u
	shown.RawQuery, shown.User = "", nil
	return shown.String()
}

func parseHeaders(all []string) (http.Header, error) {
	header := http.Header{}
	for _, h := range all {
		name, value, ok := strings.Cut(h, ":")
		if name = strings.TrimSpace(name); !ok || name == "" || strings.ContainsAny(h, "\r\n") {
			return nil, errors.New("--header: want NAME:VALUE") // the value may be secret
		}
		header.Add(name, strings.TrimSpace(value))
	}
	return header, nil
}

// askStatus asks a service. Credentials go to it alone: a redirect is followed on the same
// host, and nowhere else.
func askStatus(ctx context.Context, target *url.URL, header http.Header) (*core.Status, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	defer transport.CloseIdleConnections()
	client := http.Client{Transport: transport, CheckRedirect: sameHost}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return nil, err
	}
	req.Header = header
	req.Header.Set("Accept", "application/json")
	req.Host = header.Get("Host") // which net/http takes from nowhere else; "" is the URL's
	resp, err := client.Do(req)
	if err != nil {
		return nil, adviseStatus(err)
	}
	defer resp.Body.Close()
	media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	switch code := resp.StatusCode; {
	case code == http.StatusNotFound:
		return nil, errors.New("404 Not Found: nothing is mounted there; see tracing.Handler()")
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		return nil, fmt.Errorf("%d %s: say who asks with --header", code, http.StatusText(code))
	case code == http.StatusBadRequest && target.Scheme == "http" && wantsTLS(resp.Body):
		return nil, errors.New("it wants TLS: write https://")
	case code >= 300 && code < 400:
		return nil, fmt.Errorf("it leads elsewhere, to %s, which is not followed", network.Location(resp))
	case code != http.StatusOK:
		return nil, fmt.Errorf("%d %s", code, http.StatusText(code))
	case media == "text/html":
		return nil, errors.New("a web page answers: that is another handler than tracing.Handler()")
	case media != "application/json":
		return nil, fmt.Errorf("the response is %q, not JSON: that is another handler than tracing.Handler()", untrusted.Text(media, 64))
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxStatus+1))
	if err != nil {
		return nil, adviseStatus(err)
	}
	if len(body) > maxStatus {
		return nil, fmt.Errorf("the response is larger than %d MiB", maxStatus>>20)
	}
	return readStatus(body)
}

// readStatus reads a response. A service of another release may tell it otherwise.
func readStatus(body []byte) (*core.Status, error) {
	var head struct {
		Version *int `json:"version"`
	}
	if err := json.Unmarshal(body, &head); err != nil || head.Version == nil {
		return nil, errors.New("the response is not riffle's status")
	}
	if *head.Version != core.StatusVersion {
		return nil, fmt.Errorf("the status is of version %d, and this program reads version %d", *head.Version, core.StatusVersion)
	}
	var s core.Status
	if err := json.Unmarshal(body, &s); err != nil {
		return nil, fmt.Errorf("reading the status: %w", err)
	}
	return &s, nil
}

// wantsTLS reports whether a response is the one of net/http to plain text at a port of TLS,
// or that of nginx.
func wantsTLS(body io.Reader) bool {
	const begins = 1 << 10
	text, _ := io.ReadAll(io.LimitReader(body, begins)) // what arrived tells
	return bytes.Contains(text, []byte("HTTP request to an HTTPS server")) || bytes.Contains(text, []byte("plain HTTP request was sent to HTTPS port"))
}

// maxRedirects is enough for a slash at the end, and for https.
const maxRedirects = 3

func sameHost(r *http.Request, via []*http.Request) error {
	first := via[0].URL
	if len(via) > maxRedirects || r.URL.Host != first.Host || first.Scheme == "https" && r.URL.Scheme != "https" {
		return http.ErrUseLastResponse
	}
	return nil
}

// adviseStatus says what happened on the way, without the URL, which may have a password.
func adviseStatus(err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return errors.New("the connection is refused: nothing listens there")
	case errors.Is(err, context.DeadlineExceeded):
		return errors.New("it does not answer in time; see --timeout")
	case strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"), strings.Contains(err.Error(), "does not look like a TLS handshake"):
		return errors.New("it answers in plain text: write http://")
	}
	return err
}
