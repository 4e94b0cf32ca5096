package report_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/report"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
	"github.com/callwheel/callwheel/telephony"
)

var morning = time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)

// callsOf makes, in acct_a, six calls an hour apart, the first at nine, with
// what the other rooms say of them, and one call of acct_b.
func callsOf(t *testing.T, db *store.DB) *report.Calls {
	t.Helper()
	var script []string
	add := func(format string, args ...any) { script = append(script, fmt.Sprintf(format, args...)) }
	for _, account := range []string{"acct_a", "acct_b"} {
		add(`INSERT INTO accounts (account_id, name, tz, currency, created_at) VALUES ('%s', 'x', 'UTC', 'USD', 1)`, account)
	}
	call := func(account string, hour int, from, outcome, name, city string, talk int) {
		kind, e164 := "e164", "'"+from+"'"
		if from == "" {
			kind, e164 = "anonymous", "NULL"
		}
		at := store.Micros(morning.Add(time.Duration(hour) * time.Hour))
		add(`INSERT INTO calls (account_id, call_id, provider, provider_call_id, status, outcome, from_kind, from_e164,
				tracking_number, number_id, answered_by, started_at, talk_seconds, caller_name, caller_city, flags, updated_at)
			VALUES ('%s', 'call_%d', 'twilio', 'CA%d', 'completed', '%s', '%s', %s,
				'+1312555017%d', 'num_%d', '+13125550100', %d, %d, '%s', '%s', '["x"]', %d)`,
			account, hour, hour, outcome, kind, e164, hour%2, hour%2, at, talk, name, city, at)
	}
	call("acct_a", 0, "+12125550143", "answered", "ANNA 100%", "Oak_Park", 60)
	call("acct_a", 1, "+12125550144", "voicemail", "BERT", "Chicago", 0)
	call("acct_a", 2, "", "abandoned", "", "", 0)
	call("acct_a", 3, "+12125550143", "answered", "ANNA 100%", "Oak_Park", 300)
	call("acct_a", 4, "+12125550145", "blocked", "", "", 0)
	call("acct_a", 5, "+12125550146", "no-answer", "", "", 0)
	call("acct_b", 0, "+12125550146", "answered", "", "", 0)
	add(`INSERT INTO agents (account_id, agent_id, name, phone, created_at) VALUES
		('acct_a', 'agent_1', 'Maya', '+13125550100', 1), ('acct_a', 'agent_2', 'Omar', '', 1)`)
	add(`INSERT INTO agent_phones (account_id, agent_id, phone, held_from) VALUES ('acct_a', 'agent_1', '+13125550100', 1)`)
	add(`INSERT INTO attributions (account_id, call_id, verdict, method, confidence, source, medium, campaign, click_ids,
			pool_id, model_version, attributed_at) VALUES
		('acct_a', 'call_0', 'winner', 'lease', 0.99, 'Google', 'cpc', 'Spring', '{"gclid":"abc"}', 'pool_1', 'v1', 1),
		('acct_a', 'call_1', 'source', 'source_number', 1, 'Billboard', '', '', '{}', '', 'v1', 1),
		('acct_a', 'call_2', 'untracked', 'none', 0, '', '', '', '{}', '', 'v1', 1)`)
	add(`INSERT INTO dispositions (account_id, disposition_id, name, folded, qualified, stage, genuine, created_at) VALUES
		('acct_a', 'disp_1', 'Booked', 'booked', TRUE, 'won', TRUE, 1), ('acct_a', 'disp_2', 'Spam', 'spam', FALSE, 'none', FALSE, 1)`)
	add(`INSERT INTO call_desks (account_id, call_id, version, disposition_id, agent_id, score_ppm, scores, updated_at) VALUES
		('acct_a', 'call_0', 3, 'disp_1', 'agent_2', 850000, 2, 1), ('acct_a', 'call_4', 1, 'disp_2', '', NULL, 0, 1)`)
	add(`INSERT INTO tags (account_id, tag_id, name, folded, created_at) VALUES
		('acct_a', 'tag_1', 'VIP', 'vip', 1), ('acct_a', 'tag_2', 'Angry', 'angry', 1)`)
	add(`INSERT INTO call_tags (account_id, call_id, tag_id, tagged_at, tagged_by) VALUES
		('acct_a', 'call_0', 'tag_1', 1, 'u'), ('acct_a', 'call_0', 'tag_2', 1, 'u'), ('acct_a', 'call_3', 'tag_1', 1, 'u')`)
	add(`INSERT INTO sales (account_id, sale_id, call_id, person, value_micros, currency, sold_at, recorded_at, recorded_by) VALUES
		('acct_a', 'sale_1', 'call_0', 'p', 100000000, 'USD', 1, 1, 'u'), ('acct_a', 'sale_2', 'call_0', 'p', -25500000, 'USD', 1, 1, 'u'),
		('acct_a', 'sale_3', 'call_3', 'p', 5000000, 'USD', 1, 1, 'u'), ('acct_a', 'sale_4', 'call_3', 'p', 7000000, 'EUR', 1, 1, 'u')`)
	add(`INSERT INTO notes (account_id, note_id, call_id, text, written_at, written_by) VALUES
		('acct_a', 'note_1', 'call_0', 'wants a quote', 1, 'u'), ('acct_a', 'note_2', 'call_0', 'Roof, 50%% deposit', 2, 'u')`)
	add(`INSERT INTO legs (account_id, call_id, leg_ref, number, status, initiated_at, bridged) VALUES
		('acct_a', 'call_0', 'CAb', '+13125550100', 'completed', 2, TRUE), ('acct_a', 'call_0', 'CAa', '+13125550101', 'no-answer', 1, FALSE)`)
	add(`INSERT INTO recordings (account_id, recording_id, call_id, provider, provider_ref, kind, state, seconds) VALUES
		('acct_a', 'rec_1', 'call_0', 'twilio', 'RE1', 'call', 'kept', 60), ('acct_a', 'rec_2', 'call_1', '', '', 'tombstone', 'deleted', NULL)`)
	err := db.InTx(context.Background(), func(ctx context.Context, tx *store.Tx) error {
		for _, statement := range script {
			if _, err := tx.Exec(ctx, statement); err != nil {
				return fmt.Errorf("%s: %w", statement, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return report.NewCalls(db)
}

func hours(rows []report.CallRow) string {
	var list []string
	for _, r := range rows {
		list = append(list, strings.TrimPrefix(r.ID, "call_"))
	}
	return strings.Join(list, " ")
}

func TestACallIsShownWithWhatEveryRoomKnows(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		calls := callsOf(t, db)
		c, err := calls.Get(context.Background(), "acct_a", "call_0")
		if err != nil {
			t.Fatal(err)
		}
		if c.Agent != "Omar" || c.Disposition != "Booked" || !*c.Qualified || *c.ScorePPM != 850000 || c.DeskVersion != 3 {
			t.Errorf("desk: got %s, %s, %v, %d, %d", c.Agent, c.Disposition, *c.Qualified, *c.ScorePPM, c.DeskVersion)
		}
		if c.Value == nil || *c.Value != (callwheel.Money{Micros: 74_500_000, Currency: "USD"}) {
			t.Errorf("value: got %v, want 100 less 25.50 dollars", c.Value)
		}
		if fmt.Sprint(c.Tags) != "[Angry VIP]" || c.Note != "Roof, 50% deposit" {
			t.Errorf("got tags %v, note %q", c.Tags, c.Note)
		}
		if a := c.Attribution; a == nil || a.Source != "Google" || a.ClickIDs["gclid"] != "abc" || a.Confidence != 0.99 {
			t.Errorf("attribution: got %+v", c.Attribution)
		}
		if len(c.Legs) != 2 || c.Legs[0].Ref != "CAa" || c.Legs[1].Bridged != telephony.Yes || c.Legs[0].Bridged != telephony.No {
			t.Errorf("legs: got %+v", c.Legs)
		}
		if len(c.Recordings) != 1 || c.Recordings[0].State != "kept" || *c.PriorCalls != 0 || !*c.FirstTime {
			t.Errorf("got %+v, prior %d", c.Recordings, *c.PriorCalls)
		}
		if both, err := calls.Get(context.Background(), "acct_a", "call_3"); err != nil || both.Value != nil {
			t.Errorf("dollars and euros: got %v, %v, want no value", both.Value, err)
		}
		plain, err := calls.Get(context.Background(), "acct_a", "call_1")
		if err != nil {
			t.Fatal(err)
		}
		if plain.Agent != "Maya" || plain.Value != nil || plain.Qualified != nil || plain.Note != "" || len(plain.Recordings) != 0 {
			t.Errorf("a call nobody judged: got %+v", plain)
		}
		_, err = calls.Get(context.Background(), "acct_b", "call_3")
		if callwheel.KindOf(err) != callwheel.NotFound {
			t.Errorf("another account: got %v", err)
		}
	})
}

func TestCallsAreFoundByEveryFilter(t *testing.T) {
	yes, no, minute := true, false, int64(60)
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		calls := callsOf(t, db)
		for name, c := range map[string]struct {
			q    report.CallQuery
			want string
		}{
			"all, newest first":    {report.CallQuery{}, "5 4 3 2 1 0"},
			"from, until":          {report.CallQuery{From: morning.Add(time.Hour), Until: morning.Add(3 * time.Hour)}, "2 1"},
			"source":               {report.CallQuery{Source: "google"}, "0"},
			"untracked":            {report.CallQuery{Source: "untracked"}, "5 4 3 2"},
			"medium":               {report.CallQuery{Medium: "CPC"}, "0"},
			"campaign":             {report.CallQuery{Campaign: "spring"}, "0"},
			"outcome":              {report.CallQuery{Outcome: "answered"}, "3 0"},
			"missed":               {report.CallQuery{Outcome: "missed"}, "5 2 1"},
			"direction":            {report.CallQuery{Direction: "outbound"}, ""},
			"tag":                  {report.CallQuery{Tag: "vip"}, "3 0"},
			"tag id":               {report.CallQuery{Tag: "tag_2"}, "0"},
			"agent by hand":        {report.CallQuery{Agent: "omar"}, "0"},
			"agent by phone":       {report.CallQuery{Agent: "agent_1"}, "5 4 3 2 1"},
			"disposition":          {report.CallQuery{Disposition: "booked"}, "0"},
			"qualified":            {report.CallQuery{Qualified: &yes}, "0"},
			"not qualified":        {report.CallQuery{Qualified: &no}, "4"},
			"first time":           {report.CallQuery{FirstTime: &yes}, "5 4 1 0"},
			"repeat":               {report.CallQuery{FirstTime: &no}, "3"},
			"scored":               {report.CallQuery{Scored: &yes}, "0"},
			"not scored":           {report.CallQuery{Scored: &no}, "5 4 3 2 1"},
			"caller":               {report.CallQuery{Caller: "+12125550143"}, "3 0"},
			"anonymous":            {report.CallQuery{Caller: "anonymous"}, "2"},
			"tracking number":      {report.CallQuery{TrackingNumber: "+13125550171"}, "5 3 1"},
			"pool":                 {report.CallQuery{PoolID: "pool_1"}, "0"},
			"talk":                 {report.CallQuery{MinTalkSeconds: &minute}, "3 0"},
			"text in a number":     {report.CallQuery{Text: "(212) 555-0143"}, "3 0"},
			"hidden callers":       {report.CallQuery{Text: "5550143", CallersHidden: true}, ""},
			"hidden names":         {report.CallQuery{Text: "anna", CallersHidden: true}, ""},
			"text in a name":       {report.CallQuery{Text: "anna"}, "3 0"},
			"text in a note":       {report.CallQuery{Text: "QUOTE"}, "0"},
			"percent is percent":   {report.CallQuery{Text: "100%"}, "3 0"},
			"percent alone":        {report.CallQuery{Text: "%"}, "3 0"},
			"underscore":           {report.CallQuery{Text: "k_p"}, "3 0"},
			"underscore is no dot": {report.CallQuery{Text: "c_i"}, ""},
			"quote":                {report.CallQuery{Text: "' OR 1=1 --"}, ""},
			"backslash":            {report.CallQuery{Text: `\`}, ""},
			"two together":         {report.CallQuery{Outcome: "answered", Tag: "VIP", MinTalkSeconds: &minute, Text: "oak"}, "3 0"},
		} {
			c.q.Limit = 50
			rows, err := calls.List(context.Background(), "acct_a", c.q)
			if got := hours(rows); err != nil || got != c.want {
				t.Errorf("%s: got %q, %v, want %q", name, got, err, c.want)
			}
		}
		_, err := calls.List(context.Background(), "acct_a", report.CallQuery{Outcome: "great", Limit: 5})
		if callwheel.KindOf(err) != callwheel.Invalid {
			t.Errorf("an outcome that does not exist: got %v", err)
		}
	})
}

func TestCallsArePagedAndExportedWithoutLossOrRepetition(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ctx := context.Background()
		calls := callsOf(t, db)
		var got []string
		q := report.CallQuery{Limit: 2}
		for {
			rows, err := calls.List(ctx, "acct_a", q)
			if err != nil {
				t.Fatal(err)
			}
			page := rows[:min(2, len(rows))]
			got = append(got, hours(page))
			if len(rows) <= 2 {
				break
			}
			q.After = page[1].Place()
		}
		if strings.Join(got, " ") != "5 4 3 2 1 0" {
			t.Errorf("pages: got %v", got)
		}
		err := db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
			for i := range 1200 { // more than two pages of an export, many within one instant
				_, err := tx.Exec(ctx, `
					INSERT INTO calls (account_id, call_id, provider, provider_call_id, started_at, updated_at)
					VALUES ('acct_b', ?, 'twilio', ?, ?, 1)`, fmt.Sprintf("many_%04d", i), fmt.Sprint("M", i), i/700)
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]int{}
		err = calls.Each(ctx, "acct_b", report.CallQuery{}, func(r report.CallRow) error {
			seen[r.ID]++
			return nil
		})
		if err != nil || len(seen) != 1201 {
			t.Errorf("exported %d calls, %v, want 1201", len(seen), err)
		}
		for id, n := range seen {
			if n != 1 {
				t.Errorf("%s came %d times", id, n)
			}
		}
	})
}
