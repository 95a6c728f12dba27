package browser

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

var pictures = flag.String("pictures", "", "the directory that pictures of the views go to")

var patience = flag.Duration("patience", time.Minute, "how long a state may take on a machine that is very busy")

// built is where what is built for all tests is.
var built string

// chromium is the browser of all tests; nil without one.
var chromium context.Context

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	var err error
	if built, err = os.MkdirTemp("", "riffle-browser"); err != nil {
		log.Print(err)
		return 1
	}
	defer os.RemoveAll(built)
	path, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("RIFFLE_BROWSER") != "" {
			log.Print("the tests of the page need chromium: ", err)
			return 1
		}
		return m.Run()
	}
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path))
	if os.Geteuid() == 0 {
		opts = append(opts, chromedp.NoSandbox) // it refuses to run as root with one
	}
	allocator, stop := chromedp.NewExecAllocator(context.Background(), opts...)
	defer stop()
	browser, quit := chromedp.NewContext(allocator)
	defer quit()
	if err := chromedp.Do(browser); err != nil {
		log.Print("starting chromium: ", err)
		return 1
	}
	chromium = browser //nolint:fatcontext // chromedp has a browser as a context
	return m.Run()
}

// view is how the page is looked at.
type view struct {
	width, height int64
	theme         string // light or dark
}

var (
	desktop = view{1280, 800, "light"}
	phone   = view{390, 844, "light"}
)

func (v view) in(theme string) view {
	v.theme = theme
	return v
}

// tab is a tab of a browser that has no memory of other tabs.
type tab struct {
	t   *testing.T
	ctx context.Context //nolint:containedctx // chromedp has a tab as a context
	url string

	mu   sync.Mutex
	said []string // on the console, but what is no error
	may  string   // part of an error that a test expects
}

// needsChromium skips a test where there is no browser.
func needsChromium(t *testing.T) {
	t.Helper()
	if chromium == nil {
		t.Skip("chromium is not installed; CI installs it, and sets RIFFLE_BROWSER=1, with which that is a failure")
	}
}

// open opens the page in a tab. What it has to complain about fails the test.
func open(t *testing.T, v view, url string) *tab {
	t.Helper()
	needsChromium(t)
	ctx, cancel := chromedp.NewContext(chromium, chromedp.WithNewBrowserContext())
	t.Cleanup(cancel)
	b := &tab{t: t, ctx: ctx, url: url}
	go b.listen(chromedp.Console(ctx))
	b.do(func(context.Context, *chromedp.Target) (chromedp.Void, error) {
		_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: v.theme}}})
		return chromedp.Void{}, err
	})
	size := chromedp.EmulateViewport(v.width, v.height)
	if v.width < 600 {
		size = chromedp.EmulateViewport(v.width, v.height, chromedp.EmulateMobile, chromedp.EmulateTouch)
	}
	b.do(size)
	b.do(chromedp.Navigate(url))
	t.Cleanup(b.check)
	return b
}

func (b *tab) listen(messages func(func(chromedp.ConsoleMessage, error) bool)) {
	for m, err := range messages {
		if err != nil {
			return
		}
		switch m.Type {
		case chromedp.ConsoleError, chromedp.ConsoleException, chromedp.ConsoleWarning:
			b.mu.Lock()
			b.said = append(b.said, fmt.Sprintf("%s: %s (%s)", m.Type, m.Text, m.URL))
			b.mu.Unlock()
		}
	}
}

func (b *tab) check() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, said := range b.said {
		if b.may == "" || !strings.Contains(said, b.may) {
			b.t.Errorf("on the console: %s", said)
		}
	}
}

func (b *tab) do(action chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := b.try(action); err != nil {
		b.t.Fatal(err)
	}
}

func (b *tab) try(action chromedp.Action[chromedp.Void]) error {
	ctx, cancel := context.WithTimeout(b.ctx, *patience)
	defer cancel()
	return chromedp.Do(ctx, action)
}

// eval runs JavaScript in the page, and waits for what it promises.
func eval[T any](b *tab, script string) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, *patience)
	defer cancel()
	// As a text, whatever it is.
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string]("(async () => JSON.stringify(await ("+script+") ?? null))()", chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("%s: %v", script, err)
	}
	var v T
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		b.t.Fatalf("%s: %v", script, err)
	}
	return v
}

// wait waits until something is true in the page.
func (b *tab) wait(script string) {
	b.t.Helper()
	for deadline := time.Now().Add(*patience); ; time.Sleep(10 * time.Millisecond) {
		// What is not there yet is not true yet.
		if eval[bool](b, "(() => { try { return Boolean("+script+") } catch { return false } })()") {
			return
		}
		if time.Now().After(deadline) {
			b.picture("failed")
			b.t.Fatalf("still not true after %s: %s\nat %s the page has:\n%.2000s", *patience, script, eval[string](b, "location.href"), eval[string](b, "document.body.innerText"))
		}
	}
}

// want waits until an expression has a value.
func (b *tab) want(script, value string) {
	b.t.Helper()
	quoted, err := json.Marshal(value)
	if err != nil {
		b.t.Fatal(err)
	}
	b.wait("(" + script + ") === " + string(quoted))
}

// keys presses keys one after the other: single characters, or names of package kb.
func (b *tab) keys(keys ...string) {
	b.t.Helper()
	for _, key := range keys {
		b.do(chromedp.KeyEvent(key, asPressed))
	}
}

// asPressed makes events as a keyboard does: of a key that the page has used up no
// character is typed.
func asPressed(p *input.DispatchKeyEventParams) {
	if p.Type == kb.KeyDown {
		p.Type = input.DispatchKeyEventTypeRawKeyDown
	}
}

const (
	enter  = kb.Enter
	escape = kb.Escape
	left   = kb.ArrowLeft
	right  = kb.ArrowRight
	down   = kb.ArrowDown
	kbEnd  = kb.End
)

// click clicks in the middle of an element.
func (b *tab) click(selector string) {
	b.t.Helper()
	b.wait(`document.querySelector(` + quote(selector) + `)`)
	at := eval[[2]float64](b, `(() => { const e = document.querySelector(`+quote(selector)+`); e.scrollIntoView({block: 'center'}); const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2] })()`)
	b.do(chromedp.MouseClickXY(at[0], at[1]))
}

func quote(text string) string {
	quoted, err := json.Marshal(text)
	if err != nil {
		panic(err)
	}
	return string(quoted)
}

// picture writes what is seen, where the flag says.
func (b *tab) picture(name string) {
	b.t.Helper()
	if *pictures == "" {
		return
	}
	ctx, cancel := context.WithTimeout(b.ctx, *patience)
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err == nil {
		err = errors.Join(os.MkdirAll(*pictures, 0o755), os.WriteFile(filepath.Join(*pictures, strings.ReplaceAll(name, "/", "-")+".png"), png, 0o644))
	}
	if err != nil {
		b.t.Error(err)
	}
}
