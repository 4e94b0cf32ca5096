package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/telephony/loopback"
)

// business is the plumber of the demo and the simulation: an account that was
// furnished through the doors, as its owner would.
type business struct {
	*opened
	SiteKey  string
	PoolID   string
	Origin   string
	Printed  string            // the number on the web site
	Ads      map[string]string // tracking numbers of offline channels
	Pool     []string          // numbers that are lent to visitors
	Tracking []trackingNumber
	Card     *scorecard
}

type trackingNumber struct {
	Number string `json:"number"`
	Source string `json:"source"` // name of its source; "" for a number of a pool, which has none
}

const (
	plumberSite    = "https://shop.example"
	plumberPrinted = "+13125550100"
	poolName       = "Web site"
)

// furnish opens an account and gives it everything that a small business has.
// poolSize numbers are lent to visitors.
func furnish(ctx context.Context, s *stage, channels []loopback.Channel, poolSize int) (*business, error) {
	o, err := s.openAccount(ctx, account.AccountParams{
		Name: "Harbor Plumbing", TZ: "America/New_York", Currency: "USD", Destination: loopback.WorldAgents()[0].Phone,
	}, account.Owner, account.Manager, account.Agent, account.Marketer)
	if err != nil {
		return nil, err
	}
	b := &business{opened: o, Origin: plumberSite, Printed: plumberPrinted, Ads: map[string]string{}}
	f := &furnisher{ctx: ctx, stage: s, api: s.api(o.Tokens[account.Owner]), business: b}
	f.post("PATCH", "/v1/account", map[string]any{"margin_rate": 0.35}, nil)
	f.people()
	f.routing()
	f.pool(poolSize, 30*time.Minute, 10*time.Minute)
	f.printedNumbers(channels)
	f.site()
	return b, f.err
}

// furnisher sends one request after another until one fails.
type furnisher struct {
	ctx      context.Context
	stage    *stage
	api      *apiClient
	business *business
	routeID  string
	next     int
	err      error
}

func (f *furnisher) post(method, path string, in, out any) {
	if f.err == nil {
		f.err = f.api.call(f.ctx, method, path, in, out)
	}
}

// make posts and returns the id of what was made.
func (f *furnisher) make(path string, in any) string {
	var made struct {
		ID string `json:"id"`
	}
	f.post(http.MethodPost, path, in, &made)
	return made.ID
}

func (f *furnisher) people() {
	for _, a := range loopback.WorldAgents() {
		f.make("/v1/agents", map[string]any{"name": a.Name, "phone": a.Phone})
	}
	for _, tag := range loopback.WorldTags() {
		f.make("/v1/tags", map[string]any{"name": tag})
	}
	f.post(http.MethodPost, "/v1/scorecards", map[string]any{
		"name": "Phone manners",
		"criteria": []map[string]any{
			{"name": "Said who is speaking", "weight": 10, "max_level": 4, "critical": true},
			{"name": "Understood the problem", "weight": 25, "max_level": 4},
			{"name": "Offered an appointment", "weight": 20, "max_level": 4},
		},
	}, &f.business.Card)
}

func (f *furnisher) routing() {
	steps := []map[string]any{}
	for _, a := range loopback.WorldAgents() {
		steps = append(steps, map[string]any{"destinations": []string{a.Phone}, "timeout_seconds": 15})
	}
	f.routeID = f.make("/v1/routes", map[string]any{
		"name": "Office, then voicemail",
		"plan": map[string]any{
			"steps": steps, "whisper": "Call from {source}.", "press_to_accept": true,
			"record": true, "announcement": "This call is recorded so that we can learn from it.",
			"voicemail": true, "greeting": "We are out on a job. Please leave a message after the tone.",
		},
	})
}

// number makes the pretend provider own a number and the account use it.
func (f *furnisher) number(fields map[string]any, source string) (id, e164 string) {
	f.next++
	area := []string{"312", "872", "630"}[f.next/fictional]
	e164 = fmt.Sprintf("+1%s55501%02d", area, f.next%fictional)
	f.stage.network.AddNumber(e164, loopback.NumberURLs{})
	fields["number"] = e164
	if f.routeID != "" {
		fields["route_id"] = f.routeID
	}
	id = f.make("/v1/numbers", fields)
	f.business.Tracking = append(f.business.Tracking, trackingNumber{Number: e164, Source: source})
	return id, e164
}

// fictional is how many numbers of an area are kept for fiction: 555-0100 to
// 555-0199.
const fictional = 100

func (f *furnisher) pool(size int, tail, cooldown time.Duration) {
	f.business.PoolID = f.make("/v1/pools", map[string]any{
		"name": poolName, "lease_tail_seconds": int64(tail / time.Second), "cooldown_seconds": int64(cooldown / time.Second),
	})
	overflow, _ := f.number(map[string]any{}, "")
	for range size {
		_, e164 := f.number(map[string]any{"pool_id": f.business.PoolID}, "")
		f.business.Pool = append(f.business.Pool, e164)
	}
	f.post("PATCH", "/v1/pools/"+f.business.PoolID, map[string]any{"overflow_number_id": overflow}, nil)
}

// printedNumbers gives every offline channel a source with a number of its own.
func (f *furnisher) printedNumbers(channels []loopback.Channel) {
	for _, c := range channels {
		if !c.Offline {
			continue
		}
		source := f.make("/v1/sources", map[string]any{"name": c.Source, "medium": c.Medium, "kind": "offline"})
		_, e164 := f.number(map[string]any{"source_id": source, "campaign": c.Campaign}, c.Source)
		f.business.Ads[c.Key] = e164
	}
}

func (f *furnisher) site() {
	var made struct {
		Key string `json:"key"`
	}
	f.post(http.MethodPost, "/v1/sites", map[string]any{
		"name": "shop.example", "origins": []string{plumberSite}, "pool_id": f.business.PoolID, "swap": []string{plumberPrinted},
	}, &made)
	f.business.SiteKey = made.Key
}

// pay records what the channels of a world cost.
func (b *business) pay(ctx context.Context, s *stage, world *loopback.World) error {
	type item struct {
		Source   string          `json:"source"`
		Medium   string          `json:"medium"`
		Campaign string          `json:"campaign"`
		From     string          `json:"from"`
		Until    string          `json:"until"`
		Cost     callwheel.Money `json:"cost"`
	}
	var items []item
	for _, spend := range world.Spend() {
		c := world.Channel(spend.Channel)
		items = append(items, item{c.Source, c.Medium, c.Campaign, spend.On, dayAfter(spend.On), spend.Cost})
	}
	if len(items) == 0 {
		return nil
	}
	return s.api(b.Tokens[account.Marketer]).call(ctx, http.MethodPost, "/v1/spend", map[string]any{"items": items}, nil)
}

// player makes a player who visits, calls and judges at this business.
func (b *business) player(ctx context.Context, s *stage, world *loopback.World) *player {
	p := newPlayer(ctx, s.network, world, s.client, s.program.cfg.PublicURL)
	p.siteKey, p.origin, p.printed, p.ads, p.card = b.SiteKey, b.Origin, b.Printed, b.Ads, b.Card
	p.agent = s.api(b.Tokens[account.Agent])
	return p
}
