package attribution

import (
	"context"
	"fmt"
	"strings"

	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/telephony"
)

// pairing is something a call told that came together with something known of
// its visitor.
type pairing struct {
	kind        RatioKind
	told, given string
}

// told is what the call's number tells, by kind; "" for nothing.
func (j judge) told(kind RatioKind) string {
	switch {
	case j.call.CallerKind != telephony.CallerE164:
		return ""
	case kind == RatioArea:
		return telephony.Area(j.call.From)
	}
	return string(telephony.LineKindOf(j.call.From))
}

// given is what is known of a holder, by kind; "" for nothing.
func (s stream) given(kind RatioKind) string {
	if kind == RatioArea {
		return s.region
	}
	return s.device
}

var countedKinds = []RatioKind{RatioArea, RatioDevice}

// weighCounts adds the evidence that is counted: how much oftener calls of this
// area, or from this kind of line, came from visitors of the holder's region or
// device. Where one side is not known, or nothing was counted yet, there is none.
func (j judge) weighCounts(ctx context.Context, streams []stream) error {
	for _, kind := range countedKinds {
		var counts map[pairing]int64
		for i := range streams {
			s := &streams[i]
			if old, again := j.kept[s.lease.VisitorID]; again {
				s.ratios = append(s.ratios, kept(old, kind)...)
				continue
			}
			p := pairing{kind, "", s.given(kind)}
			if p.given == "" {
				continue
			}
			if p.told = j.told(kind); p.told == "" {
				break
			}
			if counts == nil {
				var err error
				if counts, err = readCounts(ctx, j.db, j.call.AccountID, kind, p.told); err != nil {
					return err
				}
			}
			if r := p.of(counts).ratio(); r != 1 {
				s.ratios = append(s.ratios, Ratio{kind, r})
			}
		}
	}
	return nil
}

// of picks the counts that a pairing is judged by.
func (p pairing) of(counts map[pairing]int64) together {
	return together{
		both: counts[p], told: counts[pairing{p.kind, p.told, ""}], given: counts[pairing{p.kind, "", p.given}],
		all: counts[pairing{p.kind, "", ""}], kinds: counts[pairing{kind: "kinds"}],
	}
}

func readCounts(ctx context.Context, q store.Querier, accountID string, kind RatioKind, told string) (map[pairing]int64, error) {
	var rows []struct {
		Told  string `db:"told"`
		Given string `db:"given"`
		Calls int64  `db:"calls"`
		Kinds int64  `db:"kinds"`
	}
	if err := q.Select(ctx, &rows, countsOfTold, accountID, string(kind), told); err != nil {
		return nil, fmt.Errorf("read counts of evidence: %w", err)
	}
	counts := map[pairing]int64{}
	for _, r := range rows {
		counts[pairing{kind, r.Told, r.Given}] = r.Calls
		counts[pairing{kind: "kinds"}] = r.Kinds
	}
	return counts, nil
}

// countable returns what the call teaches about areas and devices. Only calls
// whose visitor is sure without such evidence teach: evidence must not feed on
// itself.
func (j judge) countable(streams []stream, winner int, background float64) []pairing {
	var list []pairing
	for _, kind := range countedKinds {
		if given := streams[winner].given(kind); given != "" {
			if told := j.told(kind); told != "" {
				list = append(list, pairing{kind, told, given})
			}
		}
	}
	if len(list) == 0 {
		return nil
	}
	holders := holdersOfStreams(streams)
	for i, s := range streams {
		holders[i].Ratio = product(kept(Candidate{Ratios: s.ratios}, RatioPhone))
	}
	if j.model.Posterior(holders, background).Holders[winner] < highConfidence {
		return nil
	}
	return list
}

// count adds the pairings to the account's counts, always in the same order so
// that two calls at once never wait for each other in a circle.
func count(ctx context.Context, tx *store.Tx, accountID string, pairings []pairing) error {
	for _, p := range pairings {
		for _, one := range []pairing{{p.kind, "", ""}, {p.kind, "", p.given}, {p.kind, p.told, ""}, p} {
			if _, err := tx.Exec(ctx, addCount, accountID, string(one.kind), one.told, one.given); err != nil {
				return fmt.Errorf("count evidence: %w", err)
			}
		}
	}
	return nil
}

// region brings what was told of a visitor's place into one form: "US-IL", "IL";
// "" for what is no region.
func region(told string) string {
	r := strings.ToUpper(strings.TrimSpace(told))
	if len(r) < 2 || len(r) > 8 || strings.Trim(r, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") != "" {
		return ""
	}
	return r
}

// device says on what a page is viewed, as far as the browser tells: mobile or
// desktop.
func device(userAgent string) string {
	switch {
	case strings.Contains(userAgent, "Mobi"), strings.Contains(userAgent, "Android"):
		return "mobile"
	case strings.HasPrefix(userAgent, "Mozilla/"):
		return "desktop"
	}
	return ""
}
