package api_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
)

func TestACallShowsItsLeadScoreAndTheModelItsJudgement(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := openDesk(t, db)
		reader := h.tokens[account.ReadOnly]
		if got := h.ask(reader, "GET", "/v1/calls/call_1", "").is(200).json()["lead_score"]; got != nil {
			t.Errorf("before it is scored: got %v, want null", got)
		}
		none := h.ask(reader, "GET", "/v1/lead-scores/model", "").is(200).json()
		if none["version"].(json.Number) != "0" || !strings.Contains(none["note"].(string), "200 outcomes needed, 0 seen") || none["useful"] != false || len(none["factors"].([]any)) != 0 {
			t.Errorf("without a model: got %v", none)
		}
		h.ask(reader, "GET", "/v1/lead-scores/model?version=3", "").is(404)

		err := db.InTx(context.Background(), func(ctx context.Context, tx *store.Tx) error {
			if _, err := tx.Exec(ctx, `
				INSERT INTO lead_models (account_id, version, origin, prior, fitted_at, outcomes, positives, model, judgement)
				VALUES (?, 1, 'fitted', 0, ?, 400, 180, ?, ?)`, h.account.ID, store.Micros(deskNow),
				`{"intercept":-1,"factors":[{"fact":"source","levels":[{"value":"Ads","weight":0.75,"share":0.5,"outcomes":200}]}]}`,
				`{"outcomes":120,"positives":50,"auc":0.5,"brier":0.25,"base_brier":0.24,"skill":-0.04,"log_loss":0.7,"calibration_intercept":0,"calibration_slope":1,"bins":[]}`); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, `
				INSERT INTO lead_scores (account_id, call_id, model_version, probability, facts, scored_at)
				VALUES (?, 'call_1', 1, 0.4378234991, '[{"fact":"source","value":"Ads","effect":0.375}]', ?)`, h.account.ID, store.Micros(deskNow))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		score := h.ask(reader, "GET", "/v1/calls/call_1", "").is(200).json()["lead_score"].(map[string]any)
		fact := score["facts"].([]any)[0].(map[string]any)
		if score["probability"].(json.Number) != "0.4378234991" || score["model_version"].(json.Number) != "1" || fact["value"] != "Ads" || fact["effect"].(json.Number) != "0.375" {
			t.Errorf("got %v", score)
		}
		m := h.ask(reader, "GET", "/v1/lead-scores/model", "").is(200).json()
		if m["version"].(json.Number) != "1" || m["origin"] != "fitted" || m["useful"] != false || !strings.Contains(m["note"].(string), "no more than the share") ||
			m["judgement"].(map[string]any)["auc"].(json.Number) != "0.5" {
			t.Errorf("got %v", m)
		}
		stranger := h.ask(h.stranger, "GET", "/v1/lead-scores/model", "").is(200).json()
		if stranger["version"].(json.Number) != "0" {
			t.Errorf("another account sees %v", stranger)
		}
	})
}
