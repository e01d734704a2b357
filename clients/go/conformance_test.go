package rke_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	rke "github.com/rke/rke/clients/go"
)

// stage says where the daemons are that the tests ask: the file that RKE_CONFORMANCE names.
// clients/conformance/README.md describes it.
var stage struct {
	Domain  string
	Daemons map[string]struct{ URL, Token, Wallet, Unix, Key string }
}

func TestMain(m *testing.M) {
	text, err := os.ReadFile(os.Getenv("RKE_CONFORMANCE"))
	if err == nil {
		err = json.Unmarshal(text, &stage)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "RKE_CONFORMANCE has to name a file that says where daemons are:", err)
		fmt.Fprintln(os.Stderr, "`cargo test -p rke --test end_to_end clients` starts them and does so.")
		os.Exit(1)
	}
	// What the examples ask.
	os.Setenv("RKE_DAEMON", stage.Daemons["dev"].URL)
	os.Setenv("RKE_WALLET", stage.Daemons["dev"].Wallet)
	os.Exit(m.Run())
}

// object is a JSON object: a step, what it gives, or what the list expects of it.
type object = map[string]any

func TestConformance(t *testing.T) {
	text, err := os.ReadFile("../conformance/calls.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Name, Daemon string
		Slow         bool
		Steps        []object
	}
	if err := json.Unmarshal(text, &cases); err != nil {
		t.Fatal(err)
	}
	for _, test := range cases {
		if test.Daemon == "" {
			test.Daemon = "dev"
		}
		daemon, there := stage.Daemons[test.Daemon]
		kept := object{"domain": stage.Domain, "wallet": daemon.Wallet, "key": daemon.Key}
		run := func(name, address string, options ...rke.Option) {
			t.Run(name, func(t *testing.T) {
				if !there {
					t.Fatalf("there is no daemon %q", test.Daemon)
				}
				runCase(t, rke.New(address, options...), test.Steps, kept)
			})
		}
		var options []rke.Option
		if daemon.Token != "" {
			options = append(options, rke.WithToken(daemon.Token))
		}
		run(test.Daemon+": "+test.Name, daemon.URL, options...)
		if daemon.Unix != "" && !test.Slow {
			run(test.Daemon+" over the unix socket: "+test.Name, "unix:"+daemon.Unix, options...)
		}
	}
}

func runCase(t *testing.T, client *rke.Client, steps []object, given object) {
	kept := object{}
	for name, value := range given {
		kept[name] = value
	}
	for at, raw := range steps {
		times, _ := raw["times"].(float64)
		for made := 0; made == 0 || made < int(times); made++ {
			step := resolved(raw, kept).(object)
			gives, err := calls[step["call"].(string)](client, step)
			if wrong := check(step, gives, err); wrong != nil {
				t.Fatalf("step %d, %s: %v", at+1, step["call"], wrong)
			}
			names, _ := raw["keep"].(object)
			for name, field := range names {
				kept[name] = gives[field.(string)]
			}
		}
	}
}

// resolved is a step with what was kept in the places of the names. Data becomes a *data.
func resolved(value any, kept object) any {
	switch value := value.(type) {
	case string:
		if !strings.HasPrefix(value, "$") {
			return value
		}
		name, how, _ := strings.Cut(value[1:], "|")
		if how == "upper" {
			return strings.ToUpper(kept[name].(string))
		}
		return kept[name]
	case []any:
		list := make([]any, len(value))
		for at, item := range value {
			list[at] = resolved(item, kept)
		}
		return list
	case object:
		if data := dataOf(value, kept); data != nil {
			return data
		}
		fields := object{}
		for name, item := range value {
			fields[name] = resolved(item, kept)
		}
		return fields
	default:
		return value
	}
}

// data is data that the list describes, and what it does as a source.
type data struct {
	bytes           []byte
	breaks, endless bool
}

func dataOf(described, kept object) *data {
	d := new(data)
	d.breaks, _ = described["breaks"].(bool)
	d.endless, _ = described["endless"].(bool)
	if text, ok := described["text"].(string); ok {
		d.bytes = []byte(text)
	} else if name, ok := described["kept"].(string); ok {
		d.bytes = altered(append([]byte{}, kept[name].([]byte)...), described)
	} else if length, ok := described["pattern"].(float64); ok {
		d.bytes = pattern(int(length))
	} else if d.endless {
		d.bytes = pattern(65536)
	} else {
		return nil
	}
	return d
}

func pattern(length int) []byte {
	bytes := make([]byte, length)
	for at := range bytes {
		bytes[at] = byte(at % 251)
	}
	return bytes
}

func altered(bytes []byte, how object) []byte {
	index := func(value any) int {
		if at := int(value.(float64)); at >= 0 {
			return at
		}
		return len(bytes) + int(value.(float64))
	}
	if flip, ok := how["flip"]; ok {
		bytes[index(flip)] ^= 1
	}
	if swap, ok := how["swap"].([]any); ok {
		one, other, length := index(swap[0]), index(swap[1]), index(swap[2])
		moved := append([]byte{}, bytes[one:one+length]...)
		copy(bytes[one:], bytes[other:other+length])
		copy(bytes[other:], moved)
	}
	if first, ok := how["first"]; ok {
		bytes = bytes[:index(first)]
	}
	if more, ok := how["append"].(string); ok {
		tail, _ := base64.StdEncoding.DecodeString(more)
		bytes = append(bytes, tail...)
	}
	return bytes
}

var errSourceBroke = errors.New("the source broke")

// Read makes data a source that gives it in pieces.
type pieces struct {
	*data
	at, size int
}

func (p *pieces) Read(buffer []byte) (int, error) {
	if p.at == len(p.bytes) && p.endless {
		p.at = 0
	}
	if p.at == len(p.bytes) {
		if p.breaks {
			return 0, errSourceBroke
		}
		return 0, io.EOF
	}
	end := p.at + p.size
	if end > len(p.bytes) {
		end = len(p.bytes)
	}
	n := copy(buffer, p.bytes[p.at:end])
	p.at += n
	return n, nil
}

type call func(client *rke.Client, step object) (object, error)

var calls map[string]call

func init() {
	ctx := context.Background()
	calls = map[string]call{
		"create": func(client *rke.Client, step object) (object, error) {
			open := client.Open
			if flag(step, "fresh") {
				open = client.OpenFresh
			}
			session, err := open(ctx, text(step, "domain"), text(step, "wallet_path"))
			if err != nil {
				return nil, err
			}
			return fields(session.Created(), nil)
		},
		"list":   func(client *rke.Client, _ object) (object, error) { return fields(client.Sessions(ctx)) },
		"keys":   func(client *rke.Client, _ object) (object, error) { return fields(client.Keys(ctx)) },
		"status": func(client *rke.Client, _ object) (object, error) { return fields(client.Status(ctx)) },
		"raidas": func(client *rke.Client, _ object) (object, error) { return fields(client.Raidas(ctx)) },
		"refresh_raidas": func(client *rke.Client, _ object) (object, error) {
			return fields(client.RefreshRaidas(ctx))
		},
		"discover": func(client *rke.Client, step object) (object, error) {
			return fields(client.Discover(ctx, text(step, "domain")))
		},
		"delete_all": func(client *rke.Client, step object) (object, error) {
			options := rke.DeleteAllOptions{Domain: text(step, "domain"), Forget: flag(step, "forget")}
			deleted, err := client.DeleteSessions(ctx, options)
			return object{"deleted": float64(deleted)}, err
		},
		"delete_keys": func(client *rke.Client, step object) (object, error) {
			deleted, err := client.DeleteKeys(ctx, text(step, "domain"))
			return object{"deleted": float64(deleted)}, err
		},
		"show": func(client *rke.Client, step object) (object, error) {
			return fields(session(client, step).Show(ctx))
		},
		"renew": func(client *rke.Client, step object) (object, error) {
			return fields(session(client, step).Renew(ctx))
		},
		"delete": func(client *rke.Client, step object) (object, error) {
			options := rke.DeleteOptions{Forget: flag(step, "forget"), Verify: flag(step, "verify"), Everywhere: flag(step, "everywhere")}
			return fields(session(client, step).Delete(ctx, options))
		},
		"encrypt": func(client *rke.Client, step object) (object, error) {
			ciphertext, nonce, err := session(client, step).Encrypt(ctx, bytesOf(step, "data"))
			return whole(ciphertext, nonce, err)
		},
		"decrypt": func(client *rke.Client, step object) (object, error) {
			data, err := session(client, step).Decrypt(ctx, bytesOf(step, "data"), text(step, "nonce"))
			return whole(data, "", err)
		},
		"seal": func(client *rke.Client, step object) (object, error) {
			sealed, err := session(client, step).Seal(ctx, bytesOf(step, "data"), bytesOf(step, "associated_data"))
			return whole(sealed, "", err)
		},
		"open": func(client *rke.Client, step object) (object, error) {
			data, err := session(client, step).Open(ctx, bytesOf(step, "data"), bytesOf(step, "associated_data"))
			return whole(data, "", err)
		},
		"export": func(client *rke.Client, step object) (object, error) {
			length, _ := step["length"].(float64)
			key, err := session(client, step).Export(ctx, text(step, "label"), bytesOf(step, "context"), int(length))
			return whole(key, "", err)
		},
		"encrypt_stream": func(client *rke.Client, step object) (object, error) {
			reader, nonce, err := session(client, step).EncryptReader(ctx, source(step))
			return streamed(client, step, reader, nonce, err)
		},
		"decrypt_stream": func(client *rke.Client, step object) (object, error) {
			reader, err := session(client, step).DecryptReader(ctx, source(step), text(step, "nonce"))
			return streamed(client, step, reader, "", err)
		},
		"seal_stream": func(client *rke.Client, step object) (object, error) {
			reader, err := session(client, step).SealReader(ctx, source(step), bytesOf(step, "associated_data"))
			return streamed(client, step, reader, "", err)
		},
		"events": heard,
		"tunnel": func(client *rke.Client, step object) (object, error) {
			tunnel, err := session(client, step).Tunnel(ctx, source(step))
			if err != nil {
				return nil, err
			}
			return streamed(client, step, tunnel, "", nil)
		},
		"open_stream": func(client *rke.Client, step object) (object, error) {
			reader, err := session(client, step).OpenReader(ctx, source(step), bytesOf(step, "associated_data"))
			return streamed(client, step, reader, "", err)
		},
	}
}

// patience is how long an event may take.
const patience = time.Minute

// heard listens until the events of the step have come, makes its other call then, and listens for the events of that.
func heard(client *rke.Client, step object) (object, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	events, err := client.Events(ctx)
	if err != nil {
		return nil, err
	}
	defer events.Close()
	if err := come(events, step["until"]); err != nil {
		return nil, err
	}
	after, ok := step["after"].(object)
	if !ok {
		return nil, nil
	}
	if _, err := calls[after["call"].(string)](client, after); err != nil {
		return nil, err
	}
	return nil, come(events, after["until"])
}

// come waits until each of these events has come, in any order.
func come(events *rke.Events, expected any) error {
	missing := expected.([]any)
	for len(missing) > 0 {
		event, err := events.Next()
		if err != nil {
			return fmt.Errorf("%v is missing: %w", missing, err)
		}
		data, err := fields(event.Data, nil)
		if err != nil {
			return err
		}
		if step := event.Exchange; step != nil {
			if data, err = fields(step, nil); err != nil {
				return err
			}
		}
		var still []any
		for _, one := range missing {
			if match(object{"name": event.Name, "data": data}, one, "event") != nil {
				still = append(still, one)
			}
		}
		missing = still
	}
	return nil
}

func session(client *rke.Client, step object) *rke.Session {
	return client.Session(text(step, "id"))
}

func text(step object, name string) string {
	text, _ := step[name].(string)
	return text
}

func flag(step object, name string) bool {
	flag, _ := step[name].(bool)
	return flag
}

func bytesOf(step object, name string) []byte {
	if data, ok := step[name].(*data); ok {
		return data.bytes
	}
	return nil
}

func source(step object) io.Reader {
	size, _ := step["pieces"].(float64)
	if size == 0 {
		size = 65536
	}
	return &pieces{data: step["data"].(*data), size: int(size)}
}

// fields are those of a response, by the daemon's names.
func fields(answer any, err error) (object, error) {
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(answer)
	if err != nil {
		return nil, err
	}
	var fields object
	return fields, json.Unmarshal(text, &fields)
}

func whole(data []byte, nonce string, err error) (object, error) {
	return object{"data": data, "length": float64(len(data)), "nonce": nonce}, err
}

// streamed reads a response to its end, and makes the step's other call once enough of it is there.
func streamed(client *rke.Client, step object, reader io.ReadCloser, nonce string, err error) (object, error) {
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	var all bytes.Buffer
	if after, ok := step["after"].(object); ok {
		if _, err := io.CopyN(&all, reader, int64(after["bytes"].(float64))); err != nil {
			return nil, err
		}
		if _, err := calls[after["call"].(string)](client, after); err != nil {
			return nil, err
		}
	}
	_, err = all.ReadFrom(reader)
	return whole(all.Bytes(), nonce, err)
}

var kinds = map[string]error{
	"request":        rke.ErrRequest,
	"not_allowed":    rke.ErrNotAllowed,
	"not_found":      rke.ErrNotFound,
	"fresh_key":      rke.ErrFreshKey,
	"damaged":        rke.ErrDamaged,
	"limit":          rke.ErrLimit,
	"exchange":       rke.ErrExchange,
	"upstream":       rke.ErrUpstream,
	"daemon":         rke.ErrDaemon,
	"no_daemon":      rke.ErrNoDaemon,
	"broken_off":     rke.ErrBrokenOff,
	"command_failed": rke.ErrCommandFailed,
	"source":         errSourceBroke,
}

func check(step, gives object, err error) error {
	fails, toFail := step["fails"].(object)
	if !toFail {
		if err != nil {
			return err
		}
		expected, _ := step["gives"].(object)
		return match(gives, expected, "answer")
	}
	for class, kind := range kinds {
		if errors.Is(err, kind) != (class == fails["class"]) {
			return fmt.Errorf("%v instead of an error of class %s", err, fails["class"])
		}
	}
	delete(fails, "class")
	return match(described(err), fails, "error")
}

// described is an error as the list describes it.
func described(err error) object {
	var failed *rke.ExitError
	if errors.As(err, &failed) {
		return object{"status": float64(failed.Status)}
	}
	var answer *rke.Error
	if !errors.As(err, &answer) {
		return nil
	}
	lists, _ := fields(struct {
		Answered []int       `json:"answered"`
		Faults   []rke.Fault `json:"faults"`
	}{answer.Answered, answer.Faults}, nil)
	lists["code"] = float64(answer.Status)
	lists["message"] = answer.Message
	lists["fields"] = answer.Fields
	lists["retry_after"] = answer.RetryAfter.Seconds()
	return lists
}

// match says where a value is not what the list expects.
func match(value, expected any, where string) error {
	differs := fmt.Errorf("%s: %v instead of %v", where, value, expected)
	switch expected := expected.(type) {
	case *data:
		if given, _ := value.([]byte); !bytes.Equal(given, expected.bytes) {
			return fmt.Errorf("%s: other data, %d of %d bytes", where, len(given), len(expected.bytes))
		}
	case string:
		if kind, ok := kindsOfText[expected]; ok {
			if !kind.MatchString(asText(value)) {
				return differs
			}
		} else if text, ok := value.(string); !ok || !isLike(text, expected) {
			return differs
		}
	case []any:
		list, _ := value.([]any)
		if len(list) != len(expected) {
			return differs
		}
		for at, item := range expected {
			if err := match(list[at], item, fmt.Sprintf("%s[%d]", where, at)); err != nil {
				return err
			}
		}
	case object:
		given, _ := value.(object)
		for name, item := range expected {
			if err := match(given[name], item, where+"."+name); err != nil {
				return err
			}
		}
	default:
		if !reflect.DeepEqual(value, expected) {
			return differs
		}
	}
	return nil
}

var kindsOfText = map[string]*regexp.Regexp{
	"<hex>":      regexp.MustCompile(`^[0-9a-f]{32}$`),
	"<time>":     regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$`),
	"<number>":   regexp.MustCompile(`^\d+$`),
	"<positive>": regexp.MustCompile(`^[1-9]\d*$`),
}

// isLike reports whether a text is as it is expected; … stands for any text.
func isLike(text, expected string) bool {
	parts := strings.Split(expected, "…")
	for at, part := range parts {
		parts[at] = regexp.QuoteMeta(part)
	}
	return regexp.MustCompile("(?s)^" + strings.Join(parts, ".*") + "$").MatchString(text)
}

// asText is a text itself, and anything else as JSON writes it.
func asText(value any) string {
	if text, ok := value.(string); ok {
		return text
	}
	text, _ := json.Marshal(value)
	return string(text)
}
