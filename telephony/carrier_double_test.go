package telephony_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/telephony"
)

// world is a provider with a memory: what it sold, which calls it had, which
// recordings it keeps. Each failure of trouble happens once, in order: "429"
// and "500" before the work is done, "timeout" after it.
type world struct {
	mu        sync.Mutex
	offered   map[string]bool
	owned     map[string]telephony.CarrierNumber
	hidden    map[string]bool // owned, but not in the list yet
	purchases map[string]int
	released  []string
	calls     map[string]telephony.CarrierCall
	media     map[string]string // URL → content
	deleted   []string
	asked     int // requests about calls
	trouble   map[string][]string
	onMedia   func()
}

func newWorld(offered ...string) *world {
	w := &world{
		offered: map[string]bool{}, owned: map[string]telephony.CarrierNumber{}, hidden: map[string]bool{},
		purchases: map[string]int{}, calls: map[string]telephony.CarrierCall{}, media: map[string]string{},
		trouble: map[string][]string{},
	}
	for _, number := range offered {
		w.offered[number] = true
	}
	return w
}

func (w *world) carrier(string) (telephony.Carrier, error) { return w, nil }

// meet says whether the next failure of an operation happens now, and before
// (false) or after (true) its work. "refused" is a plain no.
func (w *world) meet(operation string) (after bool, err error) {
	if len(w.trouble[operation]) == 0 {
		return false, nil
	}
	kind := w.trouble[operation][0]
	w.trouble[operation] = w.trouble[operation][1:]
	switch kind {
	case "":
		return false, nil
	case "timeout":
		return true, callwheel.Errorf(callwheel.Unavailable, "provider: timeout")
	case "refused":
		return false, callwheel.Errorf(callwheel.Forbidden, "provider: refused")
	}
	return false, callwheel.Errorf(callwheel.Unavailable, "provider: %s", kind)
}

func (w *world) Search(_ context.Context, q telephony.CarrierSearch) ([]telephony.CarrierNumber, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []telephony.CarrierNumber
	for number := range w.offered {
		if strings.Contains(number, q.AreaCode) {
			list = append(list, telephony.CarrierNumber{Number: number, Country: q.Country})
		}
	}
	return list, nil
}

func (w *world) Buy(_ context.Context, number string, s telephony.NumberSettings) (telephony.CarrierNumber, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	after, err := w.meet("buy")
	if err != nil && !after {
		return telephony.CarrierNumber{}, err
	}
	if !w.offered[number] {
		return telephony.CarrierNumber{}, callwheel.Errorf(callwheel.Conflict, "21422: not available")
	}
	w.purchases[number]++ // this provider sells as often as it is asked
	c := telephony.CarrierNumber{
		Ref: "PN" + number[1:], Number: number,
		VoiceURL: s.VoiceURL, FallbackURL: s.FallbackURL, StatusURL: s.StatusURL,
	}
	w.owned[number] = c
	if err != nil {
		return telephony.CarrierNumber{}, err
	}
	return c, nil
}

func (w *world) Owned(_ context.Context, number string) ([]telephony.CarrierNumber, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, err := w.meet("owned"); err != nil {
		return nil, err
	}
	var list []telephony.CarrierNumber
	for _, c := range w.owned {
		if (number == "" || c.Number == number) && !w.hidden[c.Number] {
			list = append(list, c)
		}
	}
	return list, nil
}

func (w *world) Configure(_ context.Context, ref string, s telephony.NumberSettings) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, err := w.meet("configure"); err != nil {
		return err
	}
	for number, c := range w.owned {
		if c.Ref == ref {
			c.VoiceURL, c.FallbackURL, c.StatusURL = s.VoiceURL, s.FallbackURL, s.StatusURL
			w.owned[number] = c
			return nil
		}
	}
	return callwheel.Errorf(callwheel.NotFound, "no such number")
}

func (w *world) Release(_ context.Context, ref string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, err := w.meet("release"); err != nil {
		return err
	}
	w.released = append(w.released, ref)
	for number, c := range w.owned {
		if c.Ref == ref {
			delete(w.owned, number)
			return nil
		}
	}
	return callwheel.Errorf(callwheel.NotFound, "no such number")
}

func (w *world) Call(_ context.Context, ref string) (telephony.CarrierCall, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked++
	if _, err := w.meet("call"); err != nil {
		return telephony.CarrierCall{}, err
	}
	c, ok := w.calls[ref]
	if !ok {
		return c, callwheel.Errorf(callwheel.NotFound, "no such call")
	}
	return c, nil
}

func (w *world) Legs(_ context.Context, parentRef string) ([]telephony.CarrierCall, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []telephony.CarrierCall
	for _, c := range w.calls {
		if c.ParentRef == parentRef {
			list = append(list, c)
		}
	}
	slices.SortFunc(list, func(a, b telephony.CarrierCall) int { return strings.Compare(a.Ref, b.Ref) })
	return list, nil
}

func (w *world) Calls(_ context.Context, from, until time.Time) ([]telephony.CarrierCall, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, err := w.meet("calls"); err != nil {
		return nil, err
	}
	var list []telephony.CarrierCall
	for _, c := range w.calls {
		if !c.StartedAt.Before(from) && c.StartedAt.Before(until) {
			list = append(list, c)
		}
	}
	return list, nil
}

func (w *world) Media(_ context.Context, url string) (io.ReadCloser, string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.onMedia != nil {
		w.onMedia()
	}
	if _, err := w.meet("media"); err != nil {
		return nil, "", err
	}
	content, ok := w.media[url]
	if !ok {
		return nil, "", callwheel.Errorf(callwheel.NotFound, "no such media")
	}
	return io.NopCloser(bytes.NewReader([]byte(content))), "audio/x-wav", nil
}

func (w *world) DeleteRecording(_ context.Context, ref string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, err := w.meet("delete"); err != nil {
		return err
	}
	w.deleted = append(w.deleted, ref)
	return nil
}

// day is when the tests of this file's users begin.
var day = time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)

// clock is a hand that only the test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) read() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) move(d time.Duration) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	return c.now
}

var quiet = slog.New(slog.DiscardHandler)

// addAccounts makes accounts by hand; their rows belong to another room.
func addAccounts(t *testing.T, db *store.DB, ids ...string) {
	t.Helper()
	run(t, db, func(ctx context.Context, tx *store.Tx) error {
		for _, id := range ids {
			_, err := tx.Exec(ctx, `
				INSERT INTO accounts (account_id, name, tz, currency, recording_retention_days, created_at)
				VALUES (?, ?, 'UTC', 'USD', 30, 1)`, id, id)
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func run(t *testing.T, db *store.DB, fn func(ctx context.Context, tx *store.Tx) error) {
	t.Helper()
	if err := db.InTx(context.Background(), fn); err != nil {
		t.Fatal(err)
	}
}

func countRows(t *testing.T, db *store.DB, query string, args ...any) int64 {
	t.Helper()
	var n int64
	if err := db.Get(context.Background(), &n, query, args...); err != nil {
		t.Fatal(err)
	}
	return n
}

func wantKind(t *testing.T, what string, err error, kind callwheel.Kind) {
	t.Helper()
	if callwheel.KindOf(err) != kind {
		t.Errorf("%s: got %v, want kind %q", what, err, kind)
	}
}

// must returns the value of a call that the test relies on.
func must[T any](t *testing.T, what string) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		return v
	}
}

func numberAt(i int) string { return fmt.Sprintf("+1312555%04d", i) }
