package api_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
)

func TestRatesGoInAndAmountsOfOtherCurrenciesCount(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := openReports(t, db)
		marketer, agent := h.tokens[account.Marketer], h.tokens[account.Agent]
		h.ask(marketer, "POST", "/v1/spend", `{"source":"mail","medium":"print","from":"2026-03-01","until":"2026-03-02","cost":{"amount":"100.00","currency":"EUR"}}`).is(201)
		roi := h.ask(agent, "GET", "/v1/reports/roi?group_by=source", "").is(200).json()
		if row := roi["rows"].([]any)[0].(map[string]any); row["spend"] != nil || row["roi"] != nil || len(roi["missing"].([]any)) != 1 {
			t.Errorf("without a rate: got %v, want not available", row)
		}
		one := `{"day":"2026-02-27","currency":"EUR","rate":"1.25"}`
		h.ask(agent, "PUT", "/v1/rates", one).is(403)
		if got := h.ask(marketer, "PUT", "/v1/rates", one).is(200).json(); got["created"].(json.Number) != "1" {
			t.Errorf("got %v, want one created", got)
		}
		csv := "day,currency,to,rate\n2026-02-27,EUR,USD,1.2\n2026-02-26,EUR,USD,1.3\n2026-02-26,GBP,,1.4\n"
		if got := h.ask(marketer, "PUT", "/v1/rates", csv, "Content-Type", "text/csv").is(200).json(); got["created"].(json.Number) != "2" || got["corrected"].(json.Number) != "1" {
			t.Errorf("csv: got %v, want two created and one corrected", got)
		}
		// Sunday 1 March takes Friday's rate: 100.00 EUR are 120.00 USD, 300.00 were sold.
		roi = h.ask(agent, "GET", "/v1/reports/roi?group_by=source", "").is(200).json()
		row := roi["rows"].([]any)[0].(map[string]any)
		if row["spend"].(map[string]any)["amount"] != "120.00" || row["roi"].(json.Number) != "1.5" || len(roi["missing"].([]any)) != 0 {
			t.Errorf("got %v, want a spend of 120.00 and a roi of 1.5", row)
		}
		used := roi["rates"].([]any)[0].(map[string]any)
		if used["day"] != "2026-02-27" || used["rate"] != "1.2" || used["converted"].(map[string]any)["amount"] != "120.00" {
			t.Errorf("rates: got %v", used)
		}

		page := h.ask(agent, "GET", "/v1/rates?limit=2", "").is(200).json()
		rest := h.ask(agent, "GET", "/v1/rates?limit=2&cursor="+page["next_cursor"].(string), "").is(200).json()
		var days []string
		for _, r := range slices.Concat(page["items"].([]any), rest["items"].([]any)) {
			r := r.(map[string]any)
			days = append(days, r["day"].(string)+r["currency"].(string)+r["rate"].(string))
		}
		if want := []string{"2026-02-27EUR1.2", "2026-02-26GBP1.4", "2026-02-26EUR1.3"}; !slices.Equal(days, want) {
			t.Errorf("list: got %v, want %v", days, want)
		}
		if got := h.ask(agent, "GET", "/v1/rates?currency=GBP&from=2026-02-26&until=2026-02-27", "").is(200).json()["items"].([]any); len(got) != 1 {
			t.Errorf("filtered: got %v", got)
		}
		if got := h.ask(h.stranger, "GET", "/v1/rates", "").is(200).json()["items"].([]any); len(got) != 0 {
			t.Errorf("another account: got %v", got)
		}
		for body, want := range map[string]string{
			`{"day":"2026-02-27","currency":"USD","rate":"1"}`: "currency",
			`{"items":[]}`: "items",
			`{"items":[{"day":"2026-02-27","currency":"EUR","rate":"1"},{"day":"x","currency":"EUR","rate":"1"}]}`: "items[1].day",
			`{"day":"2026-02-27","currency":"EUR","rate":1.5}`:                                                     "rate",
		} {
			if got := h.ask(marketer, "PUT", "/v1/rates", body).is(422).fields(); !slices.Equal(got, []string{want}) {
				t.Errorf("%s: got %v refused, want %s", body, got, want)
			}
		}
		if got := h.ask(marketer, "PUT", "/v1/rates", "day,currency,rat\n", "Content-Type", "text/csv").is(422).fields(); !slices.Contains(got, "rat") || !slices.Contains(got, "rate") {
			t.Errorf("columns: got %v", got)
		}
	})
}
