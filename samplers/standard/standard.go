// Package standard registers the samplers that riffle comes with.
package standard

import (
	_ "github.com/riffletrace/riffle/samplers/adaptive"     // type: adaptive
	_ "github.com/riffletrace/riffle/samplers/at_most"      // type: at_most
	_ "github.com/riffletrace/riffle/samplers/attribute"    // type: attribute
	_ "github.com/riffletrace/riffle/samplers/composite"    // type: composite
	_ "github.com/riffletrace/riffle/samplers/discard"      // type: discard
	_ "github.com/riffletrace/riffle/samplers/error"        // type: error
	_ "github.com/riffletrace/riffle/samplers/jaegerremote" // type: jaeger_remote
	_ "github.com/riffletrace/riffle/samplers/rare"         // type: rare
	_ "github.com/riffletrace/riffle/samplers/ratio"        // type: ratio
	_ "github.com/riffletrace/riffle/samplers/route"        // type: route
	_ "github.com/riffletrace/riffle/samplers/slow"         // type: slow
	_ "github.com/riffletrace/riffle/samplers/spans"        // type: spans
)
