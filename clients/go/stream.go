package rke

import (
	"context"
	"errors"
	"io"
	"sync"
)

// errStopped ends a request whose answer nobody wants any more.
var errStopped = errors.New("nobody wants more")

// source is where the data of a request comes from. It remembers why it broke: HTTP only shows that the
// request did not go on.
type source struct {
	reader io.Reader

	mutex   sync.Mutex
	err     error
	stopped bool
}

// Read reads on, unless nobody wants more.
func (s *source) Read(buffer []byte) (int, error) {
	if s.isStopped() {
		return 0, errStopped
	}
	n, err := s.reader.Read(buffer)
	if err != nil && err != io.EOF {
		s.mutex.Lock()
		defer s.mutex.Unlock()
		s.err = err
	}
	return n, err
}

func (s *source) isStopped() bool {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.stopped
}

// stop says that nobody wants more of it.
func (s *source) stop() {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.stopped = true
}

// fault is why it broke, or nil. A source that is not there never breaks.
func (s *source) fault() error {
	if s == nil {
		return nil
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.err
}

// reader is the body of an answer. It ends with io.EOF, or with an error that says why it does not go on.
type reader struct {
	ctx  context.Context
	body io.ReadCloser
	from *source
}

func (r *reader) Read(buffer []byte) (int, error) {
	n, err := r.body.Read(buffer)
	if err == nil || err == io.EOF {
		return n, err
	}
	if interrupted := interruption(r.ctx, r.from); interrupted != nil {
		return n, interrupted
	}
	return n, brokenOff(err)
}

// Close ends the request, however much of the answer is still to come.
func (r *reader) Close() error {
	r.from.stop()
	return r.body.Close()
}
