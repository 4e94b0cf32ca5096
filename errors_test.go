package callwheel_test

import (
	"errors"
	"io"
	"io/fs"
	"testing"

	"github.com/callwheel/callwheel"
)

func TestACauseIsToldOnceAndFound(t *testing.T) {
	err := callwheel.Errorf(callwheel.Unavailable, "drain the spool: %w", io.ErrUnexpectedEOF)
	outer := callwheel.Errorf(callwheel.Internal, "start: %w", err)
	if got, want := outer.Error(), "start: drain the spool: unexpected EOF"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if !errors.Is(outer, io.ErrUnexpectedEOF) || callwheel.KindOf(outer) != callwheel.Internal {
		t.Errorf("got kind %s of %v, want internal and the cause in its chain", callwheel.KindOf(outer), outer)
	}
	two := callwheel.Errorf(callwheel.Invalid, "%w and %w", io.EOF, fs.ErrExist)
	if two.Error() != "EOF and file already exists" || !errors.Is(two, io.EOF) || !errors.Is(two, fs.ErrExist) {
		t.Errorf("two causes: got %v, want both told once and found", two)
	}
	apart := &callwheel.Error{Kind: callwheel.Unavailable, Message: "database away", Err: io.EOF}
	if got, want := apart.Error(), "database away: EOF"; got != want {
		t.Errorf("a sentence without its cause: got %q, want %q", got, want)
	}
}
