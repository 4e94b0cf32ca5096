package scoring

import (
	"context"
	"errors"
	"fmt"
	"net/mail"
	"strings"
	"time"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/telephony"
)

// Agent is a person who answers calls. Phone links the leg that was bridged to
// the person; at most one agent who has not retired has a given phone.
type Agent struct {
	ID        string     `db:"agent_id"`
	Name      string     `db:"name"`
	Phone     string     `db:"phone"` // E.164, "" for none
	Email     string     `db:"email"` // "" for none
	Version   int64      `db:"version"`
	CreatedAt store.Time `db:"created_at"`
}

// AgentEdit holds the fields of an agent that shall change; nil leaves one as
// it is.
type AgentEdit struct {
	Name, Phone, Email *string
}

const selectAgent = `SELECT agent_id, name, phone, email, version, created_at FROM agents WHERE account_id = ? AND retired_at IS NULL`

// Agents lists the account's agents by name.
func (d *Desk) Agents(ctx context.Context, accountID string, page Page) ([]Agent, error) {
	agents := []Agent{}
	err := d.db.Select(ctx, &agents, selectAgent+`
		AND (? = '' OR (name, agent_id) > (SELECT a.name, a.agent_id FROM agents a WHERE a.account_id = ? AND a.agent_id = ?))
		ORDER BY name, agent_id LIMIT ?`, accountID, page.After, accountID, page.After, page.most())
	if err != nil {
		return nil, fmt.Errorf("list agents: %w", err)
	}
	return agents, nil
}

// AgentByID returns one agent, or NotFound; a retired one is not found.
func (d *Desk) AgentByID(ctx context.Context, accountID, id string) (Agent, error) {
	var a Agent
	if err := d.db.Get(ctx, &a, selectAgent+` AND agent_id = ?`, accountID, id); err != nil {
		return Agent{}, fmt.Errorf("read agent: %w", err)
	}
	return a, nil
}

// apply lays the edit over the agent and checks the result.
func (e AgentEdit) apply(a *Agent) error {
	var bad []callwheel.FieldError
	refuse := func(field, problem string) {
		bad = append(bad, callwheel.FieldError{Field: field, Message: problem})
	}
	if e.Name != nil {
		clean, problem := cleanName(*e.Name)
		if problem != "" {
			refuse("name", problem)
		}
		a.Name = clean
	} else if a.Name == "" {
		refuse("name", "must not be empty")
	}
	if e.Phone != nil {
		phone, problem := cleanPhone(*e.Phone)
		if problem != "" {
			refuse("phone", problem)
		}
		a.Phone = phone
	}
	if e.Email != nil {
		email, problem := cleanEmail(*e.Email)
		if problem != "" {
			refuse("email", problem)
		}
		a.Email = email
	}
	return callwheel.InvalidFields(bad)
}

func cleanPhone(text string) (phone, problem string) {
	if strings.TrimSpace(text) == "" {
		return "", ""
	}
	phone, err := telephony.ParseNumber(text, "")
	if err != nil {
		return "", firstMessage(err)
	}
	return phone, ""
}

// firstMessage is the sentence about the first refused field of err, for a door
// that calls the field by another name.
func firstMessage(err error) string {
	var e *callwheel.Error
	if errors.As(err, &e) && len(e.Fields) > 0 {
		return e.Fields[0].Message
	}
	return err.Error()
}

func cleanEmail(text string) (email, problem string) {
	text = strings.TrimSpace(text)
	if text == "" {
		return "", ""
	}
	a, err := mail.ParseAddress(text)
	if err != nil || a.Address != text || len(text) > 254 {
		return "", "must be one e-mail address, such as ana@example.com"
	}
	return text, ""
}

// CreateAgent adds an agent. It fails with Conflict when another agent has the
// phone.
func (d *Desk) CreateAgent(ctx context.Context, who account.Identity, e AgentEdit) (Agent, error) {
	a := Agent{ID: callwheel.NewID("agent"), Version: 1, CreatedAt: store.At(d.now())}
	if err := e.apply(&a); err != nil {
		return Agent{}, err
	}
	err := d.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		n, err := tx.Exec(ctx, `
			INSERT INTO agents (account_id, agent_id, name, phone, email, version, created_at) VALUES (?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT DO NOTHING`, who.AccountID, a.ID, a.Name, a.Phone, a.Email, a.Version, a.CreatedAt)
		if err == nil && n == 0 {
			return errPhoneTaken
		}
		if err == nil {
			err = hold(ctx, tx, who.AccountID, a.ID, a.Phone, d.now())
		}
		return d.audited(ctx, tx, who, "agent.create", a.ID, map[string]any{"name": a.Name}, err)
	})
	if err != nil {
		return Agent{}, fmt.Errorf("create agent: %w", err)
	}
	return a, nil
}

// hold keeps since when the agent has a phone, and until when they had another:
// earlier calls stay with whoever had the phone then. phone is "" for none.
func hold(ctx context.Context, tx *store.Tx, accountID, agentID, phone string, now time.Time) error {
	_, err := tx.Exec(ctx, `
		UPDATE agent_phones SET held_until = ? WHERE account_id = ? AND agent_id = ? AND held_until IS NULL`,
		store.Micros(now), accountID, agentID)
	if err != nil || phone == "" {
		return err
	}
	_, err = tx.Exec(ctx, `
		INSERT INTO agent_phones (account_id, agent_id, phone, held_from) VALUES (?, ?, ?, ?)
		ON CONFLICT (account_id, agent_id, phone, held_from) DO UPDATE SET held_until = NULL`,
		accountID, agentID, phone, store.Micros(now))
	return err
}

var errPhoneTaken = callwheel.Errorf(callwheel.Conflict, "another agent has this phone")

// EditAgent changes the given fields. Errors: NotFound, Stale, Conflict when
// another agent has the phone, Invalid.
func (d *Desk) EditAgent(ctx context.Context, who account.Identity, id string, e AgentEdit, ifVersion *int64) (Agent, error) {
	var a Agent
	err := d.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := lockAgent(ctx, tx, &a, who.AccountID, id, ifVersion); err != nil {
			return err
		}
		before := a
		if err := e.apply(&a); err != nil || a == before {
			return err
		}
		a.Version++
		_, err := tx.Exec(ctx, `UPDATE agents SET name = ?, phone = ?, email = ?, version = ? WHERE account_id = ? AND agent_id = ?`,
			a.Name, a.Phone, a.Email, a.Version, who.AccountID, id)
		if store.IsUnique(err) {
			return errPhoneTaken
		}
		if err == nil && a.Phone != before.Phone {
			err = hold(ctx, tx, who.AccountID, id, a.Phone, d.now())
		}
		return d.audited(ctx, tx, who, "agent.update", id, map[string]any{"name": a.Name, "version": a.Version}, err)
	})
	if err != nil {
		return Agent{}, fmt.Errorf("edit agent: %w", err)
	}
	return a, nil
}

// RetireAgent takes an agent off the list; calls they answered stay theirs, the
// phone becomes free. Errors: NotFound, Stale.
func (d *Desk) RetireAgent(ctx context.Context, who account.Identity, id string, ifVersion *int64) error {
	err := d.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		var a Agent
		if err := lockAgent(ctx, tx, &a, who.AccountID, id, ifVersion); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `UPDATE agents SET retired_at = ?, version = version + 1 WHERE account_id = ? AND agent_id = ?`,
			store.Micros(d.now()), who.AccountID, id)
		if err == nil {
			err = hold(ctx, tx, who.AccountID, id, "", d.now())
		}
		return d.audited(ctx, tx, who, "agent.retire", id, map[string]any{"name": a.Name}, err)
	})
	if err != nil {
		return fmt.Errorf("retire agent: %w", err)
	}
	return nil
}

func lockAgent(ctx context.Context, tx *store.Tx, a *Agent, accountID, id string, ifVersion *int64) error {
	*a = Agent{}
	if err := tx.Get(ctx, a, selectAgent+` AND agent_id = ?`+tx.ForUpdate(), accountID, id); err != nil {
		return err
	}
	return checkVersion(ifVersion, a.Version)
}
