package rke

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"
)

// closeTimeout is how long Close waits for the daemon.
const closeTimeout = 10 * time.Second

// Session is a session of a daemon. Its key never leaves the daemon. It can be used by many goroutines at
// once, except for Renew.
type Session struct {
	client    *Client
	id        string
	created   *Created
	expiresAt time.Time
}

// ID is the session's id. Anyone who has it can use the session.
func (s *Session) ID() string {
	return s.id
}

// Created is the response that opened it; nil if it was opened elsewhere.
func (s *Session) Created() *Created {
	return s.created
}

// ExpiresAt is when it expires, as far as this value knows.
func (s *Session) ExpiresAt() time.Time {
	return s.expiresAt
}

// Show returns how its key was made, and how often it was used.
func (s *Session) Show(ctx context.Context) (*Shown, error) {
	return get[Shown](ctx, s.client, s.path(), nil)
}

// Renew restarts its lifetime. The new expiry is in ExpiresAt, too.
func (s *Session) Renew(ctx context.Context) (*Renewed, error) {
	var renewed Renewed
	if err := s.client.call(ctx, http.MethodPost, s.path()+"/renew", nil, &renewed); err != nil {
		return nil, err
	}
	s.expiresAt = renewed.ExpiresAt
	return &renewed, nil
}

// DeleteOptions says what else a deletion does.
type DeleteOptions struct {
	// Forget removes what the cache keeps for the domain too.
	Forget bool
	// Verify makes the daemon scan its memory for the wiped key, and returns an erasure receipt.
	Verify bool
	// Everywhere waits up to five seconds for the Content Server to wipe its copy of the key too; Deleted.Remote says
	// whether it has. Without it the daemon asks the Content Server in the background.
	Everywhere bool
}

// Delete ends it: when it returns, its id is invalid, its key is wiped and cannot be made again. What was sealed or
// encrypted in it stays unreadable.
func (s *Session) Delete(ctx context.Context, options DeleteOptions) (*Deleted, error) {
	query := url.Values{}
	setFlag(query, "forget", options.Forget)
	setFlag(query, "verify", options.Verify)
	setFlag(query, "everywhere", options.Everywhere)
	var deleted Deleted
	if err := s.client.call(ctx, http.MethodDelete, withQuery(s.path(), query), nil, &deleted); err != nil {
		return nil, err
	}
	return &deleted, nil
}

// Close ends it, unless it has already ended. It waits ten seconds at most; Delete takes a context.
func (s *Session) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	_, err := s.Delete(ctx, DeleteOptions{})
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

func (s *Session) path() string {
	return "/api/rke/session/" + url.PathEscape(s.id)
}
