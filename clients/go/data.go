package rke

import (
	"bytes"
	"context"
	"encoding/base64"
	"io"
	"net/http"
)

// jsonLimit is up to how many bytes go as JSON, which the daemon reads whole and checks before it responds;
// more goes as a raw body. JSON may have 1 MiB, and Base64 makes four bytes of three.
const jsonLimit = 512 * 1024

// work is something that a session's key does with data.
type work struct {
	session *Session
	// name is the last part of the path.
	name string
	// given and result are the JSON fields of the data before and after.
	given, result string
	// beside are the fields other than the data, which go into headers of raw requests.
	beside map[string]string
}

var headers = map[string]string{"nonce": "X-RKE-Nonce", "associated_data": "X-RKE-Associated-Data"}

func (s *Session) sealing(associated []byte) work {
	return work{s, "seal", "plaintext", "sealed", withAssociated(associated)}
}

func (s *Session) opening(associated []byte) work {
	return work{s, "open", "sealed", "plaintext", withAssociated(associated)}
}

func (s *Session) encrypting() work {
	return work{s, "encrypt", "plaintext", "ciphertext", nil}
}

func (s *Session) decrypting(nonce string) work {
	return work{s, "decrypt", "ciphertext", "plaintext", map[string]string{"nonce": nonce}}
}

func withAssociated(data []byte) map[string]string {
	if len(data) == 0 {
		return nil
	}
	return map[string]string{"associated_data": base64.StdEncoding.EncodeToString(data)}
}

// Seal seals data together with associated data, which is not in the result: nobody can read it without the
// key, nor alter it undetected. It opens only in this session, and only while the session lives.
func (s *Session) Seal(ctx context.Context, data, associated []byte) ([]byte, error) {
	sealed, _, err := s.sealing(associated).whole(ctx, data)
	return sealed, err
}

// Open opens what was sealed with the same associated data, or fails with ErrDamaged.
func (s *Session) Open(ctx context.Context, sealed, associated []byte) ([]byte, error) {
	data, _, err := s.opening(associated).whole(ctx, sealed)
	return data, err
}

// Encrypt encrypts data in counter mode and gives the nonce too, 32 hexadecimal digits. Only this session decrypts
// it, while it lives. Alterations are not detected; use Seal if they must be.
func (s *Session) Encrypt(ctx context.Context, data []byte) (ciphertext []byte, nonce string, err error) {
	return s.encrypting().whole(ctx, data)
}

// Decrypt is the reverse of Encrypt.
func (s *Session) Decrypt(ctx context.Context, ciphertext []byte, nonce string) ([]byte, error) {
	data, _, err := s.decrypting(nonce).whole(ctx, ciphertext)
	return data, err
}

// Export derives a key of this many bytes, 16 to 64, for another program. The other end derives the same one from the same label,
// context and length. The daemon's operator has to allow the label.
func (s *Session) Export(ctx context.Context, label string, context []byte, length int) ([]byte, error) {
	body := map[string]any{
		"session_id": s.id,
		"label":      label,
		"context":    base64.StdEncoding.EncodeToString(context),
		"length":     length,
	}
	var answer struct {
		Key []byte `json:"key"`
	}
	if err := s.client.call(ctx, http.MethodPost, "/api/rke/export", body, &answer); err != nil {
		return nil, err
	}
	return answer.Key, nil
}

// SealReader seals what is read from data, which may be of any length. The reader that it gives ends with
// io.EOF when all is sealed, and with another error otherwise: then discard what arrived. Close it.
// data is read until then, and not closed.
func (s *Session) SealReader(ctx context.Context, data io.Reader, associated []byte) (io.ReadCloser, error) {
	sealed, _, err := s.sealing(associated).stream(ctx, data)
	return sealed, err
}

// OpenReader opens what is read from sealed, like SealReader. What its reader gives is authentic as far as
// it has come; only io.EOF shows that nothing is missing.
func (s *Session) OpenReader(ctx context.Context, sealed io.Reader, associated []byte) (io.ReadCloser, error) {
	data, _, err := s.opening(associated).stream(ctx, sealed)
	return data, err
}

// EncryptReader encrypts what is read from data, like SealReader, and gives the nonce too.
func (s *Session) EncryptReader(ctx context.Context, data io.Reader) (ciphertext io.ReadCloser, nonce string, err error) {
	return s.encrypting().stream(ctx, data)
}

// DecryptReader is the reverse of EncryptReader.
func (s *Session) DecryptReader(ctx context.Context, ciphertext io.Reader, nonce string) (io.ReadCloser, error) {
	data, _, err := s.decrypting(nonce).stream(ctx, ciphertext)
	return data, err
}

func (w work) path() string {
	return "/api/rke/" + w.name
}

// whole does the work with data in memory.
func (w work) whole(ctx context.Context, data []byte) ([]byte, string, error) {
	if len(data) <= jsonLimit {
		return w.json(ctx, data)
	}
	response, err := w.raw(ctx, bytes.NewReader(data))
	if err != nil {
		return nil, "", err
	}
	defer response.Body.Close()
	nonce, err := w.nonce(response)
	if err != nil {
		return nil, "", err
	}
	result, err := readAll(ctx, response.Body)
	if err == nil && !w.isWhole(int64(len(data)), int64(len(result))) {
		err = brokenOff(errNotWhole)
	}
	return result, nonce, err
}

// isWhole reports whether a response of this length is complete for data of that length.
func (w work) isWhole(given, got int64) bool {
	switch w.name {
	case "seal":
		return got == sealedLength(given)
	case "open":
		return given == sealedLength(got)
	default:
		return given == got
	}
}

// sealedLength is how long sealed data is: docs/seal-format.md, section 2.
func sealedLength(length int64) int64 {
	chunks := (length + 65535) / 65536
	if chunks == 0 {
		chunks = 1
	}
	return 72 + length + 16*chunks
}

func (w work) json(ctx context.Context, data []byte) ([]byte, string, error) {
	body := map[string]string{"session_id": w.session.id, w.given: base64.StdEncoding.EncodeToString(data)}
	for name, value := range w.beside {
		body[name] = value
	}
	var answer map[string]any
	if err := w.session.client.call(ctx, http.MethodPost, w.path(), body, &answer); err != nil {
		return nil, "", err
	}
	text, _ := answer[w.result].(string)
	result, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, "", noAnswer(w.session.client.address, "data that is not Base64")
	}
	nonce, _ := answer["nonce"].(string)
	return result, nonce, nil
}

// stream does the work with data as it is read.
func (w work) stream(ctx context.Context, data io.Reader) (io.ReadCloser, string, error) {
	from := &source{reader: data}
	response, err := w.raw(ctx, from)
	if err != nil {
		return nil, "", err
	}
	result := &reader{ctx: ctx, body: response.Body, from: from, work: w}
	nonce, err := w.nonce(response)
	if err != nil {
		result.Close()
		return nil, "", err
	}
	return result, nonce, nil
}

// nonce is the nonce in a response that must have one.
func (w work) nonce(response *http.Response) (string, error) {
	nonce := response.Header.Get(headers["nonce"])
	if w.name == "encrypt" && nonce == "" {
		return "", noAnswer(w.session.client.address, "its answer has no nonce")
	}
	return nonce, nil
}

func (w work) raw(ctx context.Context, data io.Reader) (*http.Response, error) {
	header := http.Header{}
	header.Set("X-RKE-Session", w.session.id)
	for name, value := range w.beside {
		header.Set(headers[name], value)
	}
	for name, values := range header {
		if !isVisible(values[0]) {
			return nil, &failure{ErrRequest, "rke: " + name + " has characters that no header can hold", nil}
		}
	}
	return w.session.client.raw(ctx, w.path(), header, data)
}

func isVisible(text string) bool {
	for _, c := range []byte(text) {
		if c < '!' || c > '~' {
			return false
		}
	}
	return true
}
