// Package redact takes out of spans what must not leave the process.
//
//	redact:
//	  salt: ${REDACT_SALT}
//	  rules:
//	    - presets: [emails, bearer_tokens, credit_cards, url_credentials]
//	    - keys: [enduser.*, session.id]
//	      action: sha256
//	    - keys: [db.query.text]
//	      value: "'[^']*'"
//	    - keys: [http.request.header.*]
//	      action: drop
//
// A rule finds text by the key of its attribute, by a regular expression or a
// preset, or by both; it looks into the attributes of spans, events, links,
// resources and instrumentation scopes, and, unless it names keys, into the names
// of spans and events and the description of the status. The rules apply in
// order, each to what those before have left.
//
// Most spans have nothing to hide, and pass for a few hundred nanoseconds and
// without an allocation: which rules are about a key is remembered, and a regular
// expression runs only on text that has the length and the bytes that any match
// of it must have.
package redact
