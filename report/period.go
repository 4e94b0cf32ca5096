package report

import (
	"fmt"
	"strings"
	"time"

	"github.com/callwheel/callwheel"
)

// Period is a half-open range of instants, [From, Until), seen in a zone. Its
// days are the zone's calendar days: a day may have 23 or 25 hours.
type Period struct {
	From, Until time.Time
	Zone        *time.Location
}

// Days returns the elapsed length in units of 24 hours: a New York March has
// 743 hours, so 30.958333 days. This is the D of momentum.
func (p Period) Days() float64 { return p.Until.Sub(p.From).Hours() / 24 }

// micros is the period as databases have it.
func (p Period) micros() span64 { return span64{p.From.UnixMicro(), p.Until.UnixMicro()} }

// contains says whether the instant (BIGINT micros) lies in the period.
func (p Period) contains(us int64) bool {
	return us >= p.From.UnixMicro() && us < p.Until.UnixMicro()
}

// dateFormat is how a calendar date is written everywhere.
const dateFormat = "2006-01-02"

// The years that dates and ends of ranges may lie in: beyond them are typing
// mistakes.
const firstYear, lastYear = 1900, 2999

// parseDate reads YYYY-MM-DD as a date without a zone: midnight UTC stands for
// it in calendar arithmetic only. Errors have kind Invalid and say what is allowed.
func parseDate(text string) (time.Time, error) {
	d, err := time.Parse(dateFormat, text)
	if err != nil {
		return time.Time{}, callwheel.Errorf(callwheel.Invalid, "must be a date such as 2026-01-31")
	}
	return d, checkYear(d)
}

func checkYear(t time.Time) error {
	if t.Year() < firstYear || t.Year() > lastYear {
		return callwheel.Errorf(callwheel.Invalid, "must lie in the years %d to %d", firstYear, lastYear)
	}
	return nil
}

// dateOf returns the calendar date of an instant in a zone, as parseDate would.
func dateOf(t time.Time, zone *time.Location) time.Time {
	y, m, d := t.In(zone).Date()
	return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
}

// dayStart returns the first instant of a date in a zone. Where the clocks skip
// midnight it is the instant of the change; where midnight comes twice it is
// the first one.
func dayStart(date time.Time, zone *time.Location) time.Time {
	y, m, d := date.Date()
	guess := time.Date(y, m, d, 0, 0, 0, 0, zone)
	start, end := guess.ZoneBounds()
	var first time.Time
	for _, near := range []time.Time{guess, start.Add(-time.Second), end} {
		if near.IsZero() {
			continue
		}
		_, offset := near.In(zone).Zone()
		t := date.Add(-time.Duration(offset) * time.Second).In(zone)
		if ty, tm, td := t.Date(); ty != y || tm != m || td != d || t.Hour() != 0 || t.Minute() != 0 {
			continue
		}
		if first.IsZero() || t.Before(first) {
			first = t
		}
	}
	switch {
	case !first.IsZero():
		return first.UTC()
	case dateOf(guess, zone).Before(date):
		return end.UTC()
	}
	return start.UTC()
}

// days lists the dates whose day begins inside the period. A date belongs to
// exactly one of any chain of neighbouring periods, which is what makes spend
// add up; for a period cut at midnights these are simply its days.
func (p Period) days() []time.Time {
	var list []time.Time
	for d := dateOf(p.From, p.Zone); ; d = d.AddDate(0, 0, 1) {
		start := dayStart(d, p.Zone)
		if !start.Before(p.Until) {
			return list
		}
		if !start.Before(p.From) {
			list = append(list, d)
		}
	}
}

// weeks cuts the period into parts of seven times 24 hours, the last one shorter:
// so much is read at a time.
func (p Period) weeks() []Period {
	var list []Period
	for from := p.From; from.Before(p.Until); {
		one := Period{From: from, Until: from.Add(7 * 24 * time.Hour), Zone: p.Zone}
		if one.Until.After(p.Until) {
			one.Until = p.Until
		}
		list = append(list, one)
		from = one.Until
	}
	return list
}

// Unit is a calendar unit that a range is cut into.
type Unit string

// The units. Whole leaves the range in one piece.
const (
	ByDay   Unit = "day"
	ByWeek  Unit = "week" // Monday to Sunday, ISO 8601
	ByMonth Unit = "month"
	Whole   Unit = "whole"
)

// Cut divides the period at the zone's calendar bounds. The first and the last
// piece may be shorter than a whole unit.
func (p Period) Cut(unit Unit) []Period {
	if unit == Whole || unit == "" {
		return []Period{p}
	}
	var list []Period
	from := p.From
	for from.Before(p.Until) {
		until := dayStart(nextBound(dateOf(from, p.Zone), unit), p.Zone)
		if until.After(p.Until) {
			until = p.Until
		}
		list = append(list, Period{From: from, Until: until, Zone: p.Zone})
		from = until
	}
	return list
}

func nextBound(date time.Time, unit Unit) time.Time {
	switch unit {
	case ByWeek:
		return weekStart(date).AddDate(0, 0, 7)
	case ByMonth:
		return time.Date(date.Year(), date.Month()+1, 1, 0, 0, 0, 0, time.UTC)
	}
	return date.AddDate(0, 0, 1)
}

func weekStart(date time.Time) time.Time {
	return date.AddDate(0, 0, -(int(date.Weekday())+6)%7)
}

// weekName is the ISO 8601 week of a date: "2026-W09".
func weekName(date time.Time) string {
	y, w := date.ISOWeek()
	return fmt.Sprintf("%04d-W%02d", y, w)
}

// bound reads one end of a range: an instant (RFC 3339) or a date, which means
// the first instant of that day in the zone. Errors have kind Invalid and say what
// is allowed.
func bound(text string, zone *time.Location) (time.Time, error) {
	if d, err := time.Parse(dateFormat, text); err == nil {
		if err := checkYear(d); err != nil {
			return time.Time{}, err
		}
		return dayStart(d, zone), nil
	}
	// A plus sign that a query did not escape arrives as a space.
	t, err := time.Parse(time.RFC3339Nano, strings.Replace(text, " ", "+", 1))
	if err != nil {
		return time.Time{}, callwheel.Errorf(callwheel.Invalid, "must be a date such as 2026-01-31 or an instant such as 2026-01-31T09:00:00Z")
	}
	if err := checkYear(t); err != nil {
		return time.Time{}, err
	}
	return t.UTC().Truncate(time.Microsecond), nil
}

// Bounds reads the ends of the range of a list as reports read theirs, in the zone
// whose days are meant; an end that is not given is the zero time. Errors have kind
// Invalid and name from or until.
func Bounds(from, until string, zone *time.Location) (start, end time.Time, err error) {
	var bad []callwheel.FieldError
	read := func(field, text string) (t time.Time) {
		if text == "" {
			return t
		}
		t, err := bound(text, zone)
		if err != nil {
			bad = append(bad, callwheel.FieldError{Field: field, Message: err.Error()})
		}
		return t
	}
	start, end = read("from", from), read("until", until)
	if len(bad) == 0 && from != "" && until != "" && !start.Before(end) {
		bad = append(bad, callwheel.FieldError{Field: "until", Message: "must be after from"})
	}
	return start, end, callwheel.InvalidFields(bad)
}

// instant writes an instant as every answer does: RFC 3339, UTC, microseconds.
func instant(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000Z") }

func clip(s string) string {
	if r := []rune(s); len(r) > 40 {
		return string(r[:40]) + "…"
	}
	return s
}
