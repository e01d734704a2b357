// The Go client as a listener: prints the name of each event, and how the events ended. The argument is the daemon's
// URL.
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
	events, err := rke.New(os.Args[1]).Events(context.Background())
	if err != nil {
		panic(err)
	}
	defer events.Close()
	for {
		event, err := events.Next()
		switch {
		case err == nil:
			fmt.Println(event.Name)
		case errors.Is(err, io.EOF):
			fmt.Println("ended")
			return
		case errors.Is(err, rke.ErrBrokenOff):
			fmt.Println("broken off")
			return
		default:
			panic(err)
		}
	}
}
