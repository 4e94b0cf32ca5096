package loopback

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/callwheel/callwheel"
)

// WorldConfig says which business is played and when. The zero value of every
// field but From and Until has a sensible meaning.
type WorldConfig struct {
	Seed        uint64
	From, Until time.Time      // visits and first calls begin in [From, Until); what follows from them may be later
	Zone        *time.Location // where the business is; America/New_York when nil
	Site        string         // "https://shop.example" when empty
	Currency    string         // of sales and spend; USD when empty
	Channels    []Channel      // DefaultChannels when nil

	// VisitorsPerDay is the mean of a weekday, 120 when zero. Visitors, when
	// above zero, is in its place the exact number of people who come in the
	// whole time; calls of offline channels keep their proportion.
	VisitorsPerDay float64
	Visitors       int
	// Growth is the share by which traffic grows in 30 days.
	Growth float64
	// AlwaysOpen makes agents answer at night and on Sundays as in the day: for
	// a simulation of a few hours that begins at any time.
	AlwaysOpen bool
	// FirstPerson is the number of the first person. Worlds that are played to
	// one server, one after another, must not share persons.
	FirstPerson int
	// BeatEvery is how often a page that is looked at says so, 30 s when zero.
	BeatEvery time.Duration
}

// Channel is where people come from. Of an offline channel (a billboard, an
// advertisement in print) only calls are seen, to the number printed on it.
type Channel struct {
	Key                      string // unique; PhoneCall.Channel and Visit.Channel name it
	Source, Medium, Campaign string // the truth that attribution should find
	Offline                  bool

	Weight      float64 // share of visitors, relative to the other online channels
	CallsPerDay float64 // of an offline channel, on a weekday
	CallShare   float64 // share of visitors who call

	Query    string // of the landing page; # stands for a click number
	Referrer string
	Landing  string // path of the landing page

	QualifiedShare float64 // of the genuine calls
	WonShare       float64 // of the qualified ones
	MeanSale       int64   // in whole units of the currency
	SpendPerDay    int64   // in whole units of the currency; 0 for what costs nothing
}

// DefaultChannels are a plumber's: two campaigns of paid search that differ in
// worth, organic search, paid social that brings many clicks and few jobs, a
// newsletter, an AI assistant, people who know the address, and two printed
// numbers.
func DefaultChannels() []Channel {
	return []Channel{
		{
			Key: "google-emergency", Source: "google", Medium: "cpc", Campaign: "emergency", Weight: 22, CallShare: 0.16,
			Query: "utm_source=google&utm_medium=cpc&utm_campaign=emergency&utm_term=plumber+near+me&gclid=loopback-#", Referrer: "https://www.google.com/", Landing: "/emergency",
			QualifiedShare: 0.75, WonShare: 0.6, MeanSale: 420, SpendPerDay: 180,
		},
		{
			Key: "google-bathroom", Source: "google", Medium: "cpc", Campaign: "bathroom", Weight: 14, CallShare: 0.07,
			Query: "utm_source=google&utm_medium=cpc&utm_campaign=bathroom&utm_term=new+bathroom&gclid=loopback-#", Referrer: "https://www.google.com/", Landing: "/bathrooms",
			QualifiedShare: 0.6, WonShare: 0.25, MeanSale: 2600, SpendPerDay: 110,
		},
		{
			Key: "google-organic", Source: "google", Medium: "organic", Weight: 25, CallShare: 0.1,
			Referrer: "https://www.google.com/", Landing: "/", QualifiedShare: 0.6, WonShare: 0.45, MeanSale: 520,
		},
		{
			Key: "facebook-paid", Source: "facebook", Medium: "paid_social", Campaign: "before-after", Weight: 16, CallShare: 0.03,
			Query: "utm_source=facebook&utm_medium=paid_social&utm_campaign=before-after&fbclid=loopback-#", Referrer: "https://l.facebook.com/", Landing: "/gallery",
			QualifiedShare: 0.35, WonShare: 0.2, MeanSale: 1400, SpendPerDay: 70,
		},
		{
			Key: "newsletter", Source: "newsletter", Medium: "email", Campaign: "winter-check", Weight: 6, CallShare: 0.14,
			Query: "utm_source=newsletter&utm_medium=email&utm_campaign=winter-check", Landing: "/winter-check",
			QualifiedShare: 0.8, WonShare: 0.65, MeanSale: 260, SpendPerDay: 4,
		},
		{
			Key: "bing-cpc", Source: "bing", Medium: "cpc", Campaign: "emergency", Weight: 4, CallShare: 0.14,
			Query: "utm_source=bing&utm_medium=cpc&utm_campaign=emergency&msclkid=loopback-#", Referrer: "https://www.bing.com/", Landing: "/emergency",
			QualifiedShare: 0.7, WonShare: 0.55, MeanSale: 400, SpendPerDay: 25,
		},
		{
			Key: "chatgpt", Source: "chatgpt.com", Medium: "ai", Weight: 5, CallShare: 0.13,
			Query: "utm_source=chatgpt.com", Referrer: "https://chatgpt.com/", Landing: "/",
			QualifiedShare: 0.7, WonShare: 0.5, MeanSale: 640,
		},
		{Key: direct, Source: "direct", Weight: 12, CallShare: 0.15, Landing: "/", QualifiedShare: 0.5, WonShare: 0.6, MeanSale: 380},
		{
			Key: "billboard", Source: "billboard", Medium: "offline", Campaign: "route-9", Offline: true, CallsPerDay: 1.2,
			QualifiedShare: 0.45, WonShare: 0.4, MeanSale: 480, SpendPerDay: 60,
		},
		{
			Key: "print-ad", Source: "print ad", Medium: "offline", Campaign: "village-paper", Offline: true, CallsPerDay: 0.8,
			QualifiedShare: 0.7, WonShare: 0.6, MeanSale: 700, SpendPerDay: 20,
		},
	}
}

const direct = "direct"

// Happening is one thing in a world: exactly one of the pointers is set.
type Happening struct {
	At    time.Time
	Visit *Visit
	Beat  *Beat
	Call  *PhoneCall
}

// Visit is a page that a browser opens. Person names the browser and Session
// its session, each unique in the world: play them with the ids that the server
// gave when they were first seen.
type Visit struct {
	Person, Session int
	First           bool   // first page of the session; the others have no referrer of their own
	Channel         string // of the session
	Page, Referrer  string
}

// Beat is a page that is still looked at, or that was looked at until now.
type Beat struct {
	Person, Session int
	Left            bool // it is not any more
}

// Dialled says which number a caller dials.
type Dialled string

// What callers dial.
const (
	ShownNumber   Dialled = "shown"   // that the session's pages showed last
	PrintedOnAd   Dialled = "ad"      // the source number of the channel
	EarlierNumber Dialled = "earlier" // the same as in the call Again, out of the phone's list
	PoolNumber    Dialled = "pool"    // the Nth number of the pool, of somebody who saw no page
)

// PhoneCall is a call that somebody makes, with all that is to be known about
// it beforehand. Script turns it into something that a Network plays.
type PhoneCall struct {
	Call    int // unique in the world
	Person  int
	Session int    // whose number was seen; 0 when the number is not from a page
	Channel string // which made this person call: the truth that attribution should find
	Dials   Dialled
	Nth     int  // of PoolNumber, from 0
	Again   int  // the call whose number is dialled again; 0 for none
	Open    bool // the page was open; told of plain worlds only
	Late    bool // dialled long after the session had ended: its number may be somebody else's by now

	From       string // raw; some withhold it
	CallerName string
	FromPlace  Place
	Phones     []Phone // what the business's phones do, in the order of ringing
	Patience   time.Duration
	Voicemail  time.Duration
	Message    string

	Judgement Judgement
}

// Judgement is what the business thinks of a call afterwards. It is meant for
// calls that were answered; CallBack and nothing else for missed ones.
type Judgement struct {
	Disposition string // one of WorldDispositions
	Tags        []string
	Quality     float64 // of the agent's work, 0 to 1: fill the scorecard's levels with it; below 0 when nobody scored
	Note        string
	After       time.Duration // from the end of the call to the judgement
	Sale        *PlannedSale
	Feedback    *PlannedFeedback
	CallBack    *PlannedCallBack
}

// PlannedSale is what the caller bought.
type PlannedSale struct {
	After         time.Duration // from the end of the call
	Value, Margin callwheel.Money
}

// PlannedFeedback is what the caller says of the business.
type PlannedFeedback struct {
	After time.Duration
	Kind  string // csat (1 to 5) or nps (0 to 10)
	Value int
}

// PlannedCallBack is the business calling back somebody it missed.
type PlannedCallBack struct {
	After     time.Duration
	Connected bool
}

// WorldDisposition is one outcome that judgements of a world use: an account
// that plays it needs these in its list.
type WorldDisposition struct {
	Name      string
	Stage     string // none, lead, qualified, won
	Qualified bool
	Genuine   bool
}

// WorldDispositions are the dispositions that a world's judgements name.
func WorldDispositions() []WorldDisposition {
	return []WorldDisposition{
		{"not a lead", "none", false, true},
		{"lead", "lead", false, true},
		{"qualified", "qualified", true, true},
		{"won", "won", true, true},
		{"spam", "none", false, false},
		{"wrong number", "none", false, false},
	}
}

// WorldTags are the tags that a world's judgements use.
func WorldTags() []string {
	return []string{"emergency", "estimate", "repair", "installation", "price shopper", "existing customer"}
}

// WorldAgent is somebody who answers phones.
type WorldAgent struct{ Name, Phone string }

// WorldAgents are the people of the business. Let the routes ring their phones,
// in this order.
func WorldAgents() []WorldAgent {
	return []WorldAgent{{"Maria Lopez", "+17735550101"}, {"Ben Carter", "+17735550102"}}
}

// DailySpend is what a channel cost on one calendar day of the business.
type DailySpend struct {
	Channel string
	On      string // 2026-10-06
	Cost    callwheel.Money
}

// World is the made-up traffic of a small business. The same config gives the
// same world.
type World struct {
	config     WorldConfig
	dice       *rand.Rand
	channels   map[string]Channel
	online     []Channel
	hours      []hour
	weight     float64 // of all hours together, in days
	happenings []Happening
	persons    int
	sessions   int
	calls      int
	clicks     int
	phones     int // of a plain world's callers
}

// hour is a stretch of the world with its share of a day's traffic.
type hour struct {
	from   time.Time
	length time.Duration
	upTo   float64 // weights of all hours until the end of this one
}

// NewWorld makes up a world. It takes time and memory in proportion to the
// number of visitors: a year of a small business is a second.
func NewWorld(config WorldConfig) *World {
	w := newWorld(config)
	w.layHours()
	w.populate()
	w.sort()
	return w
}

// newWorld makes a world in which nothing happens yet.
func newWorld(config WorldConfig) *World {
	if config.Zone == nil {
		zone, err := time.LoadLocation("America/New_York")
		if err != nil {
			zone = time.FixedZone("EST", -5*3600) // a machine without zone data
		}
		config.Zone = zone
	}
	config.Site = orElse(config.Site, "https://shop.example")
	config.Currency = orElse(config.Currency, "USD")
	if config.Channels == nil {
		config.Channels = DefaultChannels()
	}
	if config.VisitorsPerDay <= 0 {
		config.VisitorsPerDay = 120
	}
	if config.BeatEvery <= 0 {
		config.BeatEvery = 30 * time.Second
	}
	w := &World{config: config, channels: map[string]Channel{}, persons: config.FirstPerson, dice: newDice(config.Seed)}
	for _, c := range config.Channels {
		w.channels[c.Key] = c
		if !c.Offline {
			w.online = append(w.online, c)
		}
	}
	return w
}

func (w *World) sort() {
	slices.SortStableFunc(w.happenings, func(a, b Happening) int { return a.At.Compare(b.At) })
}

// Until is when the last visit or first call may have begun.
func (w *World) Until() time.Time { return w.config.Until }

// Happenings is everything that happens, in the order of time.
func (w *World) Happenings() []Happening { return w.happenings }

// Channels are those of the config, with which the truth is told.
func (w *World) Channels() []Channel { return w.config.Channels }

// Channel returns the channel of a key; the zero value when there is none.
func (w *World) Channel(key string) Channel { return w.channels[key] }

// Spend is what the channels cost on each day that the world touches.
func (w *World) Spend() []DailySpend {
	var list []DailySpend
	day := w.config.From.In(w.config.Zone)
	day = time.Date(day.Year(), day.Month(), day.Day(), 0, 0, 0, 0, w.config.Zone)
	for ; day.Before(w.config.Until); day = day.AddDate(0, 0, 1) {
		for _, c := range w.config.Channels {
			if c.SpendPerDay > 0 {
				list = append(list, DailySpend{Channel: c.Key, On: day.Format(time.DateOnly), Cost: w.money(c.SpendPerDay)})
			}
		}
	}
	return list
}

// Script is the call as a Network plays it, to the number that Dials means.
func (p *PhoneCall) Script(to string, at time.Time) CallScript {
	return CallScript{
		From: p.From, To: to, At: at, CallerName: p.CallerName, FromPlace: p.FromPlace,
		ToPlace: Place{State: "IL", Country: "US"}, Patience: p.Patience, Voicemail: p.Voicemail, Message: p.Message, Ref: p,
		Phone: func(_ string, attempt int) Phone {
			if attempt > len(p.Phones) {
				return Phone{}
			}
			return p.Phones[attempt-1]
		},
	}
}

// shareOfHour is how a weekday's traffic is spread over its hours.
var shareOfHour = [24]float64{
	0.6, 0.3, 0.2, 0.2, 0.3, 0.8, 2, 4, 6.5, 8, 8.5, 8, 7, 7, 7, 6.8, 6.5, 6.2, 5.6, 4.8, 4.2, 3.2, 1.8, 0.9,
}

var shareOfDay = map[time.Weekday]float64{time.Saturday: 0.6, time.Sunday: 0.4}

func (w *World) layHours() {
	var whole float64
	for _, share := range shareOfHour {
		whole += share
	}
	for from := w.config.From; from.Before(w.config.Until); {
		until := from.Truncate(time.Hour).Add(time.Hour)
		if until.After(w.config.Until) {
			until = w.config.Until
		}
		local := from.In(w.config.Zone)
		share := shareOfHour[local.Hour()] / whole * until.Sub(from).Hours()
		if day, ok := shareOfDay[local.Weekday()]; ok {
			share *= day
		}
		share *= math.Pow(1+w.config.Growth, from.Sub(w.config.From).Hours()/(24*30))
		w.weight += share
		w.hours = append(w.hours, hour{from: from, length: until.Sub(from), upTo: w.weight})
		from = until
	}
}

// instant draws a moment of the world, more often where there is more traffic.
func (w *World) instant() time.Time {
	at := w.dice.Float64() * w.weight
	i, _ := slices.BinarySearchFunc(w.hours, at, func(h hour, at float64) int { return cmp.Compare(h.upTo, at) })
	h := w.hours[min(i, len(w.hours)-1)]
	return h.from.Add(time.Duration(w.dice.Float64() * float64(h.length))).Truncate(time.Second)
}

func (w *World) populate() {
	if len(w.hours) == 0 || w.weight == 0 {
		return
	}
	visitors := int(math.Round(w.config.VisitorsPerDay * w.weight))
	days := w.weight
	if w.config.Visitors > 0 {
		days = float64(w.config.Visitors) / w.config.VisitorsPerDay
		visitors = w.config.Visitors
	}
	for range visitors {
		w.visitor()
	}
	for _, c := range w.config.Channels {
		if !c.Offline {
			continue
		}
		for range int(math.Round(c.CallsPerDay * days)) {
			w.persons++
			w.callFrom(c, w.instant(), 0, PrintedOnAd, false)
		}
	}
}

// visitor lets one person come, perhaps several times over some days, and
// perhaps call in one of their sessions.
func (w *World) visitor() {
	w.persons++
	at, channel := w.instant(), w.drawChannel()
	calls := w.chance(channel.CallShare)
	for touch := 1; ; touch++ {
		last := touch == 4 || !w.chance(0.25)
		w.session(channel, at, calls && (last || w.chance(0.5)))
		if last {
			return
		}
		at = at.Add(w.between(6*time.Hour, 9*24*time.Hour))
		if !at.Before(w.config.Until) {
			return
		}
		if w.chance(0.5) && w.channels[direct].Key != "" {
			channel = w.channels[direct]
		} else {
			channel = w.drawChannel()
		}
	}
}

func (w *World) drawChannel() Channel {
	var whole float64
	for _, c := range w.online {
		whole += c.Weight
	}
	at := w.dice.Float64() * whole
	for _, c := range w.online {
		if at -= c.Weight; at < 0 {
			return c
		}
	}
	return w.online[len(w.online)-1]
}

// pages are where people go after the landing page.
var pages = []string{"/prices", "/about", "/reviews", "/contact", "/bathrooms"}

// session opens pages with beats between them, and makes the call when there is
// to be one: mostly while the page is open, sometimes soon after, rarely days
// later.
func (w *World) session(channel Channel, at time.Time, call bool) {
	w.sessions++
	session, person := w.sessions, w.persons
	began := at
	for page := range 1 + w.dice.IntN(4) {
		visit := &Visit{Person: person, Session: session, First: page == 0, Channel: channel.Key, Page: w.config.Site + pages[w.dice.IntN(len(pages))]}
		if page == 0 {
			visit.Page, visit.Referrer = w.landing(channel), channel.Referrer
		}
		w.add(Happening{At: at, Visit: visit})
		left := at.Add(w.between(15*time.Second, 3*time.Minute))
		for beat := at.Add(w.config.BeatEvery); beat.Before(left); beat = beat.Add(w.config.BeatEvery) {
			w.add(Happening{At: beat, Beat: &Beat{Person: person, Session: session}})
		}
		at = left
	}
	w.add(Happening{At: at, Beat: &Beat{Person: person, Session: session, Left: true}})
	if !call {
		return
	}
	switch draw := w.dice.Float64(); {
	case draw < 0.8:
		w.callFrom(channel, began.Add(w.between(10*time.Second, at.Sub(began))), session, ShownNumber, false)
	case draw < 0.92:
		w.callFrom(channel, at.Add(w.between(time.Minute, 15*time.Minute)), session, ShownNumber, false)
	default:
		w.callFrom(channel, at.Add(w.between(20*time.Hour, 12*24*time.Hour)), session, ShownNumber, true)
	}
}

func (w *World) landing(channel Channel) string {
	page := w.config.Site + channel.Landing
	if channel.Query == "" {
		return page
	}
	query := ""
	for _, r := range channel.Query {
		if r == '#' {
			w.clicks++
			query += fmt.Sprintf("%06d", w.config.FirstPerson+w.clicks)
			continue
		}
		query += string(r)
	}
	return page + "?" + query
}

// callFrom makes a call, and the same person's next one some days later.
func (w *World) callFrom(channel Channel, at time.Time, session int, dials Dialled, late bool) {
	first := w.phoneCall(channel, at)
	first.Session, first.Dials, first.Late = session, dials, late
	w.add(Happening{At: at, Call: first})
	if !w.chance(0.18) {
		return
	}
	at = at.Add(w.between(20*time.Hour, 20*24*time.Hour))
	again := w.phoneCall(channel, at)
	again.Dials, again.Again, again.Late = EarlierNumber, first.Call, dials == ShownNumber
	again.From, again.CallerName, again.FromPlace = first.From, first.CallerName, first.FromPlace
	w.add(Happening{At: at, Call: again})
}

func (w *World) phoneCall(channel Channel, at time.Time) *PhoneCall {
	w.calls++
	call := &PhoneCall{Call: w.calls, Person: w.persons, Channel: channel.Key}
	call.From, call.FromPlace = personNumber(w.persons)
	if w.chance(0.04) {
		call.From, call.FromPlace = [...]string{"anonymous", "+266696687", "+7378742833"}[w.dice.IntN(3)], Place{}
	} else if w.chance(0.4) {
		call.CallerName = fmt.Sprintf("CALLER %d", w.persons)
	}
	if w.chance(0.3) {
		call.Patience = w.between(8*time.Second, 40*time.Second)
	}
	if w.chance(0.55) {
		call.Voicemail = w.between(2*time.Second, 50*time.Second)
		call.Message = "Hi, please call me back about the leaking tap."
	}
	call.Phones = w.ring(at)
	call.Judgement = w.judge(channel)
	return call
}

// callerAreas are where callers are at home. The area codes of the business's
// own numbers (312, 773) are not among them.
var callerAreas = []struct {
	code  string
	place Place
}{
	{"212", Place{"NEW YORK", "NY", "10001", "US"}},
	{"718", Place{"BROOKLYN", "NY", "11201", "US"}},
	{"516", Place{"HEMPSTEAD", "NY", "11550", "US"}},
	{"914", Place{"YONKERS", "NY", "10701", "US"}},
	{"201", Place{"JERSEY CITY", "NJ", "07302", "US"}},
	{"973", Place{"NEWARK", "NJ", "07102", "US"}},
	{"203", Place{"STAMFORD", "CT", "06901", "US"}},
	{"617", Place{"BOSTON", "MA", "02108", "US"}},
	{"215", Place{"PHILADELPHIA", "PA", "19107", "US"}},
	{"202", Place{"WASHINGTON", "DC", "20001", "US"}},
	{"404", Place{"ATLANTA", "GA", "30303", "US"}},
	{"305", Place{"MIAMI", "FL", "33130", "US"}},
}

// moreAreas are further area codes, of which nothing but the country is known.
var moreAreas = []string{
	"205", "206", "207", "208", "209", "210", "213", "214", "216", "217", "218", "219", "225", "228", "229", "231", "234", "239", "240", "248",
	"251", "252", "253", "254", "256", "260", "262", "267", "269", "270", "276", "281", "301", "302", "303", "304", "307", "308", "309", "310",
	"313", "314", "315", "316", "317", "318", "319", "320", "321", "323", "325", "330", "334", "336", "337", "339", "347", "351", "352", "360",
	"361", "385", "386", "401", "402", "405", "406", "407", "408", "409", "410", "412", "413", "414", "417", "419", "423", "424", "425", "432",
	"434", "435", "440", "443", "469", "478", "479", "480", "484", "501", "502", "503", "504", "505", "507", "508", "509", "510", "512", "513",
	"515", "517", "518", "520", "530", "540", "541", "559", "561", "562", "563", "567", "570", "571", "573", "574", "580", "585", "586", "601",
	"602", "603", "605", "606", "607", "608", "609", "610", "612", "614", "615", "616", "618", "619", "620", "623", "626", "630", "631", "636",
	"641", "646", "650", "651", "660", "661", "662", "678", "682", "701", "702", "703", "704", "706", "707", "708", "712", "713", "714", "715",
	"716", "717", "719", "720", "724", "727", "731", "732", "734", "740", "754", "757", "760", "763", "765", "770", "772", "774", "775", "781",
	"785", "786", "801", "802", "803", "804", "805", "806", "808", "810", "812", "813", "814", "815", "816", "817", "818", "828", "830", "831",
	"832", "843", "845", "847", "848", "850", "856", "857", "858", "859", "860", "863", "864", "865", "870", "901", "903", "904", "906", "907",
	"908", "909", "910", "912", "913", "915", "916", "918", "919", "920", "925", "928", "931", "936", "937", "940", "941", "947", "949", "951",
	"952", "954", "956", "970", "971", "972", "978", "979", "980", "985", "989",
}

// personNumber is the phone of a person: 555-0100 to 555-0199 of some area.
// There are about twenty-five thousand; after them phones are shared.
func personNumber(person int) (string, Place) {
	areas := len(callerAreas) + len(moreAreas)
	area, line := person%areas, person/areas%100
	if area < len(callerAreas) {
		return fmt.Sprintf("+1%s55501%02d", callerAreas[area].code, line), callerAreas[area].place
	}
	return fmt.Sprintf("+1%s55501%02d", moreAreas[area-len(callerAreas)], line), Place{Country: "US"}
}

// ring says what the first phones do that ring at this moment: mostly they
// are picked up in office hours, and seldom outside.
func (w *World) ring(at time.Time) []Phone {
	answers := 0.25
	if w.config.AlwaysOpen || officeHours(at.In(w.config.Zone)) {
		answers = 0.85
	}
	list := make([]Phone, 4)
	for i := range list {
		switch draw := w.dice.Float64(); {
		case draw < answers:
			list[i] = Phone{Answers: true, After: w.between(2*time.Second, 14*time.Second), PressKey: "1", Talk: w.talk()}
			if w.chance(0.35) {
				list[i].HangsUpFirst = AgentParty
			}
		case draw < answers+0.06:
			list[i] = Phone{Busy: true}
		case draw < answers+0.09: // the voicemail of a mobile phone, which presses no key
			list[i] = Phone{Answers: true, After: 15 * time.Second, Talk: 12 * time.Second}
		}
	}
	return list
}

func officeHours(local time.Time) bool {
	switch local.Weekday() {
	case time.Sunday:
		return false
	case time.Saturday:
		return local.Hour() >= 9 && local.Hour() < 13
	}
	return local.Hour() >= 8 && local.Hour() < 18
}

// talk draws the length of a conversation: many short ones, few long ones.
func (w *World) talk() time.Duration {
	return time.Duration(20+w.dice.ExpFloat64()*150) * time.Second
}

// judge decides what a call is worth.
func (w *World) judge(channel Channel) Judgement {
	j := Judgement{Quality: -1, After: w.between(20*time.Second, 10*time.Minute)}
	if w.chance(0.7) {
		j.CallBack = &PlannedCallBack{After: w.between(4*time.Minute, 5*time.Hour), Connected: w.chance(0.65)}
	}
	if w.chance(0.6) {
		j.Quality = min(1, max(0, 0.72+0.2*w.dice.NormFloat64()))
	}
	switch draw := w.dice.Float64(); {
	case draw < 0.05:
		j.Disposition = "spam"
		return j
	case draw < 0.09:
		j.Disposition = "wrong number"
		return j
	case draw < 0.18:
		j.Disposition, j.Tags = "not a lead", []string{"existing customer"}
		return j
	}
	j.Tags = []string{WorldTags()[w.dice.IntN(5)]}
	switch {
	case !w.chance(channel.QualifiedShare):
		j.Disposition = "lead"
	case !w.chance(channel.WonShare):
		j.Disposition, j.Note = "qualified", "wants a written estimate"
	default:
		j.Disposition = "won"
		j.Sale = w.sale(channel)
	}
	if w.chance(0.12) {
		j.Feedback = &PlannedFeedback{After: w.between(time.Hour, 3*24*time.Hour), Kind: "csat", Value: 5 - w.dice.IntN(3)*w.dice.IntN(2)}
	}
	return j
}

// sale draws a price around the channel's mean, in whole units, at a third of
// margin.
func (w *World) sale(channel Channel) *PlannedSale {
	value := max(40, int64(float64(channel.MeanSale)*(0.4+0.6*w.dice.ExpFloat64())))
	return &PlannedSale{
		After: w.between(time.Hour, 8*24*time.Hour),
		Value: w.money(value), Margin: w.money(max(1, value*35/100)),
	}
}

func (w *World) money(units int64) callwheel.Money {
	return callwheel.Money{Micros: units * 1_000_000, Currency: w.config.Currency}
}

func (w *World) add(h Happening) { w.happenings = append(w.happenings, h) }

func (w *World) chance(share float64) bool { return w.dice.Float64() < share }

// between draws a whole number of seconds in [low, high).
func (w *World) between(low, high time.Duration) time.Duration {
	seconds := int64((high - low) / time.Second)
	if seconds <= 0 {
		return low
	}
	return low + time.Duration(w.dice.Int64N(seconds))*time.Second
}
