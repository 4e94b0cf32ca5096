package report_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/callwheel/callwheel/report"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
)

// bruteTown is what happened, in plain lists, and what momentum comes to by going
// through all of it for every figure. Instants are microseconds.
type bruteTown struct {
	zone      *time.Location
	now       int64
	calls     []townCall
	enquiries []townEnquiry
	sales     []townSale
	ratings   []townRating
	referrals []townReferral
	write     []statement
}

type statement struct {
	query string
	args  []any
}

type townCall struct {
	id, caller, outcome string
	at                  int64
	ring, duration      int64
	score               float64 // below 0: not scored
	judged              string  // disposition, "" for none
	judgedAt            int64
	calledBack          int64 // when, 0 for never
}

// who is the caller; a call without a number is somebody by itself.
func (c townCall) who() string {
	if c.caller == "" {
		return "call " + c.id
	}
	return c.caller
}

type townEnquiry struct {
	person       string
	at, answered int64 // 0 for never
}

type townSale struct {
	person           string
	at, value, given int64 // micros; given back
}

type townRating struct {
	at   int64
	kind string
	of   int64
}

type townReferral struct{ from, to string }

const (
	aSecond = int64(1_000_000)
	aMinute = 60 * aSecond
	anHour  = 60 * aMinute
	aDay    = 24 * anHour
)

// drawTown draws seventy days of a town in New York, that of 23 hours among them.
func drawTown(r *rand.Rand) *bruteTown {
	zone, err := time.LoadLocation("America/New_York")
	if err != nil {
		panic(err)
	}
	w := &bruteTown{zone: zone, now: store.Micros(when("2025-05-20T12:00:00Z"))}
	add := func(query string, args ...any) { w.write = append(w.write, statement{query, args}) }
	begin := store.Micros(when("2024-12-20T05:00:00Z"))
	end := store.Micros(when("2025-03-15T04:00:00Z"))
	someone := func() string { return fmt.Sprintf("+1312555%04d", r.IntN(260)) }
	at := func() int64 { return begin + r.Int64N(end-begin) }
	yes := func(p float64) bool { return r.Float64() < p }
	var last townCall
	for i := range 1100 {
		c := townCall{id: fmt.Sprintf("call_%04d", i), caller: someone(), at: at(), score: -1, ring: r.Int64N(150), duration: 3 + r.Int64N(90)}
		if i > 0 && yes(0.3) { // again, around the half hour that joins attempts
			c.caller, c.at = last.caller, last.at+r.Int64N(45*aMinute)
		}
		if yes(0.05) {
			c.caller = ""
		}
		last = c
		c.outcome = []string{"answered", "answered", "answered", "answered", "abandoned", "voicemail", "no-answer", "blocked"}[r.IntN(8)]
		var ring any
		if c.outcome == "answered" {
			ring = c.ring
		}
		var caller any
		if c.caller != "" {
			caller = c.caller
		}
		add(`INSERT INTO calls (account_id, call_id, provider, provider_call_id, outcome, from_e164, tracking_number, started_at, ring_seconds, wait_seconds, duration_seconds, updated_at)
			VALUES (?, ?, 'test', ?, ?, ?, '+13125550100', ?, ?, ?, ?, 0)`, acct, c.id, c.id, c.outcome, caller, c.at, ring, ring, c.duration)
		if c.outcome == "answered" && yes(0.3) {
			c.score = float64(r.IntN(101)) / 100
		}
		if yes(0.25) {
			c.judged, c.judgedAt = []string{"disp_none", "disp_lead", "disp_lead", "disp_qualified", "disp_won", "disp_spam"}[r.IntN(6)], c.at+r.Int64N(2*aDay)
			add(`INSERT INTO call_dispositions (account_id, judgement_id, call_id, disposition_id, given_at, given_by) VALUES (?, ?, ?, ?, ?, 'user_1')`,
				acct, "judg_"+c.id, c.id, c.judged, c.judgedAt)
		}
		if c.score >= 0 || c.judged != "" {
			var score any
			if c.score >= 0 {
				score = int64(math.Round(c.score * 1e6))
			}
			add(`INSERT INTO call_desks (account_id, call_id, version, disposition_id, score_ppm, updated_at) VALUES (?, ?, 1, ?, ?, 0)`, acct, c.id, c.judged, score)
		}
		if c.outcome != "answered" && yes(0.4) {
			c.calledBack = c.at + r.Int64N(30*anHour)
			add(`INSERT INTO callbacks (account_id, callback_id, call_id, called_at, connected, called_by) VALUES (?, ?, ?, ?, ?, 'user_1')`, acct, "back_"+c.id, c.id, c.calledBack, true)
			add(`INSERT INTO callbacks (account_id, callback_id, call_id, called_at, connected, called_by) VALUES (?, ?, ?, ?, ?, 'user_1')`, acct, "vain_"+c.id, c.id, c.at+1, false)
		}
		w.calls = append(w.calls, c)
		if yes(0.15) {
			rated := townRating{at: c.at + anHour, kind: "csat", of: 1 + r.Int64N(5)}
			if yes(0.5) {
				rated = townRating{at: c.at + anHour, kind: "nps", of: r.Int64N(11)}
			}
			w.ratings = append(w.ratings, rated)
			add(`INSERT INTO feedback (account_id, feedback_id, call_id, person, kind, value, given_at) VALUES (?, ?, ?, ?, ?, ?, ?)`,
				acct, "fb_"+c.id, c.id, c.caller, rated.kind, rated.of, rated.at)
		}
	}
	for i := range 90 {
		e := townEnquiry{person: someone(), at: at()}
		var answered any
		if yes(0.7) {
			e.answered = e.at + r.Int64N(30*anHour)
			answered = e.answered
		}
		w.enquiries = append(w.enquiries, e)
		add(`INSERT INTO enquiries (account_id, enquiry_id, person, kind, at, answered_at, recorded_at, recorded_by) VALUES (?, ?, ?, 'form', ?, ?, 0, 'user_1')`,
			acct, fmt.Sprint("enq_", i), e.person, e.at, answered)
	}
	for i := range 200 {
		s := townSale{person: someone(), at: at(), value: (1 + r.Int64N(90_000)) * 10_000}
		if yes(0.15) {
			s.given = min(s.value, (1+r.Int64N(90_000))*10_000)
		}
		w.sales = append(w.sales, s)
		id := fmt.Sprint("sale_", i)
		add(`INSERT INTO sales (account_id, sale_id, call_id, person, value_micros, currency, sold_at, refunded_micros, recorded_at, recorded_by) VALUES (?, ?, '', ?, ?, 'USD', ?, ?, 0, 'user_1')`,
			acct, id, s.person, s.value, s.at, s.given)
		if s.given > 0 {
			add(`INSERT INTO sales (account_id, sale_id, call_id, person, value_micros, currency, sold_at, refund_of, recorded_at, recorded_by) VALUES (?, ?, '', ?, ?, 'USD', ?, ?, 0, 'user_1')`,
				acct, "back_"+id, s.person, -s.given, s.at+10*aDay, id)
		}
	}
	for i := range 40 {
		one := townReferral{someone(), someone()}
		if one.from == one.to || slices.Contains(w.referrals, one) {
			continue
		}
		w.referrals = append(w.referrals, one)
		add(`INSERT INTO referrals (account_id, referral_id, referrer, referred, referred_at, recorded_by) VALUES (?, ?, ?, ?, ?, 'user_1')`, acct, fmt.Sprint("ref_", i), one.from, one.to, at())
	}
	return w
}

// into writes the town into a database.
func (w *bruteTown) into(to *world) {
	to.t.Helper()
	to.now = time.UnixMicro(w.now)
	err := to.db.InTx(context.Background(), func(ctx context.Context, tx *store.Tx) error {
		for _, s := range w.write {
			if _, err := tx.Exec(ctx, s.query, s.args...); err != nil {
				return fmt.Errorf("%s: %w", s.query, err)
			}
		}
		return nil
	})
	if err != nil {
		to.t.Fatal(err)
	}
}

// local is midnight of a date of the town.
func (w *bruteTown) local(date string) int64 {
	t, err := time.ParseInLocation("2006-01-02", date, w.zone)
	if err != nil {
		panic(err)
	}
	return t.UnixMicro()
}

// pushes are the attempts: when each began, whether and after how long somebody
// was reached.
type push struct {
	at      int64
	reached bool
	wait    float64
}

func (w *bruteTown) pushes() []push {
	calls := slices.Clone(w.calls)
	slices.SortStableFunc(calls, func(a, b townCall) int { return int(a.at - b.at) })
	var list []push
	lastCall, open := map[string]int64{}, map[string]int{}
	for _, c := range calls {
		if c.outcome == "blocked" || c.judged == "disp_spam" || c.outcome == "abandoned" && c.duration < 5 {
			continue
		}
		if last, ok := lastCall[c.caller]; !ok || c.caller == "" || c.at-last > 30*aMinute {
			open[c.caller] = len(list)
			list = append(list, push{at: c.at})
		}
		lastCall[c.caller] = c.at
		one := &list[open[c.caller]]
		var wait float64
		switch {
		case c.outcome == "answered":
			wait = float64(c.at-one.at)/1e6 + float64(c.ring)
		case c.calledBack > 0 && c.calledBack-c.at <= 24*anHour:
			wait = float64(c.calledBack-one.at) / 1e6
		default:
			continue
		}
		if !one.reached || wait < one.wait {
			one.reached, one.wait = true, wait
		}
	}
	for _, e := range w.enquiries {
		one := push{at: e.at}
		if e.answered > 0 && e.answered-e.at <= 24*anHour {
			one.reached, one.wait = true, float64(e.answered-e.at)/1e6
		}
		list = append(list, one)
	}
	return list
}

// stage is when a person first became a lead ("lead") or customer ("won").
func (w *bruteTown) stage(person, stage string) (at int64, ok bool) {
	try := func(t int64) {
		if !ok || t < at {
			at, ok = t, true
		}
	}
	genuine, judged := false, false
	for _, c := range w.calls {
		if c.who() != person || c.judged == "" {
			continue
		}
		judged, genuine = true, genuine || c.judged != "disp_spam"
		if c.judged == "disp_won" || stage == "lead" && (c.judged == "disp_lead" || c.judged == "disp_qualified") {
			try(c.judgedAt)
		}
	}
	sold := w.bought(person)
	if len(sold) > 0 {
		try(sold[0])
	}
	return at, ok && (genuine || !judged || len(sold) > 0)
}

func (w *bruteTown) bought(person string) []int64 {
	var list []int64
	for _, s := range w.sales {
		if s.person == person {
			list = append(list, s.at)
		}
	}
	slices.Sort(list)
	return list
}

func (w *bruteTown) people() []string {
	known := map[string]bool{}
	for _, c := range w.calls {
		known[c.who()] = true
	}
	for _, s := range w.sales {
		known[s.person] = true
	}
	var list []string
	for name := range known {
		list = append(list, name)
	}
	return list
}

// count counts a period. halfLife 0 counts every fact as one; otherwise one of so
// many days before the end counts half.
func (w *bruteTown) count(from, until int64, halfLife float64) report.Counts {
	weigh := func(at int64) float64 {
		if halfLife == 0 {
			return 1
		}
		return math.Pow(2, -float64(until-at)/float64(aDay)/halfLife)
	}
	// span is how much time the weights leave.
	span := func(from, to int64) float64 {
		if halfLife == 0 {
			return float64(to-from) / float64(aDay)
		}
		return (weigh(to) - weigh(from)) * halfLife / math.Ln2
	}
	in := func(at int64) bool { return at >= from && at < until }
	c := report.Counts{Days: span(from, until)}
	mean := func(values, weights []float64) report.Sample {
		var s report.Sample
		for i, v := range values {
			s.N += weights[i]
			s.Mean += v * weights[i]
		}
		if s.N > 0 {
			s.Mean /= s.N
		}
		if s.N > 1 {
			for i, v := range values {
				s.SD += weights[i] * math.Pow(v-s.Mean, 2) / (s.N - 1)
			}
			s.SD = math.Sqrt(s.SD)
		}
		return s
	}
	var goodwill, goodwillBy, scores, scoresBy []float64
	byDay := map[string]float64{}
	for _, p := range w.pushes() {
		if !in(p.at) {
			continue
		}
		c.Opportunities += weigh(p.at)
		byDay[time.UnixMicro(p.at).In(w.zone).Format("2006-01-02")]++
		if p.reached {
			c.Reached += weigh(p.at)
			goodwill, goodwillBy = append(goodwill, 1/(1+math.Max(0, p.wait-20)/120)), append(goodwillBy, weigh(p.at))
		}
	}
	var daily, ones []float64
	for t := time.UnixMicro(from).In(w.zone); t.UnixMicro() < until; t = t.AddDate(0, 0, 1) {
		daily, ones = append(daily, byDay[t.Format("2006-01-02")]), append(ones, 1)
	}
	if s := mean(daily, ones); s.N >= 7 {
		c.Dispersion = s.SD * s.SD / s.Mean
	}
	c.Prompt = mean(goodwill, goodwillBy)
	for _, one := range w.calls {
		if in(one.at) && one.score >= 0 {
			scores, scoresBy = append(scores, one.score), append(scoresBy, weigh(one.at))
		}
	}
	c.Handled = mean(scores, scoresBy)
	sent := map[string]bool{}
	for _, r := range w.referrals {
		sent[r.to] = true
	}
	for _, person := range w.people() {
		lead, ok := w.stage(person, "lead")
		if ok && in(lead) && lead+30*aDay <= w.now {
			c.Leads += weigh(lead)
			if won, ok := w.stage(person, "won"); ok && won <= lead+30*aDay {
				c.Won += weigh(lead)
			}
		}
		if ok && sent[person] && lead >= until-90*aDay && lead < until {
			c.Referrals += weigh(lead)
		}
		for i, at := range w.bought(person) {
			if at >= until {
				break
			}
			if i == 0 {
				c.CustomerDays += span(max(at, until-90*aDay), until)
			} else if at >= until-90*aDay {
				c.Repeats += weigh(at)
			}
		}
	}
	for _, s := range w.sales {
		if in(s.at) {
			c.Sales += weigh(s.at)
			c.Sold += weigh(s.at) * float64(s.value) / 1e6
			c.Refunded += weigh(s.at) * float64(s.given) / 1e6
		}
	}
	for _, r := range w.ratings {
		if in(r.at) {
			c.Answers += weigh(r.at)
			if r.kind == "nps" && r.of <= 6 || r.kind == "csat" && r.of <= 2 {
				c.Detractors += weigh(r.at)
			}
		}
	}
	return c
}

var partOrder = []string{"speed", "reached", "prompt", "handled", "won", "kept", "content", "weight"}

// partsOf are the parts with enough cases, and the variance of their logarithms.
func partsOf(c report.Counts) (parts, variance map[string]float64) {
	parts, variance = map[string]float64{}, map[string]float64{}
	put := func(name string, enough bool, value, v float64) {
		if enough {
			parts[name], variance[name] = value, v
		}
	}
	share := func(x, n float64) float64 { return (1 - x/n) / (x / n) / n }
	put("speed", c.Opportunities >= 30, c.Opportunities/c.Days, math.Max(1, c.Dispersion)/c.Opportunities)
	put("reached", c.Opportunities >= 30, c.Reached/c.Opportunities, share(c.Reached, c.Opportunities))
	put("prompt", c.Prompt.N >= 20, c.Prompt.Mean, math.Pow(c.Prompt.SD/c.Prompt.Mean, 2)/c.Prompt.N)
	put("handled", c.Handled.N >= 10, c.Handled.Mean, math.Pow(c.Handled.SD/c.Handled.Mean, 2)/c.Handled.N)
	put("won", c.Leads >= 20 && c.Won >= 5, c.Won/c.Leads, share(c.Won, c.Leads))
	kept := 1 - c.Refunded/c.Sold
	put("kept", c.Sales >= 10, kept, (1-kept)/(c.Sales*kept))
	put("content", c.Answers >= 10, 1-c.Detractors/c.Answers, share(c.Answers-c.Detractors, c.Answers))
	returns := c.Repeats + c.Referrals
	weight := 1 + 90*returns/c.CustomerDays
	put("weight", c.CustomerDays >= 900 && returns >= 5, weight, math.Pow(90/c.CustomerDays, 2)*returns/(weight*weight))
	return parts, variance
}

// bruteIndex is M with the standard error of its logarithm.
func bruteIndex(base, now report.Counts) (m, se float64, used []string) {
	p0, v0 := partsOf(base)
	p1, v1 := partsOf(now)
	m = 100
	for _, name := range partOrder {
		before, ok0 := p0[name]
		after, ok1 := p1[name]
		if ok0 && ok1 {
			m *= after / before
			se += v0[name] + v1[name]
			used = append(used, name)
		}
	}
	return m, math.Sqrt(se), used
}

// Everything that momentum says of a town of random facts is what one finds by
// going through the facts, on both databases alike.
func TestMomentumIsWhatTheFactsSayOneByOne(t *testing.T) {
	answers := map[uint64]map[string]string{}
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		for seed := range uint64(3) {
			w := newWorld(t, db)
			facts := drawTown(rand.New(rand.NewPCG(seed, 4)))
			facts.into(w)
			m := w.momentum(report.MomentumQuery{From: "2025-02-01", Until: "2025-03-15", Baseline: "2024-12-20/2025-02-01", Period: report.ByMonth})
			text, err := json.Marshal(m)
			if err != nil {
				t.Fatal(err)
			}
			if answers[seed] == nil {
				answers[seed] = map[string]string{}
			}
			answers[seed][t.Name()] = string(text)
			base := facts.count(facts.local("2024-12-20"), facts.local("2025-02-01"), 0)
			for i, bounds := range [][2]string{{"2025-02-01", "2025-03-01"}, {"2025-03-01", "2025-03-15"}} {
				facts.compare(t, fmt.Sprintf("seed %d, %s", seed, bounds[0]), base, m.Periods[i], facts.local(bounds[0]), facts.local(bounds[1]))
			}
			for _, table := range []string{"calls", "call_dispositions", "call_desks", "callbacks", "feedback", "enquiries", "sales", "referrals", "baselines", "dispositions", "accounts"} {
				w.exec(`DELETE FROM `+table+` WHERE account_id = ?`, acct)
			}
		}
	})
	for seed, texts := range answers {
		first := ""
		for name, text := range texts {
			if first != "" && text != first {
				t.Errorf("seed %d: %s answers otherwise than the other database", seed, name)
			}
			first = text
		}
	}
}

func (w *bruteTown) compare(t *testing.T, what string, base report.Counts, got report.MomentumPeriod, from, until int64) {
	t.Helper()
	c := w.count(from, until, 0)
	is := func(figure string, got *float64, want float64) {
		t.Helper()
		if got == nil || math.Abs(*got-want) > 1e-8*math.Max(1, math.Abs(want)) {
			t.Errorf("%s: %s: got %s, want %v", what, figure, num(got), want)
		}
	}
	whole := func(figure string, got int64, want float64) {
		t.Helper()
		if float64(got) != want {
			t.Errorf("%s: %s: got %d, want %v", what, figure, got, want)
		}
	}
	is("days", &got.Days, c.Days)
	whole("opportunities", got.Counts.Opportunities, c.Opportunities)
	whole("reached", got.Counts.Reached, c.Reached)
	whole("scored", got.Counts.Scored, c.Handled.N)
	whole("leads", got.Counts.Leads, c.Leads)
	whole("won", got.Counts.Won, c.Won)
	whole("sales", got.Counts.Sales, c.Sales)
	whole("sold", got.Counts.Sold.Micros, math.Round(c.Sold*1e6))
	whole("refunded", got.Counts.Refunded.Micros, math.Round(c.Refunded*1e6))
	whole("answers", got.Counts.Answers, c.Answers)
	whole("detractors", got.Counts.Detractors, c.Detractors)
	whole("repeats", got.Counts.Repeats, c.Repeats)
	whole("referrals", got.Counts.Referrals, c.Referrals)
	is("customer-days", &got.Counts.CustomerDays, c.CustomerDays)
	parts, _ := partsOf(c)
	for name, value := range map[string]*float64{
		"speed": got.Speed, "reached": got.Parts.Reached, "prompt": got.Parts.Prompt, "handled": got.Parts.Handled,
		"won": got.Parts.Won, "kept": got.Parts.Kept, "content": got.Parts.Content, "weight": got.Weight,
	} {
		if want, enough := parts[name]; enough {
			is(name, value, want)
		}
	}
	index, se, used := bruteIndex(base, c)
	if !slices.Equal(got.PartsUsed, used) || len(used) < 7 {
		t.Fatalf("%s: parts used: got %v, want %v, nearly all of them", what, got.PartsUsed, used)
	}
	is("index", got.Index, index)
	if got.Interval == nil {
		t.Fatalf("%s: no interval", what)
	}
	is("low end", &got.Interval[0], index*math.Exp(-1.959963984540054*se))
	is("high end", &got.Interval[1], index*math.Exp(1.959963984540054*se))
	grip, momentum, resistance := 1.0, 1.0, 0.0
	for _, name := range used {
		momentum *= parts[name]
		if name != "speed" && name != "weight" {
			grip *= parts[name]
			resistance -= math.Log(parts[name])
		}
	}
	is("friction", got.Friction, 1-grip)
	is("resistance", &got.Resistance.Total, resistance)
	is("momentum", got.Momentum, momentum)
	// The account's first attempt is of 20 December: the faded past begins there.
	first := int64(math.MaxInt64)
	for _, p := range w.pushes() {
		first = min(first, p.at)
	}
	day := time.UnixMicro(first).In(w.zone).Format("2006-01-02")
	smooth, _, _ := bruteIndex(base, w.count(w.local(day), until, 14))
	is("smoothed index", got.Smoothed, smooth)
	w.compareLevers(t, what, got, c, parts, used, index, momentum)
}

// compareLevers works every lever out: momentum is proportional to each part.
func (w *bruteTown) compareLevers(t *testing.T, what string, got report.MomentumPeriod, c report.Counts, parts map[string]float64, used []string, index, momentum float64) {
	t.Helper()
	best, month := map[string]float64{}, map[string]string{}
	for _, m := range [][3]string{{"2025-02-01", "2025-03-01", "2025-02"}, {"2025-01-01", "2025-02-01", "2025-01"}, {"2024-12-01", "2025-01-01", "2024-12"}} {
		own, _ := partsOf(w.count(w.local(m[0]), w.local(m[1]), 0))
		for name, value := range own {
			if old, had := best[name]; !had || value > old {
				best[name], month[name] = value, m[2]
			}
		}
	}
	var sum, n float64
	for _, s := range w.sales {
		if s.at >= store.Micros(when(got.From)) && s.at < store.Micros(when(got.Until)) {
			sum, n = sum+0.4*float64(s.value-s.given)/1e6, n+1
		}
	}
	type lever struct{ part, what string }
	want := map[lever]float64{{"reached", "half_of_missed"}: (1 + parts["reached"]) / 2}
	for _, name := range used {
		if best[name] > parts[name] {
			want[lever{name, "half_to_best"}] = (parts[name] + best[name]) / 2
		}
	}
	if len(got.Levers) != len(want) {
		t.Errorf("%s: got %d levers, want %v", what, len(got.Levers), want)
	}
	last := math.Inf(1)
	for _, l := range got.Levers {
		then, ok := want[lever{l.Part, l.What}]
		grow := then/parts[l.Part] - 1
		if !ok || grow > last+1e-12 {
			t.Errorf("%s: %s %s: got it after %v, want the largest first", what, l.Part, l.What, last)
			continue
		}
		last = grow
		near := func(figure string, got, want float64) {
			if math.Abs(got-want) > 1e-8*math.Max(1, want) {
				t.Errorf("%s: %s %s, %s: got %v, want %v", what, l.Part, l.What, figure, got, want)
			}
		}
		near("now", l.Now, parts[l.Part])
		near("then", l.Then, then)
		near("points", *l.Points, index*grow)
		if !slices.Contains(used, "won") {
			if l.Customers != nil || l.Margin != nil {
				t.Errorf("%s: %s: got customers %v, margin %v, though nobody knows who was won", what, l.Part, l.Customers, l.Margin)
			}
			continue
		}
		near("customers", *l.Customers, momentum*c.Days*grow)
		near("margin", float64(l.Margin.Micros)/1e6, math.Round(100*c.Opportunities*parts["reached"]*parts["won"]*grow*sum/n)/100)
		if l.What == "half_to_best" && (l.BestMonth == nil || *l.BestMonth != month[l.Part]) {
			t.Errorf("%s: %s: best month %v, want %s", what, l.Part, l.BestMonth, month[l.Part])
		}
	}
}
