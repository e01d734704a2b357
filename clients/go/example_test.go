package rke_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"strings"

	rke "github.com/rke/rke/clients/go"
)

func Example() {
	ctx := context.Background()
	session, err := rke.New(os.Getenv("RKE_DAEMON")).Open(ctx, "content.rke.test", os.Getenv("RKE_WALLET"))
	if err != nil {
		log.Fatal(err)
	}
	defer session.Close()
	sealed, err := session.Seal(ctx, []byte("Hello World!"), []byte("greeting.txt"))
	if err != nil {
		log.Fatal(err)
	}
	data, err := session.Open(ctx, sealed, []byte("greeting.txt"))
	fmt.Println(string(data), err)
	// Output: Hello World! <nil>
}

func ExampleSession_SealReader() {
	ctx := context.Background()
	session, err := rke.New(os.Getenv("RKE_DAEMON")).Open(ctx, "content.rke.test", os.Getenv("RKE_WALLET"))
	if err != nil {
		log.Fatal(err)
	}
	defer session.Close()
	sealed, err := session.SealReader(ctx, strings.NewReader("a long text"), nil)
	if err != nil {
		log.Fatal(err)
	}
	defer sealed.Close()
	// What is sealed is opened while it comes.
	opened, err := session.OpenReader(ctx, sealed, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer opened.Close()
	// Only an error of nil shows that this is all of it.
	_, err = io.Copy(os.Stdout, opened)
	fmt.Println("", err)
	// Output: a long text <nil>
}

func ExampleSession_EncryptReader() {
	ctx := context.Background()
	session, err := rke.New(os.Getenv("RKE_DAEMON")).Open(ctx, "content.rke.test", os.Getenv("RKE_WALLET"))
	if err != nil {
		log.Fatal(err)
	}
	defer session.Close()
	ciphertext, nonce, err := session.EncryptReader(ctx, strings.NewReader("a long text"))
	if err != nil {
		log.Fatal(err)
	}
	defer ciphertext.Close()
	decrypted, err := session.DecryptReader(ctx, ciphertext, nonce)
	if err != nil {
		log.Fatal(err)
	}
	defer decrypted.Close()
	_, err = io.Copy(os.Stdout, decrypted)
	fmt.Println("", err)
	// Output: a long text <nil>
}

func ExampleSession_Tunnel() {
	ctx := context.Background()
	session, err := rke.New(os.Getenv("RKE_DAEMON")).Open(ctx, "content.rke.test", os.Getenv("RKE_WALLET"))
	if err != nil {
		log.Fatal(err)
	}
	defer session.Close()
	tunnel, err := session.Tunnel(ctx, strings.NewReader("hello"))
	if err != nil {
		log.Fatal(err)
	}
	defer tunnel.Close()
	// Only an error of nil shows that this is all of it, and that the command succeeded.
	_, err = io.Copy(os.Stdout, tunnel)
	fmt.Println("", err)
	// Output: hello <nil>
}

func ExampleClient_Events() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	events, err := rke.New(os.Getenv("RKE_DAEMON")).Events(ctx)
	if err != nil {
		log.Fatal(err)
	}
	defer events.Close()
	for {
		event, err := events.Next()
		if errors.Is(err, io.EOF) {
			break // the daemon stops
		}
		if err != nil {
			log.Fatal(err)
		}
		if event.Name == "sessions" {
			fmt.Println("the list of sessions has changed")
			break
		}
	}
	// Output: the list of sessions has changed
}

func ExampleError() {
	client := rke.New(os.Getenv("RKE_DAEMON"))
	_, err := client.Session("nonexistent00000000000000000000").Show(context.Background())
	var refused *rke.Error
	switch {
	case errors.Is(err, rke.ErrNoDaemon):
		fmt.Println("start the daemon")
	case errors.Is(err, rke.ErrNotFound):
		fmt.Println("open a new session")
	case errors.As(err, &refused):
		fmt.Println(refused.Message)
	}
	fmt.Println(err)
	// Output:
	// open a new session
	// rke: Session not found (404): open a new one
}

func ExampleSession_Delete() {
	ctx := context.Background()
	session, err := rke.New(os.Getenv("RKE_DAEMON")).Open(ctx, "content.rke.test", os.Getenv("RKE_WALLET"))
	if err != nil {
		log.Fatal(err)
	}
	deleted, err := session.Delete(ctx, rke.DeleteOptions{Forget: true, Verify: true, Everywhere: true})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("pieces of the key that were found in memory:", deleted.Wipe.Hits)
	fmt.Println("at the Content Server:", deleted.Remote)
	// Output:
	// pieces of the key that were found in memory: 0
	// at the Content Server: forgotten
}
