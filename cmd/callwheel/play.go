package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/telephony"
	"github.com/callwheel/callwheel/telephony/loopback"
)

// player plays a world through a server's public doors: visits and beats as
// browsers send them, calls through the pretend network, judgements as agents
// give them over the API. It knows the truth, and writes it down.
type player struct {
	ctx     context.Context
	network *loopback.Network
	world   *loopback.World
	http    *http.Client

	base    string            // of the public doors
	siteKey string            // "" plays no visits
	origin  string            // of the site
	printed string            // number that the pages print
	ads     map[string]string // printed numbers of offline channels
	pool    []string          // numbers that strangers may dial
	given   []string          // numbers that people dial who saw no page, in turn; of their sources nothing is known
	foreign bool              // the network does not know the server's numbers beforehand
	began   time.Time         // with speed: the beginning of the story
	speed   float64           // above 1 everything happens so much sooner after the beginning
	agent   *apiClient        // nil: nobody judges
	card    *scorecard        // nil: nobody scores
	truth   *truthFile        // nil: nobody writes it down

	mu       sync.Mutex
	visitors map[int]string    // by person
	sessions map[int]string    // by session
	swaps    map[int]swap      // by session: what its pages showed
	dialled  map[int]string    // by call
	latest   map[string]string // by number: the visitor to whom it was shown last
	visits   int
	calls    int
	failures []error
}

// swap is what a session was shown.
type swap struct{ number, reason string }

// scorecard is what an agent's work is measured with.
type scorecard struct {
	ID       string
	Criteria []struct {
		ID       string `json:"id"`
		MaxLevel int    `json:"max_level"`
	}
}

func newPlayer(ctx context.Context, network *loopback.Network, world *loopback.World, client *http.Client, base string) *player {
	return &player{
		ctx: ctx, network: network, world: world, http: client, base: base,
		ads: map[string]string{}, visitors: map[int]string{}, sessions: map[int]string{}, swaps: map[int]swap{}, dialled: map[int]string{},
		latest: map[string]string{},
	}
}

// schedule puts everything that happens in the world on the network's agenda.
func (p *player) schedule() {
	for _, h := range p.world.Happenings() {
		at := h.At
		if p.speed > 1 {
			at = p.began.Add(p.span(h.At.Sub(p.began)))
		}
		switch {
		case h.Visit != nil && p.siteKey != "":
			p.network.Schedule(at, func() { p.visit(h.Visit) })
		case h.Beat != nil && p.siteKey != "":
			p.network.Schedule(at, func() { p.beat(h.Beat) })
		case h.Call != nil:
			p.network.Schedule(at, func() { p.call(h.Call, at) })
		}
	}
}

// span is how long something takes at the player's speed.
func (p *player) span(d time.Duration) time.Duration {
	if p.speed <= 1 {
		return d
	}
	return time.Duration(float64(d) / p.speed)
}

// err is what went wrong so far.
func (p *player) err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return errors.Join(p.failures...)
}

func (p *player) failed(err error) {
	if err == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.failures) < 20 {
		p.failures = append(p.failures, err)
	}
}

// visit opens a page: what the browser script does.
func (p *player) visit(v *loopback.Visit) {
	p.visits++
	var answer struct {
		Visitor string `json:"visitor"`
		Session string `json:"session"`
		Swap    map[string]struct {
			E164 string `json:"e164"`
		} `json:"swap"`
		Reason string `json:"reason"`
	}
	err := p.browser(v.Person, "/visits", map[string]any{
		"visitor": p.visitors[v.Person], "session": p.sessions[v.Session],
		"page": v.Page, "referrer": v.Referrer, "numbers": []string{p.printed}, "consent": nil,
	}, &answer)
	if err != nil {
		p.failed(err)
		return
	}
	p.visitors[v.Person], p.sessions[v.Session] = answer.Visitor, answer.Session
	shown := swap{number: p.printed, reason: answer.Reason}
	if s, ok := answer.Swap[p.printed]; ok {
		shown.number = s.E164
	}
	p.swaps[v.Session], p.latest[shown.number] = shown, answer.Visitor
}

func (p *player) beat(b *loopback.Beat) {
	if p.sessions[b.Session] == "" {
		return
	}
	p.failed(p.browser(b.Person, "/beats", map[string]any{
		"session": p.sessions[b.Session], "swapped": 1, "found": 1, "failed": []any{}, "visible": !b.Left,
	}, nil))
}

// browser posts as a page of the site that this person looks at.
func (p *player) browser(person int, path string, in, out any) error {
	text, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(p.ctx, http.MethodPost, p.base+"/dni/v1/"+url.PathEscape(p.siteKey)+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Origin", p.origin)
	req.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0 Safari/537.36")
	req.Header.Set("X-Forwarded-For", addressOf(person))
	resp, err := p.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("%s: %s: %s", path, resp.Status, body)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(body, out)
}

// addressOf is where a person's browser is: each on a network of their own, as
// far as there are any. Servers believe it only of a proxy that they trust.
func addressOf(person int) string {
	return fmt.Sprintf("198.%d.%d.%d", 18+person>>8&1, person&0xff, 1+person>>9%254)
}

// call lets somebody dial the number that they have seen.
func (p *player) call(c *loopback.PhoneCall, at time.Time) {
	to := p.number(c)
	if to == "" {
		return // the page showed no number that rings
	}
	if p.foreign {
		p.network.AddNumber(to, loopback.NumberURLs{})
	}
	p.calls++
	p.dialled[c.Call] = to
	latest := p.latest[to]
	script := c.Script(to, at)
	script.OnEnd = func(placed *loopback.PlacedCall) {
		p.note(c, to, latest, placed)
		if p.agent != nil {
			p.judge(c, placed)
		}
	}
	p.network.Call(script)
}

// number finds what the caller dials.
func (p *player) number(c *loopback.PhoneCall) string {
	switch {
	case c.Dials == loopback.EarlierNumber:
		return p.dialled[c.Again]
	case c.Dials == loopback.PrintedOnAd && p.ads[c.Channel] != "":
		return p.ads[c.Channel]
	case c.Dials == loopback.PoolNumber && len(p.pool) > 0:
		return p.pool[c.Nth%len(p.pool)]
	case p.isGiven(c):
		return p.given[c.Call%len(p.given)]
	}
	shown := p.swaps[c.Session].number
	if shown == p.printed {
		return "" // the business's own number: nothing to measure
	}
	return shown
}

// isGiven says whether the caller dials one of the given numbers.
func (p *player) isGiven(c *loopback.PhoneCall) bool {
	return len(p.given) > 0 && (p.siteKey == "" || c.Dials == loopback.PrintedOnAd && p.ads[c.Channel] == "")
}

// note writes the truth about an ended call; latest is to whom its number had
// been shown last.
func (p *player) note(c *loopback.PhoneCall, to, latest string, placed *loopback.PlacedCall) {
	if p.truth == nil {
		return
	}
	channel := p.world.Channel(c.Channel)
	line := truthLine{
		Kind: "call", ProviderCallID: placed.SID, StartedAt: placed.StartedAt, TrackingNumber: to,
		Outcome: placed.Outcome, TalkSeconds: placed.TalkSeconds,
		Source: channel.Source, Medium: channel.Medium, Campaign: channel.Campaign, Offline: channel.Offline,
		Dialled: string(c.Dials), Open: c.Open, Late: c.Late, Latest: latest, Disposition: c.Judgement.Disposition,
		After: !placed.StartedAt.Before(p.world.Until()) && c.Dials != loopback.EarlierNumber,
	}
	if c.Session != 0 {
		line.VisitorID, line.SessionID, line.Shown = p.visitors[c.Person], p.sessions[c.Session], p.swaps[c.Session].reason
	} else if p.visitors[c.Person] != "" {
		line.VisitorID = p.visitors[c.Person]
	}
	if p.isGiven(c) {
		line.Dialled, line.Offline, line.Source, line.Medium, line.Campaign = dialledGiven, false, "", "", ""
	}
	if c.Judgement.Sale != nil && placed.Outcome == telephony.Answered {
		line.Value = &c.Judgement.Sale.Value
	}
	p.failed(p.truth.write(line))
}

// dialledGiven marks calls to a number of whose source the truth knows nothing.
const dialledGiven = "given"

// judge lets an agent do, some time after the call, what agents do.
func (p *player) judge(c *loopback.PhoneCall, placed *loopback.PlacedCall) {
	j := c.Judgement
	now := p.network.Clock().Now()
	if placed.Outcome != telephony.Answered {
		if back := j.CallBack; back != nil && placed.Outcome.Missed() && c.From != "anonymous" {
			p.network.Schedule(now.Add(p.span(back.After)), func() {
				p.desk(placed, http.MethodPost, "/callback", map[string]any{"connected": back.Connected})
			})
		}
		return
	}
	p.network.Schedule(now.Add(p.span(j.After)), func() {
		p.desk(placed, http.MethodPut, "/disposition", map[string]any{"disposition": dispositionOf(j.Disposition)})
		for _, tag := range j.Tags {
			p.desk(placed, http.MethodPut, "/tags/"+url.PathEscape(tag), nil)
		}
		if j.Note != "" {
			p.desk(placed, http.MethodPost, "/notes", map[string]any{"text": j.Note})
		}
		if j.Quality >= 0 && p.card != nil {
			p.desk(placed, http.MethodPost, "/scores", p.card.filled(j.Quality))
		}
	})
	if sale := j.Sale; sale != nil {
		p.network.Schedule(now.Add(p.span(sale.After)), func() {
			p.desk(placed, http.MethodPost, "/sales", map[string]any{"value": sale.Value, "margin": sale.Margin})
		})
	}
	if f := j.Feedback; f != nil {
		p.network.Schedule(now.Add(p.span(f.After)), func() {
			p.desk(placed, http.MethodPost, "/feedback", map[string]any{"kind": f.Kind, "value": f.Value})
		})
	}
}

// dispositionOf is the name that a new account's list has for a disposition of
// the world.
func dispositionOf(name string) string {
	switch name {
	case "won":
		return "Sale"
	case "qualified":
		return "Qualified lead"
	}
	return name
}

// filled marks every criterion according to the quality of the agent's work.
func (s *scorecard) filled(quality float64) map[string]any {
	marks := make([]map[string]any, len(s.Criteria))
	for i, c := range s.Criteria {
		level := int(math.Round(quality * float64(c.MaxLevel)))
		if i == 0 && level == 0 && quality > 0.2 {
			level = 1 // the critical line fails only where the work was poor
		}
		marks[i] = map[string]any{"criterion": c.ID, "level": level}
	}
	return map[string]any{"scorecard": s.ID, "marks": marks}
}

// desk does one thing at the agent's desk about a call, which it finds as an
// agent does: in the list, by when it came.
func (p *player) desk(placed *loopback.PlacedCall, method, path string, body any) {
	id, err := p.find(placed)
	if err != nil {
		p.failed(err)
		return
	}
	p.failed(p.agent.call(p.ctx, method, "/v1/calls/"+id+path, body, nil))
}

func (p *player) find(placed *loopback.PlacedCall) (string, error) {
	var page struct {
		Items []struct {
			ID             string `json:"id"`
			ProviderCallID string `json:"provider_call_id"`
		} `json:"items"`
	}
	window := url.Values{
		"from":   {placed.StartedAt.Add(-time.Minute).UTC().Format(time.RFC3339)},
		"until":  {placed.StartedAt.Add(time.Minute).UTC().Format(time.RFC3339)},
		"fields": {"id,provider_call_id"},
	}
	if err := p.agent.call(p.ctx, http.MethodGet, "/v1/calls?"+window.Encode(), nil, &page); err != nil {
		return "", err
	}
	for _, item := range page.Items {
		if item.ProviderCallID == placed.SID {
			return item.ID, nil
		}
	}
	return "", fmt.Errorf("call %s is not in the list", placed.SID)
}

// truthLine is one line of the truth file: what really happened.
type truthLine struct {
	Kind string `json:"kind"` // server (once, first), call

	// server
	DatabaseURL string      `json:"database_url,omitempty"`
	AccountID   string      `json:"account_id,omitempty"`
	URL         string      `json:"url,omitempty"`
	Plain       *plainWorld `json:"plain,omitempty"` // the rules of the world, where it was a plain one

	// call
	ProviderCallID string            `json:"provider_call_id,omitempty"`
	StartedAt      time.Time         `json:"started_at,omitzero"`
	TrackingNumber string            `json:"tracking_number,omitempty"`
	Outcome        telephony.Outcome `json:"outcome,omitempty"`
	TalkSeconds    int64             `json:"talk_seconds,omitempty"`
	VisitorID      string            `json:"visitor_id,omitempty"` // who called; "" for a printed number
	SessionID      string            `json:"session_id,omitempty"`
	Shown          string            `json:"shown,omitempty"` // why the visitor saw this number: leased, overflow, …
	Source         string            `json:"source,omitempty"`
	Medium         string            `json:"medium,omitempty"`
	Campaign       string            `json:"campaign,omitempty"`
	Offline        bool              `json:"offline,omitempty"` // dialled from print: a source number
	Dialled        string            `json:"dialled,omitempty"`
	Open           bool              `json:"open,omitempty"`   // the page was open
	Late           bool              `json:"late,omitempty"`   // long after the visit
	After          bool              `json:"after,omitempty"`  // when nobody came any more who calls
	Latest         string            `json:"latest,omitempty"` // visitor to whom the number had been shown last
	Disposition    string            `json:"disposition,omitempty"`
	Value          *callwheel.Money  `json:"value,omitempty"`
}

// stranger says whether the caller had seen no page, and none of the numbers in
// print either.
func (l truthLine) stranger() bool { return l.Dialled == string(loopback.PoolNumber) }

// truthFile is written line by line.
type truthFile struct {
	mu sync.Mutex
	w  io.Writer
}

func (t *truthFile) write(line truthLine) error {
	text, err := json.Marshal(line)
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	_, err = t.w.Write(append(text, '\n'))
	return err
}

// readTruth reads a truth file.
func readTruth(r io.Reader) ([]truthLine, error) {
	var lines []truthLine
	dec := json.NewDecoder(r)
	for {
		var line truthLine
		if err := dec.Decode(&line); errors.Is(err, io.EOF) {
			return lines, nil
		} else if err != nil {
			return nil, fmt.Errorf("read truth, line %d: %w", len(lines)+1, err)
		}
		lines = append(lines, line)
	}
}

// isFold says whether two names are the same but for case.
func isFold(a, b string) bool { return strings.EqualFold(strings.TrimSpace(a), strings.TrimSpace(b)) }
