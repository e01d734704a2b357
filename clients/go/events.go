package rke

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"sync/atomic"
)

// longestEvent is the longest line of an event, in bytes.
const longestEvent = 64 * 1024

// Event is a change at the daemon.
type Event struct {
	// Name is "exchange" for a step of an exchange. Otherwise it is the endpoint whose response has changed: "sessions", "keys",
	// "raidas", "activity" or "refusals". Later daemons may have events with other names.
	Name string
	// Data is the JSON object that comes with it; empty except for steps of exchanges.
	Data json.RawMessage
	// Exchange is what Data says, for a step of an exchange; nil for all others.
	Exchange *ExchangeStep
}

// ExchangeStep is what one RAIDA did in an exchange.
type ExchangeStep struct {
	Domain string `json:"domain"`
	// Raida is its index.
	Raida int `json:"raida"`
	// State is "asked", "answered" or "failed".
	State string `json:"state"`
	// Milliseconds is how long the response took; nil unless it answered.
	Milliseconds *float64 `json:"ms"`
	// Fault is why it failed; nil unless it did.
	Fault *string `json:"fault"`
}

// Events are changes at a daemon, as they happen. Close them.
type Events struct {
	ctx      context.Context
	address  string
	body     io.ReadCloser
	lines    *bufio.Scanner
	isClosed atomic.Bool
	// err is why there are no more events.
	err error
}

// Events listens to changes at the daemon, and to the steps of its exchanges, until the context ends or the result is
// closed. What happens after it has returned is not missed.
//
// It does not connect again after a cut. The first events of a listener are those of everything that may have changed, so
// one that listens again misses nothing except steps of exchanges.
func (c *Client) Events(ctx context.Context) (*Events, error) {
	header := http.Header{"Accept": {"text/event-stream"}}
	request, err := c.request(ctx, http.MethodGet, "/api/rke/events", header, nil)
	if err != nil {
		return nil, err
	}
	response, err := c.send(request)
	if err != nil {
		return nil, err
	}
	if len(response.TransferEncoding) == 0 && response.ContentLength < 0 {
		response.Body.Close()
		return nil, noAnswer(c.address, "its response has no recognisable end")
	}
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, longestEvent)
	return &Events{ctx: ctx, address: c.address, body: response.Body, lines: lines}, nil
}

// Next waits for the next event. io.EOF means that the daemon stops. Everything else is an error: ErrBrokenOff for a
// connection that was cut, the error of the context, net.ErrClosed after Close. It is returned again by later calls.
func (e *Events) Next() (*Event, error) {
	if e.err != nil {
		return nil, e.err
	}
	event, err := e.read()
	if err != nil {
		e.err = err
		e.body.Close()
	}
	return event, err
}

// Close listens no longer. It may be called while Next waits, which then returns net.ErrClosed.
func (e *Events) Close() error {
	e.isClosed.Store(true)
	return e.body.Close()
}

// read reads lines up to an empty one that ends an event. Comments only show that the daemon is there.
func (e *Events) read() (*Event, error) {
	name, data, has := "message", []byte(nil), false
	for e.lines.Scan() {
		line := e.lines.Bytes()
		if len(line) == 0 && has {
			return e.event(name, data)
		}
		if len(line) == 0 {
			name = "message"
			continue
		}
		field, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(field) {
		case "event":
			name = string(value)
		case "data":
			data, has = append(append(data, value...), '\n'), true
		}
		if len(data) > longestEvent {
			return nil, noAnswer(e.address, "an event is too long")
		}
	}
	return nil, e.end(e.lines.Err())
}

func (e *Events) event(name string, data []byte) (*Event, error) {
	event := &Event{Name: name, Data: bytes.TrimSuffix(data, []byte("\n"))}
	var err error
	if name == "exchange" {
		event.Exchange = new(ExchangeStep)
		err = json.Unmarshal(event.Data, event.Exchange)
	} else {
		err = json.Unmarshal(event.Data, new(map[string]json.RawMessage))
	}
	if err != nil || event.Data[0] != '{' {
		return nil, noAnswer(e.address, "it does not send events")
	}
	return event, nil
}

// end is what the end of the lines means.
func (e *Events) end(err error) error {
	switch {
	case e.isClosed.Load():
		return net.ErrClosed
	case e.ctx.Err() != nil:
		return interruption(e.ctx, nil)
	case err == nil:
		return io.EOF
	case errors.Is(err, bufio.ErrTooLong):
		return noAnswer(e.address, "an event is too long")
	default:
		return eventsBrokenOff(err)
	}
}
