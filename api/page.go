package api

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/report"
)

// maxLimit is the longest page.
const maxLimit = 500

// ListRange is embedded in the input of lists of what happened in a range of time.
type ListRange struct {
	From  string `query:"from" maxLength:"40" doc:"Only from here on: an instant, or a date of the account's zone (the first instant of that day)" example:"2026-01-31"`
	Until string `query:"until" maxLength:"40" doc:"Only before: an instant, or the first instant of a date" example:"2026-02-28T09:00:00Z"`
}

// span reads a range in the account's zone; an end that is not given is the zero
// time.
func (s *Server) span(ctx context.Context, who account.Identity, in ListRange) (from, until time.Time, err error) {
	if in == (ListRange{}) {
		return from, until, nil
	}
	a, err := s.accounts.Get(ctx, who.AccountID)
	if err != nil {
		return from, until, err
	}
	zone, err := time.LoadLocation(a.TZ)
	if err != nil {
		return from, until, fmt.Errorf("the account's zone: %w", err)
	}
	return report.Bounds(in.From, in.Until, zone)
}

// Paging is embedded in the input of every list.
type Paging struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"500" default:"50" doc:"How many items at most"`
	Cursor string `query:"cursor" maxLength:"2000" doc:"next_cursor of the page before, with the same filters"`

	whole   bool   // everything was asked for; see Resolve
	filters string // the query without what only pages and selects
}

// Resolve notes what was asked for besides the page. CSV and NDJSON without a
// limit are the whole list: a table that silently ended after fifty rows would
// be taken for all.
func (p *Paging) Resolve(ctx huma.Context) []error {
	u := ctx.URL()
	query := u.Query()
	if p.whole = isExport(http.Header{"Accept": {ctx.Header("Accept")}}, query); p.whole {
		p.Limit = maxLimit
	}
	for _, name := range []string{"limit", "cursor", "fields"} {
		query.Del(name)
	}
	p.filters = query.Encode()
	return nil
}

// isExport says whether a request for a list asks for all of it.
func isExport(h http.Header, query url.Values) bool {
	return query.Get("limit") == "" && query.Get("cursor") == "" && wanted(h) != asJSON
}

func (p *Paging) paging() *Paging { return p }

// paged is an input with a Paging.
type paged interface{ paging() *Paging }

// continued is the output of a list, which can be told how it goes on.
type continued[Out any] interface {
	goOn(next func(cursor string) (*Out, error))
}

// wholeList makes the first page of a list into all of it, read page by page
// while it is written, when that was asked for. A list that knows a better way
// has set page.whole itself.
func wholeList[In, Out any](ctx context.Context, in *In, fn func(ctx context.Context, in *In) (*Out, error)) (*Out, error) {
	out, err := fn(ctx, in)
	p, pages := any(in).(paged)
	list, lists := any(out).(continued[Out])
	if err != nil || !pages || !lists || !p.paging().whole {
		return out, err
	}
	list.goOn(func(cursor string) (*Out, error) {
		p.paging().Cursor = cursor
		return fn(ctx, in)
	})
	return out, nil
}

// page is the body of every list.
type page[T any] struct {
	Items      []T     `json:"items"`
	NextCursor *string `json:"next_cursor" doc:"null on the last page"`

	whole whole // instead of Items, for an export of everything; nil for a page
}

// listed is the output of every list.
type listed[T any] struct{ Body page[T] }

func (l *listed[T]) goOn(next func(cursor string) (*listed[T], error)) {
	if l.Body.whole != nil {
		return
	}
	first := l.Body
	l.Body.whole = func(yield func(item any) error) error {
		for part := first; ; {
			for _, item := range part.Items {
				if err := yield(item); err != nil {
					return err
				}
			}
			if part.NextCursor == nil {
				return nil
			}
			more, err := next(*part.NextCursor)
			if err != nil {
				return err
			}
			part = more.Body
		}
	}
}

// newPage cuts one more row than was asked for, if there is one, and makes the
// cursor from the last row that stays: rooms are asked for limit+1 rows.
func newPage[R, T any](s *Server, who account.Identity, list string, rows []R, in Paging, wire func(R) T, position func(R) any) *listed[T] {
	out := &listed[T]{Body: page[T]{Items: []T{}}}
	if len(rows) > in.Limit {
		rows = rows[:in.Limit]
		next := s.cursor(who, list, in, position(rows[in.Limit-1]))
		out.Body.NextCursor = &next
	}
	for _, r := range rows {
		out.Body.Items = append(out.Body.Items, wire(r))
	}
	return out
}

// pageOf cuts a page out of a list that is read whole, because it is short. id
// names a row; a cursor whose row is gone by now is refused.
func pageOf[R, T any](s *Server, who account.Identity, list string, rows []R, in Paging, wire func(R) T, id func(R) string) (*listed[T], error) {
	var after string
	ok, err := s.readCursor(who, list, in, &after)
	if err != nil {
		return nil, err
	}
	if ok {
		at := slices.IndexFunc(rows, func(r R) bool { return id(r) == after })
		if at < 0 {
			return nil, badCursor()
		}
		rows = rows[at+1:]
	}
	return newPage(s, who, list, rows, in, wire, func(r R) any { return id(r) }), nil
}

// macSize is how many bytes of the signature a cursor carries.
const macSize = 16

// cursor makes an opaque cursor of a position in a list. It is signed and bound
// to the account, the list and its filters, so that nobody reads another's list
// with it and what comes back is what was given out: a position among some rows
// means nothing among others.
func (s *Server) cursor(who account.Identity, list string, in Paging, position any) string {
	text, err := json.Marshal(position)
	if err != nil {
		panic("position of " + list + " is not JSON: " + err.Error())
	}
	return base64.RawURLEncoding.EncodeToString(append(s.cursorMAC(who, list, in, text), text...))
}

// readCursor reads the cursor of a request into position; "" leaves it as it is
// and returns false. It fails with a 400 "bad-cursor" for anything that cursor
// did not make for the same account, list and filters.
func (s *Server) readCursor(who account.Identity, list string, in Paging, position any) (bool, error) {
	if in.Cursor == "" {
		return false, nil
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(in.Cursor)
	if err != nil || len(raw) < macSize {
		return false, badCursor()
	}
	mac, text := raw[:macSize], raw[macSize:]
	if !hmac.Equal(mac, s.cursorMAC(who, list, in, text)) {
		return false, badCursor()
	}
	if err := json.Unmarshal(text, position); err != nil {
		return false, badCursor()
	}
	return true, nil
}

func (s *Server) cursorMAC(who account.Identity, list string, in Paging, text []byte) []byte {
	h := hmac.New(sha256.New, s.cursorKey)
	for _, part := range []string{who.AccountID, list, in.filters, string(text)} {
		h.Write([]byte(part))
		h.Write([]byte{0})
	}
	return h.Sum(nil)[:macSize]
}
