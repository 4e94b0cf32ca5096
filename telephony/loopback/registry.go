package loopback

import (
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/callwheel/callwheel/telephony"
)

// registry is what the provider knows: its answers to REST come from here. The
// network writes it, REST reads and writes it, from different goroutines.
type registry struct {
	mu         sync.Mutex
	sids       uint64
	numbers    []ownedNumber
	taken      map[string]bool // numbers that somebody else bought meanwhile
	calls      map[string]callRow
	order      []string // call SIDs, oldest first
	recordings map[string]recording
	recorded   []string
	hangups    map[string]func() // of calls in progress, by SID
}

// ownedNumber is an IncomingPhoneNumber.
type ownedNumber struct {
	sid, e164, name string
	urls            NumberURLs
	application     string // VoiceApplicationSid: wins over the voice URL
	trunk           string
	createdAt       time.Time
	updatedAt       time.Time
}

// callRow is one leg in the call list.
type callRow struct {
	sid, parentSID        string
	from, to, direction   string
	status                telephony.Status
	createdAt             time.Time
	startedAt, answeredAt time.Time
	endedAt               time.Time
	callerName, numberSID string
}

func newRegistry(config Config) *registry {
	return &registry{
		sids: config.FirstSID, taken: map[string]bool{}, calls: map[string]callRow{},
		recordings: map[string]recording{}, hangups: map[string]func(){},
	}
}

// newSID makes a visibly false SID: the prefix and a counter.
func (r *registry) newSID(prefix string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sidLocked(prefix)
}

func (r *registry) sidLocked(prefix string) string {
	r.sids++
	return fmt.Sprintf("%s%032x", prefix, r.sids)
}

// own registers a number, or changes the URLs of one that is owned.
func (r *registry) own(e164 string, urls NumberURLs, now time.Time) ownedNumber {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.numbers {
		if r.numbers[i].e164 == e164 {
			r.numbers[i].urls, r.numbers[i].updatedAt = urls, now
			return r.numbers[i]
		}
	}
	number := ownedNumber{sid: r.sidLocked("PN"), e164: e164, name: telephony.National(e164), urls: urls, createdAt: now, updatedAt: now}
	r.numbers = append(r.numbers, number)
	return number
}

func (r *registry) number(e164 string) (ownedNumber, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, number := range r.numbers {
		if number.e164 == e164 {
			return number, true
		}
	}
	return ownedNumber{}, false
}

// numberBySID returns an owned number after changing it; change may be nil.
func (r *registry) numberBySID(sid string, change func(*ownedNumber)) (ownedNumber, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.numbers {
		if r.numbers[i].sid == sid {
			if change != nil {
				change(&r.numbers[i])
			}
			return r.numbers[i], true
		}
	}
	return ownedNumber{}, false
}

func (r *registry) release(sid string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	before := len(r.numbers)
	r.numbers = slices.DeleteFunc(r.numbers, func(number ownedNumber) bool { return number.sid == sid })
	return len(r.numbers) < before
}

func (r *registry) owned() []ownedNumber {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.numbers)
}

func (r *registry) putCall(row callRow) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, known := r.calls[row.sid]; !known {
		r.order = append(r.order, row.sid)
	}
	r.calls[row.sid] = row
	if row.status.Final() {
		delete(r.hangups, row.sid)
	}
}

func (r *registry) call(sid string) (callRow, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	row, ok := r.calls[sid]
	return row, ok
}

// callList returns legs newest first, without those that began after the given
// instant.
func (r *registry) callList(until time.Time) []callRow {
	r.mu.Lock()
	defer r.mu.Unlock()
	var rows []callRow
	for _, sid := range slices.Backward(r.order) {
		if row := r.calls[sid]; !row.createdAt.After(until) {
			rows = append(rows, row)
		}
	}
	return rows
}

func (r *registry) onHangup(sid string, fn func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hangups[sid] = fn
}

func (r *registry) hangup(sid string) func() {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.hangups[sid]
}

func (r *registry) putRecording(rec recording) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, known := r.recordings[rec.sid]; !known {
		r.recorded = append(r.recorded, rec.sid)
	}
	r.recordings[rec.sid] = rec
}

func (r *registry) recording(sid string) (recording, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	rec, ok := r.recordings[sid]
	return rec, ok && rec.status != "deleted"
}

// deleteRecording forgets the media; its row stays, as the provider keeps it.
func (r *registry) deleteRecording(sid string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	rec, ok := r.recordings[sid]
	if !ok || rec.status == "deleted" {
		return false
	}
	rec.status = "deleted"
	r.recordings[sid] = rec
	return true
}

func (r *registry) recordingList(callSID string) []recording {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []recording
	for _, sid := range slices.Backward(r.recorded) {
		rec := r.recordings[sid]
		if rec.status != "deleted" && (callSID == "" || rec.callSID == callSID) {
			list = append(list, rec)
		}
	}
	return list
}

// take marks a number as bought by somebody else: search still offers it,
// buying it fails.
func (r *registry) take(e164 string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.taken[e164] = true
}

func (r *registry) isTaken(e164 string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.taken[e164] || slices.ContainsFunc(r.numbers, func(n ownedNumber) bool { return n.e164 == e164 })
}

// seconds is the length of an answered leg that has ended; "" for any other, as
// the provider writes it.
func (row callRow) seconds() string {
	if row.answeredAt.IsZero() || row.endedAt.IsZero() {
		return ""
	}
	return strconv.FormatInt(wholeSeconds(row.endedAt.Sub(row.answeredAt)), 10)
}
