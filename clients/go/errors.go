package rke

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// The kinds of errors, for errors.Is. Each says what a caller can do.
var (
	// ErrNoDaemon: nothing responds. Start a daemon, or name another address.
	ErrNoDaemon = errors.New("no daemon")
	// ErrBrokenOff: the response was cut short. Discard what arrived.
	ErrBrokenOff = errors.New("broken off")
	// ErrAnswer: the program at the address is not a daemon that this package understands.
	ErrAnswer = errors.New("no daemon's answer")
	// ErrRequest (400, 405, 413, 414, 431): change the request; the message says how.
	ErrRequest = errors.New("wrong request")
	// ErrNotAllowed (401, 403, 421): ask the daemon's operator; the daemon may know another Content Server for the domain.
	ErrNotAllowed = errors.New("not allowed")
	// ErrNotFound (404): the session has expired, was deleted or never was. Open a new one.
	ErrNotFound = errors.New("no such session")
	// ErrFreshKey (409): the key has been used as much as it may be. Use OpenFresh.
	ErrFreshKey = errors.New("fresh key needed")
	// ErrDamaged (422): the sealed data was altered or cut, or sealed in another session or with other
	// associated data. Do not use it.
	ErrDamaged = errors.New("damaged data")
	// ErrLimit (429): no place is free. Delete a session, or wait for Error.RetryAfter.
	ErrLimit = errors.New("limit reached")
	// ErrCommandFailed: the command behind a tunnel ended with a status other than 0. ExitError has it.
	ErrCommandFailed = errors.New("the command failed")
	// ErrExchange (503): the RAIDAs made no key, or the daemon has too much to do. Try again later; Error.Answered and
	// Error.Faults name the RAIDAs that are the trouble.
	ErrExchange = errors.New("no key exchanged")
	// ErrUpstream (502): DNS, the Content Server, or the shares of too many RAIDAs failed. The message says which.
	ErrUpstream = errors.New("upstream failed")
	// ErrDaemon (408, 500): try again; if it persists, read the daemon's log.
	ErrDaemon = errors.New("the daemon failed")
)

var remedies = map[error]string{
	ErrNotAllowed: "ask the daemon's operator",
	ErrNotFound:   "open a new one",
	ErrFreshKey:   "use OpenFresh",
	ErrDamaged:    "do not use this data; check session and associated data, or get it again",
	ErrLimit:      "delete a session, or wait",
	ErrExchange:   "try again later",
	ErrUpstream:   "check the domain, its DNS records and its Content Server",
	ErrDaemon:     "try again; if it persists, read the daemon's log",
}

// Error is an error response of the daemon. errors.Is reports its kind.
type Error struct {
	// Status is the HTTP status, and the code in the response.
	Status int
	// Message is the daemon's description of the error.
	Message string
	// Fields are its other fields: session_id, domain, wallet_path and others.
	Fields map[string]any
	// RequestID names the request in the daemon's log.
	RequestID string
	// RetryAfter is how long to wait; 0 if the daemon does not say.
	RetryAfter time.Duration
	// Answered are the indexes of the RAIDAs that gave a share, of an ErrExchange.
	Answered []int
	// Faults are the RAIDAs that gave none, of an ErrExchange.
	Faults []Fault

	kind error
}

// Fault is why a RAIDA gave no share.
type Fault struct {
	Raida int    `json:"raida"`
	Fault string `json:"fault"`
}

// Error says what is wrong and what to do.
func (e *Error) Error() string {
	text := fmt.Sprintf("rke: %s (%d)", e.Message, e.Status)
	if remedy := remedies[e.kind]; remedy != "" {
		text += ": " + remedy
	}
	if len(e.Faults) > 0 {
		text += "; Faults says which RAIDAs failed"
	}
	return text
}

// Is reports whether the error is of this kind, one of the Err variables.
func (e *Error) Is(kind error) bool {
	return e.kind == kind
}

// ExitError is the end of a tunnel whose command failed.
type ExitError struct {
	// Status is its exit status; 128 and more where a signal ended it.
	Status int
}

// Error says what is wrong and what to do.
func (e *ExitError) Error() string {
	return fmt.Sprintf("rke: the command behind the tunnel ended with status %d: what arrived may be incomplete", e.Status)
}

// Is reports whether it is ErrCommandFailed.
func (e *ExitError) Is(kind error) bool {
	return kind == ErrCommandFailed
}

// failure is an error that is not a response of the daemon.
type failure struct {
	kind  error
	text  string
	cause error
}

func (f *failure) Error() string {
	return f.text
}

func (f *failure) Is(kind error) bool {
	return f.kind == kind
}

func (f *failure) Unwrap() error {
	return f.cause
}

func noDaemon(address string, cause error) error {
	text := fmt.Sprintf("rke: no daemon responds at %s (%v): start one with `rke serve`, or name another address", address, cause)
	return &failure{ErrNoDaemon, text, cause}
}

func noAnswer(address, oddity string) error {
	text := fmt.Sprintf("rke: the program at %s is not an rke daemon: %s: check what listens there, and whether daemon and package have the same version", address, oddity)
	return &failure{ErrAnswer, text, nil}
}

func brokenOff(cause error) error {
	text := fmt.Sprintf("rke: the daemon broke the response off (%v): discard what arrived; the session has ended, the data was altered, or the daemon is gone", cause)
	return &failure{ErrBrokenOff, text, cause}
}

func eventsBrokenOff(cause error) error {
	text := fmt.Sprintf("rke: the daemon broke the events off (%v): listen again; what happened meanwhile shows in the first events", cause)
	return &failure{ErrBrokenOff, text, cause}
}

// refusal reads the error response of a daemon.
func refusal(address string, response *http.Response, body []byte) error {
	var answer struct {
		Error    bool    `json:"error"`
		Message  string  `json:"message"`
		Answered []int   `json:"answered"`
		Faults   []Fault `json:"faults"`
	}
	fields := map[string]any{}
	if json.Unmarshal(body, &answer) != nil || json.Unmarshal(body, &fields) != nil || !answer.Error {
		return noAnswer(address, fmt.Sprintf("status %d without the JSON of an error", response.StatusCode))
	}
	for _, name := range []string{"error", "message", "code"} {
		delete(fields, name)
	}
	seconds, _ := strconv.Atoi(response.Header.Get("Retry-After"))
	return &Error{
		Status:     response.StatusCode,
		Message:    answer.Message,
		Fields:     fields,
		RequestID:  response.Header.Get("X-Request-Id"),
		RetryAfter: time.Duration(seconds) * time.Second,
		Answered:   answer.Answered,
		Faults:     answer.Faults,
		kind:       kindOf(response.StatusCode, fields),
	}
}

var kinds = map[int]error{
	http.StatusUnauthorized:        ErrNotAllowed,
	http.StatusForbidden:           ErrNotAllowed,
	http.StatusNotFound:            ErrNotFound,
	http.StatusRequestTimeout:      ErrDaemon,
	http.StatusConflict:            ErrFreshKey,
	http.StatusMisdirectedRequest:  ErrNotAllowed,
	http.StatusUnprocessableEntity: ErrDamaged,
	http.StatusTooManyRequests:     ErrLimit,
	http.StatusBadGateway:          ErrUpstream,
	http.StatusServiceUnavailable:  ErrExchange,
}

func kindOf(status int, fields map[string]any) error {
	_, aboutSession := fields["session_id"]
	kind, known := kinds[status]
	switch {
	case status == http.StatusNotFound && !aboutSession:
		return ErrRequest
	case known:
		return kind
	case status >= http.StatusInternalServerError:
		return ErrDaemon
	default:
		return ErrRequest
	}
}

// interruption is the caller's own reason why a request does not go on, if there is one.
func interruption(ctx context.Context, from *source) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("rke: %w", err)
	}
	if err := from.fault(); err != nil {
		return fmt.Errorf("rke: cannot read the data to send: %w", err)
	}
	return nil
}
