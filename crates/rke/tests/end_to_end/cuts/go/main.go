// The Go client as a receiver: standard input goes through the tunnel of a session, and what comes to standard output.
// Arguments are the daemon's address and the session's id. Exits with 0 where all has come, with 255 after a cut, and
// else with the status of the command behind the tunnel.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	rke "github.com/rke/rke/clients/go"
)

func main() {
	err := receive(os.Args[1], os.Args[2])
	var failed *rke.ExitError
	switch {
	case err == nil:
	case errors.As(err, &failed):
		os.Exit(failed.Status)
	case errors.Is(err, rke.ErrBrokenOff), errors.Is(err, rke.ErrUpstream):
		fmt.Fprintln(os.Stderr, err)
		os.Exit(255)
	default:
		// Exits with 2.
		panic(err)
	}
}

func receive(daemon, id string) error {
	tunnel, err := rke.New(daemon).Session(id).Tunnel(context.Background(), os.Stdin)
	if err != nil {
		return err
	}
	defer tunnel.Close()
	_, err = io.Copy(os.Stdout, tunnel)
	return err
}
