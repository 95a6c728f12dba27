package browser

import (
	"cmp"
	"net/http"
	"slices"
)

// trace is one as columns, in the order of the tree.
func (f *fake) trace(r *http.Request) (any, int) {
	id := r.PathValue("id")
	all := f.traces[id]
	if all == nil {
		return object{"error": "trace " + id + " is not held"}, http.StatusNotFound
	}
	below := map[string][]span{}
	for _, i := range all {
		below[f.spans[i].parent] = append(below[f.spans[i].parent], f.spans[i])
	}
	var (
		ids                                                   []string
		parents, depths, services, names, kinds, states, subs []int
		starts, durations                                     []float64
		serviceNames, spanNames                               []string
		critical                                              = [][3]any{}
	)
	intern := func(list *[]string, text string) int {
		if i := slices.Index(*list, text); i >= 0 {
			return i
		}
		*list = append(*list, text)
		return len(*list) - 1
	}
	root := below[""][0]
	var walk func(s span, parent, depth int, path bool)
	walk = func(s span, parent, depth int, path bool) {
		at := len(ids)
		ids, parents, depths = append(ids, s.id), append(parents, parent), append(depths, depth)
		services, names = append(services, intern(&serviceNames, s.service)), append(names, intern(&spanNames, s.name))
		kinds, starts, durations = append(kinds, s.kind), append(starts, s.start-root.start), append(durations, s.duration)
		status := 0
		if s.failed {
			status = 2
		}
		states, subs = append(states, status), append(subs, 0)
		children := below[s.id]
		slices.SortStableFunc(children, func(a, b span) int { return cmp.Compare(a.start, b.start) })
		end := s.start
		for _, c := range children {
			if path {
				critical = append(critical, [3]any{at, end - root.start, c.start - root.start})
			}
			walk(c, at, depth+1, path)
			end = c.start + c.duration
		}
		if path {
			critical = append(critical, [3]any{at, end - root.start, s.start + s.duration - root.start})
		}
		subs[at] = len(ids) - at - 1
	}
	walk(root, -1, 0, true)
	findings := []object{}
	if len(all) < 1000 {
		findings = f.findings([]string{id}, false)
	}
	return object{
		"id": id, "start": f.start + root.start, "duration": root.duration, "weight": root.weight, "services": serviceNames, "names": spanNames, "kinds": []string{},
		"spans":    object{"id": ids, "parent": parents, "depth": depths, "service": services, "name": names, "kind": kinds, "start": starts, "duration": durations, "status": states, "children": subs, "missing": []int{}},
		"critical": critical, "findings": findings,
	}, 200
}

func (f *fake) span(r *http.Request) (any, int) {
	for _, i := range f.traces[r.PathValue("id")] {
		s := f.spans[i]
		if s.id != r.PathValue("span") {
			continue
		}
		code := "Unset"
		if s.failed {
			code = "Error"
		}
		return object{
			"id": s.id, "parent": s.parent, "name": s.name, "service": s.service, "kind": s.kind, "start": f.start + s.start, "duration": s.duration,
			"status": object{"code": code, "description": s.description}, "weight": s.weight, "tracestate": "ot=th:c",
			"scope":      object{"name": "shop", "version": "1.2.0"},
			"attributes": s.attributes, "resource": []attribute{text("service.name", s.service), text("service.version", "2026.11"), text("host.name", "node-7")},
			"dropped": object{"attributes": 0, "events": 0, "links": 0}, "events": s.events, "links": s.links,
		}, 200
	}
	return object{"error": "the span is not held"}, http.StatusNotFound
}
