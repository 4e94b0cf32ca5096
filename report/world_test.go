package report_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/callwheel/callwheel/report"
	"github.com/callwheel/callwheel/store"
)

// world is an account with facts written as the other rooms write them.
type world struct {
	t    testing.TB
	db   *store.DB
	now  time.Time
	desk *report.Desk
}

const acct = "acct_1"

func newWorld(t testing.TB, db *store.DB) *world {
	w := &world{t: t, db: db, now: when("2025-03-20T12:00:00Z")}
	w.desk = report.NewDesk(db, func() time.Time { return w.now }, slog.New(slog.DiscardHandler), nil)
	w.exec(`INSERT INTO accounts (account_id, name, tz, currency, margin_ppm, created_at) VALUES (?, 'Shop', 'America/New_York', 'USD', 400000, 0)`, acct)
	for i, d := range []struct {
		id, stage          string
		qualified, genuine bool
	}{{"disp_none", "none", false, true}, {"disp_lead", "lead", true, true}, {"disp_qualified", "qualified", true, true}, {"disp_won", "won", true, true}, {"disp_spam", "none", false, false}} {
		w.exec(`INSERT INTO dispositions (account_id, disposition_id, name, folded, qualified, stage, genuine, position, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0)`,
			acct, d.id, d.id, d.id, d.qualified, d.stage, d.genuine, i)
	}
	return w
}

func (w *world) exec(query string, args ...any) {
	w.t.Helper()
	err := w.db.InTx(context.Background(), func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Exec(ctx, query, args...)
		return err
	})
	if err != nil {
		w.t.Fatalf("%s: %v", query, err)
	}
}

func when(text string) time.Time {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		panic(err)
	}
	return t
}

func (w *world) source(id, name, medium string) {
	w.exec(`INSERT INTO sources (account_id, source_id, name, folded, medium, created_at) VALUES (?, ?, ?, lower(?), ?, 0)`, acct, id, name, name, medium)
	w.exec(`INSERT INTO source_names (account_id, folded, source_id, named_at) VALUES (?, lower(?), ?, 0)`, acct, name, id)
}

func (w *world) touch(id, person, at, sourceID, source, medium, campaign string) {
	w.exec(`INSERT INTO touches (account_id, touch_id, person, touched_at, source_id, source, medium, campaign, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0)`,
		acct, id, person, store.Micros(when(at)), sourceID, source, medium, campaign)
}

// ring adds an inbound call; an empty caller is anonymous.
func (w *world) ring(id, caller, at, outcome string) {
	var from any
	if caller != "" {
		from = caller
	}
	w.exec(`INSERT INTO calls (account_id, call_id, provider, provider_call_id, outcome, from_e164, tracking_number, started_at, updated_at) VALUES (?, ?, 'test', ?, ?, ?, '+13125550100', ?, ?)`,
		acct, id, id, outcome, from, store.Micros(when(at)), store.Micros(w.now))
}

// byVisitor attributes a call to a visitor's touch, and links the caller.
func (w *world) byVisitor(call, caller, visitor, touch, sourceID, source, medium, campaign string) {
	w.exec(`INSERT INTO attributions (account_id, call_id, verdict, method, confidence, source_id, source, medium, campaign, visitor_id, touch_id, model_version, attributed_at,
			candidates) VALUES (?, ?, 'winner', 'lease', 0.98, ?, ?, ?, ?, ?, ?, 'v', ?, ?)`,
		acct, call, sourceID, source, medium, campaign, visitor, touch, store.Micros(w.now), `[{"visitor_id":"`+visitor+`","weight":0.98}]`)
	if caller != "" {
		w.exec(`INSERT INTO person_links (account_id, alias, person, linked_at, call_id) VALUES (?, ?, ?, 0, ?) ON CONFLICT DO NOTHING`, acct, visitor, caller, call)
	}
}

// bySource attributes a call to a source number.
func (w *world) bySource(call, sourceID, source, medium string) {
	w.exec(`INSERT INTO attributions (account_id, call_id, verdict, method, confidence, source_id, source, medium, model_version, attributed_at) VALUES (?, ?, 'source', 'source_number', 0.99, ?, ?, ?, 'v', ?)`,
		acct, call, sourceID, source, medium, store.Micros(w.now))
}

func (w *world) untracked(call string) {
	w.exec(`INSERT INTO attributions (account_id, call_id, verdict, method, confidence, model_version, attributed_at) VALUES (?, ?, 'untracked', 'none', 1, 'v', ?)`,
		acct, call, store.Micros(w.now))
}

func (w *world) dispose(call, disposition, at string) {
	w.exec(`INSERT INTO call_dispositions (account_id, judgement_id, call_id, disposition_id, given_at, given_by) VALUES (?, ?, ?, ?, ?, 'user_1')`,
		acct, "judg_"+call+at, call, disposition, store.Micros(when(at)))
	w.exec(`INSERT INTO call_desks (account_id, call_id, version, disposition_id, updated_at) VALUES (?, ?, 1, ?, ?)
		ON CONFLICT (account_id, call_id) DO UPDATE SET disposition_id = excluded.disposition_id, updated_at = excluded.updated_at`,
		acct, call, disposition, store.Micros(w.now))
}

func (w *world) sell(id, call, person, at string, cents int64, currency string) {
	w.exec(`INSERT INTO sales (account_id, sale_id, call_id, person, value_micros, currency, sold_at, recorded_at, recorded_by) VALUES (?, ?, ?, ?, ?, ?, ?, 0, 'user_1')`,
		acct, id, call, person, cents*10_000, currency, store.Micros(when(at)))
}

func (w *world) refund(id, of, call, person, at string, cents int64) {
	w.exec(`INSERT INTO sales (account_id, sale_id, call_id, person, value_micros, currency, sold_at, refund_of, recorded_at, recorded_by) VALUES (?, ?, ?, ?, ?, 'USD', ?, ?, 0, 'user_1')`,
		acct, id, call, person, -cents*10_000, store.Micros(when(at)), of)
	w.exec(`UPDATE sales SET refunded_micros = refunded_micros + ? WHERE account_id = ? AND sale_id = ?`, cents*10_000, acct, of)
}

func (w *world) attribution(q report.Query) *report.Attribution {
	w.t.Helper()
	q.AccountID = acct
	a, err := w.desk.Attribution(context.Background(), q)
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

func (w *world) roi(q report.Query) *report.Attribution {
	w.t.Helper()
	q.AccountID = acct
	a, err := w.desk.ROI(context.Background(), q)
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

// row finds the row with these group names.
func row(t testing.TB, a *report.Attribution, names ...string) report.Row {
	t.Helper()
	for _, r := range a.Rows {
		same := true
		for i, d := range a.GroupBy {
			same = same && r.Name(d) == names[i]
		}
		if same {
			return r
		}
	}
	t.Fatalf("no row %q among %d", names, len(a.Rows))
	return report.Row{}
}
