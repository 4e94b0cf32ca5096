package report

import (
	"testing"
	"time"
	_ "time/tzdata"
)

func zoneOf(t testing.TB, name string) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

func TestElapsedDaysOfAMonthAreThoseOfTheClock(t *testing.T) {
	for _, c := range []struct {
		zone  string
		month time.Month
		hours float64
	}{
		{"America/New_York", time.March, 743},
		{"Europe/Berlin", time.October, 745},
		{"Australia/Lord_Howe", time.April, 720.5},
		{"UTC", time.March, 744},
	} {
		zone := zoneOf(t, c.zone)
		p := Period{
			From:  dayStart(time.Date(2025, c.month, 1, 0, 0, 0, 0, time.UTC), zone),
			Until: dayStart(time.Date(2025, c.month+1, 1, 0, 0, 0, 0, time.UTC), zone),
			Zone:  zone,
		}
		if got := p.Days() * 24; got != c.hours {
			t.Errorf("%s: got %v hours, want %v", c.zone, got, c.hours)
		}
		if got, want := len(p.days()), int(p.Days()+0.5); got != want {
			t.Errorf("%s: got %d dates, want %d", c.zone, got, want)
		}
	}
}

func TestADayBeginsAtItsFirstInstant(t *testing.T) {
	for _, c := range []struct{ zone, date, want string }{
		{"America/New_York", "2025-03-09", "2025-03-09T05:00:00.000000Z"},
		{"America/New_York", "2025-03-10", "2025-03-10T04:00:00.000000Z"},
		{"America/Sao_Paulo", "2018-11-04", "2018-11-04T03:00:00.000000Z"}, // midnight was skipped
		{"America/Havana", "2025-11-02", "2025-11-02T04:00:00.000000Z"},    // midnight came twice: the first
		{"Africa/Cairo", "2025-04-25", "2025-04-24T22:00:00.000000Z"},      // skipped again
	} {
		date, err := parseDate(c.date)
		if err != nil {
			t.Fatal(err)
		}
		if got := instant(dayStart(date, zoneOf(t, c.zone))); got != c.want {
			t.Errorf("%s in %s: got %s, want %s", c.date, c.zone, got, c.want)
		}
	}
}

func TestDaysFollowEachOtherWithoutGapInEveryZone(t *testing.T) {
	for _, name := range []string{"America/New_York", "America/Sao_Paulo", "Africa/Cairo", "Asia/Beirut", "Australia/Lord_Howe", "America/Havana", "Asia/Tehran", "Europe/Berlin"} {
		zone := zoneOf(t, name)
		date := time.Date(2015, 1, 1, 0, 0, 0, 0, time.UTC)
		for ; date.Year() < 2026; date = date.AddDate(0, 0, 1) {
			start := dayStart(date, zone)
			if got := dateOf(start, zone); !got.Equal(date) {
				t.Fatalf("%s: the day %s begins on %s", name, date.Format(dateFormat), got.Format(dateFormat))
			}
			if got := dateOf(start.Add(-time.Microsecond), zone); !got.Before(date) {
				t.Fatalf("%s: %s began before %s", name, date.Format(dateFormat), start)
			}
		}
	}
}

func TestARangeIsCutAtCalendarBounds(t *testing.T) {
	zone := zoneOf(t, "America/New_York")
	day := func(text string) time.Time {
		d, err := parseDate(text)
		if err != nil {
			t.Fatal(err)
		}
		return dayStart(d, zone)
	}
	p := Period{From: day("2025-02-26"), Until: day("2025-03-12"), Zone: zone}
	for unit, want := range map[Unit][]string{
		ByWeek:  {"2025-02-26", "2025-03-03", "2025-03-10", "2025-03-12"},
		ByMonth: {"2025-02-26", "2025-03-01", "2025-03-12"},
		Whole:   {"2025-02-26", "2025-03-12"},
	} {
		parts := p.Cut(unit)
		if len(parts) != len(want)-1 {
			t.Errorf("by %s: got %d parts, want %d", unit, len(parts), len(want)-1)
			continue
		}
		for i, part := range parts {
			if !part.From.Equal(day(want[i])) || !part.Until.Equal(day(want[i+1])) {
				t.Errorf("by %s, part %d: got %s to %s, want %s to %s", unit, i, part.From, part.Until, want[i], want[i+1])
			}
		}
	}
}

func TestWithoutFromAReportCoversThirtyDaysOfTheAccountsZoneWithToday(t *testing.T) {
	home := zoneOf(t, "America/New_York")
	now := time.Date(2025, 3, 20, 2, 0, 0, 0, time.UTC) // still the 19th at home
	p, err := span("", "", "", home, now)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := instant(p.From)+" "+instant(p.Until), "2025-02-18T05:00:00.000000Z 2025-03-20T04:00:00.000000Z"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := len(p.days()); got != 30 {
		t.Errorf("got %d days, want 30", got)
	}
}
