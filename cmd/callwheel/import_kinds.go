package main

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/attribution"
	"github.com/callwheel/callwheel/report"
	"github.com/callwheel/callwheel/scoring"
	"github.com/callwheel/callwheel/telephony"
)

// reading reads the columns of one line and gathers what is wrong with them.
type reading struct {
	report.Line
	now time.Time
	bad []callwheel.FieldError
}

func (r *reading) refuse(field, message string) {
	r.bad = append(r.bad, callwheel.FieldError{Field: field, Message: message})
}

// instant reads an instant; nil where the column is empty.
func (r *reading) instant(field string) *time.Time { return r.instantOf(field, r.Get(field)) }

func (r *reading) instantOf(field, text string) *time.Time {
	if text == "" {
		return nil
	}
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil || at.Year() < 1970 || at.Year() > 2199 {
		r.refuse(field, "must be an instant in RFC 3339 such as 2026-11-22T10:31:00Z")
		return nil
	}
	if at.After(r.now.Add(24 * time.Hour)) {
		r.refuse(field, "lies more than a day ahead")
		return nil
	}
	at = at.UTC().Truncate(time.Microsecond)
	return &at
}

// moment is an instant that must be there.
func (r *reading) moment(field string) time.Time {
	if r.Get(field) == "" {
		r.refuse(field, "must not be empty")
	}
	if at := r.instant(field); at != nil {
		return *at
	}
	return time.Time{}
}

// dispositions reads what a call was judged as: one, at disposed_at or else when
// the call had ended, or several with as many instants.
func (r *reading) dispositions(ended time.Time) []scoring.GivenDisposition {
	text, at := r.Get("disposition"), strings.Split(r.Get("disposed_at"), ";")
	names := []string{text}
	if len(at) > 1 {
		names = strings.Split(text, ";")
	}
	switch {
	case text == "" && r.Get("disposed_at") == "":
		return nil
	case len(names) != len(at):
		r.refuse("disposed_at", fmt.Sprintf("has %d instants for %d dispositions", len(at), len(names)))
		return nil
	}
	var list []scoring.GivenDisposition
	for i, name := range names {
		g := scoring.GivenDisposition{Name: strings.TrimSpace(name), At: ended}
		if told := r.instantOf("disposed_at", strings.TrimSpace(at[i])); told != nil {
			g.At = *told
		}
		switch {
		case g.Name == "":
			r.refuse("disposition", "must not be empty where disposed_at tells when it was given")
		case len(at) > 1 && strings.TrimSpace(at[i]) == "":
			r.refuse("disposed_at", "must tell of each disposition when it was given")
		}
		list = append(list, g)
	}
	return list
}

// seconds reads whole seconds; -1 where the column is empty.
func (r *reading) seconds(field string) int64 {
	text := r.Get(field)
	if text == "" {
		return -1
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		r.refuse(field, "must be whole seconds")
		return -1
	}
	return n
}

// whole reads a whole number; nil where the column is empty.
func (r *reading) whole(field string) *int64 {
	text := r.Get(field)
	if text == "" {
		return nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		r.refuse(field, "must be a whole number")
		return nil
	}
	return &n
}

// ppm reads a percentage as millionths; nil where the column is empty.
func (r *reading) ppm(field string) *int64 {
	text := r.Get(field)
	if text == "" {
		return nil
	}
	share, err := strconv.ParseFloat(text, 64)
	if err != nil || !(share >= 0 && share <= 100) {
		r.refuse(field, "must be from 0 to 100")
		return nil
	}
	n := int64(math.Round(share * 10_000))
	return &n
}

// confidence reads how sure it is that the source earned the call; 1 where the
// column is empty.
func (r *reading) confidence(source string) float64 {
	text := r.Get("confidence")
	if text == "" {
		return 1
	}
	share, err := strconv.ParseFloat(text, 64)
	switch {
	case err != nil || !(share >= 1e-9 && share <= 1):
		r.refuse("confidence", "must be above 0 and at most 1, such as 0.85")
	case source == "" || strings.EqualFold(source, attribution.UntrackedSource):
		r.refuse("confidence", "belongs to a source")
	}
	return math.Round(share*1e9) / 1e9
}

// money reads a decimal in the line's currency, the account's where it has none;
// nil where the column is empty.
func (r *reading) money(field, home string) *callwheel.Money {
	text := r.Get(field)
	if text == "" {
		return nil
	}
	currency := r.Get("currency")
	if currency == "" {
		currency = home
	}
	m, err := callwheel.ParseMoney(text, currency)
	if err == nil {
		return &m
	}
	for _, f := range fieldErrors(err) {
		if f.Field == "amount" {
			f.Field = field
		}
		r.refuse(f.Field, f.Message)
	}
	return nil
}

// check adds what the room finds wrong, unless the column could not be read
// already.
func (r *reading) check(bad []callwheel.FieldError) []callwheel.FieldError {
	known := map[string]bool{}
	for _, f := range r.bad {
		known[f.Field] = true
	}
	for _, f := range bad {
		if !known[f.Field] {
			r.bad = append(r.bad, f)
		}
	}
	return r.bad
}

type importTouchesCmd struct{ importing }

// Help shows an example.
func (importTouchesCmd) Help() string { return "Example: callwheel import touches touches.csv" }

// Run imports the file.
func (c importTouchesCmd) Run(ctx context.Context, s *settings, std stdio) error {
	return c.run(ctx, s, std, func(b *bench) error {
		return take(ctx, b, c.importing, importKind[importedTouch]{
			name: "touches",
			columns: []report.LineColumn{
				{Name: "touch_id", Required: true},
				{Name: "person", Required: true},
				{Name: "touched_at", Required: true},
				{Name: "source", Required: true},
				{Name: "medium"},
				{Name: "campaign"},
				{Name: "term"},
				{Name: "content"},
				{Name: "click_id"},
				{Name: "landing_page"},
				{Name: "referrer"},
				{Name: "enquiry"},
				{Name: "answered_at"},
				{Name: "referred_by"},
			},
			read: func(line report.Line) (importedTouch, []callwheel.FieldError) { return readTouch(line, b.now()) },
			id:   func(t importedTouch) string { return t.arrival.ID },
			keep: b.keepTouches,
		})
	})
}

// importedTouch is one line of a file of touches: an arrival, or the form or chat
// that it was.
type importedTouch struct {
	arrival attribution.ImportedTouch
	enquiry *scoring.NewEnquiry
}

func readTouch(line report.Line, now time.Time) (importedTouch, []callwheel.FieldError) {
	r := reading{Line: line, now: now}
	t := attribution.ImportedTouch{
		ID: r.Get("touch_id"), Person: r.Get("person"), At: r.moment("touched_at"), Source: r.Get("source"), Medium: r.Get("medium"),
		Campaign: r.Get("campaign"), Term: r.Get("term"), Content: r.Get("content"), ClickID: r.Get("click_id"),
		LandingPage: r.Get("landing_page"), Referrer: r.Get("referrer"),
	}
	answered, kind := r.instant("answered_at"), strings.ToLower(r.Get("enquiry"))
	switch {
	case kind != "":
		e := scoring.NewEnquiry{
			ExternalID: t.ID, Person: t.Person, Kind: scoring.EnquiryKind(kind), At: &t.At, AnsweredAt: answered,
			Source: t.Source, Medium: t.Medium, Campaign: t.Campaign, ReferredBy: r.Get("referred_by"),
		}
		bad := r.check(e.Check(now))
		if t.Source != "" && !strings.EqualFold(t.Source, attribution.UntrackedSource) {
			bad = append(bad, attribution.CheckSourceName(t.Source)...)
		}
		return importedTouch{t, &e}, bad
	case answered != nil:
		r.refuse("answered_at", "belongs to a form or a chat")
	case r.Get("referred_by") != "":
		r.refuse("referred_by", "belongs to a form or a chat; of other touches an outcome may tell it")
	}
	return importedTouch{t, nil}, r.check(t.Check())
}

// keepTouches hands arrivals and enquiries to their rooms. Each keeps all or none
// of the batch; when the program stops in between, the file again makes up for the
// rest.
func (b *bench) keepTouches(ctx context.Context, batch []importedTouch) ([]telephony.Imported, error) {
	var arrivals []attribution.ImportedTouch
	var enquiries []scoring.NewEnquiry
	var names []string
	for _, t := range batch {
		if t.enquiry == nil {
			arrivals = append(arrivals, t.arrival)
			continue
		}
		enquiries = append(enquiries, *t.enquiry)
		if !strings.EqualFold(t.enquiry.Source, attribution.UntrackedSource) {
			names = append(names, t.enquiry.Source)
		}
	}
	var done []telephony.Imported
	if len(arrivals) > 0 {
		met, made, err := b.ledger.ImportTouches(ctx, b.who, arrivals)
		if err != nil {
			return nil, err
		}
		b.summary.made("sources", made)
		done = met
	}
	if len(enquiries) > 0 {
		_, made, err := b.ledger.SourceNames(ctx, b.who, names)
		if err != nil {
			return nil, err
		}
		b.summary.made("sources", made)
		asked, err := b.desk.ImportEnquiries(ctx, b.who.AccountID, enquiries)
		if err != nil {
			return nil, err
		}
		done = append(done, asked...)
	}
	return done, nil
}

type importOutcomesCmd struct{ importing }

// Help shows an example.
func (importOutcomesCmd) Help() string { return "Example: callwheel import outcomes outcomes.csv" }

// Run imports the file.
func (c importOutcomesCmd) Run(ctx context.Context, s *settings, std stdio) error {
	return c.run(ctx, s, std, func(b *bench) error {
		return take(ctx, b, c.importing, importKind[scoring.Outcome]{
			name: "outcomes",
			columns: []report.LineColumn{
				{Name: "outcome_id", Required: true},
				{Name: "person", Required: true},
				{Name: "call_id"},
				{Name: "lead_at"},
				{Name: "qualified_at"},
				{Name: "won_at"},
				{Name: "value"},
				{Name: "margin"},
				{Name: "refunded"},
				{Name: "currency"},
				{Name: "referred_by"},
			},
			read: func(line report.Line) (scoring.Outcome, []callwheel.FieldError) {
				r := reading{Line: line, now: b.now()}
				o := scoring.Outcome{
					ID: r.Get("outcome_id"), Person: r.Get("person"),
					LeadAt: r.instant("lead_at"), QualifiedAt: r.instant("qualified_at"), WonAt: r.instant("won_at"),
					Value: r.money("value", b.account.Currency), Margin: r.money("margin", b.account.Currency),
					Refunded: r.money("refunded", b.account.Currency), ReferredBy: r.Get("referred_by"),
				}
				if ref := r.Get("call_id"); ref != "" {
					o.CallID = telephony.ImportedCall{Ref: ref}.ID()
				}
				return o, r.check(o.Check())
			},
			id: func(o scoring.Outcome) string { return o.ID },
			check: func(ctx context.Context, batch []scoring.Outcome) (map[int][]callwheel.FieldError, error) {
				return b.desk.CheckOutcomes(ctx, b.who.AccountID, batch)
			},
			keep: func(ctx context.Context, batch []scoring.Outcome) ([]telephony.Imported, error) {
				return b.desk.ImportOutcomes(ctx, b.who.AccountID, batch)
			},
		})
	})
}

type importSpendCmd struct{ importing }

// Help shows an example.
func (importSpendCmd) Help() string { return "Example: callwheel import spend spend-2026-10.csv" }

// Run imports the file.
func (c importSpendCmd) Run(ctx context.Context, s *settings, std stdio) error {
	return c.run(ctx, s, std, func(b *bench) error {
		return take(ctx, b, c.importing, importKind[report.SpendItem]{
			name: "spend", columns: report.SpendColumns, read: readSpendLine, id: report.SpendItem.Key,
			keep: func(ctx context.Context, batch []report.SpendItem) ([]telephony.Imported, error) {
				names := make([]string, len(batch))
				for i, item := range batch {
					names[i] = item.Source
				}
				_, made, err := b.ledger.SourceNames(ctx, b.who, names)
				if err != nil {
					return nil, err
				}
				b.summary.made("sources", made)
				taken, err := b.reports.ImportSpend(ctx, b.who.AccountID, batch)
				if err != nil {
					return nil, err
				}
				var done []telephony.Imported
				for range taken.Created {
					done = append(done, telephony.ImportNew)
				}
				for range taken.Corrected {
					done = append(done, telephony.ImportCorrected)
				}
				for range taken.Unchanged {
					done = append(done, telephony.ImportUnchanged)
				}
				return done, nil
			},
		})
	})
}

func readSpendLine(line report.Line) (report.SpendItem, []callwheel.FieldError) {
	item, bad := report.SpendOfLine(line)
	for i := range bad {
		bad[i].Field = strings.TrimPrefix(bad[i].Field, line.At()+".")
	}
	if len(bad) == 0 {
		bad = attribution.CheckSourceName(item.Source)
	}
	item.At = line.At()
	return item, bad
}

type importCallsCmd struct{ importing }

// Help shows an example.
func (importCallsCmd) Help() string {
	return "Example: callwheel import calls calls.csv\n\nSeveral tags stand in one column with semicolons between. A call without a source is attributed as one that came in; untracked says that nobody knows."
}

// importedCall is one line of a file of calls, for every room that it concerns.
type importedCall struct {
	call attribution.ImportedCall
	desk scoring.ImportedDesk
}

// Run imports the file.
func (c importCallsCmd) Run(ctx context.Context, s *settings, std stdio) error {
	return c.run(ctx, s, std, func(b *bench) error {
		return take(ctx, b, c.importing, importKind[importedCall]{
			name: "calls",
			columns: []report.LineColumn{
				{Name: "call_id", Required: true},
				{Name: "started_at", Required: true},
				{Name: "from", Required: true},
				{Name: "tracking_number", Required: true},
				{Name: "outcome"},
				{Name: "ring_seconds"},
				{Name: "talk_seconds"},
				{Name: "source"},
				{Name: "medium"},
				{Name: "campaign"},
				{Name: "confidence"},
				{Name: "agent"},
				{Name: "tags"},
				{Name: "disposition"},
				{Name: "disposed_at"},
				{Name: "value"},
				{Name: "margin"},
				{Name: "refunded"},
				{Name: "currency"},
				{Name: "score"},
				{Name: "csat"},
				{Name: "nps"},
				{Name: "rated_at"},
				{Name: "called_back_at"},
				{Name: "referred_by"},
			},
			read: func(line report.Line) (importedCall, []callwheel.FieldError) {
				return readCall(line, b.now(), b.account.Currency)
			},
			id:    func(c importedCall) string { return c.call.Ref },
			check: b.checkCalls,
			keep:  b.keepCalls,
		})
	})
}

func readCall(line report.Line, now time.Time, home string) (importedCall, []callwheel.FieldError) {
	r := reading{Line: line, now: now}
	var c importedCall
	c.call.ImportedCall = telephony.ImportedCall{
		Ref: r.Get("call_id"), StartedAt: r.moment("started_at"), From: r.Get("from"), TrackingNumber: r.Get("tracking_number"),
		Outcome: telephony.Outcome(strings.ToLower(r.Get("outcome"))), RingSeconds: r.seconds("ring_seconds"), TalkSeconds: r.seconds("talk_seconds"),
	}
	c.call.Source, c.call.Medium, c.call.Campaign = r.Get("source"), r.Get("medium"), r.Get("campaign")
	c.call.Confidence = r.confidence(c.call.Source)
	ended := c.call.StartedAt.Add(time.Duration(max(0, c.call.RingSeconds)+max(0, c.call.TalkSeconds)) * time.Second)
	c.desk = scoring.ImportedDesk{
		CallID: c.call.ID(), Outcome: c.call.Outcome, StartedAt: c.call.StartedAt, At: ended, Agent: r.Get("agent"), Given: r.dispositions(ended),
		Value: r.money("value", home), Margin: r.money("margin", home), Refunded: r.money("refunded", home),
		ScorePPM: r.ppm("score"), CSAT: r.whole("csat"), NPS: r.whole("nps"), RatedAt: r.instant("rated_at"), CalledBack: r.instant("called_back_at"),
		ReferredBy: r.Get("referred_by"),
	}
	if kind, from := telephony.Classify(c.call.From); kind == telephony.CallerE164 {
		c.desk.From = from
	}
	for tag := range strings.SplitSeq(r.Get("tags"), ";") {
		if tag = strings.TrimSpace(tag); tag != "" {
			c.desk.Tags = append(c.desk.Tags, tag)
		}
	}
	bad := r.check(c.call.Check())
	bad = append(bad, c.desk.Check()...)
	if c.call.Source != "" && !strings.EqualFold(c.call.Source, attribution.UntrackedSource) {
		bad = append(bad, attribution.CheckSourceName(c.call.Source)...)
	}
	return c, bad
}

// checkCalls asks the desk what it would refuse.
func (b *bench) checkCalls(ctx context.Context, batch []importedCall) (map[int][]callwheel.FieldError, error) {
	desks := make([]scoring.ImportedDesk, len(batch))
	for i, c := range batch {
		desks[i] = c.desk
	}
	return b.desk.CheckImport(ctx, b.who.AccountID, desks)
}

// keepCalls hands calls to the rooms in the order of the house: facts,
// conclusion, judgement. Each keeps all or none of the batch; when the program
// stops in between, the file again makes up for the rest. What the desk would
// refuse is refused before the call becomes a fact: a line is taken or it is not.
func (b *bench) keepCalls(ctx context.Context, batch []importedCall) ([]telephony.Imported, error) {
	facts := make([]telephony.ImportedCall, len(batch))
	calls := make([]attribution.ImportedCall, len(batch))
	desks := make([]scoring.ImportedDesk, len(batch))
	for i, c := range batch {
		facts[i], calls[i], desks[i] = c.call.ImportedCall, c.call, c.desk
	}
	refused, err := b.checkCalls(ctx, batch)
	if err != nil {
		return nil, err
	}
	for _, bad := range refused {
		return nil, callwheel.InvalidFields(bad)
	}
	done, err := b.switchboard.ImportCalls(ctx, b.who.AccountID, facts)
	if err != nil {
		return nil, err
	}
	attributed, sources, err := b.ledger.ImportCalls(ctx, b.who, calls)
	if err != nil {
		return nil, err
	}
	b.summary.made("sources", sources)
	judged, made, err := b.desk.ImportDesks(ctx, b.who, desks)
	if err != nil {
		return nil, err
	}
	b.summary.made("agents", made.Agents)
	b.summary.made("tags", made.Tags)
	b.summary.made("dispositions", made.Dispositions)
	for i := range done {
		if done[i] == telephony.ImportUnchanged && (attributed[i] || judged[i]) {
			done[i] = telephony.ImportCorrected
		}
	}
	return done, nil
}
