package report_test

import (
	"database/sql"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/callwheel/callwheel"
)

// A shop as large as it gets: a year of calls from 40 campaigns of 8 sources,
// spend of every campaign and day, a sale on every seventh call.
const (
	sizeFrom      = "2024-01-01T05:00:00Z" // midnight in New York
	sizeUntil     = "2025-01-01T05:00:00Z"
	sizeSources   = 8
	sizeCampaigns = 5 // of each source
)

// bulk writes rows past the store, many to a statement, in one transaction.
type bulk struct {
	t     testing.TB
	tx    *sql.Tx
	table string
	width int
	args  []any
	full  *sql.Stmt
}

const bulkRows = 40

func newBulk(t testing.TB, tx *sql.Tx, table, columns string) *bulk {
	b := &bulk{t: t, tx: tx, table: table + ` (` + columns + `)`, width: strings.Count(columns, ",") + 1}
	stmt, err := tx.Prepare(b.text(bulkRows))
	if err != nil {
		t.Fatal(err)
	}
	b.full = stmt
	return b
}

func (b *bulk) text(rows int) string {
	one := `(` + strings.Repeat(`?, `, b.width-1) + `?)`
	return `INSERT INTO ` + b.table + ` VALUES ` + one + strings.Repeat(`, `+one, rows-1)
}

func (b *bulk) add(args ...any) {
	b.args = append(b.args, args...)
	if len(b.args) == bulkRows*b.width {
		if _, err := b.full.Exec(b.args...); err != nil {
			b.t.Fatal(err)
		}
		b.args = b.args[:0]
	}
}

func (b *bulk) flush() {
	b.full.Close()
	if len(b.args) == 0 {
		return
	}
	if _, err := b.tx.Exec(b.text(len(b.args)/b.width), b.args...); err != nil {
		b.t.Fatal(err)
	}
}

// fillLarge writes the shop with so many calls into a migrated SQLite file.
func fillLarge(t testing.TB, file string, calls int) {
	t.Helper()
	db, err := sql.Open("sqlite3", "file:"+file+"?_synchronous=OFF&_journal_mode=WAL&_cache_size=-600000&_txlock=immediate")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	exec := func(query string, args ...any) {
		t.Helper()
		if _, err := tx.Exec(query, args...); err != nil {
			t.Fatal(err)
		}
	}
	exec(`INSERT INTO accounts (account_id, name, tz, currency, margin_ppm, created_at) VALUES (?, 'Large', 'America/New_York', 'USD', 400000, 0)`, acct)
	exec(`INSERT INTO dispositions (account_id, disposition_id, name, folded, qualified, stage, genuine, created_at) VALUES (?, 'disp_q', 'Q', 'q', 1, 'qualified', 1, 0), (?, 'disp_n', 'N', 'n', 0, 'none', 1, 0)`, acct, acct)
	for s := range sizeSources {
		exec(`INSERT INTO sources (account_id, source_id, name, folded, medium, created_at) VALUES (?, ?, ?, ?, 'cpc', 0)`,
			acct, fmt.Sprintf("src_%d", s), fmt.Sprintf("Source %d", s), fmt.Sprintf("source %d", s))
	}
	fillSpend(t, tx)
	fillCalls(t, tx, calls)
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	for _, end := range []string{`ANALYZE`, `PRAGMA wal_checkpoint(TRUNCATE)`} {
		if _, err := db.Exec(end); err != nil {
			t.Fatal(err)
		}
	}
}

func fillSpend(t testing.TB, tx *sql.Tx) {
	b := newBulk(t, tx, "spend", "account_id, spend_id, source, medium, campaign, from_on, until_on, cost_micros, currency, created_at, updated_at")
	for day := when(sizeFrom); day.Before(when(sizeUntil)); day = day.AddDate(0, 0, 1) {
		for c := range sizeSources * sizeCampaigns {
			id := fmt.Sprintf("spend_%s_%d", day.Format("20060102"), c)
			b.add(acct, id, fmt.Sprintf("Source %d", c/sizeCampaigns), "cpc", campaignName(c),
				day.Format("2006-01-02"), day.AddDate(0, 0, 1).Format("2006-01-02"), int64(20_000_000+c*10_000), "USD", 0, 0)
		}
	}
	b.flush()
}

func campaignName(c int) string { return fmt.Sprintf("Campaign %02d", c) }

func fillCalls(t testing.TB, tx *sql.Tx, n int) {
	rnd := rand.New(rand.NewPCG(4, 5))
	calls := newBulk(t, tx, "calls", "account_id, call_id, provider, provider_call_id, direction, status, outcome, from_kind, from_e164, from_raw, tracking_number, number_id, destination, answered_by, started_at, answered_at, ended_at, wait_seconds, ring_seconds, talk_seconds, duration_seconds, caller_city, events, updated_at")
	found := newBulk(t, tx, "attributions", "account_id, call_id, verdict, method, confidence, visitor_confidence, source_id, source, medium, campaign, landing_page, visitor_id, session_id, touch_id, pool_id, model_version, candidates, why, attributed_at")
	judged := newBulk(t, tx, "call_dispositions", "account_id, judgement_id, call_id, disposition_id, given_at, given_by")
	desks := newBulk(t, tx, "call_desks", "account_id, call_id, version, disposition_id, disposed_at, updated_at")
	touches := newBulk(t, tx, "touches", "account_id, touch_id, person, session_id, touched_at, source_id, source, medium, campaign, landing_page, created_at")
	links := newBulk(t, tx, "person_links", "account_id, alias, person, linked_at, call_id, known_at")
	sales := newBulk(t, tx, "sales", "account_id, sale_id, call_id, person, value_micros, margin_micros, currency, sold_at, refund_of, refunded_micros, recorded_at, recorded_by")
	from, span := when(sizeFrom).UnixMicro(), when(sizeUntil).Sub(when(sizeFrom)).Microseconds()
	outcomes := []string{"answered", "answered", "answered", "abandoned", "voicemail", "busy", "blocked"}
	for i := range n {
		at := from + span/int64(n)*int64(i) + rnd.Int64N(span/int64(n))
		id := callwheel.DerivedID("call", "size", fmt.Sprint(i))
		caller := fmt.Sprintf("+1312%07d", rnd.IntN(max(1, n*2/5)))
		outcome := outcomes[rnd.IntN(len(outcomes))]
		c := rnd.IntN(sizeSources * sizeCampaigns)
		source, name, campaign := fmt.Sprintf("src_%d", c/sizeCampaigns), fmt.Sprintf("Source %d", c/sizeCampaigns), campaignName(c)
		minute := int64(60_000_000)
		calls.add(acct, id, "twilio", "CA"+id[5:], "inbound", "completed", outcome, "e164", caller, caller, fmt.Sprintf("+1773555%04d", c), "num_1",
			"+13125559999", "+13125559999", at, at+minute/6, at+3*minute, 10, 8, 120, 170, "Chicago", 7, at+minute)
		switch kind := rnd.IntN(10); {
		case kind < 7:
			visitor, touch := callwheel.DerivedID("vis", fmt.Sprint(i)), callwheel.DerivedID("tch", fmt.Sprint(i))
			session := callwheel.DerivedID("ses", fmt.Sprint(i))
			confidence := 0.98
			if rnd.IntN(12) == 0 {
				confidence = 0.55
			}
			found.add(acct, id, "winner", "lease", confidence, confidence, source, name, "cpc", campaign, "https://shop.example/offers?utm_source=x", visitor, session, touch, "pool_1", "2",
				`[{"visitor_id":"`+visitor+`","source_id":"`+source+`","weight":0.98}]`, `["held the number","called 2 minutes after"]`, at+minute)
			touches.add(acct, touch, visitor, session, at-5*minute, source, name, "cpc", campaign, "https://shop.example/offers?utm_source=x", at)
			links.add(acct, visitor, caller, at, id, at)
		case kind < 9:
			found.add(acct, id, "source", "source_number", 0.99, 0.0, source, name, "cpc", campaign, "", "", "", "", "", "2", "[]", "[]", at+minute)
		default:
			found.add(acct, id, "untracked", "none", 1.0, 0.0, "", "", "", "", "", "", "", "", "", "2", "[]", "[]", at+minute)
		}
		if outcome == "answered" {
			disposition := []string{"disp_q", "disp_n"}[rnd.IntN(2)]
			desks.add(acct, id, 1, disposition, at+4*minute, at+4*minute)
			judged.add(acct, "judg_"+id, id, disposition, at+4*minute, "user_1")
		}
		if outcome == "answered" && rnd.IntN(3) == 0 {
			sell(rnd, sales, i, id, caller, at)
		}
	}
	for _, b := range []*bulk{calls, found, judged, desks, touches, links, sales} {
		b.flush()
	}
}

// sell books a sale on the call, up to sixty days after; of one in twenty a part
// is given back.
func sell(rnd *rand.Rand, sales *bulk, i int, call, caller string, at int64) {
	day := (24 * time.Hour).Microseconds()
	value := (rnd.Int64N(90_000) + 1_000) * 10_000
	sold := at + rnd.Int64N(60*day)
	var margin any
	if rnd.IntN(2) == 0 {
		margin = value / 10_000 * 3 / 10 * 10_000
	}
	id, back := fmt.Sprintf("sale_%d", i), int64(0)
	if rnd.IntN(20) == 0 {
		back = value / 20_000 * 10_000
		sales.add(acct, id+"_back", call, caller, -back, nil, "USD", sold+day, id, 0, sold+day, "user_1")
	}
	sales.add(acct, id, call, caller, value, margin, "USD", sold, "", back, sold, "user_1")
}
