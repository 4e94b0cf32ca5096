package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/store/storetest"
)

// brought is a database with one account, into which files are brought.
type brought struct {
	t       *testing.T
	environ []string
	dir     string
	house   *house
}

func newBrought(t *testing.T, databaseURL string) *brought {
	t.Helper()
	return &brought{t: t, environ: environOf(t, databaseURL), dir: t.TempDir(), house: newHouse(t, databaseURL)}
}

// file imports lines as a file of the kind.
func (b *brought) file(kind string, lines []string, flags ...string) ran {
	b.t.Helper()
	name := filepath.Join(b.dir, kind+".csv")
	if err := os.WriteFile(name, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		b.t.Fatal(err)
	}
	return command(b.t, b.environ, append([]string{"import", kind, name}, flags...)...)
}

const callColumns = "call_id,started_at,from,tracking_number,outcome,ring_seconds,talk_seconds,source,medium,campaign,agent,tags,disposition,value,currency"

func TestAFileIsTakenWholeOrNotAtAllUnlessToldTo(t *testing.T) {
	storetest.EachURL(t, func(t *testing.T, databaseURL string) {
		b := newBrought(t, databaseURL)
		for kind, c := range map[string]struct {
			lines []string
			want  []string // on standard error
			right int
		}{
			"touches": {[]string{
				"touch_id,person,touched_at,source", "1,p,2026-10-01T10:00:00Z,google", "2,p,yesterday,google", ",p,2026-10-01T10:00:00Z,google",
				"1,p,2026-10-01T10:00:00Z,google", "5,p,2026-10-01T10:00:00Z,untracked", "6,p,2026-10-01T10:00:00Z", "7,p,2026-10-01T10:00:00+02:00,google",
			}, []string{"line 3: touched_at: ", "line 4: touch_id: ", "line 5: touch_id: the same as in line 2", "line 6: source: ", "line 7: line: has 3 fields"}, 2},
			"outcomes": {[]string{
				"outcome_id,person,lead_at,won_at,value,currency", "1,p,2026-10-01T10:00:00Z,,,", "2,p,,,5.00,USD", "3,p,2026-10-01T10:00:00Z,,5.001,USD", "4,p,2026-10-01T10:00:00Z,,5,usd",
			}, []string{"line 3: lead_at: ", "line 4: value: ", "line 5: currency: "}, 1},
			"spend": {[]string{
				"source,from,until,amount,currency", "google,2026-10-01,2026-10-02,5,USD", "google,2026-10-01,2026-10-02,6,USD", "google,2026-10-02,2026-10-02,6,USD", "google,2026-10-02,2026-10-03,6,XYZ",
			}, []string{"line 3: source: the same as in line 2", "line 4: until: ", "line 5: currency: "}, 1},
			"calls": {[]string{
				callColumns,
				"1,2026-10-01T10:00:00Z,+12125550101,+13125550171,answered,5,60,google,cpc,,Ann,a; b,Lead,10.00,USD",
				"2,2026-10-01T10:00:00Z,bogus,+13125550171,,,,,,,,,,,",
				"3,2026-10-01T10:00:00Z,anonymous,555,,,,,,,,,,,",
				"4,2026-10-01T10:00:00Z,anonymous,+13125550171,lost,,,,,,,,,,",
				"5,2026-10-01T10:00:00Z,anonymous,+13125550171,abandoned,-3,,,,,,,,,",
				"6,2026-10-01T10:00:00Z,anonymous,+13125550171,abandoned,3,9,,,,,,,,",
				"7,2026-10-01T10:00:00Z,anonymous,+13125550171,abandoned,3,,,,,,,,-1,USD",
				"8,2026-10-01T10:00:00Z,anonymous,+13125550171,abandoned,3,,untracked,,,,,,,",
			}, []string{"line 3: from: ", "line 4: tracking_number: ", "line 5: outcome: ", "line 6: ring_seconds: ", "line 7: talk_seconds: ", "line 8: value: "}, 2},
		} {
			wrong := len(c.lines) - 1 - c.right
			none := b.file(kind, c.lines)
			if want := fmt.Sprintf("%s: %d lines read, 0 new, 0 unchanged, 0 corrected, %d refused\n", kind, len(c.lines)-1, wrong); none.code != exitFailed || none.out != want {
				t.Errorf("%s: got exit code %d and %q, want %q", kind, none.code, none.out, want)
			}
			for _, line := range append(c.want, "nothing was taken") {
				if !strings.Contains(none.err, line) {
					t.Errorf("%s: %q is missing:\n%s", kind, line, none.err)
				}
			}
			some := b.file(kind, c.lines, "--keep-going")
			if want := fmt.Sprintf("%s: %d lines read, %d new, 0 unchanged, 0 corrected, %d refused\n", kind, len(c.lines)-1, c.right, wrong); some.code != exitFailed || !strings.HasPrefix(some.out, want) {
				t.Errorf("%s with --keep-going: got exit code %d and %q, want %q", kind, some.code, some.out, want)
			}
			unknown := b.file(kind, []string{c.lines[0] + ",channel", ""})
			if unknown.code != exitFailed || !strings.Contains(unknown.err, "channel: is not a column") {
				t.Errorf("%s with an unknown column: got %d, %s", kind, unknown.code, unknown.err)
			}
			missing := b.file(kind, []string{strings.SplitN(c.lines[0], ",", 2)[1], ""})
			if missing.code != exitFailed || !strings.Contains(missing.err, "the column is missing") {
				t.Errorf("%s without its first column: got %d, %s", kind, missing.code, missing.err)
			}
		}
	})
}

func TestALineWithAnIdThatIsThereCorrectsIt(t *testing.T) {
	storetest.EachURL(t, func(t *testing.T, databaseURL string) {
		b := newBrought(t, databaseURL)
		h := b.house
		first := "1,2026-10-01T10:00:00Z,+12125550101,+13125550171,answered,5,60,Radio,fm,,Ann Lee,vip; urgent,Signed,10.00,USD"
		said := b.file("calls", []string{callColumns, first}).ok(t)
		for _, line := range []string{"1 new", "made sources: Radio", "made agents: Ann Lee", "made tags: vip, urgent", "made dispositions: Signed"} {
			if !strings.Contains(said, line) {
				t.Errorf("%q is missing:\n%s", line, said)
			}
		}
		call := h.calls("")[0]
		is(t, "outcome", call.Outcome, "answered")
		is(t, "agent", call.Agent.Name, "Ann Lee")
		is(t, "tags", strings.Join(call.Tags, ","), "urgent,vip")
		isPtr(t, "disposition", call.Disposition, "Signed")
		isPtr(t, "value", call.Value, usd(10))
		isPtr(t, "ring", call.RingSeconds, 5)
		isPtr(t, "source", call.Attribution.Source, "Radio")
		is(t, "method", call.Attribution.Method, "imported")
		isPtr(t, "first_time_caller", call.FirstTimeCaller, true)

		// Somebody works on it here: that stays.
		h.call(account.Agent, http.MethodPut, "/v1/calls/"+call.ID+"/tags/emergency", nil, nil)
		for _, again := range []string{first, first} {
			if got := b.file("calls", []string{callColumns, again}).ok(t); !strings.Contains(got, "0 new, 1 unchanged, 0 corrected") {
				t.Errorf("the same again: %s", got)
			}
		}
		second := "1,2026-10-01T11:00:00Z,+12125550101,+13125550171,answered,9,70,TV,ad,autumn,Bo,vip,Lead,12.00,USD"
		for _, one := range []struct{ line, started, tags, disposition, source string }{
			{second, "2026-10-01T11:00:00Z", "emergency,vip", "Lead", "TV"},
			{first, "2026-10-01T10:00:00Z", "emergency,urgent,vip", "Signed", "Radio"}, // and back
		} {
			if got := b.file("calls", []string{callColumns, one.line}).ok(t); !strings.Contains(got, "0 new, 0 unchanged, 1 corrected") {
				t.Errorf("corrected: %s", got)
			}
			if got := h.calls(""); len(got) != 1 {
				t.Fatalf("got %d calls, want 1", len(got))
			} else {
				call = got[0]
			}
			is(t, "started_at", call.StartedAt.Format("2006-01-02T15:04:05Z07:00"), one.started)
			is(t, "tags", strings.Join(call.Tags, ","), one.tags)
			isPtr(t, "disposition", call.Disposition, one.disposition)
			isPtr(t, "source", call.Attribution.Source, one.source)
		}
		isPtr(t, "value", call.Value, usd(10))
		bare := b.file("calls", []string{"call_id,started_at,from,tracking_number", "1,2026-10-01T10:00:00Z,+12125550101,+13125550171"}).ok(t)
		if !strings.Contains(bare, "1 corrected") {
			t.Errorf("without what was told: %s", bare)
		}
		call = h.calls("")[0]
		is(t, "outcome", call.Outcome, "")
		is(t, "tags", strings.Join(call.Tags, ","), "emergency")
		isNull(t, "disposition", call.Disposition)
		isNull(t, "value", call.Value)
		is(t, "method", call.Attribution.Method, "none")
		b.file("calls", []string{callColumns, first}).ok(t)

		touch := "t1,+12125550101,2026-09-30T10:00:00Z,Radio,fm,,,,,https://shop.example/a,"
		header := "touch_id,person,touched_at,source,medium,campaign,term,content,click_id,landing_page,referrer"
		for _, one := range []struct{ line, want, landing string }{
			{touch, "1 new", "https://shop.example/a"},
			{touch, "1 unchanged", "https://shop.example/a"},
			{strings.Replace(touch, "/a", "/b", 1), "1 corrected", "https://shop.example/b"},
			{strings.Replace(touch, "Radio", "TV", 1), "1 corrected", ""},
		} {
			if got := b.file("touches", []string{header, one.line}).ok(t); !strings.Contains(got, one.want) {
				t.Errorf("touch: got %s, want %s", got, one.want)
			}
			if got := text(h.calls("")[0].Attribution.LandingPage); got != one.landing {
				t.Errorf("the call's landing page: got %q, want %q", got, one.landing)
			}
		}

		var audit struct {
			Items []struct{ Action, Actor string }
		}
		h.call(account.Owner, http.MethodGet, "/v1/audit?limit=500", nil, &audit)
		imports := 0
		for _, e := range audit.Items {
			if e.Action == "import.calls" && e.Actor == "operator" {
				imports++
			}
		}
		is(t, "imports of calls that changed something, in the audit log", imports, 5)
		h.close()
		nothingDiffers(t, command(t, b.environ, "replay"))
	})
}

func TestSpendFilesMakeSourcesAndCorrect(t *testing.T) {
	storetest.EachURL(t, func(t *testing.T, databaseURL string) {
		b := newBrought(t, databaseURL)
		lines := []string{"source,medium,campaign,from,until,amount,currency"}
		for i := range 250 {
			lines = append(lines, fmt.Sprintf("Paper %d,print,,2026-10-%02d,2026-10-%02d,%d.37,USD", i%7, 1+i%20, 2+i%20+i/140, i))
		}
		if got := b.file("spend", lines).ok(t); !strings.HasPrefix(got, "spend: 250 lines read, 250 new") || !strings.Contains(got, "made sources: Paper 0, Paper 1") {
			t.Errorf("got %s", got)
		}
		lines[7] = strings.Replace(lines[7], ".37", ".38", 1)
		if got := b.file("spend", lines, "--json").ok(t); !strings.Contains(got, `"new":0,"unchanged":249,"corrected":1`) {
			t.Errorf("again: got %s", got)
		}
	})
}
