package record

import (
	"cmp"
	"context"
	"sync/atomic"

	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/riffletrace/riffle/core/sampling"
	"github.com/riffletrace/riffle/internal/bound"
)

// rules are those under which segments begin, and end, also when others have taken
// their place meanwhile. They do not change.
type rules struct {
	Samplers
	startRules *startRules
	resource   *resource.Resource
	limits     sdktrace.SpanLimits
	text       bound.Limit
	bounds     Bounds
	allEnd     uint64 // bits of all end samplers
	// mayRaise tells that a segment sampler may raise a threshold, so that no
	// segment is sure to be kept before it is asked.
	mayRaise bool
	// alwaysRecord tells that what the start did not select is recorded all the same.
	alwaysRecord bool
	measure      func(context.Context, Measured) // nil is nobody
	budget       *Budget                         // nil without one
	classes      []int16                         // in it, by the number of the sampler's name
	// seesCancellation tells that an end sampler looks at the context of the local root.
	seesCancellation bool
	// What end samplers' matches look at: something, what has ended of the segment, the
	// baggage, which those of segment samplers look at, too.
	matchesEnds, needsEnded, needsBaggage bool

	places []int16 // of samplers in the list, by the number of the name; afterAll if they are not in it
	forced int16   // the number of [sampling.ForceSampler]

	// closing tells that others are in force, and no segment is listed under these any more.
	closing atomic.Bool
}

// newRules makes rules whose samplers count in l.
func (l *live) newRules(c *Config) *rules {
	r := &rules{
		Samplers: c.Samplers, resource: c.Resource, limits: c.Limits, text: bound.Limit(max(0, c.MaxText)),
		bounds: c.Bounds.withDefaults(), measure: c.Measure,
		startRules: newStartRules(c.Samplers.start, cmp.Or(c.RemoteParent, Watch), c.Randomness, &l.started),
		allEnd:     1<<len(c.Samplers.end) - 1, alwaysRecord: c.AlwaysRecord,
	}
	r.budget, r.mayRaise = c.Budget, c.Budget != nil
	r.startRules.record = r.alwaysRecord
	if r.resource == nil {
		r.resource = resource.Default()
	}
	r.startRules.resource = r.resource
	r.limits.AttributeValueDepthLimit = cmp.Or(r.limits.AttributeValueDepthLimit, sdktrace.DefaultAttributeValueDepthLimit)
	for _, e := range r.entries {
		e.number = l.names.number(e.name)
		e.asks = l.asksOf(e.number)
		e.countIn(&l.suspended[e.number])
		r.setPlace(e)
	}
	for _, e := range r.end { // which are limited: in case a segment sampler has the same name
		r.setPlace(&e.entry)
		if e.limit != nil {
			e.limit.countIn(&l.cut[e.number])
		}
	}
	if r.budget != nil {
		r.setClasses(c.Classes)
	}
	r.forced = l.names.number(sampling.ForceSampler)
	for _, e := range r.end {
		traits := e.sampler.Traits()
		_, start := e.sampler.(sampling.StartSampler)
		r.startRules.later = r.startRules.later || traits.AlwaysAnswers && e.match == nil && !start
		r.seesCancellation = r.seesCancellation || traits.SeesCancellation
		r.matchesEnds = r.matchesEnds || e.match != nil
		r.needsEnded = r.needsEnded || e.match.NeedsEnded()
		r.needsBaggage = r.needsBaggage || e.match.NeedsBaggage()
	}
	for _, e := range r.segment {
		r.needsBaggage = r.needsBaggage || e.match.NeedsBaggage()
	}
	for _, e := range r.segment {
		r.mayRaise = r.mayRaise || !e.sampler.Traits().NeverRaises
	}
	return r
}

// WaitForEnd reports whether segments that the start did not select must be recorded:
// also those that a budget counts.
func (r *rules) WaitForEnd() bool { return r.budget != nil || r.Samplers.WaitForEnd() }

func (r *rules) setPlace(e *entry) {
	for len(r.places) <= int(e.number) {
		r.places = append(r.places, afterAll)
	}
	r.places[e.number] = e.place
}

// placeOf is the place of who has the name of that number, under these rules.
func (r *rules) placeOf(number int16) int16 {
	if int(number) >= len(r.places) {
		return afterAll
	}
	return r.places[number]
}
