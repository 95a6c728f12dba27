// Package page is the page of riffle view, as a browser gets it. It is built from
// ../ui by `make page`; CI checks that it is current.
package page

import (
	"embed"
	"io/fs"
)

//go:embed index.html app.js app.css icon.svg preact.LICENSE.txt
var files embed.FS

// Files are those of the page: index.html and what it asks for.
var Files fs.FS = files
