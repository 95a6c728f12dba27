package token_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/riffletrace/riffle/exporters/internal/token"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// issuer issues numbered tokens that live for an hour.
type issuer struct {
	delay time.Duration
	err   error
	life  time.Duration

	mu sync.Mutex
	n  int
}

func (i *issuer) fetch(ctx context.Context) (token.Token, error) {
	select {
	case <-time.After(i.delay):
	case <-ctx.Done():
		return token.Token{}, ctx.Err()
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.n++
	return token.Token{Value: fmt.Sprint("token ", i.n), Expiry: time.Now().Add(i.life)}, i.err
}

func (i *issuer) issued() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.n
}

func want(t *testing.T, s *token.Source, value string) {
	t.Helper()
	if got, err := s.Token(t.Context()); err != nil || got != value {
		t.Errorf("Token = %q, %v, want %q", got, err, value)
	}
}

// A token is fetched once for all who want it, and renewed before its end while
// it still serves.
func TestRenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := &issuer{delay: time.Second, life: time.Hour}
		s := token.NewSource(i.fetch)
		defer s.Close()
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() { want(t, s, "token 1") })
		}
		wg.Wait()
		time.Sleep(56 * time.Minute)
		want(t, s, "token 1")
		time.Sleep(time.Minute)
		began := time.Now()
		want(t, s, "token 1") // and it is renewed
		if took := time.Since(began); took > 0 {
			t.Errorf("waited for %v", took)
		}
		time.Sleep(2 * time.Second)
		want(t, s, "token 2")
		time.Sleep(2 * time.Hour) // nobody wanted one in time
		want(t, s, "token 3")
		if n := i.issued(); n != 3 {
			t.Errorf("%d fetches", n)
		}
	})
}

// A token that a renewal does not change is not asked for at each attempt.
func TestPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := &issuer{life: time.Minute}
		s := token.NewSource(i.fetch)
		defer s.Close()
		for range 100 {
			if _, err := s.Token(t.Context()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(100 * time.Millisecond)
		}
		if n := i.issued(); n != 1 {
			t.Errorf("%d fetches in 10 s", n)
		}
	})
}

func TestRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := token.NewSource((&issuer{life: time.Hour}).fetch)
		defer s.Close()
		want(t, s, "token 1")
		s.Invalidate("another")
		want(t, s, "token 1")
		s.Invalidate("token 1")
		want(t, s, "token 2")
	})
}

func TestFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := &issuer{life: time.Hour, err: errors.New("no")}
		s := token.NewSource(i.fetch)
		if _, err := s.Token(t.Context()); err == nil || err.Error() != "no" {
			t.Errorf("a fetch that fails: %v", err)
		}
		i.err = nil
		want(t, s, "token 2")

		i.err = errors.New("no")
		time.Sleep(58 * time.Minute)
		want(t, s, "token 2") // the renewal fails
		time.Sleep(time.Minute)
		want(t, s, "token 2")
		s.Close()

		ended := token.NewSource((&issuer{life: -time.Minute}).fetch)
		if _, err := ended.Token(t.Context()); err == nil || !strings.Contains(err.Error(), "is the clock of this machine right?") {
			t.Errorf("a token that has ended: %v", err)
		}
		ended.Close()

		slow := token.NewSource((&issuer{delay: time.Hour, life: time.Hour}).fetch)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := slow.Token(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a fetch that hangs: %v", err)
		}
		go func() {
			time.Sleep(time.Second)
			slow.Close()
		}()
		for range 2 {
			if _, err := slow.Token(t.Context()); err == nil || err.Error() != "the exporter is shut down" {
				t.Errorf("after Close: %v", err)
			}
		}
	})
}
