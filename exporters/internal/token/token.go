// Package token keeps an access token for a backend. It is fetched in the
// background when it is first wanted, and renewed ahead of its end, so that no
// start waits for a metadata server, and no attempt for a renewal.
package token

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/riffletrace/riffle/internal/untrusted"
)

// Token is an access token.
type Token struct {
	Value  string
	Expiry time.Time
}

const (
	// renewBefore is how long before its end a token is renewed. Google's metadata
	// server has no newer one any earlier.
	renewBefore = 225 * time.Second
	// expiryMargin is how long before its end a token is not used any more.
	expiryMargin = 10 * time.Second
	// fetchTimeout is how long one fetch may take.
	fetchTimeout = 30 * time.Second
	// minRenewInterval is the time between renewals of a token that still works.
	minRenewInterval = 10 * time.Second
)

// Source has the token of one identity.
type Source struct {
	fetch func(context.Context) (Token, error)

	// ctx ends when the source is closed.
	ctx    context.Context //nolint:containedctx // it is the source's life, not a call's
	cancel context.CancelFunc

	mu       sync.Mutex
	token    Token
	err      error         // of the last fetch
	fetching chan struct{} // closed when the fetch under way is done; nil: there is none
	renewed  time.Time     // the last fetch
	fetches  sync.WaitGroup
}

// NewSource makes a source. It calls fetch when a token is wanted, once at a
// time; fetch must return promptly when its context is done.
func NewSource(fetch func(context.Context) (Token, error)) *Source {
	s := &Source{fetch: fetch}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

var errClosed = errors.New("the exporter is shut down")

// Token returns a token that works. It waits for one, if there is none, until
// ctx is done or a fetch has failed.
func (s *Source) Token(ctx context.Context) (string, error) {
	s.mu.Lock()
	now := time.Now()
	if now.Before(s.token.Expiry.Add(-expiryMargin)) {
		defer s.mu.Unlock()
		if now.After(s.token.Expiry.Add(-renewBefore)) && now.Sub(s.renewed) > minRenewInterval {
			s.start()
		}
		return s.token.Value, nil
	}
	done := s.start()
	s.mu.Unlock()
	select {
	case <-done:
	case <-s.ctx.Done():
		return "", errClosed
	case <-ctx.Done():
		return "", fmt.Errorf("there is no response yet: %w", ctx.Err())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.ctx.Err() != nil:
		return "", errClosed
	case s.err != nil:
		return "", s.err
	case !time.Now().Before(s.token.Expiry):
		return "", fmt.Errorf("the token that was issued ended at %s: is the clock of this machine right?", s.token.Expiry.UTC().Format(time.RFC3339))
	default: // also one that lives for less than spare
		return s.token.Value, nil
	}
}

// start begins a fetch unless one is under way.
func (s *Source) start() (done <-chan struct{}) {
	if s.fetching != nil || s.ctx.Err() != nil {
		return s.fetching
	}
	fetched := make(chan struct{})
	s.fetching = fetched
	s.fetches.Go(func() {
		ctx, cancel := context.WithTimeout(s.ctx, fetchTimeout)
		defer cancel()
		token, err := s.fetch(ctx)
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.err = untrusted.Error(err, untrusted.Line); err == nil {
			s.token = token
		}
		s.fetching, s.renewed = nil, time.Now()
		close(fetched)
	})
	return fetched
}

// Invalidate says that the backend does not take a token, whatever its end: the
// next attempt has another one.
func (s *Source) Invalidate(value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.token.Value == value {
		s.token = Token{}
	}
}

// Close ends the fetch under way. After it there are no tokens.
func (s *Source) Close() {
	s.cancel()
	s.mu.Lock()   // no fetch begins from here on
	s.mu.Unlock() //nolint:staticcheck // see above
	s.fetches.Wait()
}
