package interop

import "time"

// tailCases are the policies of the processor of which riffle says what traces they
// keep; of the others, which look at the load, docs/coming-from-collector.md says what
// they become.
var tailCases = []tailCase{
	{name: "status_code", policies: `
    - {name: errors, type: status_code, status_code: {status_codes: [ERROR]}}`},
	{name: "status_code-several", policies: `
    - {name: a, type: status_code, status_code: {status_codes: [OK, ERROR]}}`},
	{name: "latency", policies: `
    - {name: a, type: latency, latency: {threshold_ms: 500}}`},
	{name: "latency-band", policies: `
    - {name: a, type: latency, latency: {threshold_ms: 250, upper_threshold_ms: 2000}}`},
	{name: "numeric_attribute", policies: `
    - {name: a, type: numeric_attribute, numeric_attribute: {key: http.response.status_code, min_value: 500, max_value: 599}}`},
	{name: "numeric_attribute-min", policies: `
    - {name: a, type: numeric_attribute, numeric_attribute: {key: db.rows, min_value: 1001}}`},
	{name: "numeric_attribute-invert", policies: `
    - {name: a, type: numeric_attribute, numeric_attribute: {key: http.response.status_code, min_value: 400, max_value: 599, invert_match: true}}`},
	{name: "string_attribute", policies: `
    - {name: a, type: string_attribute, string_attribute: {key: tenant.tier, values: [gold, platinum]}}`},
	{name: "string_attribute-regex", policies: `
    - {name: a, type: string_attribute, string_attribute: {key: http.route, values: ["^/checkout(/.*)?$", "^/cart$"], enabled_regex_matching: true}}`},
	{name: "string_attribute-invert", policies: `
    - {name: a, type: string_attribute, string_attribute: {key: net.zone, values: [internal], invert_match: true}}`},
	{name: "boolean_attribute", policies: `
    - {name: a, type: boolean_attribute, boolean_attribute: {key: debug, value: true}}`},
	{name: "boolean_attribute-invert", policies: `
    - {name: a, type: boolean_attribute, boolean_attribute: {key: debug, value: true, invert_match: true}}`},
	{name: "resource", policies: `
    - name: a
      type: and
      and:
        and_sub_policy:
          - {name: b, type: string_attribute, string_attribute: {key: service.name, values: [shop]}}
          - {name: c, type: string_attribute, string_attribute: {key: service.namespace, values: [us], invert_match: true}}
          - {name: d, type: boolean_attribute, boolean_attribute: {key: debug, value: false}}`},
	{name: "span_count", policies: `
    - {name: a, type: span_count, span_count: {min_spans: 4}}`},
	{name: "span_count-band", policies: `
    - {name: a, type: span_count, span_count: {min_spans: 3, max_spans: 49}}`},
	{name: "trace_state", policies: `
    - {name: a, type: trace_state, trace_state: {key: partner, values: [acme, globex]}}`},
	{name: "ottl_condition", policies: `
    - name: a
      type: ottl_condition
      ottl_condition:
        error_mode: ignore
        span:
          - span.attributes["db.system"] == "postgresql" and span.attributes["db.rows"] > 1000
          - IsMatch(span.attributes["url.path"], "^/admin/") and not (span.attributes["user.role"] == "admin")
          - resource.attributes["service.name"] == "shop" and span.attributes["cost"] >= 1.5
          - span.kind == SPAN_KIND_PRODUCER and span.status.code == STATUS_CODE_ERROR
          - span.name == "GET /healthz" and scope.name == "pgx" and span.attributes["net.zone"] != nil
          - span.attributes["db.rows"] < 1 and span.attributes["db.rows"] != nil`},
	{name: "ottl_condition-events", policies: `
    - name: a
      type: ottl_condition
      ottl_condition:
        spanevent: ['spanevent.name == "exception" and spanevent.attributes["exception.type"] == "TimeoutError"']`},
	{name: "and", policies: `
    - name: a
      type: and
      and:
        and_sub_policy:
          - {name: b, type: string_attribute, string_attribute: {key: tenant.tier, values: [gold]}}
          - {name: c, type: numeric_attribute, numeric_attribute: {key: http.response.status_code, min_value: 400}}
          - {name: d, type: not, not: {not_sub_policy: {name: e, type: latency, latency: {threshold_ms: 1000}}}}`},
	{name: "and-latency", policies: `
    - name: a
      type: and
      and:
        and_sub_policy:
          - {name: b, type: latency, latency: {threshold_ms: 250}}
          - {name: c, type: string_attribute, string_attribute: {key: http.route, values: [/checkout]}}
          - {name: d, type: status_code, status_code: {status_codes: [ERROR]}}`},
	{name: "not", policies: `
    - {name: a, type: not, not: {not_sub_policy: {name: b, type: latency, latency: {threshold_ms: 10}}}}`},
	{name: "drop", policies: `
    - {name: errors, type: status_code, status_code: {status_codes: [ERROR]}}
    - {name: slow, type: latency, latency: {threshold_ms: 1000}}
    - name: probes
      type: drop
      drop: {drop_sub_policy: [{name: path, type: string_attribute, string_attribute: {key: url.path, values: [/healthz, /readyz]}}]}
    - name: fast
      type: drop
      drop:
        drop_sub_policy:
          - {name: a, type: not, not: {not_sub_policy: {name: b, type: span_count, span_count: {min_spans: 3}}}}
          - {name: c, type: boolean_attribute, boolean_attribute: {key: debug, value: false}}`},
	{name: "always_sample", policies: `
    - {name: all, type: always_sample}
    - {name: none, type: drop, drop: {drop_sub_policy: [{name: a, type: boolean_attribute, boolean_attribute: {key: debug, value: true}}]}}`},
	{name: "several", policies: `
    - {name: errors, type: status_code, status_code: {status_codes: [ERROR]}}
    - {name: slow, type: latency, latency: {threshold_ms: 2000}}
    - {name: gold, type: string_attribute, string_attribute: {key: tenant.tier, values: [gold]}}
    - {name: none, type: probabilistic, probabilistic: {sampling_percentage: 0}}`},
	{
		name: "probabilistic", share: 0.25, selected: func(*recorded) bool { return true }, policies: `
    - {name: a, type: probabilistic, probabilistic: {sampling_percentage: 25}}
    - {name: b, type: probabilistic, probabilistic: {sampling_percentage: 10}}`,
	},
	{
		name: "and-probabilistic", share: 0.5, selected: func(r *recorded) bool { return r.spans[0].end >= 501*time.Millisecond }, policies: `
    - name: a
      type: and
      and:
        and_sub_policy:
          - {name: b, type: latency, latency: {threshold_ms: 500}}
          - {name: c, type: probabilistic, probabilistic: {sampling_percentage: 50}}`,
	},
	{
		name: "not-probabilistic", share: 0.75, selected: func(*recorded) bool { return true }, policies: `
    - {name: a, type: not, not: {not_sub_policy: {name: b, type: probabilistic, probabilistic: {sampling_percentage: 25}}}}`,
	},
	{
		name: "drop-probabilistic", share: 0.2, selected: func(r *recorded) bool { return r.any("tenant.tier", "gold", "silver") }, policies: `
    - name: some
      type: and
      and:
        and_sub_policy:
          - {name: tiers, type: string_attribute, string_attribute: {key: tenant.tier, values: [gold, silver]}}
    - name: most
      type: drop
      drop:
        drop_sub_policy:
          - {name: a, type: string_attribute, string_attribute: {key: tenant.tier, values: [gold, silver]}}
          - {name: b, type: probabilistic, probabilistic: {sampling_percentage: 80}}`,
	},
}
