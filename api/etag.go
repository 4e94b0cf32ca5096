package api

import (
	"context"
	"strconv"
	"strings"

	"github.com/callwheel/callwheel"
)

// Precondition is embedded in the input of every change of a thing that carries
// an ETag.
type Precondition struct {
	IfMatch string `header:"If-Match" maxLength:"200" doc:"The ETag that the change is based on, or several; another version by now is 412"`
}

// Version returns the version that the change is based on, nil for any. A tag
// that is not one of ours matches no version: it returns -1.
func (p Precondition) Version() *int64 {
	if p.IfMatch == "" || p.IfMatch == "*" {
		return nil
	}
	v := int64(-1)
	if text, ok := unquote(p.IfMatch); ok {
		if n, err := strconv.ParseInt(text, 10, 64); err == nil && n >= 0 {
			v = n
		}
	}
	return &v
}

func (p *Precondition) precondition() *Precondition { return p }

// preconditioned is an input with a Precondition.
type preconditioned interface{ precondition() *Precondition }

// anyMatch runs a change until one of the tags of its If-Match is that of the
// present version: a room compares with one version, and changes nothing when it
// is another.
func anyMatch[In, Out any](ctx context.Context, in *In, fn func(ctx context.Context, in *In) (*Out, error)) (*Out, error) {
	p, ok := any(in).(preconditioned)
	if !ok || !strings.Contains(p.precondition().IfMatch, ",") {
		return fn(ctx, in)
	}
	var out *Out
	var err error
	for tag := range strings.SplitSeq(p.precondition().IfMatch, ",") {
		if tag = strings.TrimSpace(tag); tag == "" {
			continue // an empty element of a list says nothing
		}
		p.precondition().IfMatch = tag
		if out, err = fn(ctx, in); callwheel.KindOf(err) != callwheel.Stale {
			return out, err
		}
	}
	if err == nil {
		return nil, callwheel.Errorf(callwheel.Stale, "the If-Match names no ETag")
	}
	return out, err
}

// etag is the entity tag of a version.
func etag(version int64) string { return `"` + strconv.FormatInt(version, 10) + `"` }

func unquote(s string) (string, bool) {
	s, ok := strings.CutPrefix(strings.TrimSpace(s), `"`)
	if !ok {
		return "", false
	}
	return strings.CutSuffix(s, `"`)
}
