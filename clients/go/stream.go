package rke

import (
	"context"
	"errors"
	"io"
	"sync"
)

// errNotWhole is why a response counts as broken off that HTTP takes for whole.
var errNotWhole = errors.New("it is not whole")

// source is where the data of a request comes from. It remembers how it ended: HTTP only shows that the
// request did not go on.
type source struct {
	reader io.Reader

	mutex sync.Mutex
	// err is why it gives no more: io.EOF at its good end.
	err  error
	size int64
}

func (s *source) Read(buffer []byte) (int, error) {
	n, err := s.reader.Read(buffer)
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.size += int64(n)
	s.err = err
	return n, err
}

// Close leaves the reader open: it is the caller's.
func (s *source) Close() error {
	return nil
}

// fault is why it broke, or nil. A source that is not there never breaks.
func (s *source) fault() error {
	if s == nil {
		return nil
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.err == io.EOF {
		return nil
	}
	return s.err
}

// given is how many bytes it gave, if it gave all that there is.
func (s *source) given() (int64, bool) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.size, s.err == io.EOF
}

// reader is the body of a response. It ends with io.EOF, or with the error that ended it.
type reader struct {
	ctx  context.Context
	body io.ReadCloser
	from *source
	work work
	size int64
}

func (r *reader) Read(buffer []byte) (int, error) {
	n, err := r.body.Read(buffer)
	r.size += int64(n)
	if err == io.EOF && !r.isWhole() {
		err = errNotWhole
	}
	if err == nil || err == io.EOF {
		return n, err
	}
	if interrupted := interruption(r.ctx, r.from); interrupted != nil {
		return n, interrupted
	}
	return n, brokenOff(err)
}

func (r *reader) isWhole() bool {
	given, ended := r.from.given()
	return ended && r.work.isWhole(given, r.size)
}

// Close ends the request, however much of the response is still missing.
func (r *reader) Close() error {
	return r.body.Close()
}
