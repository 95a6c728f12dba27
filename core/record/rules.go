package record

import (
	"cmp"
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
	// seesCancellation tells that an end sampler looks at the context of the local root.
	seesCancellation bool
	places           []int16 // of samplers in the list, by the number of the name; afterAll if they are not in it
	forced           int16   // the number of [sampling.ForceSampler]

	// closing tells that others are in force, and no segment is listed under these any more.
	closing atomic.Bool
}

// newRules makes rules whose samplers count in l.
func (l *live) newRules(c *Config) *rules {
	r := &rules{
		Samplers: c.Samplers, resource: c.Resource, limits: c.Limits, text: bound.Limit(max(0, c.MaxText)),
		bounds:     c.Bounds.withDefaults(),
		startRules: newStartRules(c.Samplers.start, cmp.Or(c.RemoteParent, Watch), c.Randomness, &l.started),
		allEnd:     1<<len(c.Samplers.end) - 1, alwaysRecord: c.AlwaysRecord,
	}
	if r.resource == nil {
		r.resource = resource.Default()
	}
	r.limits.AttributeValueDepthLimit = cmp.Or(r.limits.AttributeValueDepthLimit, sdktrace.DefaultAttributeValueDepthLimit)
	for _, e := range r.entries {
		e.number = l.names.number(e.name)
		e.countIn(&l.suspended[e.number])
		r.setPlace(e)
	}
	for _, e := range r.end { // which are limited: in case a segment sampler has the same name
		r.setPlace(&e.entry)
		if e.limit != nil {
			e.limit.countIn(&l.cut[e.number])
		}
	}
	r.forced = l.names.number(sampling.ForceSampler)
	for _, e := range r.end {
		traits := e.sampler.Traits()
		_, start := e.sampler.(sampling.StartSampler)
		r.startRules.later = r.startRules.later || traits.AlwaysAnswers && e.match == nil && !start
		r.seesCancellation = r.seesCancellation || traits.SeesCancellation
	}
	for _, e := range r.segment {
		r.mayRaise = r.mayRaise || !e.sampler.Traits().NeverRaises
	}
	return r
}

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
