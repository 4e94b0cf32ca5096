package attribution

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/callwheel/callwheel/store"
)

// maxLeases is how many leases of a number are looked at one by one. What may
// still come from holders before them is reckoned as a whole: see beyond.
const maxLeases = 250

// holderRow is a lease with what is known of its touch, its session and its
// visitor; the columns of those are empty when retention has forgotten them.
type holderRow struct {
	leaseRow
	SourceID string `db:"source_id"`
	Source   string `db:"source"`
	Medium   string `db:"medium"`
	Campaign string `db:"campaign"`
	Region   string `db:"region"`
	Device   string `db:"device"`
	Person   string `db:"person"`
	KnownAt  int64  `db:"known_at"`
}

// stream is one visitor to whom the number was shown: however often they came
// back, their last display before the call is what counts.
type stream struct {
	lease                              Lease
	since                              time.Duration // since the number was last before them
	onScreen                           bool
	sourceID, source, medium, campaign string
	region, device                     string
	person                             string // E.164 of whom the visitor was known to be
	knownAt                            int64  // when that was written down
	ratios                             []Ratio
	forgotten                          bool // since the call was judged, and it was not noted where they came from
}

// holds says whether the number was still this visitor's at t.
func (s stream) holds(t time.Time) bool { return t.Before(s.lease.Until) }

// key is what the source confidence is summed by: the same source through
// another medium is another place where money was spent.
func (s stream) key() string {
	return firstOf(s.sourceID, strings.ToLower(s.source)) + "\x00" + strings.ToLower(s.medium)
}

func holdersOfStreams(streams []stream) []Holder {
	list := make([]Holder, len(streams))
	for i, s := range streams {
		list[i] = Holder{Source: s.key(), OnScreen: s.onScreen, Since: s.since, Ratio: product(s.ratios)}
	}
	return list
}

func (s stream) candidate(weight float64) Candidate {
	return Candidate{
		VisitorID: s.lease.VisitorID, SessionID: s.lease.SessionID, LeaseID: s.lease.ID,
		SourceID: s.sourceID, Source: s.source, Medium: s.medium, Campaign: s.campaign, Weight: weight,
		ShownFrom: store.Micros(s.lease.From), LastShownAt: store.Micros(s.lease.LastBeatAt), OnScreen: s.onScreen, Ratios: s.ratios,
	}
}

// holders returns everybody to whom the number was shown before the call, the
// latest first, and the background: the calls per hour that are to be expected
// from everybody else.
func (j judge) holders(ctx context.Context) ([]stream, float64, error) {
	t := store.Micros(j.call.StartedAt)
	var rows []holderRow
	err := j.db.Select(ctx, &rows, holdersOf, j.call.AccountID, j.call.TrackingNumber, t, maxLeases, t, store.Micros(j.judgedAt))
	if err != nil {
		return nil, 0, fmt.Errorf("find holders: %w", err)
	}
	var streams []stream
	seen := map[string]int{}
	for n, r := range rows {
		i, ok := seen[r.VisitorID]
		switch {
		case !ok:
			seen[r.VisitorID] = len(streams)
			streams = append(streams, j.stream(r))
		case r.VisitorID == rows[n-1].VisitorID:
			streams[i].lease.From = r.From.Time // the same hold, turned over
		}
	}
	background := j.model.Background
	if len(rows) == maxLeases {
		background += j.model.beyond(len(streams), j.call.StartedAt.Sub(rows[len(rows)-1].From.Time))
	}
	return streams, background, nil
}

func (j judge) stream(r holderRow) stream {
	s := stream{
		lease: r.lease(), sourceID: r.SourceID, source: firstOf(r.Source, Direct), medium: firstOf(r.Medium, None), campaign: r.Campaign,
		region: r.Region, device: r.Device, person: r.Person, knownAt: r.KnownAt,
	}
	if old, noted := j.kept[r.VisitorID]; r.Source == "" && noted {
		s.sourceID, s.source, s.medium, s.campaign = old.SourceID, old.Source, old.Medium, old.Campaign
	} else if r.Source == "" && r.TouchID != "" {
		s.forgotten = j.kept != nil
	}
	if s.lease.LastBeatAt.After(j.call.StartedAt) {
		// A later beat of the same lease proves that the page was open all along.
		s.lease.LastBeatAt = j.call.StartedAt
	}
	s.onScreen = s.lease.Present(j.call.StartedAt)
	s.since = j.call.StartedAt.Sub(s.lease.LastBeatAt)
	return s
}

// beyond is the calls per hour of the holders before those that were looked at,
// if as many saw the number then as in the span that was: their rate × p × S(span).
func (d Delays) beyond(visitors int, span time.Duration) float64 {
	if span <= 0 {
		return 0
	}
	rate := float64(visitors) / span.Hours() * d.Propensity * d.Survival(span)
	return math.Min(rate, d.OnScreen)
}
