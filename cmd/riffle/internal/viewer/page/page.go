// Package page has the files of the viewer's page.
package page

import "embed"

// Files are index.html and what it refers to.
//
//go:embed index.html
var Files embed.FS
