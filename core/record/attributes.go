package record

import (
	"slices"

	"go.opentelemetry.io/otel/attribute"
)

// SetAttributes sets attributes. The last value of a key counts.
func (s *span) SetAttributes(kvs ...attribute.KeyValue) {
	if len(kvs) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.state.hasEnded() {
		s.addAttributes(s.segment.rules().text.Attributes(kvs))
		if len(s.late) > 0 && sizeOfAttributes(kvs)-int64(cap(kvs))*attributeBytes >= lateGrain {
			s.order() // which counts them, before the span has ended
		}
	}
}

// startWith takes the attributes of Start, which nobody else has.
func (s *recorded) startWith(kvs []attribute.KeyValue) {
	limits := &s.segment.rules().limits
	if n := limits.AttributeCountLimit; n == 0 || n > 0 && len(kvs) > n {
		s.addAttributes(kvs)
		return
	}
	for i := range kvs {
		if !kvs[i].Valid() || needsNormalizing(&kvs[i], limits.AttributeValueLengthLimit) {
			s.addAttributes(kvs)
			return
		}
	}
	s.attrs = kvs
	if len(kvs) > 1 {
		s.state.Or(unordered)
	}
}

// needsNormalizing tells that a value has parts, or may be too long.
func needsNormalizing(kv *attribute.KeyValue, length int) bool {
	switch kv.Value.Type() {
	case attribute.BOOL, attribute.INT64, attribute.FLOAT64:
		return false
	case attribute.STRING:
		return length >= 0 && len(kv.Value.AsString()) > length
	default:
		return true
	}
}

func (s *recorded) addAttributes(kvs []attribute.KeyValue) {
	limits := &s.segment.rules().limits
	limit := limits.AttributeCountLimit
	switch {
	case limit == 0:
		s.rarely().droppedAttrs += len(kvs)
		return
	case limit > 0 && len(s.attrs)+len(s.late)+len(kvs) > limit:
		s.addUpTo(limit, kvs)
		return
	}
	s.late = slices.Grow(s.late, len(kvs))
	for _, kv := range kvs {
		if !kv.Valid() {
			s.rarely().droppedAttrs++
			continue
		}
		s.late = append(s.late, normalizeAttribute(kv, limits.AttributeValueDepthLimit, limits.AttributeValueLengthLimit))
	}
}

// addUpTo adds attributes where there is no room for all of them, unless some have
// the same key.
func (s *recorded) addUpTo(limit int, kvs []attribute.KeyValue) {
	limits := &s.segment.rules().limits
	s.order()
	all := make([]attribute.KeyValue, len(s.attrs), min(limit, len(s.attrs)+len(kvs)))
	copy(all, s.attrs)
	place := make(map[attribute.Key]int, cap(all))
	for i := range all {
		place[all[i].Key] = i
	}
	for _, kv := range kvs {
		i, there := place[kv.Key]
		if !kv.Valid() || !there && len(all) >= limit {
			s.rarely().droppedAttrs++
			continue
		}
		kv = normalizeAttribute(kv, limits.AttributeValueDepthLimit, limits.AttributeValueLengthLimit)
		if there {
			all[i] = kv
			continue
		}
		place[kv.Key] = len(all)
		all = append(all, kv)
	}
	s.countMore(sizeOfAttributes(all) - sizeOfAttributes(s.attrs))
	s.attrs = all
}

// order makes attrs hold all attributes, each key once. It never writes into what
// it has made before, which readers may have.
func (s *recorded) order() { s.orderWith(nil) }

// orderWith orders the attributes, and returns them with more that are not the
// span's.
func (s *recorded) orderWith(more []attribute.KeyValue) []attribute.KeyValue {
	dirty := s.state.Load()&unordered != 0
	if len(s.late) == 0 && (!dirty || !repeats(s.attrs)) {
		if dirty {
			s.state.And(^uint32(unordered))
		}
		return appendMore(slices.Grow(slices.Clip(s.attrs), len(more)), more)
	}
	all := make([]attribute.KeyValue, 0, len(s.attrs)+len(s.late)+len(more))
	all = appendOnce(appendOnce(all, s.attrs), s.late)
	if !s.state.hasEnded() { // else they are counted
		s.countMore(sizeOfAttributes(all) - sizeOfAttributes(s.attrs))
	}
	s.attrs, s.late = slices.Clip(all), nil
	s.state.And(^uint32(unordered))
	return appendMore(all, more)
}

// keysAreOnce reports whether attrs and late of a span that has ended hold no key twice.
func (s *recorded) keysAreOnce() bool {
	state := s.state.Load()
	if state&keysOnce != 0 || len(s.late) == 0 && state&unordered == 0 {
		return true
	}
	if len(s.attrs)+len(s.late) > fewAttrs || repeats(s.attrs) || repeats(s.late) || holdAnyOf(s.attrs, s.late) {
		return false
	}
	s.state.Or(keysOnce)
	return true
}

// holdAnyOf reports whether a key of others is among those of kvs.
func holdAnyOf(kvs, others []attribute.KeyValue) bool {
	for i := range others {
		for j := range kvs {
			if kvs[j].Key == others[i].Key {
				return true
			}
		}
	}
	return false
}

// appendMore adds what riffle has to say, in place of what the application says under
// the same key. It writes to all only behind what is there.
func appendMore(all, more []attribute.KeyValue) []attribute.KeyValue {
	copied := false
	for _, kv := range more {
		i := slices.IndexFunc(all, func(old attribute.KeyValue) bool { return old.Key == kv.Key })
		if i < 0 {
			all = append(all, kv)
			continue
		}
		if !copied {
			all, copied = slices.Clone(all), true
		}
		all[i] = kv
	}
	return all
}

// fewAttrs is up to how many attributes comparing all keys is faster than a map.
const fewAttrs = 24

// repeats reports whether a key is there twice.
func repeats(kvs []attribute.KeyValue) bool {
	if len(kvs) > fewAttrs {
		return true // perhaps: order looks closer
	}
	for i := range kvs {
		for j := range i {
			if kvs[i].Key == kvs[j].Key {
				return true
			}
		}
	}
	return false
}

// appendOnce adds attributes to all; the last value of a key takes the place of the
// first.
func appendOnce(all, kvs []attribute.KeyValue) []attribute.KeyValue {
	var place map[attribute.Key]int
	if len(all)+len(kvs) > fewAttrs {
		place = make(map[attribute.Key]int, len(all)+len(kvs))
		for i := range all {
			place[all[i].Key] = i
		}
	}
next:
	for _, kv := range kvs {
		if place != nil {
			if i, ok := place[kv.Key]; ok {
				all[i] = kv
				continue
			}
			place[kv.Key] = len(all)
			all = append(all, kv)
			continue
		}
		for i := range all {
			if all[i].Key == kv.Key {
				all[i] = kv
				continue next
			}
		}
		all = append(all, kv)
	}
	return all
}
