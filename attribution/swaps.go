package attribution

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/callwheel/callwheel/store"
)

// Bounds of what is kept about the pages of a site.
const (
	maxPages        = 1000 // of a site; what comes later is counted as OtherPages
	maxSessionPages = 30   // of a session; what comes later is not counted
	maxPagePath     = 200  // characters
	swapMemory      = 400 * day
)

// OtherPages stands for all pages of a site beyond the first thousand.
const OtherPages = "(other)"

// SilentAfter is how long a page may swap nothing, while sessions go on, before
// that is an alarm.
const SilentAfter = 24 * time.Hour

// What is wrong with a page's swapping.
const (
	SwappedNothing = "swapped_nothing" // sessions went on for SilentAfter and no number was swapped
	NoNumber       = "no_number"       // the same, but none of the printed numbers was ever seen on it
)

// swapReasons are the codes with which the script says why it did not replace a
// number. Another word is kept as "other".
var swapReasons = []string{"input", "noswap", "format", "rewritten", "late", "no_target", "overflow", "excluded", "no_consent", "bot"}

// SwapPage is how a page stands: when sessions were on it and when a number was
// last swapped.
type SwapPage struct {
	SiteID        string
	Page          string     // path of the address
	LastSessionAt time.Time  // when the last session came to it
	LastSwappedAt *time.Time // nil: never
	SilentSince   *time.Time // first session since the last swap; nil: none
	Numbered      bool       // a printed number was seen on it
}

// Flag says what is wrong with the page at now, "" when nothing is. siteSwapped
// is when any page of its site last swapped a number, nil for never: where a
// whole site has stopped, a page without a number is part of the alarm.
func (p SwapPage) Flag(siteSwapped *time.Time, now time.Time) string {
	limit := now.Add(-SilentAfter)
	if p.SilentSince == nil || p.SilentSince.After(limit) || !p.LastSessionAt.After(limit) {
		return ""
	}
	if p.Numbered || siteSwapped == nil || !siteSwapped.After(limit) {
		return SwappedNothing
	}
	return NoNumber
}

// pageCounts is what a session told of one page.
type pageCounts struct {
	Found   int            `json:"f,omitempty"`
	Swapped int            `json:"s,omitempty"`
	Failed  map[string]int `json:"w,omitempty"` // by why
}

// sessionPages is what was counted of a session's pages already.
type sessionPages struct {
	At    string                `json:"at"` // the page that was viewed last
	Pages map[string]pageCounts `json:"pages"`
}

// pagePath returns what is kept of a page's address: its path.
func pagePath(page string) string {
	u := readURL(page)
	if u.Path == "" {
		if _, err := url.Parse(page); err != nil || page == "" {
			return ""
		}
		return "/"
	}
	return cleanText(u.Path, maxPagePath)
}

// more returns what the page tells now beyond what was counted before. Pages
// tell totals, and tell them again and again.
func (c pageCounts) more(before pageCounts) pageCounts {
	d := pageCounts{Found: max(0, c.Found-before.Found), Swapped: max(0, c.Swapped-before.Swapped), Failed: map[string]int{}}
	for why, n := range c.Failed {
		if n > before.Failed[why] {
			d.Failed[why] = n - before.Failed[why]
		}
	}
	return d
}

// plus adds what more returned.
func (c pageCounts) plus(d pageCounts) pageCounts {
	sum := pageCounts{Found: c.Found + d.Found, Swapped: c.Swapped + d.Swapped, Failed: maps.Clone(c.Failed)}
	for why, n := range d.Failed {
		if sum.Failed == nil {
			sum.Failed = map[string]int{}
		}
		sum.Failed[why] += n
	}
	return sum
}

func (c pageCounts) none() bool { return c.Found == 0 && c.Swapped == 0 && len(c.Failed) == 0 }

// failures counts the reasons that a page told.
func failures(whys []string) map[string]int {
	counts := map[string]int{}
	for _, why := range whys[:min(len(whys), maxPageNumbers)] {
		if !slices.Contains(swapReasons, why) {
			why = "other"
		}
		counts[why]++
	}
	return counts
}

// notePage keeps what a session tells of a page: that it came to it (a visit),
// or what was swapped on it (a beat). page "" is the page of the last visit.
// Counting is by session and page, so a page that is loaded or told of twice
// counts once.
func notePage(ctx context.Context, tx *store.Tx, site Site, sessionID, page string, told pageCounts, now time.Time) error {
	var text string
	if err := tx.Get(ctx, &text, pagesOfSession, site.AccountID, sessionID); err != nil {
		return fmt.Errorf("read pages of session: %w", err)
	}
	var seen sessionPages
	if text != "" && json.Unmarshal([]byte(text), &seen) != nil {
		seen = sessionPages{}
	}
	if seen.Pages == nil {
		seen.Pages = map[string]pageCounts{}
	}
	if page == "" {
		page = seen.At
	}
	before, known := seen.Pages[page]
	more := told.more(before)
	if page == "" || known && more.none() && seen.At == page || !known && len(seen.Pages) >= maxSessionPages {
		return nil
	}
	seen.At, seen.Pages[page] = page, before.plus(more)
	kept, err := json.Marshal(seen)
	if err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, keepPagesOfSession, string(kept), site.AccountID, sessionID); err != nil {
		return fmt.Errorf("keep pages of session: %w", err)
	}
	if known && more.none() {
		return nil
	}
	return countPage(ctx, tx, site, page, !known, more, now)
}

// countPage adds to a page and its day.
func countPage(ctx context.Context, tx *store.Tx, site Site, page string, arrived bool, more pageCounts, now time.Time) error {
	at := store.Micros(now)
	page, err := admitPage(ctx, tx, site, page, at)
	if err != nil {
		return err
	}
	if arrived {
		if _, err := tx.Exec(ctx, arriveAtPage, at, at, site.AccountID, site.ID, page); err != nil {
			return fmt.Errorf("count page: %w", err)
		}
	}
	if more.Found > 0 {
		if _, err := tx.Exec(ctx, numberOnPage, site.AccountID, site.ID, page); err != nil {
			return fmt.Errorf("count page: %w", err)
		}
	}
	if more.Swapped > 0 {
		if _, err := tx.Exec(ctx, swapOnPage, at, site.AccountID, site.ID, page); err != nil {
			return fmt.Errorf("count page: %w", err)
		}
	}
	sessions := 0
	if arrived {
		sessions = 1
	}
	today := store.Micros(firstInstant(now, site.zone))
	if _, err := tx.Exec(ctx, addSwapDay, site.AccountID, site.ID, page, today, sessions, more.Found, more.Swapped); err != nil {
		return fmt.Errorf("count page: %w", err)
	}
	for _, why := range slices.Sorted(maps.Keys(more.Failed)) {
		if _, err := tx.Exec(ctx, addSwapFailure, site.AccountID, site.ID, page, today, why, more.Failed[why]); err != nil {
			return fmt.Errorf("count page: %w", err)
		}
	}
	return nil
}

// admitPage makes sure that the page has its row, or that of the others when
// the site has too many.
func admitPage(ctx context.Context, tx *store.Tx, site Site, page string, at int64) (string, error) {
	var n int
	if err := tx.Get(ctx, &n, pageKnown, site.AccountID, site.ID, page); err != nil {
		return "", fmt.Errorf("count page: %w", err)
	}
	if n > 0 {
		return page, nil
	}
	if err := tx.Get(ctx, &n, pagesOfSite, site.AccountID, site.ID); err != nil {
		return "", fmt.Errorf("count page: %w", err)
	}
	if n >= maxPages {
		page = OtherPages
	}
	if _, err := tx.Exec(ctx, addSwapPage, site.AccountID, site.ID, page, at, at); err != nil {
		return "", fmt.Errorf("count page: %w", err)
	}
	return page, nil
}

// firstInstant returns the first instant of the day in the zone.
func firstInstant(now time.Time, zone *time.Location) time.Time {
	if zone == nil {
		zone = time.UTC
	}
	y, m, d := now.In(zone).Date()
	return time.Date(y, m, d, 0, 0, 0, 0, zone)
}

// WatchSwaps counts the pages that have swapped nothing for SilentAfter while
// sessions went on (the metric callwheel_attribution_dni_silent_pages), and
// removes what is older than 400 days. It returns how many rows it removed; it
// is a step for the job table.
func (l *Ledger) WatchSwaps(ctx context.Context, now time.Time) (int, error) {
	limit := store.Micros(now.Add(-SilentAfter))
	var silent int64
	if err := l.db.Get(ctx, &silent, silentPages, limit, limit, limit); err != nil {
		return 0, fmt.Errorf("watch swaps: %w", err)
	}
	l.metrics.silentPages.Set(float64(silent))
	removed := int64(0)
	before := store.Micros(now.Add(-swapMemory))
	err := l.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		removed = 0
		for _, statement := range []string{trimSwapFailures, trimSwapDays, trimSwapPages} {
			n, err := tx.Exec(ctx, statement, before)
			if err != nil {
				return err
			}
			removed += n
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("watch swaps: %w", err)
	}
	return int(removed), nil
}

// Withdraw forgets a visitor who takes consent back: who it was, its sessions
// and where it came from. A visitor who has called stays, as the call does. An
// id that is unknown, or another site's, is no error.
func (l *Ledger) withdraw(ctx context.Context, site Site, visitorID string, now time.Time) error {
	if visitorID == "" {
		return nil
	}
	return l.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		var called int
		if err := tx.Get(ctx, &called, callsOfVisitor, site.AccountID, visitorID); err != nil || called > 0 {
			return err
		}
		n, err := tx.Exec(ctx, deleteVisitor, site.AccountID, visitorID, store.Micros(now)+1)
		if err != nil || n == 0 {
			return err
		}
		for _, statement := range forgetStatements {
			if _, err := tx.Exec(ctx, statement, site.AccountID, visitorID); err != nil {
				return err
			}
		}
		l.metrics.forgotten.Inc()
		return nil
	})
}

// cookieLimit is the longest that a site may recognise a browser: thirteen
// months.
const cookieLimit = 395

// Which of Google's kinds of storage must be granted before anything is stored.
const (
	ConsentModeIgnored   = "ignored"
	ConsentModeAnalytics = "analytics_storage"
	ConsentModeAds       = "ad_storage"
)

// Script is how the browser's script shall behave on a site.
type Script struct {
	CookieDays  int64  // how long a browser is recognised; 1 to 395
	Cookieless  bool   // nothing is kept beyond the browser's tab
	RespectDNT  bool   // Do Not Track counts as a refusal
	ConsentMode string // which of Google's consent signals must be granted: ignored, analytics_storage, ad_storage
}

func (s *Script) check(bad *fields) {
	bad.within("cookie_days", s.CookieDays, 1, cookieLimit)
	if !slices.Contains([]string{ConsentModeIgnored, ConsentModeAnalytics, ConsentModeAds}, s.ConsentMode) {
		bad.add("consent_mode", "must be %s", strings.Join([]string{ConsentModeIgnored, ConsentModeAnalytics, ConsentModeAds}, ", "))
	}
}
