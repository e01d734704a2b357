package rke_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The program in README.md, in a module of its own that has this one as README.md says.
func TestTheProgramOfTheReadmeDoesWhatItSays(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?ms)^```go\n(.*?)^```$").FindSubmatch(text)
	edit := regexp.MustCompile("(?m)^go (mod edit .*)$").FindSubmatch(text)
	if blocks == nil || edit == nil {
		t.Fatal("README.md has no program")
	}
	here, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	daemon := stage.Daemons["dev"]
	program := strings.NewReplacer(
		"http://127.0.0.1:8080", daemon.URL,
		"content.example.com", stage.Domain,
		"/home/alice/wallet", daemon.Wallet,
	).Replace(string(blocks[1]))
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(program), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(arguments ...string) string {
		command := exec.Command("go", arguments...)
		command.Dir = dir
		output, err := command.CombinedOutput()
		if err != nil {
			t.Fatalf("go %v: %s", arguments, output)
		}
		return string(output)
	}
	run("mod", "init", "example.test/program")
	run(strings.Fields(strings.ReplaceAll(string(edit[1]), "/path/to/rke/clients/go", here))...)
	if printed := run("run", "."); printed != "Hello World!\n" {
		t.Fatal(printed)
	}
}

func TestTheReadmeNamesEveryError(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("errors.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, found := range regexp.MustCompile(`(?m)^\t(Err\w+) += errors\.New`).FindAllSubmatch(source, -1) {
		if row := "| `" + string(found[1]) + "` |"; !strings.Contains(string(readme), row) {
			t.Errorf("no row %s", row)
		}
	}
}
