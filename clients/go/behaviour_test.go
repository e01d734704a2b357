package rke_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	rke "github.com/rke/rke/clients/go"
)

// open opens a session of the real daemon that ends with the test.
func open(t *testing.T) *rke.Session {
	daemon := stage.Daemons["dev"]
	session, err := rke.New(daemon.URL).Open(context.Background(), stage.Domain, daemon.Wallet)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := session.Close(); err != nil {
			t.Error(err)
		}
	})
	return session
}

func TestCloseEndsASessionOnce(t *testing.T) {
	session := open(t)
	if err := session.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := session.Show(context.Background()); !errors.Is(err, rke.ErrNotFound) {
		t.Fatal(err)
	}
	if err := session.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestWholeDataMayBeLargerThanJSONMay(t *testing.T) {
	ctx, session := context.Background(), open(t)
	for _, length := range []int{524_288, 524_289, 3_000_017} {
		data := pattern(length)
		ciphertext, nonce, err := session.Encrypt(ctx, data)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := session.Decrypt(ctx, ciphertext, nonce); err != nil || !bytes.Equal(back, data) {
			t.Fatal(length, err)
		}
		sealed, err := session.Seal(ctx, data, []byte("a"))
		if err != nil {
			t.Fatal(err)
		}
		if back, err := session.Open(ctx, sealed, []byte("a")); err != nil || !bytes.Equal(back, data) {
			t.Fatal(length, err)
		}
	}
}

// zeros gives zeros for ever, and notes that it is read.
type zeros struct{ reads chan struct{} }

func (z zeros) Read(buffer []byte) (int, error) {
	select {
	case z.reads <- struct{}{}:
	default:
	}
	return len(buffer), nil
}

// isLeftAlone waits until a source is read no more.
func (z zeros) isLeftAlone(t *testing.T) {
	for started := time.Now(); time.Since(started) < 20*time.Second; {
		select {
		case <-z.reads:
		case <-time.After(500 * time.Millisecond):
			return
		}
	}
	t.Fatal("the source is still read")
}

func TestAContextBreaksAStreamOff(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	from := zeros{make(chan struct{}, 1)}
	sealed, err := open(t).SealReader(ctx, from, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer sealed.Close()
	if _, err := io.CopyN(io.Discard, sealed, 200_000); err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := io.Copy(io.Discard, sealed); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	from.isLeftAlone(t)
}

func TestAStreamThatIsClosedLeavesItsSourceAlone(t *testing.T) {
	from := zeros{make(chan struct{}, 1)}
	sealed, nonce, err := open(t).EncryptReader(context.Background(), from)
	if err != nil || len(nonce) != 32 {
		t.Fatal(nonce, err)
	}
	sealed.Close()
	from.isLeftAlone(t)
}

func TestACancelledContextAsksNothing(t *testing.T) {
	session := open(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, whole := session.Seal(ctx, []byte("x"), nil)
	_, stream := session.SealReader(ctx, strings.NewReader("x"), nil)
	for _, err := range []error{whole, stream} {
		if !errors.Is(err, context.Canceled) || errors.Is(err, rke.ErrNoDaemon) {
			t.Fatal(err)
		}
	}
	shown, err := session.Show(context.Background())
	if err != nil || shown.EncryptCount != 0 {
		t.Fatal(shown, err)
	}
}

func TestATunnelGoesBothWaysAtTheSameTime(t *testing.T) {
	session := open(t)
	reader, writer := io.Pipe()
	tunnel, err := session.Tunnel(context.Background(), reader)
	if err != nil {
		t.Fatal(err)
	}
	defer tunnel.Close()
	for _, text := range []string{"one", "two", "three"} {
		io.WriteString(writer, text)
		echo := make([]byte, len(text))
		if _, err := io.ReadFull(tunnel, echo); err != nil || string(echo) != text {
			t.Fatal(string(echo), err)
		}
	}
	if _, known := tunnel.ExitStatus(); known {
		t.Fatal("a status before the end")
	}
	writer.Close()
	if rest, err := io.ReadAll(tunnel); err != nil || len(rest) > 0 {
		t.Fatal(rest, err)
	}
	if status, known := tunnel.ExitStatus(); status != 0 || !known {
		t.Fatal(status, known)
	}
}

func TestATunnelIsCutWhereItsSessionOrItsSourceOrItsContextEnds(t *testing.T) {
	broke := errors.New("broke")
	for name, test := range map[string]struct {
		end      func(*rke.Session, *io.PipeWriter, context.CancelFunc)
		expected error
	}{
		"session": {func(s *rke.Session, _ *io.PipeWriter, _ context.CancelFunc) { s.Close() }, rke.ErrBrokenOff},
		"source":  {func(_ *rke.Session, w *io.PipeWriter, _ context.CancelFunc) { w.CloseWithError(broke) }, broke},
		"context": {func(_ *rke.Session, _ *io.PipeWriter, c context.CancelFunc) { c() }, context.Canceled},
	} {
		t.Run(name, func(t *testing.T) {
			session := open(t)
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			reader, writer := io.Pipe()
			tunnel, err := session.Tunnel(ctx, reader)
			if err != nil {
				t.Fatal(err)
			}
			defer tunnel.Close()
			io.WriteString(writer, "DELETE FROM users")
			if _, err := io.ReadFull(tunnel, make([]byte, 17)); err != nil {
				t.Fatal(err)
			}
			test.end(session, writer, cancel)
			if _, err := io.ReadAll(tunnel); !errors.Is(err, test.expected) {
				t.Fatal(err)
			}
		})
	}
}

// listen listens, as soon as the daemon has noticed that others have gone.
func listen(t *testing.T, ctx context.Context) *rke.Events {
	for started := time.Now(); time.Since(started) < time.Minute; {
		events, err := rke.New(stage.Daemons["dev"].URL).Events(ctx)
		if err == nil {
			return events
		}
		if !errors.Is(err, rke.ErrExchange) {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("there is no place for a listener")
	return nil
}

func TestEventsTellWhatHappens(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	events := listen(t, ctx)
	defer events.Close()
	wait := func(name string) *rke.Event {
		for {
			event, err := events.Next()
			if err != nil {
				t.Fatal(name, err)
			}
			if event.Name == name {
				return event
			}
		}
	}
	for _, name := range []string{"sessions", "keys", "raidas", "activity", "refusals"} {
		wait(name)
	}
	daemon := stage.Daemons["dev"]
	session, err := rke.New(daemon.URL).OpenFresh(ctx, stage.Domain, daemon.Wallet)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	for step := wait("exchange").Exchange; step.State != "answered"; step = wait("exchange").Exchange {
		if step.Domain != stage.Domain || step.Milliseconds != nil {
			t.Fatalf("%+v", step)
		}
	}
	wait("sessions")
}

func TestEventsEndWithTheirContextAndWithClose(t *testing.T) {
	for name, test := range map[string]struct {
		end      func(*rke.Events, context.CancelFunc)
		expected error
	}{
		"context": {func(_ *rke.Events, c context.CancelFunc) { c() }, context.Canceled},
		"close":   {func(e *rke.Events, _ context.CancelFunc) { e.Close() }, net.ErrClosed},
	} {
		t.Run(name, func(t *testing.T) {
			// The daemon has 32 places for listeners: it would have none left.
			for listener := 0; listener < 40; listener++ {
				ctx, cancel := context.WithCancel(context.Background())
				events := listen(t, ctx)
				if _, err := events.Next(); err != nil {
					t.Fatal(err)
				}
				ended := make(chan error)
				go func() {
					for {
						if _, err := events.Next(); err != nil {
							ended <- err
							return
						}
					}
				}()
				test.end(events, cancel)
				if err := <-ended; !errors.Is(err, test.expected) || errors.Is(err, rke.ErrBrokenOff) {
					t.Fatal(err)
				}
				cancel()
			}
		})
	}
}

func TestATokenFileIsReadForEachRequest(t *testing.T) {
	daemon := stage.Daemons["token"]
	file := filepath.Join(t.TempDir(), "token")
	client := rke.New(daemon.URL, rke.WithTokenFile(file))
	status := func() error {
		_, err := client.Status(context.Background())
		return err
	}
	if err := status(); !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	for _, token := range []string{"00", daemon.Token + "\n"} {
		if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := status(); errors.Is(err, rke.ErrNotAllowed) != (token == "00") || (err != nil) != (token == "00") {
			t.Fatal(err)
		}
	}
}

func TestAHeaderThatCannotBeSentIsAWrongRequest(t *testing.T) {
	_, err := open(t).DecryptReader(context.Background(), strings.NewReader("x"), "a\nb")
	if !errors.Is(err, rke.ErrRequest) {
		t.Fatal(err)
	}
}
