// Package viewer shows traces in a browser: it holds spans in memory, finds what is
// wrong in them, searches them, and serves a page.
//
// # The page's API
//
// All of it is GET, JSON, below /api/ and read-only. Times are microseconds since 1970
// and durations microseconds, both numbers that may have a fraction; IDs are lowercase
// hex. Every text is as the spans have it: hostile. A name of more than 1,024 bytes is not
// in the summary, and is cut and ends with … everywhere but in a span's details. A mistake
// in a query is a 400 with {"error": "..."}; what is not there any more is a 404 with the
// same.
//
//	/api/summary
//	  {"version":N, "spans":N, "traces":N, "bytes":N, "max_bytes":N,
//	   "waiting_traces":N to be looked at for findings, "evicted_traces":N,
//	   "rejected_spans":N, "services":["..."],
//	   "operations":[{"service","name"}], "from":T, "to":T,
//	   "sources":[{"name","spans","error"}],
//	   "receivers":{"grpc":ADDRESS,"http":URL}}   "" is none; version grows with every
//	                                              change
//
//	/api/findings
//	  {"version":N, "findings":[Finding]}          as package findings has them, whole
//
//	/api/search?service=&name=&status=error|ok&min=DUR&max=DUR&attr=KEY=VALUE (repeated)
//	           &trace_min=DUR&trace_below=DUR&q=TEXT&from=T&to=T&finding=KIND&sort=recent|longest|spans&limit=N
//	  trace_min and trace_below are of how long the trace takes: at least, and less than;
//	  min and max are durations of a trace's spans, all of them as Go writes them (250ms); a trace
//	  matches if one of its spans has all of service, name, status, min, max, attr
//	  and q; q is found in names, values of attributes, events, descriptions of the status
//	  and IDs, in any case;
//	  finding is a kind that the trace has. service and name are whole names; VALUE is the
//	  whole value, as the text that a span's details show; attr and q look at attributes of
//	  the span's resource too; status ok is every one but error; from and to are of the start of the trace. A text is of 1,024
//	  bytes at most, and attr is there 16 times at most.
//	  {"version":N, "traces_matched":N, "weight":W, "took":DURATION,
//	   "traces":[{"id","service","name","start":T,"duration":D,"spans":N,"errors":N,
//	              "services":["..."],"weight":W or null,"root":bool,
//	              "findings":["kind"]}],              at most limit (100; 1000 at most)
//	   "points":[[T, D, 0|1, "traceid"]],             of at most 2,000 traces, error 1
//	   "histogram":{"edges":[D...],"weights":[W...],"errors":[W...]}}
//	                                                   one weight more than edges
//
//	/api/operations?  the same query but sort and limit; of the spans that match
//	  {"version":N, "seconds":S, "operations":[{"service","name","kind",
//	    "spans":N,"count":W,"rate":W per second,"errors":W,"p50":D,"p95":D,"p99":D}]}
//	  weights are the adjusted counts of the spans; one without counts 1. At most 1,000
//	  operations, by count.
//
//	/api/traces/{id}
//	  {"id","start":T,"duration":D,"weight":W or null,"services":["..."],"names":["..."],
//	   "kinds":["unspecified","internal",...], "spans":{"id":[..],"parent":[index or -1],"depth":[..],
//	     "service":[index],"name":[index],"kind":[0..5 as in OTLP],"start":[D since
//	     the trace's],"duration":[D],"status":[0 unset,1 ok,2 error],"children":[N below it,
//	     all of them],"missing":[indices of spans whose parent is not there]},
//	   "critical":[[index, from D, to D]],            in the order of time
//	   "findings":[Finding]}                          as Trace of package findings
//	  spans are in the order of the tree: a parent before its children, children by start.
//
//	/api/traces/{id}/spans/{span}
//	  {"id","parent","name","service","kind","start":T,"duration":D,
//	   "status":{"code","description"},"weight":W or null,"tracestate","scope":{"name","version"},
//	   "attributes":[Attribute],"resource":[Attribute],"dropped":{"attributes","events","links"},
//	   "events":[{"name","at":D since the span's start,"attributes":[Attribute]}],
//	   "links":[{"trace","span","held":bool,"attributes":[Attribute]}]}
//	  Attribute is {"key","type":"string|bool|int64|float64|string[]|bool[]|int64[]|
//	  float64[]|bytes|array|map|empty","value"}; value is a text.
//
// # The page's URLs
//
// Every state has one, after the #: #/ (findings), #/search?QUERY as the API's,
// #/operations?QUERY, #/trace/ID, #/trace/ID/SPAN.
package viewer
