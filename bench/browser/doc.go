// Package browser holds the page of riffle view to what a person needs of it, in a real
// browser: that it finds, opens and moves by keys, stays fast with a trace of 100,000
// spans, is readable in both themes and on a phone, and takes names of spans for text.
//
// The browser is Debian's Chromium. The tests are skipped without it, unless
// RIFFLE_BROWSER is set, as in CI. They need what `make page` installs, for axe-core.
//
// The module is one of its own so that nobody's requirements meet the browser's.
package browser
