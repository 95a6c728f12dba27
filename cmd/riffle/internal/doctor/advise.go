package doctor

import (
	"errors"
	"net/http"
	"regexp"
	"strings"

	"github.com/riffletrace/riffle/internal/otlpstatus"
)

// said is what to do, at the end of what an exporter says.
var said = regexp.MustCompile(`: ((?:set|write|use|check|add|renew|let it|if it wants|if it takes) .*)$`)

// advise takes an error of an exporter apart: what was found, and what to do.
func advise(err error) (found, do string) {
	found = err.Error()
	if at := said.FindStringSubmatchIndex(found); at != nil {
		found, do = found[:at[0]], found[at[2]:]
	}
	if more := mend(err, found); do != "" && strings.HasPrefix(more, do) {
		do = more // which says it too
	} else if more != "" && do != "" && !strings.HasPrefix(more, "!") {
		do += "; " + more
	} else if more != "" {
		do = strings.TrimPrefix(more, "!")
	}
	if do == "" {
		do = "look at the log of the receiver"
	}
	return found, do
}

// mend is what to do besides what the exporter has said; with ! in front, instead of it.
func mend(err error, found string) string {
	if page, ok := errors.AsType[*otlpstatus.WebPageError](err); ok {
		return "!write the endpoint of the receiver: what answers is a web server, or a proxy that does not reach it (" + page.Status + "); OTLP is usually taken at 4317 (gRPC) and 4318 (HTTP)"
	}
	if e, ok := errors.AsType[*otlpstatus.HTTPError](err); ok {
		return mendHTTP(e.Code)
	}
	if e, ok := errors.AsType[*otlpstatus.GRPCError](err); ok {
		return mendGRPC(e.Status.Code().String())
	}
	if e, ok := otlpstatus.NotGRPC(err); ok {
		if strings.Contains(found, "proxy") {
			return mendHTTP(e.Code)
		}
		return ""
	}
	for _, t := range []struct{ text, do string }{
		{"nothing listens there", "start the receiver, or correct the port"},
		{"no such host", "correct the name in endpoint"},
		{"did not answer in time", "find out whether it is an OTLP receiver at all, and whether it is overloaded: it takes the connection, and says nothing"},
		{"malformed HTTP", "correct the port: what listens there speaks another protocol"},
		{"error reading server preface", "correct the port: what listens there speaks another protocol"},
		{"it may want a client certificate", "set tls.cert_file and tls.key_file to one that it trusts"},
	} {
		if strings.Contains(found, t.text) {
			return t.do
		}
	}
	return ""
}

const unknownSender = "it does not know who sends: the key is missing, has expired, is another backend's, or has quotes or spaces around it that a variable brought along"

// mendHTTP is about a response that accepts nothing.
func mendHTTP(code int) string {
	switch code {
	case http.StatusUnauthorized:
		return unknownSender
	case http.StatusForbidden:
		return "it knows who sends, and refuses: give the key the right to write traces"
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		return "a path in endpoint is a base that /v1/traces is added to, and url_path is taken to the letter"
	case http.StatusProxyAuthRequired:
		return "write user and password into HTTPS_PROXY, or add the host to NO_PROXY"
	case http.StatusRequestEntityTooLarge:
		return "write a smaller batch.max_bytes in the entry, or raise the limit of the receiver"
	case http.StatusTooManyRequests:
		return "it takes less than it is sent: raise the quota, or keep fewer traces"
	case http.StatusBadGateway, http.StatusGatewayTimeout:
		return "a proxy answers, and does not reach the receiver: start the receiver, or correct where the proxy sends to"
	case http.StatusServiceUnavailable:
		return "the receiver is not ready or overloaded, or a proxy before it does not reach it: look at both"
	case http.StatusBadRequest:
		return "it does not understand the request: it may be no OTLP receiver, or an old one"
	}
	switch code / 100 {
	case 3:
		return "!write the address that it leads to as the endpoint: redirects are not followed"
	case 5:
		return "look at the log of the receiver"
	}
	return ""
}

// mendGRPC is about a status that a server sent, by the name of its code.
func mendGRPC(code string) string {
	switch code {
	case "Unauthenticated":
		return unknownSender
	case "PermissionDenied":
		return "it knows who sends, and refuses: give the key the right to write traces"
	case "Unimplemented":
		return "what answers is a gRPC server that takes no traces: correct the port, or switch the receiver otlp on"
	case "ResourceExhausted":
		return "it takes less than it is sent: raise the quota or its limit for one request, or keep fewer traces"
	case "Unavailable":
		return "the receiver is not ready or overloaded, or a proxy before it does not reach it: look at both"
	case "DeadlineExceeded":
		return "the receiver, or what it sends to, is overloaded: look at its log"
	case "InvalidArgument":
		return "it does not understand the request: it may be an old receiver"
	default:
		return ""
	}
}
