package core

import (
	"cmp"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/riffletrace/riffle/core/component"
	"github.com/riffletrace/riffle/core/delivery"
	"github.com/riffletrace/riffle/core/record"
	"github.com/riffletrace/riffle/internal/untrusted"
)

// StatusVersion is that of [Status]. It grows when a field changes its meaning or goes.
const StatusVersion = 1

// Status is what a [Provider] does, for people and for programs that watch it. Its
// counters are those of [Stats], and only grow. Nothing of it is secret: no value of an
// attribute but http.route, no word of a backend, and of an endpoint only where it is.
// Names and routes are as the application has them, made fit to be shown in a line.
type Status struct {
	Version int       `json:"version"`
	At      time.Time `json:"at"`
	Started time.Time `json:"started,omitzero"` // zero if nobody has
	// State is "running", "off" where the configuration turns tracing off, or "shut_down".
	State   string `json:"state"`
	Service string `json:"service,omitempty"`
	// Problems are what a person should look at; none if all is well.
	Problems []Problem `json:"problems"`

	Segments  SegmentStatus            `json:"segments"`
	Samplers  []SamplerStatus          `json:"samplers"`
	Exporters []ExporterStatus         `json:"exporters"`
	Plugins   []component.PluginStatus `json:"plugins"`
	Reloads   ReloadStatus             `json:"reloads"`
	// LongestOpen are segments of which a span is open, the longest first.
	LongestOpen []OpenStatus `json:"longest_open"`
	// Configuration is the one in force; empty if it was made in Go.
	Configuration []Setting `json:"configuration"`
}

// The states of a provider.
const (
	Running  = "running"
	Off      = "off"
	ShutDown = "shut_down"
)

// SegmentStatus is about segments and their spans; see [record.Stats] for what is counted.
type SegmentStatus struct {
	Started             uint64            `json:"started"`
	Dropped             uint64            `json:"dropped"`
	Unrecorded          uint64            `json:"unrecorded"`
	NoRoom              uint64            `json:"no_room"`
	NoThreshold         uint64            `json:"no_threshold"`
	ImpossibleThreshold uint64            `json:"impossible_threshold"`
	Kept                uint64            `json:"kept"`
	KeptBy              map[string]uint64 `json:"kept_by"` // "" is a remote parent, or nobody
	NotKept             uint64            `json:"not_kept"`
	Discarded           uint64            `json:"discarded"`
	UnderPressure       uint64            `json:"under_pressure"`
	TooLarge            uint64            `json:"too_large"`
	OverBudget          uint64            `json:"over_budget"`
	Overdue             uint64            `json:"overdue"`
	Thinned             uint64            `json:"thinned"`
	Crowded             uint64            `json:"crowded"`
	SpansKept           uint64            `json:"spans_kept"`
	SpansNotKept        uint64            `json:"spans_not_kept"`
	Open                int               `json:"open"`
	Waiting             int               `json:"waiting"`
	RememberedTraces    int               `json:"remembered_traces"`
	HeldBytes           int64             `json:"held_bytes"`
	MaxBytes            int64             `json:"max_bytes"`
	// Probability is 1, or less while memory is short.
	Probability float64 `json:"probability"`
}

// SamplerStatus is about one entry of the samplers list, in its order; see [SamplerStats].
type SamplerStatus struct {
	Name        string       `json:"name"`
	Description string       `json:"description"`
	Asked       AskedStatus  `json:"asked"`
	Answered    AnswerStatus `json:"answered"`
	Kept        uint64       `json:"kept"`
	Cut         uint64       `json:"cut"`
	Suspensions uint64       `json:"suspensions"`
	// SuspendedUntil and SuspendedFor tell of a sampler that is not asked until when it is
	// again, and why.
	SuspendedUntil time.Time    `json:"suspended_until,omitzero"`
	SuspendedFor   string       `json:"suspended_for,omitempty"`
	Rules          []RuleStatus `json:"rules,omitempty"`
	// MatchIdle tells that its match has met nothing for an hour or longer.
	MatchIdle bool `json:"match_idle,omitempty"`
}

// AskedStatus counts what a sampler was asked; see [record.Asks].
type AskedStatus struct {
	Starts   uint64 `json:"starts"`
	Ends     uint64 `json:"ends"`
	Segments uint64 `json:"segments"`
}

// AnswerStatus counts what it answered but silence.
type AnswerStatus struct {
	Thresholds uint64 `json:"thresholds"`
	Drops      uint64 `json:"drops"`
	AtMost     uint64 `json:"at_most"`
	ByParent   uint64 `json:"by_parent"`
}

// RuleStatus is about one rule of a sampler.
type RuleStatus struct {
	Name     string `json:"name"`
	Answered uint64 `json:"answered"`
	Kept     uint64 `json:"kept"`
	// Idle tells that it has met nothing for an hour or longer.
	Idle bool `json:"idle,omitempty"`
	// Uncounted tells that the counters are not about it: the sampler has too many rules.
	Uncounted bool `json:"uncounted,omitempty"`
}

// ExporterStatus is about one exporter; see [delivery.Stats] and [delivery.Health].
type ExporterStatus struct {
	Name     string `json:"name"`
	Type     string `json:"type"`
	Endpoint string `json:"endpoint,omitempty"`
	// State is that of its line; "ended" is one that the configuration does not have any
	// more.
	State           string    `json:"state"`
	FailingSince    time.Time `json:"failing_since,omitzero"`
	BackingOffUntil time.Time `json:"backing_off_until,omitzero"`
	LastSuccess     time.Time `json:"last_success,omitzero"`
	LastError       string    `json:"last_error,omitempty"`
	LastErrorAt     time.Time `json:"last_error_at,omitzero"`

	WaitingSpans  uint64  `json:"waiting_spans"`
	SendingSpans  uint64  `json:"sending_spans"`
	QueueBytes    int64   `json:"queue_bytes"`
	OldestSeconds float64 `json:"oldest_seconds"` // how long the first span waits

	HandedOver uint64 `json:"handed_over_spans"`
	TakenOver  uint64 `json:"taken_over_spans"`
	Stored     uint64 `json:"stored_spans"`
	Filtered   uint64 `json:"filtered_spans"`
	Sent       uint64 `json:"sent_spans"`
	// Lost is Rejected and all of Dropped, by cause.
	Lost     uint64            `json:"lost_spans"`
	Rejected uint64            `json:"rejected_spans"`
	Dropped  map[string]uint64 `json:"dropped_spans"`

	Attempts uint64 `json:"attempts"`
	Retried  uint64 `json:"retried"`
	Split    uint64 `json:"split"`
}

// ReloadStatus is about the reloads; see [ReloadStats].
type ReloadStatus struct {
	Succeeded uint64    `json:"succeeded"`
	Failed    uint64    `json:"failed"`
	Last      time.Time `json:"last,omitzero"`
	LastError string    `json:"last_error,omitempty"` // of the last, if that has failed
}

// OpenStatus is about a segment of which a span is open.
type OpenStatus struct {
	Name       string  `json:"name"`            // of its local root
	Route      string  `json:"route,omitempty"` // its http.route
	AgeSeconds float64 `json:"age_seconds"`
	OpenSpans  int     `json:"open_spans"`
	EndedSpans int     `json:"ended_spans"`
	// RootEnded tells that its local root has ended, and something below it has not.
	RootEnded bool `json:"root_ended,omitempty"`
}

const (
	maxLongestOpen = 10
	maxName        = 256 // of what is shown of one, in bytes
)

// beyondHost finds what of a URL may be secret: all but its scheme and host. It is for what
// no configuration knows the secrets of.
var beyondHost = regexp.MustCompile(`(https?://)(?:[^/?#@\s"]*@)?([^/?#@\s"]+)[/?#][^\s"]*`)

// OffStatus is that of no provider: tracing is off, and nobody has started it.
func OffStatus() Status {
	return Status{
		Version: StatusVersion, At: time.Now(), State: Off, Segments: SegmentStatus{KeptBy: map[string]uint64{}},
		Problems: []Problem{}, Samplers: []SamplerStatus{}, Exporters: []ExporterStatus{},
		Plugins: []component.PluginStatus{}, LongestOpen: []OpenStatus{}, Configuration: []Setting{},
	}
}

// Status returns a snapshot. It looks at every open segment: ask no more than a few times
// a second.
func (p *Provider) Status() Status {
	s := OffStatus()
	s.Started, s.State, s.Service = p.began, Running, name(p.ServiceName())
	switch {
	case p.life.Err() != nil:
		s.State = ShutDown
	case p.recorder == nil:
		s.State = Off
	}
	mask := func(text string) string { return beyondHost.ReplaceAllString(text, "$1$2/***") }
	if public := p.public.Load(); public != nil {
		s.Configuration = slices.Clone(public.Settings)
		mask = public.Mask
		for i, line := range s.Configuration {
			s.Configuration[i] = Setting{Line: shownLine(line.Line), Origin: name(line.Origin)}
		}
	}
	stats := p.Stats()
	s.Reloads = ReloadStatus{
		Succeeded: stats.Reloads.Succeeded, Failed: stats.Reloads.Failed, Last: stats.Reloads.Last,
		LastError: mask(untrusted.Lines(stats.Reloads.Error, untrusted.Attribute)),
	}
	if p.recorder != nil {
		s.Segments = segmentStatus(&stats.Stats)
		for i := range stats.Samplers {
			s.Samplers = append(s.Samplers, samplerStatus(&stats.Samplers[i], stats.Cut, mask))
		}
		s.Exporters, s.Plugins = p.exportersAndPlugins(stats.Exporters, mask)
		for _, g := range p.recorder.LongestOpen(maxLongestOpen) {
			s.LongestOpen = append(s.LongestOpen, OpenStatus{
				Name: name(g.Name), Route: name(g.Route), AgeSeconds: max(s.At.Sub(g.Start), 0).Seconds(),
				OpenSpans: g.Open, EndedSpans: g.Ended, RootEnded: g.RootEnded,
			})
		}
	}
	s.Problems = append(s.Problems, s.problems()...)
	return s
}

func segmentStatus(s *record.Stats) SegmentStatus {
	out := SegmentStatus{
		Started: s.Started, Dropped: s.Dropped, Unrecorded: s.Unrecorded, NoRoom: s.NoRoom,
		NoThreshold: s.NoThreshold, ImpossibleThreshold: s.ImpossibleThreshold,
		KeptBy: map[string]uint64{}, NotKept: s.NotKept, Discarded: s.Discarded,
		UnderPressure: s.UnderPressure, TooLarge: s.TooLarge, OverBudget: s.OverBudget,
		Overdue: s.Overdue, Thinned: s.Thinned, Crowded: s.Crowded,
		SpansKept: s.SpansKept, SpansNotKept: s.SpansNotKept,
		Open: s.Open, Waiting: s.Waiting, RememberedTraces: s.Remembered,
		HeldBytes: s.HeldBytes, MaxBytes: s.MaxBytes, Probability: s.Probability,
	}
	for by, n := range s.Kept {
		out.Kept += n
		out.KeptBy[name(by)] += n
	}
	return out
}

func samplerStatus(s *SamplerStats, cut map[string]uint64, mask func(string) string) SamplerStatus {
	out := SamplerStatus{
		Name: name(s.Name), Description: mask(untrusted.Text(s.Description, untrusted.Line)),
		Asked:    AskedStatus{Starts: s.Asks.Starts, Ends: s.Asks.Ends, Segments: s.Asks.Segments},
		Answered: AnswerStatus{Thresholds: s.Asks.Thresholds, Drops: s.Asks.Drops, AtMost: s.Asks.AtMost, ByParent: s.Asks.ByParent},
		Kept:     s.Kept, Cut: cut[s.Name], Suspensions: s.Suspensions,
		SuspendedUntil: s.Suspended.Until, SuspendedFor: s.Suspended.Why,
		MatchIdle: slices.Contains(s.Idle, matchRule),
	}
	for _, r := range s.Rules {
		out.Rules = append(out.Rules, RuleStatus{Name: mask(name(r.Name)), Answered: r.Answered, Kept: r.Kept, Idle: r.Idle, Uncounted: r.Uncounted})
	}
	return out
}

// ended is the state of an exporter that the configuration does not have any more.
const ended = "ended"

// exportersAndPlugins tells of what has the names that are counted.
func (p *Provider) exportersAndPlugins(all []ExporterStats, mask func(string) string) ([]ExporterStatus, []component.PluginStatus) {
	pl := p.pipeline.Load()
	plugins := []component.PluginStatus{}
	add := func(c any) {
		user, ok := c.(component.PluginUser)
		if !ok {
			return
		}
		s := user.PluginStatus()
		s.Name, s.State = name(s.Name), name(s.State)
		if !slices.ContainsFunc(plugins, func(o component.PluginStatus) bool { return o.Name == s.Name }) {
			plugins = append(plugins, s)
		}
	}
	for _, s := range pl.samplers.all {
		add(s.Sampler)
	}
	out := []ExporterStatus{}
	for i := range all {
		e := exporterStatus(&all[i], mask)
		for _, l := range pl.exporters {
			if l.entry.ID() == all[i].Name {
				add(l.Exporter())
				e.setHealth(l.Health(), mask)
				break
			}
		}
		out = append(out, e)
	}
	slices.SortFunc(plugins, func(a, b component.PluginStatus) int { return cmp.Compare(a.Name, b.Name) })
	return out, plugins
}

func exporterStatus(e *ExporterStats, mask func(string) string) ExporterStatus {
	return ExporterStatus{
		Name: name(e.Name), Type: name(e.Type), Endpoint: where(e.Endpoint, mask), State: ended,
		WaitingSpans: e.Waiting, SendingSpans: e.Sending, QueueBytes: e.Bytes, OldestSeconds: e.Oldest.Seconds(),
		HandedOver: e.HandedOver, TakenOver: e.TakenOver, Stored: e.Stored, Filtered: e.Filtered, Sent: e.Sent,
		Lost: e.Lost, Rejected: e.Rejected, Dropped: e.Dropped.ByCause(),
		Attempts: e.Attempts, Retried: e.Retried, Split: e.Split,
	}
}

func (e *ExporterStatus) setHealth(h delivery.Health, mask func(string) string) {
	e.State, e.FailingSince, e.BackingOffUntil = string(h.State), h.FailingSince, h.BackingOffUntil
	e.LastSuccess, e.LastErrorAt = h.LastSuccess, h.LastErrorAt
	e.LastError = maskBut(hostOf(e.Endpoint), h.LastError, mask)
}

// maskBut masks a text, but where it names a host.
func maskBut(host, text string, mask func(string) string) string {
	if host == "" {
		return mask(text)
	}
	parts := strings.Split(text, host)
	for i := range parts {
		parts[i] = mask(parts[i])
	}
	return strings.Join(parts, host)
}

// where is what anybody may see of an endpoint: of a URL no more than its host.
func where(endpoint string, mask func(string) string) string {
	if _, _, isURL := strings.Cut(endpoint, "://"); isURL {
		u, err := url.Parse(endpoint)
		switch {
		case err != nil:
			return "***"
		case u.Host != "":
			return name(u.Scheme + "://" + u.Host)
		default:
			return mask(name(u.Scheme + "://" + u.Path))
		}
	}
	endpoint, _, _ = strings.Cut(endpoint, "?")
	return mask(name(endpoint[strings.LastIndexByte(endpoint, '@')+1:]))
}

// hostOf is the host, with its port, of an endpoint as it is shown; "" if there is none.
func hostOf(endpoint string) string {
	_, host, isURL := strings.Cut(endpoint, "://")
	if !isURL {
		host = endpoint
	}
	if strings.ContainsAny(host, "/*") {
		return ""
	}
	return host
}

// name is a name as it is shown.
func name(s string) string { return untrusted.Text(s, maxName) }

// shownLine is a line with its indentation.
func shownLine(s string) string {
	rest := strings.TrimLeft(s, " ")
	return s[:len(s)-len(rest)] + untrusted.Text(rest, untrusted.Line)
}
