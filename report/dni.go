package report

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/callwheel/callwheel/attribution"
	"github.com/callwheel/callwheel/store"
)

// DNI is the answer of the report about swapping: whether the numbers on the
// sites' pages are really replaced.
type DNI struct {
	Head
	Rows   []DNIRow  `json:"rows"`
	Totals DNITotals `json:"totals"`
}

// DNIRow is one page of a site. Its sums are of the range, its flag is of now.
type DNIRow struct {
	SiteID        string       `json:"site_id"`
	Site          string       `json:"site"`
	Page          string       `json:"page" doc:"The path of its address; (other) for all beyond the thousandth of a site"`
	Sessions      int64        `json:"sessions" doc:"That came to the page"`
	Found         int64        `json:"found" doc:"Places with a printed number"`
	Swapped       int64        `json:"swapped" doc:"Places on which another was shown"`
	Failed        []DNIFailure `json:"failed" doc:"Numbers that could not be swapped, by why"`
	LastSessionAt *string      `json:"last_session_at" format:"date-time"`
	LastSwappedAt *string      `json:"last_swapped_at" format:"date-time" doc:"Null: never"`
	Flag          *string      `json:"flag" enum:"swapped_nothing,no_number" doc:"swapped_nothing: no number was swapped for 24 hours while sessions went on. no_number: the same, but none of the printed numbers was ever seen on the page, and the site swaps elsewhere"`
}

// DNIFailure is how often numbers could not be swapped for one reason.
type DNIFailure struct {
	Why   string `json:"why" db:"why"`
	Count int64  `json:"count" db:"failed"`
}

// DNITotals are the sums over all pages.
type DNITotals struct {
	Sessions int64        `json:"sessions"`
	Found    int64        `json:"found"`
	Swapped  int64        `json:"swapped"`
	Failed   []DNIFailure `json:"failed"`
	Silent   int64        `json:"silent" doc:"Pages flagged swapped_nothing"`
}

type swapPageRow struct {
	SiteID        string     `db:"site_id"`
	Site          string     `db:"name"`
	Page          string     `db:"page"`
	LastSessionAt store.Time `db:"last_session_at"`
	LastSwappedAt int64      `db:"last_swapped_at"`
	SilentSince   int64      `db:"silent_since"`
	Numbered      bool       `db:"numbered"`
	SiteSwappedAt int64      `db:"site_swapped_at"`
	Sessions      int64      `db:"sessions"`
	Found         int64      `db:"found"`
	Swapped       int64      `db:"swapped"`
}

// Every page with its sums; pages without any in the range are shown when they
// are to be flagged.
const swapPageSums = `
SELECT p.site_id, s.name, p.page, p.last_session_at, p.last_swapped_at, p.silent_since, p.numbered,
    (SELECT coalesce(max(o.last_swapped_at), 0) FROM swap_pages o WHERE o.account_id = p.account_id AND o.site_id = p.site_id) AS site_swapped_at,
    coalesce(sum(d.sessions), 0) AS sessions, coalesce(sum(d.found), 0) AS found, coalesce(sum(d.swapped), 0) AS swapped
FROM swap_pages p
JOIN sites s ON s.account_id = p.account_id AND s.site_id = p.site_id AND s.retired_at IS NULL
LEFT JOIN swap_days d ON d.account_id = p.account_id AND d.site_id = p.site_id AND d.page = p.page AND d.day >= ? AND d.day < ?
WHERE p.account_id = ?
GROUP BY p.account_id, p.site_id, s.name, p.page, p.last_session_at, p.last_swapped_at, p.silent_since, p.numbered
ORDER BY s.name, p.site_id, p.page`

const swapFailureSums = `
SELECT site_id, page, why, sum(failed) AS failed
FROM swap_failures
WHERE account_id = ? AND day >= ? AND day < ?
GROUP BY site_id, page, why
ORDER BY site_id, page, why`

// DNI answers how swapping goes on the pages of the account's sites. Of the
// query only the range and the zone are used; days are those of the account's
// zone, each counted where it begins. Errors as for Attribution.
func (d *Desk) DNI(ctx context.Context, q Query) (*DNI, error) {
	var answer *DNI
	q = Query{AccountID: q.AccountID, From: q.From, Until: q.Until, TZ: q.TZ}
	err := d.ask(ctx, "dni", q, func(ctx context.Context, db store.Querier, qu question) error {
		from, until := store.Micros(qu.period.From), store.Micros(qu.period.Until)
		var pages []swapPageRow
		if err := db.Select(ctx, &pages, swapPageSums, from, until, qu.AccountID); err != nil {
			return fmt.Errorf("read pages: %w", err)
		}
		var failures []struct {
			SiteID string `db:"site_id"`
			Page   string `db:"page"`
			DNIFailure
		}
		if err := db.Select(ctx, &failures, swapFailureSums, qu.AccountID, from, until); err != nil {
			return fmt.Errorf("read failures: %w", err)
		}
		byPage := map[[2]string][]DNIFailure{}
		for _, f := range failures {
			key := [2]string{f.SiteID, f.Page}
			byPage[key] = append(byPage[key], f.DNIFailure)
		}
		now := d.now()
		answer = &DNI{Head: head("dni", qu.period, qu.account.Currency, now, dniFigures), Rows: []DNIRow{}, Totals: DNITotals{Failed: []DNIFailure{}}}
		for _, p := range pages {
			answer.add(p.row(byPage[[2]string{p.SiteID, p.Page}], now))
		}
		return nil
	})
	return answer, err
}

// row is the page with what its state means now.
func (p swapPageRow) row(failed []DNIFailure, now time.Time) DNIRow {
	state := attribution.SwapPage{
		LastSessionAt: p.LastSessionAt.Time, LastSwappedAt: momentOf(p.LastSwappedAt), SilentSince: momentOf(p.SilentSince), Numbered: p.Numbered,
	}
	last := instant(p.LastSessionAt.Time)
	r := DNIRow{
		SiteID: p.SiteID, Site: p.Site, Page: p.Page, Sessions: p.Sessions, Found: p.Found, Swapped: p.Swapped,
		Failed: append([]DNIFailure{}, failed...), LastSessionAt: &last,
	}
	if state.LastSwappedAt != nil {
		text := instant(*state.LastSwappedAt)
		r.LastSwappedAt = &text
	}
	if flag := state.Flag(momentOf(p.SiteSwappedAt), now); flag != "" {
		r.Flag = &flag
	}
	return r
}

// momentOf is an instant, nil for 0.
func momentOf(us int64) *time.Time {
	if us == 0 {
		return nil
	}
	t := time.UnixMicro(us).UTC()
	return &t
}

// add adds a page that has something to say.
func (a *DNI) add(r DNIRow) {
	if r.Sessions == 0 && r.Found == 0 && r.Swapped == 0 && len(r.Failed) == 0 && r.Flag == nil {
		return
	}
	a.Rows = append(a.Rows, r)
	t := &a.Totals
	t.Sessions, t.Found, t.Swapped = t.Sessions+r.Sessions, t.Found+r.Found, t.Swapped+r.Swapped
	if r.Flag != nil && *r.Flag == attribution.SwappedNothing {
		t.Silent++
	}
	for _, f := range r.Failed {
		t.fail(f)
	}
}

func (t *DNITotals) fail(f DNIFailure) {
	for i := range t.Failed {
		if t.Failed[i].Why == f.Why {
			t.Failed[i].Count += f.Count
			return
		}
	}
	t.Failed = append(t.Failed, f)
}

// Table returns the report as a table.
func (a *DNI) Table() Table {
	t := Table{Title: "Swapping", Rows: [][]string{}, Facts: a.facts(), Columns: []Column{
		{"site", true},
		{"page", true},
		{Name: "sessions"},
		{Name: "found"},
		{Name: "swapped"},
		{"failed", true},
		{"last_session_at", true},
		{"last_swapped_at", true},
		{"flag", true},
	}}
	for _, r := range a.Rows {
		t.Rows = append(t.Rows, []string{
			r.Site, r.Page, countText(r.Sessions), countText(r.Found), countText(r.Swapped), failureText(r.Failed),
			textOrNone(r.LastSessionAt), textOrNone(r.LastSwappedAt), textOrNone(r.Flag),
		})
	}
	t.Totals = []string{
		"total", " ", countText(a.Totals.Sessions), countText(a.Totals.Found), countText(a.Totals.Swapped), failureText(a.Totals.Failed),
		" ", " ", " ",
	}
	return t
}

// failureText writes reasons as "input=2; noswap=1".
func failureText(list []DNIFailure) string {
	texts := make([]string, len(list))
	for i, f := range list {
		texts[i] = f.Why + "=" + countText(f.Count)
	}
	return strings.Join(texts, "; ")
}

func textOrNone(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}
