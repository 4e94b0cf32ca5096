package scoring

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/telephony"
)

// EnquiryKind says how somebody asked without calling.
type EnquiryKind string

// The kinds.
const (
	Form EnquiryKind = "form"
	Chat EnquiryKind = "chat"
)

// Enquiry is a person's attempt to reach the business by a form or a chat.
type Enquiry struct {
	ID         string      `db:"enquiry_id"`
	ExternalID string      `db:"external_id"` // names it for whoever handed it in
	Person     string      `db:"person"`      // any stable string: an E.164 number is the caller of that number
	Kind       EnquiryKind `db:"kind"`
	At         store.Time  `db:"at"`
	Source     string      `db:"source"`
	Medium     string      `db:"medium"`
	Campaign   string      `db:"campaign"`
	AnsweredAt store.Time  `db:"answered_at"` // zero: nobody has yet
	RecordedAt store.Time  `db:"recorded_at"`
	RecordedBy string      `db:"recorded_by"`
}

// NewEnquiry is an enquiry as it is handed in. ReferredBy is the number of who
// sent the person, "" for nobody; the person must then be a number too.
type NewEnquiry struct {
	ExternalID, Person       string
	Kind                     EnquiryKind
	At, AnsweredAt           *time.Time // nil: now; not yet
	Source, Medium, Campaign string
	ReferredBy               string
	from, to                 string // who sent whom
}

// check fills in what is not told and fails with Invalid for what cannot be.
func (n *NewEnquiry) check(now time.Time) error { return callwheel.InvalidFields(n.problems(now)) }

// problems lists what cannot be, and fills in what is not told.
func (n *NewEnquiry) problems(now time.Time) []callwheel.FieldError {
	var bad []callwheel.FieldError
	refuse := func(field, problem string) {
		if problem != "" {
			bad = append(bad, callwheel.FieldError{Field: field, Message: problem})
		}
	}
	if n.Person == "" {
		refuse("person", "must not be empty")
	}
	for _, f := range []struct {
		field string
		text  *string
	}{
		{"person", &n.Person},
		{"external_id", &n.ExternalID},
		{"source", &n.Source},
		{"medium", &n.Medium},
		{"campaign", &n.Campaign},
	} {
		*f.text = strings.TrimSpace(*f.text)
		refuse(f.field, checkText(*f.text, 200))
		if strings.ContainsFunc(*f.text, unicode.IsControl) {
			refuse(f.field, "must not contain control characters")
		}
	}
	if n.Kind != Form && n.Kind != Chat {
		refuse("kind", "must be form or chat")
	}
	if n.At == nil {
		n.At = &now
	}
	if n.At.After(now.Add(slack)) {
		refuse("at", "lies more than a day ahead")
	}
	switch {
	case n.AnsweredAt == nil:
	case n.AnsweredAt.Before(*n.At):
		refuse("answered_at", "is before the enquiry itself")
	case n.AnsweredAt.After(now.Add(slack)):
		refuse("answered_at", "lies more than a day ahead")
	}
	if n.ReferredBy != "" {
		var problem string
		n.from, problem = mustPhone(n.ReferredBy)
		refuse("referred_by", problem)
		if n.to, problem = mustPhone(n.Person); problem != "" {
			refuse("person", "must be a phone number in E.164 when somebody sent them")
		}
		if n.from == n.to && n.from != "" {
			refuse("referred_by", "nobody sends themselves")
		}
	}
	return bad
}

// Check lists what cannot be of a form or chat in a file of touches: the fields
// are named as there.
func (n NewEnquiry) Check(now time.Time) []callwheel.FieldError {
	bad := n.problems(now)
	columns := map[string]string{"external_id": "touch_id", "at": "touched_at", "kind": "enquiry"}
	for i := range bad {
		bad[i].Field = cmp.Or(columns[bad[i].Field], bad[i].Field)
	}
	if n.ExternalID == "" {
		bad = append(bad, callwheel.FieldError{Field: "touch_id", Message: "must not be empty"})
	}
	return bad
}

const selectEnquiries = `
	SELECT enquiry_id, external_id, person, kind, at, source, medium, campaign, answered_at, recorded_at, recorded_by
	FROM enquiries WHERE account_id = ?`

// Enquire keeps an enquiry, or corrects the one with the same external id: that
// is how it is told later that somebody answered. An enquiry without one gets
// its own id for it. Errors: Invalid with the fields.
func (d *Desk) Enquire(ctx context.Context, accountID, actor string, n NewEnquiry) (Enquiry, error) {
	now := d.now()
	if err := n.check(now); err != nil {
		return Enquiry{}, err
	}
	id := callwheel.NewID("enq")
	if n.ExternalID == "" {
		n.ExternalID = id
	}
	id = n.id(accountID)
	var e Enquiry
	err := d.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		if _, err := d.keepEnquiry(ctx, tx, accountID, actor, n); err != nil {
			return err
		}
		if n.from != "" {
			told, err := tx.Exec(ctx, `
				INSERT INTO referrals (account_id, referral_id, referrer, referred, referred_at, recorded_by) VALUES (?, ?, ?, ?, ?, ?)
				ON CONFLICT DO NOTHING`, accountID, callwheel.NewID("ref"), n.from, n.to, store.At(*n.At), actor)
			if err == nil && told > 0 {
				err = refuseCircle(ctx, tx, accountID, "referred_by", sending{n.from, n.to})
			}
			if err != nil {
				return err
			}
		}
		e = Enquiry{}
		return tx.Get(ctx, &e, selectEnquiries+` AND enquiry_id = ?`, accountID, id)
	})
	if err != nil {
		return Enquiry{}, fmt.Errorf("record enquiry: %w", err)
	}
	return e, nil
}

func (n NewEnquiry) id(accountID string) string {
	return callwheel.DerivedID("enq", accountID, n.ExternalID)
}

// keepEnquiry keeps an enquiry, or corrects it, and says what became of it.
func (d *Desk) keepEnquiry(ctx context.Context, tx *store.Tx, accountID, actor string, n NewEnquiry) (telephony.Imported, error) {
	args := []any{
		accountID, n.id(accountID), n.ExternalID, n.Person, string(n.Kind), store.At(*n.At), n.Source, n.Medium, n.Campaign, store.AtPtr(n.AnsweredAt),
		store.At(d.now()), actor,
	}
	const insert = `
		INSERT INTO enquiries (account_id, enquiry_id, external_id, person, kind, at, source, medium, campaign, answered_at, recorded_at, recorded_by)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (account_id, enquiry_id) DO `
	if n, err := tx.Exec(ctx, insert+`NOTHING`, args...); err != nil || n > 0 {
		return telephony.ImportNew, err
	}
	changed, err := tx.Exec(ctx, insert+`UPDATE SET
			person = excluded.person, kind = excluded.kind, at = excluded.at, source = excluded.source, medium = excluded.medium,
			campaign = excluded.campaign, answered_at = excluded.answered_at
		WHERE (enquiries.person, enquiries.kind, enquiries.at, enquiries.source, enquiries.medium, enquiries.campaign)
				<> (excluded.person, excluded.kind, excluded.at, excluded.source, excluded.medium, excluded.campaign)
			OR enquiries.answered_at IS DISTINCT FROM excluded.answered_at`, args...)
	if changed > 0 {
		return telephony.ImportCorrected, err
	}
	return telephony.ImportUnchanged, err
}

// ImportEnquiries keeps forms and chats that were brought in, all or none, and
// says of each what became of it: the same external id again corrects, also what
// came in at the door. It fails with Invalid.
func (d *Desk) ImportEnquiries(ctx context.Context, accountID string, list []NewEnquiry) ([]telephony.Imported, error) {
	for _, n := range list {
		if err := callwheel.InvalidFields(n.Check(d.now())); err != nil {
			return nil, err
		}
	}
	var done []telephony.Imported
	err := d.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		done = make([]telephony.Imported, len(list))
		for i, n := range list {
			var err error
			if done[i], err = d.keepEnquiry(ctx, tx, accountID, importer, n); err != nil {
				return err
			}
			if n.ReferredBy == "" {
				continue
			}
			told, err := importReferred(ctx, tx, accountID, n.ReferredBy, n.Person, *n.At)
			if err != nil {
				return err
			}
			if told && done[i] == telephony.ImportUnchanged {
				done[i] = telephony.ImportCorrected
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("import enquiries: %w", err)
	}
	return done, nil
}

// Enquiry returns one enquiry, or NotFound.
func (d *Desk) Enquiry(ctx context.Context, accountID, id string) (Enquiry, error) {
	var e Enquiry
	if err := d.db.Get(ctx, &e, selectEnquiries+` AND enquiry_id = ?`, accountID, id); err != nil {
		return Enquiry{}, fmt.Errorf("read enquiry: %w", err)
	}
	return e, nil
}

// EnquiryPage asks for a part of the list: of the instants [From, Until) (zero
// leaves an end open), after a position.
type EnquiryPage struct {
	From, Until time.Time
	AfterAt     int64  // of the last one seen, in micros, with
	AfterID     string // its id, "" for the first page
	Limit       int
}

// Enquiries lists enquiries, newest first, stable while they arrive.
func (d *Desk) Enquiries(ctx context.Context, accountID string, p EnquiryPage) ([]Enquiry, error) {
	from, until := int64(0), int64(1)<<62
	if !p.From.IsZero() {
		from = store.Micros(p.From)
	}
	if !p.Until.IsZero() {
		until = store.Micros(p.Until)
	}
	list := []Enquiry{}
	err := d.db.Select(ctx, &list, selectEnquiries+`
		AND at >= ? AND at < ? AND (CAST(? AS TEXT) = '' OR (at, enquiry_id) < (?, ?))
		ORDER BY at DESC, enquiry_id DESC LIMIT ?`, accountID, from, until, p.AfterID, p.AfterAt, p.AfterID, p.Limit)
	if err != nil {
		return nil, fmt.Errorf("list enquiries: %w", err)
	}
	return list, nil
}
