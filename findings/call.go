package findings

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/riffletrace/riffle/core/route"
)

// call is what is known of a span that calls something.
type call struct {
	database bool
	batch    bool  // of several statements
	control  bool  // of a transaction or a session
	writes   bool  // or may do so
	resent   bool  // says itself that it repeats another
	unnamed  bool  // nothing but the name of the span tells the target
	twin     bool  // a span within it tells of the same
	top      int32 // the sibling of others by which it is there: itself, or what wraps it
	// target is what it is sent to, and is "" until the service below it is known, where
	// nothing else tells. shape is what it asks, and exact the same with all that differs
	// from call to call.
	target, shape, exact string
	verb                 string // of a database
}

// told is what the attributes of a span tell of a call, by the conventions of any year.
type told struct {
	system, statement, summary, operation, collection, namespace string
	address, port, peer                                          string
	url, path, query, target, template                           string
	rpc, rpcService, rpcMethod                                   string
	method                                                       bool
	batch, resends                                               int64
	receives                                                     bool
}

func (t *told) read(attributes []attribute.KeyValue) {
	for i := range attributes {
		kv := &attributes[i]
		switch kv.Key {
		case "db.system.name":
			t.system = text(kv)
		case "db.system":
			older(&t.system, kv)
		case "db.query.text":
			t.statement = text(kv)
		case "db.statement", "sql.query":
			older(&t.statement, kv)
		case "db.query.summary":
			t.summary = text(kv)
		case "db.operation.name":
			t.operation = text(kv)
		case "db.operation":
			older(&t.operation, kv)
		case "db.collection.name":
			t.collection = text(kv)
		case "db.sql.table", "db.table", "db.mongodb.collection", "db.cassandra.table":
			older(&t.collection, kv)
		case "db.namespace":
			t.namespace = text(kv)
		case "db.name", "db.redis.database_index":
			older(&t.namespace, kv)
		case "server.address":
			t.address = text(kv)
		case "net.peer.name", "net.sock.peer.name", "net.peer.ip", "http.host":
			older(&t.address, kv)
		case "server.port":
			t.port = text(kv)
		case "net.peer.port":
			older(&t.port, kv)
		case "peer.service", "service.peer.name":
			older(&t.peer, kv)
		case "url.full":
			t.url = text(kv)
		case "http.url":
			older(&t.url, kv)
		case "url.path":
			t.path = text(kv)
		case "url.query":
			t.query = text(kv)
		case "http.target":
			t.target = text(kv)
		case "url.template":
			t.template = text(kv)
		case "http.request.method", "http.method":
			t.method = true
		case "rpc.system.name", "rpc.system":
			older(&t.rpc, kv)
		case "rpc.service":
			t.rpcService = text(kv)
		case "rpc.method":
			t.rpcMethod = text(kv)
		case "messaging.operation.type", "messaging.operation", "messaging.operation.name":
			switch text(kv) {
			case "receive", "poll", "consume":
				t.receives = true
			}
		case "db.operation.batch.size":
			t.batch = kv.Value.AsInt64()
		case "http.request.resend_count", "http.resend_count":
			t.resends = kv.Value.AsInt64()
		}
	}
}

// text is a value that is a text or a whole number.
func text(kv *attribute.KeyValue) string {
	switch kv.Value.Type() {
	case attribute.STRING:
		return kv.Value.AsString()
	case attribute.INT64:
		return strconv.FormatInt(kv.Value.AsInt64(), 10)
	}
	return ""
}

// older sets what no newer convention has said.
func older(to *string, kv *attribute.KeyValue) {
	if *to == "" {
		*to = text(kv)
	}
}

// statements remembers shapes: programs have few statements, and send them often.
type statements map[[2]string]string

const (
	maxStatements  = 10_000
	rememberedSize = 4 << 10
)

func (s statements) shape(text, system string) string {
	if len(text) > rememberedSize {
		return statementShape(text, system)
	}
	key := [2]string{system, text}
	shape, ok := s[key]
	if !ok {
		if len(s) >= maxStatements {
			clear(s)
		}
		shape = statementShape(text, system)
		s[key] = shape
	}
	return shape
}

// callOf reads a call. It is not ok if the span is none, but waits for messages.
func (a *analysis) callOf(s sdktrace.ReadOnlySpan, attributes []attribute.KeyValue) (c call, ok bool) {
	var t told
	t.read(attributes)
	if t.system == "" && t.statement != "" {
		t.system = "other_sql" // as the conventions call what has no name of its own
	}
	if t.system != "" {
		c = a.databaseCall(s.Name(), &t)
		return c, !waits[c.verb]
	}
	if t.receives || t.rpc != "" && strings.HasSuffix(t.rpcMethod, "ReceiveMessage") { // SQS
		return call{}, false
	}
	return a.otherCall(s.Name(), attributes, &t), true
}

func (a *analysis) otherCall(name string, attributes []attribute.KeyValue, t *told) call {
	c := call{target: hostPort(t.address, t.port), resent: t.resends > 0}
	if c.target == "" {
		c.target = hostOf(t.url)
	}
	if c.target == "" {
		c.target = t.peer
	}
	switch {
	case t.method || t.url != "":
		a.httpCall(&c, name, attributes, t)
	case t.rpc != "":
		c.shape = t.rpcMethod
		if t.rpcService != "" && t.rpcMethod != "" {
			c.shape = t.rpcService + "/" + t.rpcMethod
		}
		if c.target == "" {
			c.target = t.rpcService
		}
	}
	if c.shape == "" {
		c.shape = name
	}
	if c.exact == "" {
		c.exact = c.shape
	}
	return c
}

func (a *analysis) databaseCall(name string, t *told) call {
	c := call{
		database: true, batch: t.batch > 1, resent: t.resends > 0,
		target: joined(t.system, hostPort(t.address, t.port), t.namespace),
		shape:  t.summary, exact: t.statement,
	}
	switch {
	case t.statement != "":
		c.shape = a.statements.shape(t.statement, t.system)
		if strings.HasPrefix(c.shape, "{") { // JSON seldom says what it is about
			c.shape = joined(t.operation, t.collection, c.shape)
		}
	case c.shape == "":
		c.shape = joined(t.operation, t.collection)
	}
	if c.shape == "" {
		c.shape = name
	}
	if c.exact == "" {
		c.exact = c.shape
	}
	c.verb = verbOf(t.operation)
	if t.statement != "" && verbOf(c.shape) != "" {
		c.verb = verbOf(c.shape)
	}
	if c.verb == "" {
		c.verb = verbOf(c.shape)
	}
	c.control = controls[c.verb]
	c.writes = !reads[c.verb] || changes(c.shape)
	return c
}

func (a *analysis) httpCall(c *call, name string, attributes []attribute.KeyValue, t *told) {
	r, _ := requestFrom(name, attributes)
	switch r.Method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, "QUERY":
	default:
		c.writes = true
	}
	switch {
	case t.template != "":
		c.shape = joined(r.Method, t.template)
	case r.Path != "":
		if a.paths == nil {
			a.paths = &route.Shapes{Patient: true}
		}
		c.shape = joined(r.Method, string(a.paths.AppendShape(nil, r.Path, time.Time{})))
	default:
		c.shape = joined(r.Method, name)
		if strings.HasPrefix(name, r.Method) {
			c.shape = name
		}
	}
	switch {
	case t.url != "":
		c.exact = joined(r.Method, t.url)
	case t.path != "":
		c.exact = joined(r.Method, t.path+"?"+t.query)
	case t.target != "":
		c.exact = joined(r.Method, t.target)
	}
}

// requestFrom is route.RequestOf with the URL that a client of old conventions has.
func requestFrom(name string, attributes []attribute.KeyValue) (route.Request, bool) {
	r, ok := route.RequestOf(name, attributes)
	for i := range attributes {
		if kv := &attributes[i]; kv.Key == "http.url" {
			old, _ := route.RequestOf("", []attribute.KeyValue{attribute.String("url.full", text(kv))})
			if old.Path != "" {
				r.Path, r.Decoded, ok = old.Path, false, true
			}
		}
	}
	return r, ok
}

// joined puts a space between what is not empty.
func joined(parts ...string) string {
	out := ""
	for _, p := range parts {
		switch {
		case p == "":
		case out == "":
			out = p
		default:
			out += " " + p
		}
	}
	return out
}

func hostPort(address, port string) string {
	if address == "" || port == "" || strings.HasSuffix(address, ":"+port) {
		return address
	}
	return address + ":" + port
}

// hostOf is the host of a URL, with its port.
func hostOf(full string) string {
	const most = 1 << 10 // of it is looked at
	_, rest, ok := strings.Cut(full[:min(len(full), most)], "://")
	if !ok {
		return ""
	}
	if end := strings.IndexAny(rest, "/?#"); end >= 0 {
		rest = rest[:end]
	}
	return rest[strings.LastIndexByte(rest, '@')+1:]
}

// verbOf is the first word of a statement or an operation, in capitals; of a name in
// parts, as db.select or sql.conn.begin_tx, that of the last.
func verbOf(shape string) string {
	word, _, _ := strings.Cut(shape[:min(len(shape), 64)], " ")
	word = strings.TrimLeft(word, "(")
	word, _, _ = strings.Cut(word, "(")
	if i := strings.LastIndexByte(word, '.'); i >= 0 {
		word = word[i+1:]
	}
	return strings.ToUpper(strings.TrimSuffix(word, ";"))
}

var (
	// controls are what a driver says besides what it is asked.
	controls = words(`BEGIN BEGIN_TX BEGINTX START COMMIT ROLLBACK ABORT END SAVEPOINT RELEASE SET RESET
		RESET_SESSION DISCARD DEALLOCATE PREPARE USE PRAGMA LISTEN UNLISTEN PING CONNECT ACQUIRE CLOSE
		GETCONNECTION GET_CONNECTION OPEN ROWS
		AUTH HELLO CLIENT MULTI WATCH UNWATCH DECLARE FETCH LOCK`)
	// waits are what waits for others to write, for as long as that takes.
	waits = words(`BLPOP BRPOP BLMOVE BLMPOP BRPOPLPUSH BZPOPMIN BZPOPMAX BZMPOP SUBSCRIBE PSUBSCRIBE SSUBSCRIBE`)
	// reads are what changes nothing, of SQL and of others.
	reads = words(`SELECT WITH SHOW DESCRIBE DESC EXPLAIN VALUES TABLE
		GET MGET GETS GETRANGE STRLEN EXISTS TTL PTTL TYPE KEYS SCAN HGET HMGET HGETALL HKEYS HVALS HLEN
		HEXISTS HSCAN LRANGE LLEN LINDEX SMEMBERS SISMEMBER SCARD SSCAN SINTER SUNION SDIFF ZRANGE ZSCORE
		ZCARD ZCOUNT ZRANK ZREVRANGE ZRANGEBYSCORE ZSCAN BITCOUNT PFCOUNT
		FIND FINDONE FIND_ONE AGGREGATE COUNT DISTINCT GETMORE SEARCH MSEARCH
		GETITEM BATCHGETITEM QUERY READ LOOKUP`)
	writing = []string{" INSERT ", " UPDATE ", " DELETE ", " MERGE ", " INTO ", " FOR SHARE", " FOR NO KEY "}
)

// changes tells of what begins like a read that it is none: SELECT FOR UPDATE, and WITH
// in front of a DELETE.
func changes(shape string) bool {
	for _, w := range writing {
		if strings.Contains(shape, w) || strings.HasSuffix(shape, w[:len(w)-1]) {
			return true
		}
	}
	return strings.Contains(shape, "(DELETE ") || strings.Contains(shape, "(UPDATE ") || strings.Contains(shape, "(INSERT ")
}
