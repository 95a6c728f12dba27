package browser

import (
	"bytes"
	"context"
	"flag"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

var update = flag.Bool("update", false, "write docs/pictures")

// A picture of the docs is no larger, in bytes.
const largestPicture = 200 << 10

// The pictures of the docs are of riffle view as it is, with requests of people alone.
func TestPictures(t *testing.T) {
	v := runView(t)
	people := &trafficker{random: newRandom()}
	people.requests()
	people.checkout(checkoutTrace, window-10e6, true, 1)
	v.send(t, people.spans)
	for _, how := range []view{desktop, desktop.in("dark")} {
		b := open(t, how, v.page)
		for _, s := range []struct{ name, hash, there string }{
			{"findings", "#/", `document.querySelectorAll('.finding').length >= 4`},
			{"search", "#/search", `document.querySelectorAll('li.hit .badge').length >= 3`},
			{"operations", "#/operations", `document.querySelector('.operations tbody td')`},
			{"trace", "#/trace/" + checkoutTrace + "/" + failedSpan(people.spans), `document.querySelector('.details .advice') && document.querySelector('.row.active .badge')`},
		} {
			eval[any](b, `void (location.hash = `+quote(s.hash)+`)`)
			b.wait(complete(s.there))
			ctx, cancel := context.WithTimeout(b.ctx, *patience)
			picture, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
			cancel()
			if err == nil {
				picture, err = smaller(picture)
			}
			if err != nil {
				t.Fatal(err)
			}
			name := "view-" + s.name + "-" + how.theme + ".png"
			if len(picture) > largestPicture {
				t.Errorf("%s has %d bytes", name, len(picture))
			}
			if !*update {
				continue
			}
			if err := os.WriteFile(filepath.Join("..", "..", "docs", "pictures", name), picture, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if text := eval[string](b, `document.body.innerText`); strings.Contains(text, "undefined") || strings.Contains(text, "NaN") {
			t.Errorf("something is not told: %s", text)
		}
	}
}

// smaller makes a picture small: with the colours that it has most of, as many as a
// palette holds, and the nearest of them in place of the others.
func smaller(picture []byte) ([]byte, error) {
	from, err := png.Decode(bytes.NewReader(picture))
	if err != nil {
		return nil, err
	}
	bounds := from.Bounds()
	rgba := image.NewRGBA(bounds)
	draw.Draw(rgba, bounds, from, bounds.Min, draw.Src)
	counts := map[[4]byte]int{}
	for i := 0; i < len(rgba.Pix); i += 4 {
		counts[[4]byte(rgba.Pix[i:])]++
	}
	most := slices.SortedFunc(maps.Keys(counts), func(a, b [4]byte) int { return counts[b] - counts[a] })
	asColor := func(c [4]byte) color.RGBA { return color.RGBA{c[0], c[1], c[2], c[3]} }
	var palette color.Palette
	for _, c := range most[:min(len(most), 256)] {
		palette = append(palette, asColor(c))
	}
	nearest := make(map[[4]byte]uint8, len(counts))
	for c := range counts {
		nearest[c] = uint8(palette.Index(asColor(c)))
	}
	to := image.NewPaletted(bounds, palette)
	for i := range to.Pix {
		to.Pix[i] = nearest[[4]byte(rgba.Pix[4*i:])]
	}
	var out bytes.Buffer
	err = (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, to)
	return out.Bytes(), err
}
