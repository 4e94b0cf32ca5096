package report

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/attribution"
)

// Dimension is something that rows can be grouped or filtered by.
type Dimension string

// The dimensions. The first six come from the touch that receives credit (for
// counts of calls: from the call's attribution), the next five from the call,
// the last three from the moment.
const (
	Source         Dimension = "source"
	Medium         Dimension = "medium"
	Campaign       Dimension = "campaign"
	Term           Dimension = "term"
	Content        Dimension = "content"
	LandingPage    Dimension = "landing_page"
	TrackingNumber Dimension = "tracking_number"
	Pool           Dimension = "pool"
	AgentName      Dimension = "agent"
	Tag            Dimension = "tag"
	HourOfWeek     Dimension = "hour_of_week" // "Mon 09": the hour from 09:00 in the report's zone
	Day            Dimension = "day"          // "2026-03-08"
	Week           Dimension = "week"         // "2026-W10", ISO 8601
	Month          Dimension = "month"        // "2026-03"
)

// Dimensions lists every dimension.
var Dimensions = []Dimension{
	Source, Medium, Campaign, Term, Content, LandingPage, TrackingNumber, Pool,
	AgentName, Tag, HourOfWeek, Day, Week, Month,
}

// ofSpend says whether money spent can be told apart by the dimension.
func (d Dimension) ofSpend() bool {
	switch d {
	case Source, Medium, Campaign, Day, Week, Month:
		return true
	}
	return false
}

// ofTime says whether the dimension is a moment rather than a name.
func (d Dimension) ofTime() bool {
	switch d {
	case HourOfWeek, Day, Week, Month:
		return true
	}
	return false
}

// ParseDimensions reads "source,campaign".
func ParseDimensions(text string) []Dimension {
	var list []Dimension
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			list = append(list, Dimension(part))
		}
	}
	return list
}

// Goal is what credit is given for.
type Goal string

// The goals. A person becomes a lead, and qualified, once; may buy many times.
const (
	ForCall      Goal = "call"
	ForLead      Goal = "lead"
	ForQualified Goal = "qualified"
	ForSale      Goal = "sale"
)

var goals = []Goal{ForCall, ForLead, ForQualified, ForSale}

// Reading is how an uncertain call is credited.
type Reading string

// The readings. Winner gives a call to its winning source when its confidence
// is at least 0.7 and to untracked otherwise; Expected gives each candidate
// its own weight and the rest to untracked.
const (
	Winner   Reading = "winner"
	Expected Reading = "expected"
)

// The rows that are no source: credit is never lost and never invented.
const (
	NoneRow      = "(none)"      // nothing of the kind is known
	ReturningRow = "(returning)" // a person who converted before and came back without a new touch
	UntrackedRow = "untracked"   // a call that nobody we know of made
)

const (
	defaultWindowDays = 90
	maxWindowDays     = 3650
	maxRangeDays      = 3700
)

// Models lists the names that a query may give as its model.
func Models() []string { return append(attribution.Models(), StoredWinner) }

// Query is one question. The zero value of a field means its default; only
// AccountID is required. From and Until are instants (RFC 3339) or dates (the
// first instant of that day in TZ); the range is half-open.
type Query struct {
	AccountID  string
	From       string // default: 30 days before Until
	Until      string // default: the end of today in the account's zone
	TZ         string // IANA zone whose days are meant; default: the account's
	GroupBy    []Dimension
	Model      string // default last_non_direct
	With       attribution.Params
	Compare    string // a second model, whose figures stand beside; "" for none
	CompareTo  attribution.Params
	Origin     bool // tell first, repeat and referred purchases by where the person came from
	CreditFor  Goal // default call; sale for ROI
	WindowDays int  // look-back, default 90
	Reading    Reading
	Filters    map[Dimension]string // only what has this name in the dimension, whatever the case

	oneByOne bool // neither prepared days nor sums of the database: what tests compare those with
}

// question is a Query that was understood, with every default filled in.
type question struct {
	Query
	zone    *time.Location
	period  Period
	model   attribution.Model
	second  *attribution.Model // to compare with; nil for none
	window  time.Duration
	account account
	today   time.Time // the date in the account's zone
}

// check refuses a query that cannot be answered, before any SQL exists. Errors
// have kind Invalid and name the fields.
func (q *Query) check() (model attribution.Model, second *attribution.Model, err error) {
	var bad []callwheel.FieldError
	refuse := func(field, format string, args ...any) {
		bad = append(bad, callwheel.FieldError{Field: field, Message: fmt.Sprintf(format, args...)})
	}
	seen := map[Dimension]bool{}
	for _, d := range q.GroupBy {
		switch {
		case !slices.Contains(Dimensions, d):
			refuse("group_by", "%q is not a dimension; there are %s", clip(string(d)), join(Dimensions))
		case seen[d]:
			refuse("group_by", "%s is named twice", d)
		}
		seen[d] = true
	}
	for d := range q.Filters {
		if !slices.Contains(Dimensions, d) || d.ofTime() {
			refuse(string(d), "cannot be filtered by")
		}
	}
	model, second, refused := q.models()
	bad = append(bad, refused...)
	if q.CreditFor == "" {
		q.CreditFor = ForCall
	}
	if !slices.Contains(goals, q.CreditFor) {
		refuse("credit_for", "must be one of %s", join(goals))
	}
	if q.Reading == "" {
		q.Reading = Winner
	}
	if q.Reading != Winner && q.Reading != Expected {
		refuse("reading", "must be winner or expected")
	}
	if q.Reading == Expected && (q.Model == StoredWinner || q.Compare == StoredWinner) {
		refuse("reading", "must be winner with the model %s", StoredWinner)
	}
	if q.WindowDays == 0 {
		q.WindowDays = defaultWindowDays
	}
	if q.WindowDays < 1 || q.WindowDays > maxWindowDays {
		refuse("window_days", "must be from 1 to %d", maxWindowDays)
	}
	bad = append(bad, checkRange(q.From, q.Until, q.TZ)...)
	return model, second, callwheel.InvalidFields(bad)
}

// checkRange refuses bounds and zones that cannot be read.
func checkRange(from, until, tz string) []callwheel.FieldError {
	var bad []callwheel.FieldError
	zone := time.UTC
	if tz != "" {
		loaded, err := loadZone(tz)
		if err != nil {
			bad = append(bad, callwheel.FieldError{Field: "tz", Message: err.Error()})
		} else {
			zone = loaded
		}
	}
	for _, end := range []struct{ field, text string }{{"from", from}, {"until", until}} {
		if end.text == "" {
			continue
		}
		if _, err := bound(end.text, zone); err != nil {
			bad = append(bad, callwheel.FieldError{Field: end.field, Message: err.Error()})
		}
	}
	return bad
}

func loadZone(name string) (*time.Location, error) {
	if name == "Local" {
		return nil, callwheel.Errorf(callwheel.Invalid, "%q is not an IANA time zone such as America/New_York", name)
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, callwheel.Errorf(callwheel.Invalid, "%q is not an IANA time zone such as America/New_York", clip(name))
	}
	return zone, nil
}

// span works the range out once the account's zone is known.
func span(from, until, tz string, home *time.Location, now time.Time) (Period, error) {
	zone := home
	if tz != "" {
		loaded, err := loadZone(tz)
		if err != nil {
			return Period{}, callwheel.InvalidField("tz", "%v", err)
		}
		zone = loaded
	}
	p := Period{Zone: zone, Until: dayStart(dateOf(now, home).AddDate(0, 0, 1), home)}
	var err error
	if until != "" {
		if p.Until, err = bound(until, zone); err != nil {
			return Period{}, callwheel.InvalidField("until", "%v", err)
		}
	}
	p.From = dayStart(dateOf(p.Until.Add(-time.Microsecond), home).AddDate(0, 0, -29), home)
	if from != "" {
		if p.From, err = bound(from, zone); err != nil {
			return Period{}, callwheel.InvalidField("from", "%v", err)
		}
	}
	switch {
	case !p.From.Before(p.Until):
		return Period{}, callwheel.InvalidField("from", "must be before until (%s)", instant(p.Until))
	case p.Days() > maxRangeDays:
		return Period{}, callwheel.InvalidField("from", "the range has more than %d days", maxRangeDays)
	}
	return p, nil
}

func join[T ~string](list []T) string {
	texts := make([]string, len(list))
	for i, v := range list {
		texts[i] = string(v)
	}
	return strings.Join(texts, ", ")
}
