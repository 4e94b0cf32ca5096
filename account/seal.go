package account

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"strings"

	"github.com/callwheel/callwheel"
)

// sealedPrefix says how a text was sealed, so that another way can follow.
const sealedPrefix = "v1."

// sealer encrypts small secrets at rest. Every text is bound to a context (the
// account it belongs to): moved to another row it no longer opens.
type sealer struct{ aead cipher.AEAD }

// newSealer derives the sealing key from the installation's secret key, which
// also signs cursors: each use has a key of its own.
func newSealer(secretKey []byte) (*sealer, error) {
	if len(secretKey) < 16 {
		return nil, callwheel.InvalidField("secret_key", "must have at least 16 bytes")
	}
	key, err := hkdf.Key(sha256.New, secretKey, nil, "callwheel seal v1", 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, err
	}
	return &sealer{aead: aead}, nil
}

// seal encrypts plain for one context.
func (s *sealer) seal(context string, plain []byte) string {
	return sealedPrefix + base64.RawStdEncoding.EncodeToString(s.aead.Seal(nil, nil, plain, []byte(context)))
}

// open decrypts what seal made for the same context and the same secret key.
func (s *sealer) open(context, sealed string) ([]byte, error) {
	text, ok := strings.CutPrefix(sealed, sealedPrefix)
	if !ok {
		return nil, callwheel.Errorf(callwheel.Internal, "open sealed text: unknown format")
	}
	raw, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil {
		return nil, callwheel.Errorf(callwheel.Internal, "open sealed text: %w", err)
	}
	plain, err := s.aead.Open(nil, nil, raw, []byte(context))
	if err != nil {
		return nil, callwheel.Errorf(callwheel.Internal, "open sealed text: wrong secret key or damaged: %w", err)
	}
	return plain, nil
}

// randomText returns n random bytes as URL-safe text.
func randomText(n int) string {
	b := make([]byte, n)
	rand.Read(b) //nolint:errcheck // never fails
	return base64.RawURLEncoding.EncodeToString(b)
}
