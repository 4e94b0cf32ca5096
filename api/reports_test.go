package api_test

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/api"
	"github.com/callwheel/callwheel/report"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
)

// openReports is a house on 2 March 2026 with one call of an hour ago that was
// attributed to the source mail.
func openReports(t *testing.T, db *store.DB) *house {
	t.Helper()
	h := open(t, db, func(d *api.Deps) {
		d.Reports = report.NewDesk(db, func() time.Time { return deskNow }, slog.New(slog.DiscardHandler), nil)
	})
	h.addCall(db, h.account.ID, "call_1", "+13125550101")
	err := db.InTx(context.Background(), func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.Exec(ctx, `
			INSERT INTO attributions (account_id, call_id, verdict, method, confidence, source, medium, model_version, attributed_at)
			VALUES (?, 'call_1', 'source', 'source_number', 0.99, 'mail', 'print', 'v', 1)`, h.account.ID)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `
			INSERT INTO sales (account_id, sale_id, call_id, person, value_micros, currency, sold_at, recorded_at, recorded_by)
			VALUES (?, 'sale_1', 'call_1', '+13125550101', 300000000, 'USD', ?, 1, 'u')`, h.account.ID, store.Micros(deskNow.Add(-30*time.Minute)))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestSpendGoesInAndTheReturnComesOut(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := openReports(t, db)
		marketer, agent := h.tokens[account.Marketer], h.tokens[account.Agent]
		one := `{"source":"Mail","medium":"print","from":"2026-03-01","until":"2026-03-04","cost":{"amount":"90.00","currency":"USD"}}`
		h.ask(agent, "POST", "/v1/spend", one).is(403)
		first := h.ask(marketer, "POST", "/v1/spend", one).is(201)
		id := first.json()["id"].(string)
		if first.Header().Get("Location") != "/v1/spend/"+id || first.json()["created"].(json.Number) != "1" {
			t.Errorf("created: got %s, %s", first.Header().Get("Location"), first.Body)
		}
		again := h.ask(marketer, "POST", "/v1/spend", strings.Replace(one, "90.00", "100.00", 1)).is(201).json()
		if again["id"] != id || again["corrected"].(json.Number) != "1" || again["cost"].(map[string]any)["amount"] != "100.00" {
			t.Errorf("the same key again: got %v, want the cost corrected", again)
		}
		batch := h.ask(marketer, "POST", "/v1/spend", `{"items":[`+one+`,{"source":"mail","medium":"print","from":"2026-03-02","until":"2026-03-03","cost":{"amount":"50","currency":"USD"}}]}`).is(201).json()
		if batch["created"].(json.Number) != "1" || batch["corrected"].(json.Number) != "1" {
			t.Errorf("batch: got %v, want one corrected and one created", batch)
		}

		// Mail: 30.00 on the 1st and the 3rd, and 50.00 on the 2nd in place of its
		// 30.00. Without from the last 30 days end with today, the 2nd: 80.00.
		// One sale of 300.00: roi (300 − 80)/80 = 2.75.
		roi := h.ask(agent, "GET", "/v1/reports/roi?group_by=source", "").is(200).json()
		row := roi["rows"].([]any)[0].(map[string]any)
		if row["source"] != "mail" || row["roi"].(json.Number) != "2.75" || row["spend"].(map[string]any)["amount"] != "80.00" || row["roi_interval"] != nil {
			t.Errorf("got %v, want mail with a spend of 80.00 and a roi of 2.75", row)
		}
		for _, key := range []string{"from", "until", "tz", "currency", "model", "generated_at", "definitions", "window_days", "reading"} {
			if roi[key] == nil {
				t.Errorf("the report does not state %s", key)
			}
		}
		text := h.ask(agent, "GET", "/v1/reports/roi?group_by=source", "", "Accept", "text/csv").is(200)
		records, err := csv.NewReader(text.Body).ReadAll()
		if err != nil || len(records) != 2 || !strings.HasPrefix(text.Header().Get("Content-Type"), "text/csv") {
			t.Fatalf("csv: got %v, %v", records, err)
		}
		line := map[string]string{}
		for i, name := range records[0] {
			line[name] = records[1][i]
		}
		if line["roi"] != "2.75" || line["spend"] != "80.00" || line["revenue_30"] != "300.00" || line["currency"] != "USD" {
			t.Errorf("csv: got %v, want the figures of the JSON", line)
		}
		some := h.ask(agent, "GET", "/v1/reports/roi?group_by=source&fields=source,roi", "", "Accept", "text/csv").is(200)
		if got := some.Body.String(); got != "source,roi\nmail,2.75\n" {
			t.Errorf("selected columns: got %q", got)
		}

		list := h.ask(agent, "GET", "/v1/spend?limit=1", "").is(200).json()
		if len(list["items"].([]any)) != 1 || list["next_cursor"] == nil {
			t.Fatalf("first page: got %v", list)
		}
		rest := h.ask(agent, "GET", "/v1/spend?limit=1&cursor="+list["next_cursor"].(string), "").is(200).json()
		if len(rest["items"].([]any)) != 1 || rest["next_cursor"] != nil {
			t.Errorf("second page: got %v", rest)
		}
		h.ask(agent, "DELETE", "/v1/spend/"+id, "").is(403)
		h.ask(h.stranger, "DELETE", "/v1/spend/"+id, "").is(404)
		h.ask(h.stranger, "GET", "/v1/spend/"+id, "").is(404)
		h.ask(marketer, "DELETE", "/v1/spend/"+id, "").is(204)
		h.ask(marketer, "GET", "/v1/spend/"+id, "").is(404)
	})
}

func TestSpendIsRefusedByFieldAndByLineAndNothingIsTaken(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := openReports(t, db)
		marketer := h.tokens[account.Marketer]
		for body, want := range map[string]string{
			`{"source":"x","from":"2026-03-01","until":"2026-03-01","cost":{"amount":"1","currency":"USD"}}`:               "until",
			`{"source":"x","from":"2026-03-01","until":"2026-03-02","cost":{"amount":"1.234","currency":"USD"}}`:           "cost.amount",
			`{"source":"x","from":"2026-03-01","until":"2026-03-02","cost":{"amount":"1","currency":"USD"},"channel":"y"}`: "channel",
			`{"source":7,"from":"2026-03-01","until":"2026-03-02","cost":{"amount":"1","currency":"USD"}}`:                 "source",
			`{"items":[]}`: "items",
			`{"items":[{"source":"ok","from":"2026-03-01","until":"2026-03-02","cost":{"amount":"1","currency":"USD"}},{"from":"2026-03-01"}]}`: "items[1].cost.currency",
		} {
			if got := h.ask(marketer, "POST", "/v1/spend", body).is(422).fields(); len(got) == 0 || !strings.Contains(strings.Join(got, " "), want) {
				t.Errorf("%s: got %v refused, want %s", body, got, want)
			}
		}
		file := "source,from,until,amount,currency\nmail,2026-03-01,2026-03-02,5,USD\nmail,2026-03-02,2026-03-03,x,USD\n"
		bad := h.ask(marketer, "POST", "/v1/spend", file, "Content-Type", "text/csv").is(422)
		if got := bad.fields(); len(got) != 1 || got[0] != "line 3.amount" {
			t.Errorf("file: got %v refused, want line 3.amount", got)
		}
		if got := h.ask(marketer, "GET", "/v1/spend", "").is(200).json(); len(got["items"].([]any)) != 0 {
			t.Errorf("something was taken: %v", got)
		}
		good := h.ask(marketer, "POST", "/v1/spend", strings.Replace(file, ",x,", ",6,", 1), "Content-Type", "text/csv").is(201).json()
		if good["created"].(json.Number) != "2" || good["id"] != nil {
			t.Errorf("file: got %v, want two created", good)
		}
	})
}

func TestReportsRefuseWhatTheyDoNotKnowAndShowNothingOfOthers(t *testing.T) {
	h := openReports(t, storetestSQLite(t))
	agent := h.tokens[account.Agent]
	for target, want := range map[string]string{
		"/v1/reports/attribution?model=shapely":       "model",
		"/v1/reports/attribution?group_by=channel":    "group_by",
		"/v1/reports/attribution?credit_for=click":    "credit_for",
		"/v1/reports/attribution?reading=guess":       "reading",
		"/v1/reports/attribution?from=tomorrow":       "from",
		"/v1/reports/attribution?tz=Mars/Base":        "tz",
		"/v1/reports/momentum?period=year":            "period",
		"/v1/reports/momentum?baseline=2026-01-01":    "baseline",
		"/v1/reports/agents?from=2026-03-01&until=no": "until",
		"/v1/reports/agents?model=linear":             "model",
	} {
		if got := h.ask(agent, "GET", target, "").is(422).fields(); len(got) != 1 || got[0] != want {
			t.Errorf("%s: got %v refused, want %s", target, got, want)
		}
	}
	theirs := h.ask(h.stranger, "GET", "/v1/reports/attribution?group_by=source", "").is(200).json()
	if len(theirs["rows"].([]any)) != 0 || theirs["totals"].(map[string]any)["calls"].(json.Number) != "0" {
		t.Errorf("another account: got %v", theirs)
	}
	if got := h.ask(agent, "GET", "/v1/reports/attribution?group_by=tracking_number,agent&source=MAIL", "").is(200).json(); len(got["rows"].([]any)) != 1 {
		t.Errorf("filtered: got %v", got["rows"])
	}
	h.ask("", "GET", "/v1/reports/roi", "").is(401)

	momentum := h.ask(agent, "GET", "/v1/reports/momentum?period=week", "").is(200).json()
	period := momentum["periods"].([]any)[0].(map[string]any)
	if period["enough_data"] != false || period["index"] != nil || len(period["missing"].([]any)) == 0 {
		t.Errorf("momentum of one call: got %v, want not enough data", period)
	}
	if got := h.ask(agent, "GET", "/v1/reports/momentum", "", "Accept", "text/csv").is(200); !strings.HasPrefix(got.Body.String(), "line,from,until,days,") {
		t.Errorf("momentum as CSV: got %s", got.Body)
	}
	if got := h.ask(agent, "GET", "/v1/reports/agents", "", "Accept", "text/csv").is(200); !strings.HasPrefix(got.Body.String(), "agent,offered,answered,") {
		t.Errorf("agents as CSV: got %s", got.Body)
	}

	defined := map[string]bool{}
	for _, d := range h.ask(agent, "GET", "/v1/definitions?limit=500", "").is(200).json()["items"].([]any) {
		defined[d.(map[string]any)["figure"].(string)] = true
	}
	for _, target := range []string{"attribution", "roi", "agents", "pools", "momentum"} {
		for figure := range h.ask(agent, "GET", "/v1/reports/"+target, "").is(200).json()["definitions"].(map[string]any) {
			if !defined[figure] {
				t.Errorf("%s links to the definition of %s, which is not there", target, figure)
			}
		}
	}
}

func TestModelsAreAskedForWithTheirParametersAndCompared(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := openReports(t, db)
		token := h.tokens[account.Marketer]
		for params, want := range map[string][]string{
			"model=linear&shape=20/20/60":                         {"shape"},
			"model=shaped":                                        {"shape"},
			"model=markov&half_life_days=3":                       {"half_life_days"},
			"model=markov&order=5":                                {"order"},
			"compare=astrology":                                   {"compare"},
			"compare=shaped&compare_shape=1/2/3":                  {"compare_shape"},
			"model=shaped&shape=x&compare=linear&compare_order=2": {"shape", "compare_order"},
			"compare_order=2":                                     {"compare"},
		} {
			if got := h.ask(token, "GET", "/v1/reports/attribution?"+params, "").is(422).fields(); !slices.Equal(got, want) {
				t.Errorf("%s: got %v refused, want %v", params, got, want)
			}
		}
		target := "/v1/reports/attribution?group_by=source&credit_for=sale&model=time_decay&half_life_days=2.5&compare=markov&compare_order=2"
		a := h.ask(token, "GET", target, "").is(200).json()
		if a["model"] != "time_decay half-life 2.5 days" || a["compare_model"] != "markov order 2" {
			t.Errorf("got %v beside %v", a["model"], a["compare_model"])
		}
		row := a["rows"].([]any)[0].(map[string]any)
		if got := row["compare"].(map[string]any); row["source"] != "mail" || got["credit"].(json.Number) != "1" || got["revenue"].(map[string]any)["amount"] != "300.00" {
			t.Errorf("got %v, want the sale of mail by both models", row)
		}
		text := h.ask(token, "GET", target, "", "Accept", "text/csv").is(200)
		records, err := csv.NewReader(text.Body).ReadAll()
		if err != nil || len(records) != 2 {
			t.Fatalf("CSV: got %v, %v", records, err)
		}
		for column, want := range map[string]string{"compare_credit": "1", "compare_revenue": "300.00", "difference_revenue": "0.00", "compare_model": "markov order 2"} {
			if i := slices.Index(records[0], column); i < 0 || records[1][i] != want {
				t.Errorf("CSV: %s: want %s in %v", column, want, records)
			}
		}
	})
}

func TestABaselineIsFrozenByWhoKeepsTheListsAndNeedsData(t *testing.T) {
	h := open(t, storetestSQLite(t))
	body := `{"from":"2026-01-01","until":"2026-02-01"}`
	h.ask(h.tokens[account.Agent], "POST", "/v1/baselines", body).is(403)
	got := h.ask(h.tokens[account.Owner], "POST", "/v1/baselines", body).is(422).fields()
	if len(got) != 1 || !strings.Contains(got[0], "from") {
		t.Errorf("without attempts: got %v, want from to be refused", got)
	}
	if got := h.ask(h.tokens[account.Owner], "POST", "/v1/baselines", `{"from":"2026-01-01","until":"2026-02-01","yardsticks":{"return_days":1}}`).is(422).fields(); len(got) == 0 || !strings.Contains(got[0], "return_days") {
		t.Errorf("a window of a day: got %v", got)
	}
	if got := h.ask(h.tokens[account.ReadOnly], "GET", "/v1/baselines", "").is(200).json(); len(got["items"].([]any)) != 0 {
		t.Errorf("got %v, want none", got)
	}
	h.ask(h.tokens[account.ReadOnly], "GET", "/v1/baselines/base_1", "").is(404)
	h.ask(h.tokens[account.ReadOnly], "GET", "/v1/calls?momentum=missed", "").is(422)
	h.ask(h.tokens[account.ReadOnly], "GET", "/v1/calls?momentum=missed&from=2026-01-01T00:00:00Z&until=2026-02-01T00:00:00Z", "").is(200)
}

// Callers who give up show how long a wait halves goodwill; a person may set it,
// and take that back.
func TestTheWaitThatHalvesGoodwillIsSetAndTakenBack(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := open(t, db)
		err := db.InTx(context.Background(), func(ctx context.Context, tx *store.Tx) error {
			for i := range 60 {
				at := store.Micros(time.Date(2026, 1, 10, i%24, i, 0, 0, time.UTC))
				_, err := tx.Exec(ctx, `INSERT INTO calls (account_id, call_id, provider, provider_call_id, outcome, from_e164, tracking_number, started_at, ended_at, duration_seconds, updated_at)
					VALUES (?, ?, 'test', ?, 'abandoned', ?, '+13125550100', ?, ?, 35, 0)`, h.account.ID, fmt.Sprint("call_", i), fmt.Sprint(i), fmt.Sprintf("+1312556%04d", i), at, at+35_000_000)
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		refused := h.ask(h.tokens[account.Owner], "POST", "/v1/baselines", `{"from":"2026-01-01","until":"2026-02-01"}`).is(422).Body.String()
		if !strings.Contains(refused, "the baseline's momentum is 0") {
			t.Errorf("nobody was reached: got %s, want that nothing can be compared with 0", refused)
		}
		err = db.InTx(context.Background(), func(ctx context.Context, tx *store.Tx) error {
			_, err := tx.Exec(ctx, `UPDATE calls SET outcome = 'answered', wait_seconds = 10 WHERE account_id = ? AND call_id = 'call_0'`, h.account.ID)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		freeze := func(yardsticks string) answer {
			return h.ask(h.tokens[account.Owner], "POST", "/v1/baselines", `{"from":"2026-01-01","until":"2026-02-01","yardsticks":`+yardsticks+`}`)
		}
		for _, c := range []struct{ yardsticks, want string }{
			{`{}`, "35 own 59"},
			{`{"prompt_half_seconds":120}`, "120 set 0"},
			{`{"return_days":60}`, "120 set 0"},
			{`{"prompt_half_from":"own"}`, "35 own 59"},
		} {
			y := freeze(c.yardsticks).is(201).json()["yardsticks"].(map[string]any)
			if got := fmt.Sprint(y["prompt_half_seconds"], " ", y["prompt_half_from"], " ", y["prompt_half_abandoned"]); got != c.want {
				t.Errorf("%s: got %s, want %s", c.yardsticks, got, c.want)
			}
		}
		for _, both := range []string{`{"prompt_half_seconds":60,"prompt_half_from":"own"}`, `{"prompt_half_from":"set"}`} {
			if got := freeze(both).is(422).fields(); len(got) != 1 || !strings.Contains(got[0], "prompt_half_from") {
				t.Errorf("%s: got %v, want prompt_half_from to be refused", both, got)
			}
		}
	})
}
