package api_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/api"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
)

// A report that takes longer than reports may says so and what to do, again and
// again without keeping a connection or a turn to itself: afterwards the same
// question is answered.
func TestAReportThatTakesTooLongIsGivenUp(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := open(t, db, func(d *api.Deps) { d.ReportLimit = time.Millisecond })
		fill := `INSERT INTO calls (account_id, call_id, provider, provider_call_id, status, outcome, from_kind, from_e164, tracking_number, started_at, updated_at)
			WITH RECURSIVE n (i) AS (SELECT CAST(1 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
			SELECT CAST(? AS TEXT), 'call_' || i, 'test', 'call_' || i, 'completed', 'answered', 'e164', '+1312555' || (1000 + i % 900), '+13125550171',
				CAST(? AS BIGINT) + i * 1000000, 0 FROM n`
		err := db.InTx(t.Context(), func(ctx context.Context, tx *store.Tx) error {
			_, err := tx.Exec(ctx, fill, h.account.ID, store.Micros(noon))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		day := noon.Format("2006-01-02")
		const ask = "/v1/reports/%s?from=%s&until=2030-01-01"
		for range 30 { // more often than there are connections
			for _, name := range []string{"attribution", "momentum"} {
				a := h.ask(h.tokens[account.Owner], http.MethodGet, fmt.Sprintf(ask, name, day), "").is(http.StatusGatewayTimeout)
				p := a.json()
				if p["type"] != "took-too-long" || p["request_id"] == "" || !strings.Contains(fmt.Sprint(p["detail"]), "shorter range") || !strings.Contains(fmt.Sprint(p["detail"]), "callwheel report") {
					t.Fatalf("%s: %s", name, a.Body)
				}
				if kind := a.Header().Get("Content-Type"); kind != "application/problem+json" {
					t.Fatalf("content type: %s", kind)
				}
			}
		}
		patient := open(t, db)
		if a := patient.ask(h.tokens[account.Owner], http.MethodGet, fmt.Sprintf(ask, "attribution", day), "").is(http.StatusOK).json(); fmt.Sprint(a["totals"].(map[string]any)["calls"]) != "20000" {
			t.Errorf("totals: %v, want all 20000 calls", a["totals"])
		}
	})
}

// A report keeps its connection open for as long as it may take, whatever the
// limit of other answers is.
func TestAReportOutlastsOtherAnswers(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := open(t, db)
		e := exportReader{t, h.serve(time.Nanosecond), h.tokens[account.Owner]}
		res := e.get("/v1/reports/agents", "application/json")
		defer res.Body.Close()
		if res.StatusCode != http.StatusOK {
			t.Errorf("got %s", res.Status)
		}
	})
}
