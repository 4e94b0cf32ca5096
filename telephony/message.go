package telephony

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/store"
)

// Message is one text. Like a call it is a fold over the set of its events.
type Message struct {
	AccountID         string     `db:"account_id"`
	ID                string     `db:"message_id"`
	Provider          string     `db:"provider"`
	ProviderMessageID string     `db:"provider_message_id"`
	Direction         Direction  `db:"direction"`
	Status            string     `db:"status"` // the provider's word: received, sent, delivered, …
	From              string     `db:"from_raw"`
	To                string     `db:"to_raw"`
	Body              string     `db:"body"`
	MediaCount        int64      `db:"media_count"`
	OptOut            string     `db:"opt_out"` // STOP, START, HELP, or ""
	ErrorCode         string     `db:"error_code"`
	ReceivedAt        store.Time `db:"received_at"` // our first sight of it
}

const messageColumns = `account_id, message_id, provider, provider_message_id, direction, status, from_raw, to_raw, body, media_count, opt_out, error_code, received_at`

// MessageID is the id of a provider's message.
func MessageID(provider, ref string) string { return callwheel.DerivedID("msg", provider, ref) }

// messageRank orders the words for a message's state: it never goes back. A
// text has no sequence numbers and no times, so its rank is all there is.
var messageRank = map[string]int{
	"accepted": 1, "scheduled": 1, "queued": 2, "sending": 3, "receiving": 3, "sent": 4,
	"received": 5, "canceled": 5, "partially_delivered": 6, "undelivered": 7, "failed": 7, "delivered": 8, "read": 9,
}

// FoldMessage makes the message's row from the set of its events, the same for
// every order and repetition.
func FoldMessage(accountID string, events []Folded) Message {
	list := distinct(events)
	m := Message{AccountID: accountID, Direction: Outbound}
	for _, e := range list {
		m.Provider, m.ProviderMessageID = e.Provider, e.CallRef
		m.ID = MessageID(e.Provider, e.CallRef)
		if e.Door == DoorMessage {
			m.Direction = Inbound
			m.Body, m.MediaCount = columnText(e.Text), e.MediaCount
			m.OptOut = columnText(e.OptOut)
		}
		m.From = cmp.Or(m.From, columnText(e.From))
		m.To = cmp.Or(m.To, columnText(e.To))
		m.ErrorCode = cmp.Or(m.ErrorCode, columnText(e.ErrorCode))
		if at := store.At(e.ReceivedAt); m.ReceivedAt.IsZero() || at.Before(m.ReceivedAt.Time) {
			m.ReceivedAt = at
		}
		status := columnText(e.RawStatus)
		if status == "" && e.Door == DoorMessage {
			status = "received"
		}
		if cmp.Or(cmp.Compare(messageRank[status], messageRank[m.Status]), cmp.Compare(status, m.Status)) > 0 {
			m.Status = status
		}
	}
	return m
}

// message says whether the event is about a text, not about a call.
func (d Door) message() bool { return d == DoorMessage || d == DoorMessageStatus }

// lockMessage is lockCall for a message.
func lockMessage(ctx context.Context, tx *store.Tx, accountID, provider, ref string, now time.Time) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO messages (account_id, message_id, provider, provider_message_id, direction, status, from_raw, to_raw, received_at, updated_at)
		VALUES (?, ?, ?, ?, '', '', '', '', ?, ?)
		ON CONFLICT (account_id, message_id) DO UPDATE SET updated_at = excluded.updated_at`,
		accountID, MessageID(provider, ref), provider, ref, store.Micros(now), store.Micros(now))
	if err != nil {
		return fmt.Errorf("lock the message: %w", err)
	}
	return nil
}

func writeMessage(ctx context.Context, tx *store.Tx, m Message, now time.Time) error {
	_, err := tx.Exec(ctx, `
		UPDATE messages SET direction = ?, status = ?, from_raw = ?, to_raw = ?, body = ?, media_count = ?,
			opt_out = ?, error_code = ?, received_at = ?, updated_at = ?
		WHERE account_id = ? AND message_id = ?`,
		string(m.Direction), m.Status, m.From, m.To, m.Body, m.MediaCount, m.OptOut, m.ErrorCode, m.ReceivedAt, store.Micros(now),
		m.AccountID, m.ID)
	if err != nil {
		return fmt.Errorf("write the message: %w", err)
	}
	return nil
}

func readMessage(ctx context.Context, q store.Querier, accountID, id string) (Message, error) {
	var m Message
	err := q.Get(ctx, &m, `SELECT `+messageColumns+` FROM messages WHERE account_id = ? AND message_id = ?`, accountID, id)
	if err != nil {
		return Message{}, fmt.Errorf("read the message: %w", err)
	}
	return m, nil
}
