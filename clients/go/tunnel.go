package rke

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
)

// exitStatusTrailer has the exit status of the command behind a tunnel.
const exitStatusTrailer = "Rke-Exit-Status"

// errNoStatus is why a response counts as broken off when its end lacks what it announced.
var errNoStatus = errors.New("its end says nothing about the command behind the tunnel")

// Tunnel is what a Content Server sends, as it comes. Read it to its end, and close it.
type Tunnel struct {
	ctx      context.Context
	response *http.Response
	from     *source
	status   int
	hasEnded bool
}

// Tunnel sends what is read from data to the session's Content Server, and returns what comes back, both for as long as
// they last and at the same time. The daemon seals and opens every record, so the key stays where it is.
//
// Give an io.Pipe where what is sent depends on what comes. data is read until the tunnel is closed, and not closed.
func (s *Session) Tunnel(ctx context.Context, data io.Reader) (*Tunnel, error) {
	from := &source{reader: data}
	header := http.Header{"Te": {"trailers"}}
	response, err := s.client.raw(ctx, s.path()+"/tunnel", header, from)
	if err != nil {
		return nil, err
	}
	if len(response.TransferEncoding) == 0 && response.ContentLength < 0 {
		response.Body.Close()
		return nil, noAnswer(s.client.address, "its response has no recognisable end")
	}
	return &Tunnel{ctx: ctx, response: response, from: from}, nil
}

// Read reads what the Content Server sends. io.EOF is its end, which the Content Server itself has sent, after a
// command that ended with status 0. Everything else is an error: ErrCommandFailed for a command that ended with
// another status, ErrBrokenOff for a tunnel that was cut; then what came must not be taken as complete.
func (t *Tunnel) Read(buffer []byte) (int, error) {
	n, err := t.response.Body.Read(buffer)
	if err == nil {
		return n, nil
	}
	if err == io.EOF {
		return n, t.end()
	}
	if interrupted := interruption(t.ctx, t.from); interrupted != nil {
		return n, interrupted
	}
	return n, brokenOff(err)
}

// end is what the end of the response means. A response announces its trailer, and must not end without it.
func (t *Tunnel) end() error {
	values, announced := t.response.Trailer[exitStatusTrailer]
	if !announced {
		return io.EOF
	}
	if len(values) != 1 {
		return brokenOff(errNoStatus)
	}
	status, err := strconv.Atoi(values[0])
	if err != nil {
		return brokenOff(errNoStatus)
	}
	t.status, t.hasEnded = status, true
	if status != 0 {
		return &ExitError{Status: status}
	}
	return io.EOF
}

// ExitStatus is the exit status of the command behind the tunnel. It is known at the end, except over a key of 8 bits:
// there even the end is not certain.
func (t *Tunnel) ExitStatus() (status int, known bool) {
	return t.status, t.hasEnded
}

// Close ends the tunnel, however much is still to come. What was sent is then broken off, not ended, unless it has
// ended already.
func (t *Tunnel) Close() error {
	return t.response.Body.Close()
}
