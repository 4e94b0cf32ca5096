package api_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
)

// called adds an answered call.
func (w website) called(number, caller string, at time.Time) {
	w.t.Helper()
	err := w.db.InTx(context.Background(), func(ctx context.Context, tx *store.Tx) error {
		id := "call_" + number + at.Format(time.RFC3339Nano)
		_, err := tx.Exec(ctx, `INSERT INTO calls (account_id, call_id, provider, provider_call_id, outcome, from_e164, tracking_number, started_at, updated_at) VALUES (?, ?, 'test', ?, 'answered', ?, ?, ?, 0)`,
			w.account.ID, id, id, caller, number, store.Micros(at))
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w website) numberID(e164 string) string {
	w.t.Helper()
	list := w.ask(w.tokens[account.Owner], "GET", "/v1/numbers?number=%2B"+e164[1:], "").is(200).json()["items"].([]any)
	return list[0].(map[string]any)["id"].(string)
}

func TestANumberThatIsStillCalledShowsItsTailAndStays(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := openWebsite(t, db)
		owner := w.tokens[account.Owner]
		id := w.numberID("+13125550172")
		w.called("+13125550172", "+12125550143", time.Now().Add(-time.Hour))
		w.ask(owner, "DELETE", "/v1/numbers/"+id, "").is(204) // drains
		w.ask(owner, "DELETE", "/v1/numbers/"+id, "").is(204) // as it does
		a := w.ask(owner, "DELETE", "/v1/numbers/"+id+"?now=true", "").is(409)
		if !strings.Contains(a.Body.String(), "calls in the last 28 days: 1") || strings.Contains(a.Body.String(), "+12125550143") {
			t.Errorf("got %s", a.Body.String())
		}
		tail := w.ask(owner, "GET", "/v1/numbers/"+id+"/tail", "").is(200).json()
		if tail["state"] != "draining" || tail["calls_28_days"] != json.Number("1") || tail["releasable"] != false || tail["releasable_at"] == nil ||
			tail["last_caller"].(map[string]any)["e164"] != "+12125550143" || tail["lent_until"] != nil {
			t.Errorf("got %v", tail)
		}
		masked := w.ask(w.tokens[account.Marketer], "GET", "/v1/numbers/"+id+"/tail", "").is(200).Body.String()
		if strings.Contains(masked, "+12125550143") {
			t.Errorf("a marketer sees the caller: %s", masked)
		}
		w.ask(owner, "DELETE", "/v1/numbers/"+id+"?force=true", "").is(422)
		w.ask(owner, "DELETE", "/v1/numbers/"+id+"?force=true&reason=robocalls", "").is(204)
		if got := w.ask(owner, "GET", "/v1/numbers/"+id, "").is(200).json()["state"]; got != "quarantined" {
			t.Errorf("got %v, want quarantined until it is known that the provider does not have it", got)
		}
		w.ask(w.stranger, "GET", "/v1/numbers/"+id+"/tail", "").is(404)
	})
}

func TestAPoolShrinksByTheNumbersThatAreMissedLeast(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := openWebsite(t, db)
		owner := w.tokens[account.Owner]
		w.called("+13125550172", "+12125550143", time.Now().Add(-time.Hour))
		path := "/v1/pools/" + w.pool + "/shrink"
		which := func(body string) map[string]any {
			t.Helper()
			list := w.ask(owner, "POST", path, body).is(200).json()["items"].([]any)
			if len(list) != 1 {
				t.Fatalf("got %v, want one", list)
			}
			return list[0].(map[string]any)
		}
		if got := which(`{"by":1,"dry_run":true}`); got["number"].(map[string]any)["e164"] != "+13125550173" || got["state"] != "active" {
			t.Errorf("dry run: got %v", got)
		}
		w.ask(owner, "POST", path, `{"by":2}`).is(422)
		if got := which(`{"by":1}`); got["number"].(map[string]any)["e164"] != "+13125550173" || got["state"] != "draining" {
			t.Errorf("got %v", got)
		}
		if got := w.ask(owner, "GET", "/v1/pools/"+w.pool+"/plan", "").is(200).json()["numbers_now"]; got != json.Number("1") {
			t.Errorf("got %v numbers lent, want 1", got)
		}
		w.ask(owner, "POST", path, `{"by":1}`).is(422)
		w.ask(w.tokens[account.Marketer], "POST", path, `{"by":1}`).is(403)
		w.ask(w.stranger, "POST", path, `{"by":1}`).is(404)
	})
}
