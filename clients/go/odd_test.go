package rke_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	rke "github.com/rke/rke/clients/go"
)

// asking is a client of a server that responds to each request with these bytes and hangs up.
func asking(t *testing.T, answer string) *rke.Client {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			connection.Read(make([]byte, 1<<16))
			io.WriteString(connection, answer)
			connection.(*net.TCPConn).CloseWrite()
			go io.Copy(io.Discard, connection)
		}
	}()
	return rke.New(listener.Addr().String())
}

func raw(head, body string) string {
	return "HTTP/1.1 200 OK\r\n" + head + "\r\n\r\n" + body
}

func withStatus(status int, body string) string {
	return fmt.Sprintf("HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", status, len(body), body)
}

func TestOddAnswersAreToldApart(t *testing.T) {
	ctx := context.Background()
	status := func(client *rke.Client) error {
		_, err := client.Status(ctx)
		return err
	}
	whole := func(client *rke.Client) error {
		_, err := client.Session("a").Seal(ctx, make([]byte, 600_000), nil)
		return err
	}
	stream := func(client *rke.Client) error {
		sealed, err := client.Session("a").SealReader(ctx, strings.NewReader("123456789"), nil)
		if err != nil {
			return err
		}
		defer sealed.Close()
		_, err = io.ReadAll(sealed)
		return err
	}
	tunnel := func(client *rke.Client) error {
		tunnel, err := client.Session("a").Tunnel(ctx, strings.NewReader("123456789"))
		if err != nil {
			return err
		}
		defer tunnel.Close()
		_, err = io.ReadAll(tunnel)
		return err
	}
	events := func(client *rke.Client) error {
		events, err := client.Events(ctx)
		if err != nil {
			return err
		}
		defer events.Close()
		for {
			event, err := events.Next()
			if err != nil {
				// It stays as it is.
				if _, again := events.Next(); again != err {
					t.Errorf("%v, and then %v", err, again)
				}
				return err
			}
			if event.Name != "keys" || string(event.Data) != "{}" {
				t.Errorf("%+v", event)
			}
		}
	}
	encrypt := func(client *rke.Client) error {
		_, _, err := client.Session("a").EncryptReader(ctx, strings.NewReader("x"))
		return err
	}
	const chunked = "Transfer-Encoding: chunked"
	const announced = chunked + "\r\nTrailer: RKE-Exit-Status"
	half := withStatus(200, `{"command":"x"}`)
	for _, test := range []struct {
		name, answer string
		ask          func(*rke.Client) error
		expected     error
	}{
		{"a page of something else", raw("Content-Length: 4", "Hi!!"), status, rke.ErrAnswer},
		{"a number", withStatus(200, "1"), status, rke.ErrAnswer},
		{"an error page", withStatus(500, "<html>"), status, rke.ErrAnswer},
		{"an error of another kind", withStatus(404, `{"error":"x"}`), status, rke.ErrAnswer},
		{"a redirect", "HTTP/1.1 302 X\r\nLocation: /\r\nContent-Length: 0\r\n\r\n", status, rke.ErrAnswer},
		{"no HTTP", "SSH-2.0-x\r\n", status, rke.ErrNoDaemon},
		{"nothing", "", status, rke.ErrNoDaemon},
		{"half an answer", half[:len(half)-1], status, rke.ErrBrokenOff},
		{"no nonce", raw("Content-Length: 1", "x"), encrypt, rke.ErrAnswer},
		{"half a body of known length", raw("Content-Length: 20", "xxxxxxxxxx"), whole, rke.ErrBrokenOff},
		{"half a body of unknown length", raw(chunked, "4\r\nabcd\r\n"), whole, rke.ErrBrokenOff},
		{"a body without length", raw("X: y", "abcd"), whole, rke.ErrBrokenOff},
		{"half a stream of known length", raw("Content-Length: 20", "xxxxxxxxxx"), stream, rke.ErrBrokenOff},
		{"half a stream of unknown length", raw(chunked, "4\r\nabcd\r\n"), stream, rke.ErrBrokenOff},
		{"a stream without length", raw("X: y", "abcd"), stream, rke.ErrBrokenOff},
		{"a stream that ends too early", raw(chunked, "4\r\nabcd\r\n0\r\n\r\n"), stream, rke.ErrBrokenOff},
		{"a tunnel that was cut between two chunks", raw(chunked, "4\r\nabcd\r\n"), tunnel, rke.ErrBrokenOff},
		{"a tunnel that was cut in a chunk", raw(chunked, "4\r\nab"), tunnel, rke.ErrBrokenOff},
		{"a tunnel that was cut after a close was announced", raw("Connection: close\r\n"+chunked, "4\r\nabcd\r\n"), tunnel, rke.ErrBrokenOff},
		{"a tunnel whose end cannot be told from a cut", raw("X: y", "abcd"), tunnel, rke.ErrAnswer},
		{"a tunnel that was cut before its trailer", raw(announced, "4\r\nabcd\r\n0\r\n"), tunnel, rke.ErrBrokenOff},
		{"a tunnel without the trailer that it announced", raw(announced, "4\r\nabcd\r\n0\r\n\r\n"), tunnel, rke.ErrBrokenOff},
		{"a tunnel with an odd trailer", raw(announced, "0\r\nRKE-Exit-Status: well\r\n\r\n"), tunnel, rke.ErrBrokenOff},
		{"a tunnel whose command failed", raw(announced, "0\r\nRKE-Exit-Status: 3\r\n\r\n"), tunnel, rke.ErrCommandFailed},
		{"a tunnel whose command was killed", raw(announced, "0\r\nRKE-Exit-Status: 137\r\n\r\n"), tunnel, rke.ErrCommandFailed},
		{"a tunnel whose command did well", raw(announced, "0\r\nRKE-Exit-Status: 0\r\n\r\n"), tunnel, nil},
		{"events that end", raw(chunked, "19\r\n:\n\nevent: keys\ndata: {}\n\n\r\n0\r\n\r\n"), events, io.EOF},
		{"events that were cut", raw(chunked, "19\r\n:\n\nevent: keys\ndata: {}\n\n\r\n"), events, rke.ErrBrokenOff},
		{"events that were cut in an event", raw(chunked, "19\r\n:\n\nevent: keys\n"), events, rke.ErrBrokenOff},
		{"events whose end cannot be told from a cut", raw("X: y", ":\n\n"), events, rke.ErrAnswer},
		{"events that are none", raw(chunked, "9\r\ndata: x\n\n\r\n0\r\n\r\n"), events, rke.ErrAnswer},
		{"events without objects", raw(chunked, "c\r\ndata: null\n\n\r\n0\r\n\r\n"), events, rke.ErrAnswer},
		{"an event in an endless line", raw("Content-Length: 99999", "data: "+strings.Repeat("x", 70_000)), events, rke.ErrAnswer},
		{"an event of endless lines", raw("Content-Length: 999999", strings.Repeat("data: x\n", 70_000)), events, rke.ErrAnswer},
		{"too many listeners", withStatus(503, `{"error":true,"message":"32 listeners","code":503}`), events, rke.ErrExchange},
		{"an unknown path", withStatus(404, `{"error":true,"message":"No such path","code":404}`), status, rke.ErrRequest},
		{"a failure", withStatus(500, `{"error":true,"message":"Internal","code":500}`), status, rke.ErrDaemon},
		{"an unknown failure", withStatus(507, `{"error":true,"message":"Full","code":507}`), status, rke.ErrDaemon},
		{"impatience", withStatus(408, `{"error":true,"message":"Slow","code":408}`), status, rke.ErrDaemon},
	} {
		t.Run(test.name, func(t *testing.T) {
			if err := test.ask(asking(t, test.answer)); !errors.Is(err, test.expected) {
				t.Fatalf("%v instead of %v", err, test.expected)
			}
		})
	}
}

// A daemon that refuses data before it has heard all of it hangs up, and does not always say so.
func TestAConnectionOnWhichDataWasRefusedIsNotUsedAgain(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	answer := withStatus(404, `{"error":true,"message":"Gone","code":404,"session_id":"a"}`)
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				connection.Read(make([]byte, 1<<16))
				go io.Copy(io.Discard, connection)
				io.WriteString(connection, answer)
				time.Sleep(300 * time.Millisecond)
				connection.Close()
			}()
		}
	}()
	session := rke.New(listener.Addr().String()).Session("a")
	for time := 0; time < 3; time++ {
		_, err := session.SealReader(context.Background(), strings.NewReader("x"), nil)
		if !errors.Is(err, rke.ErrNotFound) {
			t.Fatal(err)
		}
	}
}

func TestAnErrorSaysWhatIsWrongAndWhatToDo(t *testing.T) {
	answer := withStatus(404, `{"error":true,"message":"Session not found","code":404,"session_id":"a"}`)
	client := asking(t, strings.Replace(answer, "\r\n", "\r\nX-Request-Id: 7f\r\n", 1))
	_, err := client.Session("a").Show(context.Background())
	var refused *rke.Error
	if !errors.As(err, &refused) || refused.RequestID != "7f" || refused.Fields["session_id"] != "a" {
		t.Fatalf("%#v", err)
	}
	if expected := "rke: Session not found (404): open a new one"; err.Error() != expected {
		t.Fatal(err)
	}
}

func TestAnEventIsReadHoweverItIsCutIntoPieces(t *testing.T) {
	text := ":\n\n: hello\nevent: keys\ndata: {}\n\nevent:exchange\r\nid: 1\r\ndata: {\"domain\":\ndata: \"grün\",\"raida\":7,\"ms\":1.5}\r\n\r\n:\n\nevent: none\n\ndata: {}\n\n"
	var chunks strings.Builder
	for at := range []byte(text) {
		fmt.Fprintf(&chunks, "1\r\n%s\r\n", text[at:at+1])
	}
	events, err := asking(t, raw("Transfer-Encoding: chunked", chunks.String()+"0\r\n\r\n")).Events(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer events.Close()
	for _, name := range []string{"keys", "exchange", "message"} {
		event, err := events.Next()
		if err != nil || event.Name != name {
			t.Fatal(event, err)
		}
		if step := event.Exchange; (step != nil) != (name == "exchange") || step != nil && (step.Domain != "grün" || step.Raida != 7 || *step.Milliseconds != 1.5) {
			t.Fatal(step)
		}
	}
	if _, err := events.Next(); err != io.EOF {
		t.Fatal(err)
	}
}
