package account

import (
	"bytes"
	"strings"
	"testing"

	"github.com/alexedwards/argon2id"
	"pgregory.net/rapid"

	"github.com/callwheel/callwheel"
	_ "github.com/callwheel/callwheel/scripts/draws"
)

func TestASealedTextOpensOnlyWithItsKeyAndItsContext(t *testing.T) {
	key := bytes.Repeat([]byte("k"), 32)
	s, err := newSealer(key)
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := newSealer(bytes.Repeat([]byte("x"), 32))
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		plain := rapid.SliceOf(rapid.Byte()).Draw(t, "plain")
		sealed := s.seal("acct_a", plain)
		got, err := s.open("acct_a", sealed)
		if err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("open: got %q and %v, want %q", got, err, plain)
		}
		if _, err := s.open("acct_b", sealed); err == nil {
			t.Fatal("it opened for another account")
		}
		if _, err := stranger.open("acct_a", sealed); err == nil {
			t.Fatal("it opened with another secret key")
		}
		i := rapid.IntRange(len(sealedPrefix), len(sealed)-2).Draw(t, "changed")
		changed := sealed[:i] + string('A'+(sealed[i]+1)%20) + sealed[i+1:]
		if changed == sealed {
			return
		}
		if _, err := s.open("acct_a", changed); err == nil {
			t.Fatal("it opened although it was changed")
		}
	})
	if first, second := s.seal("c", []byte("same")), s.seal("c", []byte("same")); first == second {
		t.Error("two seals of one text are alike")
	}
}

func TestAShortSecretKeyIsRefused(t *testing.T) {
	if _, err := newSealer([]byte("short")); callwheel.KindOf(err) != callwheel.Invalid {
		t.Errorf("got %v, want invalid", err)
	}
}

func TestTheDecoyIsAHashThatCanBeCompared(t *testing.T) {
	d := &Directory{hashing: make(chan struct{}, 1)}
	ok, err := d.matches(t.Context(), "anything", decoyHash)
	if ok || err != nil {
		t.Errorf("got %v, %v, want no match and no error", ok, err)
	}
	real, err := argon2id.CreateHash("a good password", realParams)
	if err != nil {
		t.Fatal(err)
	}
	parameters := func(hash string) string { return strings.Join(strings.Split(hash, "$")[:4], "$") }
	if parameters(real) != parameters(decoyHash) {
		t.Errorf("the decoy costs %s, a real one %s", parameters(decoyHash), parameters(real))
	}
}
