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
// resources and instrumentation scopes, and, unless it names keys, into every other
// text of a span: names, keys, the description of the status, scopes, schema URLs
// and tracestates. The rules apply in order, each to what those before have left.
//
// A text is looked at in its forms: as it stands, and percent-decoded (formsOf). Of
// one that was cut, what may go on behind its end is taken out first (settle,
// prefix).
//
// Most spans have nothing to hide, and pass without an allocation: which rules are about a key is remembered, and a regular
// expression runs only on text that has the length and the bytes that any match
// of it must have.
package redact
