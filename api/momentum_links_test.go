package api_test

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/url"
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

// linksIn finds the counts with a link in a parsed answer: how many calls each has,
// by where the link goes.
func linksIn(v any, into map[string]string) {
	switch v := v.(type) {
	case map[string]any:
		link, ok := v["url"].(string)
		if calls, counted := v["calls"].(json.Number); ok && counted {
			into[link] = calls.String()
		}
		for _, inner := range v {
			linksIn(inner, into)
		}
	case []any:
		for _, inner := range v {
			linksIn(inner, into)
		}
	}
}

// drawCalls writes 160 calls of sixty days before deskNow, in segments under names
// that a link has to escape.
func drawCalls(t *testing.T, db *store.DB, accountID string) {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	err := db.InTx(context.Background(), func(ctx context.Context, tx *store.Tx) error {
		add := func(query string, args ...any) error {
			_, err := tx.Exec(ctx, query, append([]any{accountID}, args...)...)
			return err
		}
		if err := add(`INSERT INTO agents (account_id, agent_id, name, phone, created_at) VALUES (?, 'agent_1', 'Zoë & Söhne', '+13125550200', 0)`); err != nil {
			return err
		}
		if err := add(`INSERT INTO agent_phones (account_id, agent_id, phone, held_from) VALUES (?, 'agent_1', '+13125550200', 0)`); err != nil {
			return err
		}
		for i := range 160 {
			id, person := fmt.Sprint("call_", i), fmt.Sprintf("+1312555%04d", r.IntN(60))
			at := store.Micros(deskNow.Add(-time.Duration(1+r.IntN(60*24*60)) * time.Minute))
			facts := []error{
				add(`INSERT INTO calls (account_id, call_id, provider, provider_call_id, from_e164, from_kind, outcome, answered_by, started_at, ring_seconds, duration_seconds, updated_at)
					VALUES (?, ?, 'test', ?, ?, 'e164', ?, ?, ?, ?, 60, 1)`, id, id, person, pick("answered", "answered", "abandoned"), pick("", "+13125550200"), at, r.IntN(60)),
				add(`INSERT INTO attributions (account_id, call_id, verdict, method, confidence, source, medium, campaign, model_version, attributed_at)
					VALUES (?, ?, ?, 'source_number', 0.99, ?, 'print', ?, 'v', 1)`, id, pick("source", "source", "untracked"), pick("mail", "a & b = c?", "100% +1"), pick("", "Spring", "spring", "(none)")),
			}
			if r.IntN(3) == 0 {
				facts = append(facts, add(`INSERT INTO sales (account_id, sale_id, call_id, person, value_micros, currency, sold_at, recorded_at, recorded_by)
					VALUES (?, ?, ?, ?, 300000000, 'USD', ?, 1, 'u')`, "sale_"+id, id, person, at+60_000_000))
			}
			if r.IntN(3) == 0 {
				facts = append(facts, add(`INSERT INTO feedback (account_id, feedback_id, call_id, person, kind, value, given_at) VALUES (?, ?, ?, ?, 'nps', ?, ?)`,
					"fb_"+id, id, person, r.IntN(11), at+60_000_000))
			}
			for _, err := range facts {
				if err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// listed are the ids of a list, page by page.
func (h *house) listed(link string, limit int) []string {
	h.t.Helper()
	var ids []string
	for cursor := ""; ; {
		page := h.ask(h.tokens[account.ReadOnly], "GET", fmt.Sprintf("%s&limit=%d%s", link, limit, cursor), "").is(200).json()
		for _, item := range page["items"].([]any) {
			ids = append(ids, item.(map[string]any)["id"].(string))
		}
		next, more := page["next_cursor"].(string)
		if !more || next == "" {
			return ids
		}
		cursor = "&cursor=" + url.QueryEscape(next)
	}
}

// exported are the ids of the same list as an export.
func (h *house) exported(link, form string) []string {
	h.t.Helper()
	body := h.ask(h.tokens[account.Owner], "GET", link+"&fields=id", "", "Accept", form).is(200).Body.String()
	if form == "text/csv" {
		records, err := csv.NewReader(strings.NewReader(body)).ReadAll()
		if err != nil {
			h.t.Fatal(err)
		}
		var ids []string
		for _, r := range records[1:] {
			ids = append(ids, r[0])
		}
		return ids
	}
	var ids []string
	for line := range strings.Lines(body) {
		ids = append(ids, idOf(h.t, []byte(line)))
	}
	return ids
}

// Every link of a momentum report is followed as it stands: its pages have each
// call once, as many as the report says, and its exports the same.
func TestTheLinksOfMomentumListTheirCalls(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := open(t, db, func(d *api.Deps) {
			d.Now = func() time.Time { return deskNow }
			d.Reports = report.NewDesk(db, d.Now, slog.New(slog.DiscardHandler), nil)
		})
		drawCalls(t, db, h.account.ID)
		followed := map[string]bool{}
		for _, by := range []string{"source", "campaign", "agent"} {
			target := "/v1/reports/momentum?from=2026-02-01&until=2026-03-10&baseline=2026-01-01/2026-02-01&by=" + by
			m := h.ask(h.tokens[account.ReadOnly], "GET", target, "").is(200).json()
			links := map[string]string{}
			linksIn(m, links)
			segments := 0
			for link, want := range links {
				if strings.Contains(link, "segment=") {
					segments++
				}
				if followed[link] {
					continue
				}
				followed[link] = true
				ids := h.listed(link, 7+len(link)%9)
				if fmt.Sprint(len(ids)) != want || len(slices.Compact(slices.Sorted(slices.Values(ids)))) != len(ids) {
					t.Errorf("%s: got %v, want %s calls, each once", link, ids, want)
				}
				form := []string{"application/x-ndjson", "text/csv"}[len(ids)%2]
				if got := h.exported(link, form); !slices.Equal(got, ids) {
					t.Errorf("%s as %s: got %v, the list has %v", link, form, got, ids)
				}
			}
			if segments < 10 {
				t.Errorf("by %s: %d links of segments among %d", by, segments, len(links))
			}
		}
		for query, field := range map[string]string{
			"by=source&segment=mail": "momentum", "momentum=missed&by=source": "segment", "momentum=missed&segment=mail": "by",
			"momentum=repeats&by=source&segment=mail": "momentum", "momentum=missed&by=medium&segment=cpc": "by", "momentum=missed&baseline=base_1": "baseline",
		} {
			target := "/v1/calls?from=2026-01-01T00:00:00Z&until=2026-02-01T00:00:00Z&" + query
			for _, form := range []string{"application/json", "text/csv"} {
				if got := h.ask(h.tokens[account.Owner], "GET", target, "", "Accept", form).is(422).fields(); len(got) != 1 || !strings.Contains(got[0], field) {
					t.Errorf("%s as %s: got %v, want %s refused", query, form, got, field)
				}
			}
		}
	})
}
