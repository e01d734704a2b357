package rke

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// DefaultAddress is the default address of a daemon.
const DefaultAddress = "http://127.0.0.1:8080"

// idleTimeout is shorter than the daemon's, so that no connection is used which it is about to close.
const idleTimeout = 5 * time.Second

// Client knows where a daemon is and how to get in. It can be used by many goroutines at once, and outlives
// restarts of the daemon.
type Client struct {
	address string
	base    string
	token   func() (string, error)
	http    *http.Client
}

// Option is a setting of a Client.
type Option func(*Client)

// WithToken sets the token of a daemon that runs with --require-token.
func WithToken(token string) Option {
	return func(client *Client) {
		client.token = func() (string, error) { return token, nil }
	}
}

// WithTokenFile names the file with the daemon's token. It is read for each request, because each start of
// a daemon makes a new token.
func WithTokenFile(path string) Option {
	return func(client *Client) {
		client.token = func() (string, error) {
			token, err := os.ReadFile(path)
			return strings.TrimSpace(string(token)), err
		}
	}
}

// WithHTTPClient has requests sent by this client, one with TLS certificates say. It must not follow
// redirects, nor have a timeout that is shorter than a stream.
func WithHTTPClient(client *http.Client) Option {
	return func(c *Client) { c.http = client }
}

// New makes a client of the daemon at an address: "http://HOST:PORT", "HOST:PORT", or "unix:PATH" for its
// unix socket. The empty address is DefaultAddress. Nothing is asked yet.
func New(address string, options ...Option) *Client {
	if address == "" {
		address = DefaultAddress
	}
	client := &Client{address: address, base: strings.TrimRight(address, "/")}
	// Requests to this machine need no proxy, and data under a key no compression.
	transport := &http.Transport{DisableCompression: true, IdleConnTimeout: idleTimeout}
	if path := strings.TrimPrefix(address, "unix:"); path != address {
		client.base = "http://localhost"
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		}
	} else if !strings.Contains(address, "://") {
		client.base = "http://" + client.base
	}
	client.http = &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	for _, option := range options {
		option(client)
	}
	return client
}

// Open opens a session with a domain's Content Server. The wallet is a folder on the daemon's machine. Where the
// daemon's cache will do, no RAIDA is asked. The session always has a key of its own.
func (c *Client) Open(ctx context.Context, domain, walletPath string) (*Session, error) {
	return c.open(ctx, map[string]any{"domain": domain, "wallet_path": walletPath})
}

// OpenFresh is Open that asks the RAIDAs even if the cache could serve.
func (c *Client) OpenFresh(ctx context.Context, domain, walletPath string) (*Session, error) {
	return c.open(ctx, map[string]any{"domain": domain, "wallet_path": walletPath, "fresh": true})
}

func (c *Client) open(ctx context.Context, body map[string]any) (*Session, error) {
	var created Created
	if err := c.call(ctx, http.MethodPost, "/api/rke/session", body, &created); err != nil {
		return nil, err
	}
	return &Session{client: c, id: created.SessionID, created: &created, expiresAt: created.ExpiresAt}, nil
}

// Session is a session that was opened elsewhere. It makes no request: the first use shows whether it lives.
func (c *Client) Session(id string) *Session {
	return &Session{client: c, id: id}
}

// Sessions lists the sessions.
func (c *Client) Sessions(ctx context.Context) (*Sessions, error) {
	return get[Sessions](ctx, c, "/api/rke/sessions", nil)
}

// DeleteAllOptions says which sessions end.
type DeleteAllOptions struct {
	// Domain is whose sessions end; those of all domains where it is empty.
	Domain string
	// Forget removes the cached keys too.
	Forget bool
}

// DeleteSessions ends all sessions, or those of a domain, and returns their number. Their keys are wiped when
// it returns.
func (c *Client) DeleteSessions(ctx context.Context, options DeleteAllOptions) (int, error) {
	query := url.Values{}
	setText(query, "domain", options.Domain)
	setFlag(query, "forget", options.Forget)
	return c.deleteMany(ctx, "/api/rke/sessions", query)
}

// Keys lists the cached keys. No secret is in it.
func (c *Client) Keys(ctx context.Context) (*Keys, error) {
	return get[Keys](ctx, c, "/api/rke/keys", nil)
}

// DeleteKeys removes the cached keys of a domain, or all of them where the domain is empty, and returns their
// number. Sessions stay open.
func (c *Client) DeleteKeys(ctx context.Context, domain string) (int, error) {
	query := url.Values{}
	setText(query, "domain", domain)
	return c.deleteMany(ctx, "/api/rke/keys", query)
}

func (c *Client) deleteMany(ctx context.Context, path string, query url.Values) (int, error) {
	var answer struct {
		Deleted int `json:"deleted"`
	}
	err := c.call(ctx, http.MethodDelete, withQuery(path, query), nil, &answer)
	return answer.Deleted, err
}

// Discover looks up a domain's Content Server in DNS.
func (c *Client) Discover(ctx context.Context, domain string) (*Discovered, error) {
	return get[Discovered](ctx, c, "/api/rke/discover", url.Values{"domain": {domain}})
}

// Raidas shows the health of the RAIDAs.
func (c *Client) Raidas(ctx context.Context) (*Raidas, error) {
	return get[Raidas](ctx, c, "/api/rke/raidas", nil)
}

// RefreshRaidas makes the daemon ask its guardians where the RAIDAs are, and shows their health.
func (c *Client) RefreshRaidas(ctx context.Context) (*Raidas, error) {
	answer := new(Raidas)
	if err := c.call(ctx, http.MethodPost, "/api/rke/raidas/refresh", nil, answer); err != nil {
		return nil, err
	}
	return answer, nil
}

// Status shows the state of the daemon.
func (c *Client) Status(ctx context.Context) (*Status, error) {
	return get[Status](ctx, c, "/api/rke/status", nil)
}

func get[Answer any](ctx context.Context, client *Client, path string, query url.Values) (*Answer, error) {
	answer := new(Answer)
	if err := client.call(ctx, http.MethodGet, withQuery(path, query), nil, answer); err != nil {
		return nil, err
	}
	return answer, nil
}

func setText(query url.Values, name, value string) {
	if value != "" {
		query.Set(name, value)
	}
}

func setFlag(query url.Values, name string, set bool) {
	if set {
		query.Set(name, "true")
	}
}

func withQuery(path string, query url.Values) string {
	if len(query) == 0 {
		return path
	}
	return path + "?" + query.Encode()
}
