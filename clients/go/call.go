package rke

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

// call makes a request with a JSON body, if there is one, and reads the JSON of a successful response.
func (c *Client) call(ctx context.Context, method, target string, body, answer any) error {
	var data io.Reader
	header := http.Header{}
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return fmt.Errorf("rke: %w", err)
		}
		data = bytes.NewReader(text)
		header.Set("Content-Type", "application/json")
	}
	request, err := c.request(ctx, method, target, header, data)
	if err != nil {
		return err
	}
	response, err := c.send(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := readAll(ctx, response.Body)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, answer); err != nil {
		return noAnswer(c.address, err.Error())
	}
	return nil
}

// raw sends raw data and returns a successful response, whose body is still to be read.
func (c *Client) raw(ctx context.Context, target string, header http.Header, data io.Reader) (*http.Response, error) {
	header.Set("Content-Type", "application/octet-stream")
	request, err := c.request(ctx, http.MethodPost, target, header, data)
	if err != nil {
		return nil, err
	}
	// A daemon may respond before it has read everything, and then hang up: such a connection must not be reused.
	request.Close = true
	return c.send(request)
}

// request is a request with the daemon's token.
func (c *Client) request(ctx context.Context, method, target string, header http.Header, data io.Reader) (*http.Request, error) {
	request, err := http.NewRequestWithContext(ctx, method, c.base+target, data)
	if err != nil {
		return nil, fmt.Errorf("rke: %w", err)
	}
	request.Header = header
	// Under a name over plain HTTP, the daemon requires proof that no page of another site sends the request.
	header.Set("X-RKE-Request", "1")
	if c.token != nil {
		token, err := c.token()
		if err != nil {
			return nil, fmt.Errorf("rke: cannot get the daemon's token: %w", err)
		}
		header.Set("Authorization", "Bearer "+token)
	}
	return request, nil
}

// send makes a request and returns a successful response.
func (c *Client) send(request *http.Request) (*http.Response, error) {
	ctx := request.Context()
	response, err := c.http.Do(request)
	if err != nil {
		from, _ := request.Body.(*source)
		if interrupted := interruption(ctx, from); interrupted != nil {
			return nil, interrupted
		}
		return nil, noDaemon(c.address, err)
	}
	if response.StatusCode == http.StatusOK {
		return response, nil
	}
	defer response.Body.Close()
	body, err := readAll(ctx, response.Body)
	if err != nil {
		return nil, err
	}
	return nil, refusal(c.address, response, body)
}

// readAll reads a response to its end, or returns why it has none.
func readAll(ctx context.Context, body io.Reader) ([]byte, error) {
	data, err := io.ReadAll(body)
	if err == nil {
		return data, nil
	}
	if interrupted := interruption(ctx, nil); interrupted != nil {
		return nil, interrupted
	}
	return nil, brokenOff(err)
}
