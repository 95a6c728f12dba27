package sampling

import "go.opentelemetry.io/otel/attribute"

type verdict uint8

const (
	abstain verdict = iota
	drop
	threshold
	selectedUnknown
	unselectedUnknown
	atMost
	byParent
)

// Answer is what a sampler says about a trace. The zero value abstains.
//
// It is as large as what the compiler keeps in registers. With one word more it
// would go through memory at each call.
type Answer struct {
	// said is the verdict, in the upper bits, and the threshold.
	said uint64

	// Reason says in a few words why, for people: "rule 3: GET /healthz". It
	// should be a string made when the sampler was built, not per span.
	Reason string

	more *answerMore // nil if the answer has nothing of it
}

// answerMore is what most answers do not have.
type answerMore struct {
	attributes []attribute.KeyValue
	unsampled  Threshold // of byParent; the threshold of the answer is for the others
	rule       string
}

const (
	thresholdBits = 60
	thresholdMask = 1<<thresholdBits - 1 // as a threshold it is Unknown
)

func say(v verdict, t Threshold) Answer {
	return Answer{said: uint64(v)<<thresholdBits | min(uint64(t), thresholdMask)}
}

func (a Answer) verdict() verdict { return verdict(a.said >> thresholdBits) }

func (a Answer) threshold() Threshold {
	if t := a.said & thresholdMask; t != thresholdMask {
		return Threshold(t)
	}
	return Unknown
}

// Abstain leaves the decision to others.
func Abstain() Answer { return Answer{} }

// Drop asks that neither the span nor anything below it be recorded. Only for a
// [StartSampler]; the answer that discards a segment is [AtMost] with [Never].
func Drop() Answer { return say(drop, Always) }

// At answers with a threshold: the trace is selected if its randomness
// reaches it. [Unknown] selects without a known probability.
func At(t Threshold) Answer { return say(threshold, t) }

// Selected keeps the trace with a probability that nobody knows; weighted
// figures leave it out. Only for a [StartSampler] that cannot answer [At].
func Selected() Answer { return say(selectedUnknown, Unknown) }

// Unselected does not select the trace, with a probability that nobody knows.
// Only for a [StartSampler] that cannot answer [At].
func Unselected() Answer { return say(unselectedUnknown, Unknown) }

// AtMost raises the threshold of this one segment to at least t, so that it is kept
// with at most t's probability, whatever others said; with [Never] it is discarded.
// A segment that is forced is not raised. [Unknown] bounds nothing, and abstains.
// Only for a [SegmentSampler].
func AtMost(t Threshold) Answer {
	if uint64(t) >= thresholdMask {
		return Abstain()
	}
	return say(atMost, t)
}

// ByParent leaves the decision to the remote parent of the local root. Below one that
// is sampled, a trace is selected if its randomness reaches the parent's threshold and
// sampled, the greater of which is its threshold then; below one that is not, if it
// reaches unsampled, with a probability that nobody knows. [Unknown] selects all.
//
// Only for a [StartSampler] that is told of a remote parent
// ([StartParameters.RemoteParent]); from any other it counts as [Abstain], as it does
// from one in a plugin. It allocates: make such answers when the sampler is built.
func ByParent(sampled, unsampled Threshold) Answer {
	a := say(byParent, sampled)
	a.more = &answerMore{unsampled: unsampled}
	return a
}

// FollowParent is what the remote parent decided, and nothing else: [ByParent] with
// [Always] and [Never].
func FollowParent() Answer { return followParent }

var followParent = ByParent(Always, Never)

// Because returns the answer with a reason.
func (a Answer) Because(reason string) Answer {
	a.Reason = reason
	return a
}

// WithAttributes returns the answer with attributes for the local root. Only a
// [StartSampler]'s are used. It allocates if there are any: make such answers when
// the sampler is built.
func (a Answer) WithAttributes(attrs ...attribute.KeyValue) Answer {
	if a.more == nil && len(attrs) == 0 {
		return a
	}
	more := new(answerMore)
	if a.more != nil {
		*more = *a.more
	}
	more.attributes = attrs
	a.more = more
	return a
}

// WithRule returns the answer with the name of the rule of the sampler that gave it,
// which a kept local root says as [RuleKey], and with that as its reason:
// "rules[3]: GET /checkout". It allocates: make such answers when the sampler is built.
func (a Answer) WithRule(rule string) Answer {
	more := new(answerMore)
	if a.more != nil {
		*more = *a.more
	}
	more.rule = rule
	a.more, a.Reason = more, rule
	return a
}

// Rule is that of [Answer.WithRule], nil if there is none. It never changes.
func (a Answer) Rule() *string {
	if a.more == nil || a.more.rule == "" {
		return nil
	}
	return &a.more.rule
}

// Scaled returns the answer with the share, 0 to 1, of the probability that it gives, or
// bounds. What has none that is known stays as it is.
func (a Answer) Scaled(share float64) Answer {
	switch a.verdict() {
	case threshold, atMost:
		a.said = uint64(a.verdict())<<thresholdBits | min(uint64(a.threshold().Scaled(share)), thresholdMask)
	default:
	}
	return a
}

// Attributes are those for the local root.
func (a Answer) Attributes() []attribute.KeyValue {
	if a.more == nil {
		return nil
	}
	return a.more.attributes
}

// IsAbstain reports whether the answer leaves the decision to others.
func (a Answer) IsAbstain() bool { return a.verdict() == abstain }

// IsDrop reports whether the answer is [Drop].
func (a Answer) IsDrop() bool { return a.verdict() == drop }

// IsThreshold reports whether the answer is [At].
func (a Answer) IsThreshold() bool { return a.verdict() == threshold }

// IsAtMost reports whether the answer is [AtMost].
func (a Answer) IsAtMost() bool { return a.verdict() == atMost }

// IsByParent reports whether the answer is [ByParent].
func (a Answer) IsByParent() bool { return a.verdict() == byParent }

// BelowParent is the threshold of [ByParent] below a parent with that decision.
func (a Answer) BelowParent(sampled bool) Threshold {
	if !sampled && a.more != nil {
		return a.more.unsampled
	}
	return a.threshold()
}

// Threshold returns the threshold of the answer, [Unknown] if it was given
// without one, and false if it abstains, drops or is [ByParent]. That of [AtMost] is a
// bound.
func (a Answer) Threshold() (t Threshold, ok bool) {
	switch a.verdict() {
	case threshold, selectedUnknown, unselectedUnknown, atMost:
		return a.threshold(), true
	default:
		return Never, false
	}
}

// Selects reports whether a trace with this randomness is selected. [AtMost]
// selects none: it only bounds what others select. Nor does [ByParent]: that is up to
// the parent too.
func (a Answer) Selects(randomness uint64) bool {
	switch a.verdict() {
	case threshold:
		return a.threshold() == Unknown || a.threshold().Selects(randomness)
	case selectedUnknown:
		return true
	default:
		return false
	}
}

// String says the answer and its reason.
func (a Answer) String() string {
	var s string
	switch a.verdict() {
	case drop:
		s = "drop"
	case threshold:
		s = "threshold " + a.threshold().String()
	case selectedUnknown:
		s = "selected, threshold unknown"
	case unselectedUnknown:
		s = "not selected, threshold unknown"
	case atMost:
		if s = "discard"; a.threshold() != Never {
			s = "at most threshold " + a.threshold().String()
		}
	case byParent:
		sampled, unsampled := a.BelowParent(true), a.BelowParent(false)
		if s = "as the parent decided"; sampled != Always || unsampled != Never {
			s = "threshold " + sampled.String() + " below a sampled parent, " + unsampled.String() + " below another"
		}
	default:
		s = "abstain"
	}
	if a.Reason != "" {
		s += ": " + a.Reason
	}
	return s
}
