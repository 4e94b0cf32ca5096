package api

import (
	"context"
	"net/http"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/telephony"
)

// telephonyDoors are the numbers that ring, where they ring, and who may not.
func (s *Server) telephonyDoors() {
	s.numberDoors()
	s.carrierDoors()
	s.routeDoors()
	s.blockDoors()
}

type numberBody struct {
	ID          string      `json:"id"`
	Number      *wireNumber `json:"number"`
	State       string      `json:"state" enum:"ordered,active,draining,quarantined,released" doc:"ordered: bought, but the provider has not said so yet"`
	SourceID    *string     `json:"source_id" doc:"What every call to it is attributed to; null when it belongs to a pool"`
	PoolID      *string     `json:"pool_id" doc:"The pool that lends it; null when it stands for one source"`
	Campaign    string      `json:"campaign"`
	Destination *wireNumber `json:"destination" doc:"Who is rung; null leaves it to the route, the pool or the account"`
	RouteID     *string     `json:"route_id"`
	Record      bool        `json:"record"`
	Whisper     string      `json:"whisper" doc:"Spoken to the agent before the bridge; {source} is replaced"`
	Provider    string      `json:"provider"`
	ConfirmedAt *stamp      `json:"confirmed_at" doc:"When the provider said that we own it and it points at us; null: not yet"`
	Problem     *string     `json:"problem" doc:"What the confirmation found wrong"`
	CreatedAt   stamp       `json:"created_at"`
	ReleasedAt  *stamp      `json:"released_at"`
}

func numberOut(n telephony.TrackingNumber) numberBody {
	return numberBody{
		ID: n.ID, Number: number(n.Number), State: string(n.State), SourceID: orNil(n.SourceID), PoolID: orNil(n.PoolID),
		Campaign: n.Campaign, Destination: number(n.Destination), RouteID: orNil(n.RouteID), Record: n.Record,
		Whisper: n.Whisper, Provider: n.Provider, ConfirmedAt: atPtr(n.ConfirmedAt), Problem: orNil(n.Problem),
		CreatedAt: at(n.CreatedAt), ReleasedAt: atPtr(n.ReleasedAt),
	}
}

// NumberSettings are what a number shall be, in the bodies that make one.
type NumberSettings struct {
	SourceID    optional[string] `json:"source_id,omitempty" doc:"The one source that it stands for"`
	PoolID      optional[string] `json:"pool_id,omitempty" doc:"The pool that lends it; not together with source_id"`
	Campaign    string           `json:"campaign,omitempty" maxLength:"200"`
	Destination optional[string] `json:"destination,omitempty" doc:"Who is rung, E.164" example:"+13125550100"`
	RouteID     optional[string] `json:"route_id,omitempty"`
	Record      bool             `json:"record,omitempty"`
	Whisper     string           `json:"whisper,omitempty" maxLength:"500"`
	State       string           `json:"state,omitempty" enum:"active,draining,quarantined" doc:"Without it: active"`
}

type numberPost struct {
	Body struct {
		Number string `json:"number" maxLength:"40" doc:"Owned at the provider already" example:"+13125550171"`
		NumberSettings
	}
}

type numberPatch struct {
	ChangeByID
	Body struct {
		SourceID    optional[string] `json:"source_id,omitempty"`
		PoolID      optional[string] `json:"pool_id,omitempty"`
		Campaign    *string          `json:"campaign,omitempty" maxLength:"200"`
		Destination optional[string] `json:"destination,omitempty"`
		RouteID     optional[string] `json:"route_id,omitempty"`
		Record      *bool            `json:"record,omitempty"`
		Whisper     *string          `json:"whisper,omitempty" maxLength:"500"`
		State       *string          `json:"state,omitempty" enum:"active,draining,quarantined"`
	}
}

type numberDelete struct {
	ChangeByID
	Now    bool   `query:"now" doc:"Give it back to the provider at once, for good"`
	Force  bool   `query:"force" doc:"Give it back at once although people still call it; needs a reason"`
	Reason string `query:"reason" maxLength:"500" doc:"Kept in the audit log"`
}

type numberList struct {
	Paging
	State    string `query:"state" enum:"ordered,active,draining,quarantined,released" doc:"Without it: all but released"`
	SourceID string `query:"source_id" maxLength:"200"`
	PoolID   string `query:"pool_id" maxLength:"200"`
	Number   string `query:"number" maxLength:"40" doc:"E.164"`
}

// place reads the cursor of a list that goes on after a telephony.Place.
func (s *Server) place(who account.Identity, list string, in Paging) (telephony.Place, error) {
	var p telephony.Place
	_, err := s.readCursor(who, list, in, &p)
	return p, err
}

// given returns the value of an optional text: "" for absent and null.
func given(o optional[string]) string {
	if o.Value == nil {
		return ""
	}
	return *o.Value
}

// present returns what a PATCH says of a text: nil when it is absent, "" for
// null.
func present(o optional[string]) *string {
	if !o.Present {
		return nil
	}
	text := given(o)
	return &text
}

func notOurs(err error, field, message string) error {
	if callwheel.KindOf(err) == callwheel.NotFound {
		return callwheel.InvalidField(field, "%s", message)
	}
	return err
}

// settle makes a change of a number count from the next call and the next visit
// on.
func (s *Server) settle(ctx context.Context, who account.Identity, poolIDs ...string) {
	s.refreshRoutes(ctx)
	for _, id := range poolIDs {
		if id == "" {
			continue
		}
		if err := s.ledger.Stock(context.WithoutCancel(ctx), who.AccountID); err != nil {
			s.log.WarnContext(ctx, "pools not stocked yet", "account_id", who.AccountID, "error", err)
		}
		return
	}
}

// newNumber reads the settings of a number to be.
func newNumber(text string, in NumberSettings) telephony.NewNumber {
	return telephony.NewNumber{
		Number: text, SourceID: given(in.SourceID), PoolID: given(in.PoolID), Campaign: in.Campaign,
		Destination: given(in.Destination), RouteID: given(in.RouteID), Record: in.Record, Whisper: in.Whisper,
		State: telephony.NumberState(in.State),
	}
}

func (s *Server) numberDoors() {
	handle(s, op{
		Method: http.MethodGet, Path: "/v1/numbers", ID: "list-numbers", Tag: "numbers",
		Summary: "The tracking numbers, oldest first", Need: account.ReadNumbers,
	}, func(ctx context.Context, who account.Identity, in *numberList) (*listed[numberBody], error) {
		after, err := s.place(who, "numbers", in.Paging)
		if err != nil {
			return nil, err
		}
		f := telephony.NumberFilter{State: telephony.NumberState(in.State), SourceID: in.SourceID, PoolID: in.PoolID}
		if f.Number, err = phone("number", in.Number); err != nil {
			return nil, err
		}
		list, err := s.numbers.List(ctx, who.AccountID, f, after, in.Limit)
		if err != nil {
			return nil, err
		}
		return newPage(s, who, "numbers", list, in.Paging, numberOut, func(n telephony.TrackingNumber) any {
			return telephony.Place{At: n.CreatedAt, ID: n.ID}
		}), nil
	})
	handle(s, op{
		Method: http.MethodPost, Path: "/v1/numbers", ID: "create-number", Tag: "numbers",
		Summary: "Add a number that is owned at the provider already",
		Doc:     "The provider is not asked: the number is routed at once, and a job looks it up soon after and marks it.",
		Need:    account.ManageNumbers,
	}, func(ctx context.Context, who account.Identity, in *numberPost) (*created[numberBody], error) {
		n, err := s.numbers.Create(ctx, who.AccountID, who.Actor, newNumber(in.Body.Number, in.Body.NumberSettings))
		if err != nil {
			return nil, err
		}
		s.settle(ctx, who, n.PoolID)
		return &created[numberBody]{Location: "/v1/numbers/" + n.ID, ETag: etag(n.Version), Body: numberOut(n)}, nil
	})
	handle(s, op{
		Method: http.MethodGet, Path: "/v1/numbers/{id}", ID: "get-number", Tag: "numbers",
		Summary: "One tracking number", Need: account.ReadNumbers,
	}, func(ctx context.Context, who account.Identity, in *struct{ ByID }) (*found[numberBody], error) {
		n, err := s.numbers.Get(ctx, who.AccountID, in.ID)
		if err != nil {
			return nil, err
		}
		return &found[numberBody]{ETag: etag(n.Version), Body: numberOut(n)}, nil
	})
	handle(s, op{
		Method: http.MethodPatch, Path: "/v1/numbers/{id}", ID: "update-number", Tag: "numbers",
		Summary: "Change what a number stands for or where it rings",
		Doc:     "Calls before the change are still judged by what the number stood for then.",
		Need:    account.ManageNumbers,
	}, s.updateNumber)
	handle(s, op{
		Method: http.MethodDelete, Path: "/v1/numbers/{id}", ID: "retire-number", Tag: "numbers",
		Summary: "Take a number out of use",
		Doc:     "An active number drains: it still rings, is lent no more, and is given back weeks later. Retiring it again changes nothing; with now=true a number is given back at once, without draining: 409, with who calls, while people still call it, unless forced with a reason.",
		Need:    account.ManageNumbers,
	}, func(ctx context.Context, who account.Identity, in *numberDelete) (*done, error) {
		retire := s.numbers.Retire
		if in.Now || in.Force {
			retire = s.numbers.Release
		}
		n, err := retire(ctx, who.AccountID, who.Actor, in.ID, telephony.Parting{Version: in.Version(), Force: in.Force, Reason: in.Reason})
		if err != nil {
			return nil, err
		}
		s.settle(ctx, who, n.PoolID)
		return nil, nil //nolint:nilnil // 204
	})
	s.tailDoor()
}

func (s *Server) updateNumber(ctx context.Context, who account.Identity, in *numberPatch) (*found[numberBody], error) {
	before, err := s.numbers.Get(ctx, who.AccountID, in.ID)
	if err != nil {
		return nil, err
	}
	c := telephony.NumberChange{
		Version: in.Version(), SourceID: present(in.Body.SourceID), PoolID: present(in.Body.PoolID), Campaign: in.Body.Campaign,
		Destination: present(in.Body.Destination), RouteID: present(in.Body.RouteID), Record: in.Body.Record, Whisper: in.Body.Whisper,
	}
	if in.Body.State != nil {
		state := telephony.NumberState(*in.Body.State)
		c.State = &state
	}
	n, err := s.numbers.Update(ctx, who.AccountID, who.Actor, in.ID, c)
	if err != nil {
		return nil, err
	}
	s.settle(ctx, who, before.PoolID, n.PoolID)
	return &found[numberBody]{ETag: etag(n.Version), Body: numberOut(n)}, nil
}

type offerBody struct {
	Number  *wireNumber `json:"number"`
	City    *string     `json:"city"`
	Region  *string     `json:"region"`
	Country *string     `json:"country"`
}

type offers struct {
	Body struct {
		Items []offerBody `json:"items"`
	}
}

type numberSearch struct {
	Body struct {
		Country  string `json:"country,omitempty" pattern:"^[A-Z]{2}$" default:"US" doc:"ISO 3166, two letters"`
		AreaCode string `json:"area_code,omitempty" pattern:"^[0-9]{0,6}$" doc:"In the United States and Canada"`
		Contains string `json:"contains,omitempty" maxLength:"20" doc:"Digits or letters that the number has"`
		Kind     string `json:"kind,omitempty" enum:"local,toll_free,mobile" default:"local"`
		Limit    int    `json:"limit,omitempty" minimum:"1" maximum:"100" default:"20"`
	}
}

// bought is the answer to a purchase: 201, or 202 while the provider has not
// said what became of it.
type bought struct {
	Status   int
	Location string `header:"Location"`
	ETag     string `header:"ETag"`
	Body     numberBody
}

type numberImport struct {
	Body struct {
		Numbers []string `json:"numbers,omitempty" maxItems:"500" doc:"Without them: all that are owned at the provider and unknown here"`
		NumberSettings
	}
}

type imported struct {
	Body struct {
		Items []numberBody `json:"items"`
	}
}

// carrierDoors go to the provider.
func (s *Server) carrierDoors() {
	handle(s, op{
		Method: http.MethodPost, Path: "/v1/numbers/search", ID: "search-numbers", Tag: "numbers", Status: http.StatusOK,
		Summary: "Numbers that the provider has on offer", Need: account.ManageNumbers,
	}, func(ctx context.Context, who account.Identity, in *numberSearch) (*offers, error) {
		found, err := s.numbers.Search(ctx, who.AccountID, telephony.CarrierSearch{
			Country: in.Body.Country, AreaCode: in.Body.AreaCode, Contains: in.Body.Contains, Kind: in.Body.Kind, Limit: in.Body.Limit,
		})
		if err != nil {
			return nil, err
		}
		out := &offers{}
		out.Body.Items = each(found, func(c telephony.CarrierNumber) offerBody {
			return offerBody{Number: number(c.Number), City: orNil(c.City), Region: orNil(c.Region), Country: orNil(c.Country)}
		})
		return out, nil
	})
	handle(s, op{
		Method: http.MethodPost, Path: "/v1/numbers/buy", ID: "buy-number", Tag: "numbers",
		Summary: "Buy a number",
		Doc:     "A number is never bought twice. 202 means that the provider did not say what became of the purchase: the number is in state ordered and routed, and a job finds out.",
		Need:    account.ManageNumbers,
	}, func(ctx context.Context, who account.Identity, in *numberPost) (*bought, error) {
		n, err := s.numbers.Buy(ctx, who.AccountID, who.Actor, newNumber(in.Body.Number, in.Body.NumberSettings))
		if err != nil {
			return nil, err
		}
		s.settle(ctx, who, n.PoolID)
		out := &bought{Status: http.StatusCreated, Location: "/v1/numbers/" + n.ID, ETag: etag(n.Version), Body: numberOut(n)}
		if n.State == telephony.NumberOrdered {
			out.Status = http.StatusAccepted
		}
		return out, nil
	})
	handle(s, op{
		Method: http.MethodPost, Path: "/v1/numbers/import", ID: "import-numbers", Tag: "numbers", Status: http.StatusOK,
		Summary: "Add numbers that are owned at the provider and unknown here", Need: account.ManageNumbers,
	}, func(ctx context.Context, who account.Identity, in *numberImport) (*imported, error) {
		want := newNumber("", in.Body.NumberSettings)
		list, err := s.numbers.ImportOwned(ctx, who.AccountID, who.Actor, in.Body.Numbers, want)
		if err != nil {
			return nil, err
		}
		s.settle(ctx, who, want.PoolID)
		out := &imported{}
		out.Body.Items = each(list, numberOut)
		return out, nil
	})
}

type routeBody struct {
	ID        string         `json:"id"`
	Name      string         `json:"name"`
	Plan      telephony.Plan `json:"plan"`
	CreatedAt stamp          `json:"created_at"`
	RetiredAt *stamp         `json:"retired_at"`
}

func routeOut(r telephony.Route) routeBody {
	return routeBody{ID: r.ID, Name: r.Name, Plan: r.Plan, CreatedAt: at(r.CreatedAt), RetiredAt: atPtr(r.RetiredAt)}
}

type routePost struct {
	Body struct {
		Name string         `json:"name" example:"Front desk, then mobile"`
		Plan telephony.Plan `json:"plan"`
	}
}

type routePatch struct {
	ChangeByID
	Body struct {
		Name *string         `json:"name,omitempty"`
		Plan *telephony.Plan `json:"plan,omitempty" doc:"The whole plan, which replaces the present one"`
	}
}

func (s *Server) routeDoors() {
	handle(s, op{
		Method: http.MethodGet, Path: "/v1/routes", ID: "list-routes", Tag: "routes",
		Summary: "The routes that numbers can share, oldest first", Need: account.ReadNumbers,
	}, func(ctx context.Context, who account.Identity, in *struct{ Paging }) (*listed[routeBody], error) {
		after, err := s.place(who, "routes", in.Paging)
		if err != nil {
			return nil, err
		}
		list, err := s.numbers.Routes(ctx, who.AccountID, after, in.Limit)
		if err != nil {
			return nil, err
		}
		return newPage(s, who, "routes", list, in.Paging, routeOut, func(r telephony.Route) any {
			return telephony.Place{At: r.CreatedAt, ID: r.ID}
		}), nil
	})
	handle(s, op{
		Method: http.MethodPost, Path: "/v1/routes", ID: "create-route", Tag: "routes",
		Summary: "Add a route: whom to ring in which order, and what else happens", Need: account.ManageNumbers,
	}, func(ctx context.Context, who account.Identity, in *routePost) (*created[routeBody], error) {
		r, err := s.numbers.CreateRoute(ctx, who.AccountID, who.Actor, in.Body.Name, in.Body.Plan)
		if err != nil {
			return nil, err
		}
		return &created[routeBody]{Location: "/v1/routes/" + r.ID, ETag: etag(r.Version), Body: routeOut(r)}, nil
	})
	handle(s, op{
		Method: http.MethodGet, Path: "/v1/routes/{id}", ID: "get-route", Tag: "routes",
		Summary: "One route", Need: account.ReadNumbers,
	}, func(ctx context.Context, who account.Identity, in *struct{ ByID }) (*found[routeBody], error) {
		r, err := s.numbers.Route(ctx, who.AccountID, in.ID)
		if err != nil {
			return nil, err
		}
		return &found[routeBody]{ETag: etag(r.Version), Body: routeOut(r)}, nil
	})
	handle(s, op{
		Method: http.MethodPatch, Path: "/v1/routes/{id}", ID: "update-route", Tag: "routes",
		Summary: "Change a route, for every number that uses it", Need: account.ManageNumbers,
	}, func(ctx context.Context, who account.Identity, in *routePatch) (*found[routeBody], error) {
		r, err := s.numbers.UpdateRoute(ctx, who.AccountID, who.Actor, in.ID, telephony.RouteChange{Version: in.Version(), Name: in.Body.Name, Plan: in.Body.Plan})
		if err != nil {
			return nil, err
		}
		s.refreshRoutes(ctx)
		return &found[routeBody]{ETag: etag(r.Version), Body: routeOut(r)}, nil
	})
	handle(s, op{
		Method: http.MethodDelete, Path: "/v1/routes/{id}", ID: "retire-route", Tag: "routes",
		Summary: "Take a route out of use; 409 while a number uses it", Need: account.ManageNumbers,
	}, func(ctx context.Context, who account.Identity, in *ChangeByID) (*done, error) {
		return nil, s.numbers.RetireRoute(ctx, who.AccountID, who.Actor, in.ID, in.Version())
	})
}

type blockedBody struct {
	Caller    *wireNumber `json:"caller" doc:"null for all who withhold their number"`
	Anonymous bool        `json:"anonymous"`
	Reason    string      `json:"reason"`
	CreatedAt stamp       `json:"created_at"`
	CreatedBy string      `json:"created_by"`
}

func blockedOut(b telephony.BlockedCaller) blockedBody {
	out := blockedBody{Reason: b.Reason, CreatedAt: at(b.CreatedAt), CreatedBy: b.CreatedBy}
	if b.Caller == string(telephony.CallerAnonymous) {
		out.Anonymous = true
		return out
	}
	out.Caller = number(b.Caller)
	return out
}

type blockPost struct {
	Body struct {
		Caller string `json:"caller" maxLength:"40" doc:"E.164, or anonymous for all who withhold their number" example:"+12125550143"`
		Reason string `json:"reason,omitempty" maxLength:"500"`
	}
}

type blockedPath struct {
	Caller string `path:"caller" doc:"E.164, or anonymous"`
}

func (s *Server) blockDoors() {
	handle(s, op{
		Method: http.MethodGet, Path: "/v1/blocked-callers", ID: "list-blocked-callers", Tag: "blocked callers",
		Summary: "Callers who are refused, oldest first", Need: account.SeeCallers,
	}, func(ctx context.Context, who account.Identity, in *struct{ Paging }) (*listed[blockedBody], error) {
		after, err := s.place(who, "blocked", in.Paging)
		if err != nil {
			return nil, err
		}
		list, err := s.numbers.Blocked(ctx, who.AccountID, after, in.Limit)
		if err != nil {
			return nil, err
		}
		return newPage(s, who, "blocked", list, in.Paging, blockedOut, func(b telephony.BlockedCaller) any {
			return telephony.Place{At: b.CreatedAt, ID: b.Caller}
		}), nil
	})
	handle(s, op{
		Method: http.MethodPost, Path: "/v1/blocked-callers", ID: "block-caller", Tag: "blocked callers",
		Summary: "Refuse a caller from now on; the calls are kept and shown as blocked", Need: account.ManageNumbers,
	}, func(ctx context.Context, who account.Identity, in *blockPost) (*created[blockedBody], error) {
		b, err := s.numbers.Block(ctx, who.AccountID, who.Actor, in.Body.Caller, in.Body.Reason)
		if err != nil {
			return nil, err
		}
		s.refreshRoutes(ctx)
		return &created[blockedBody]{Location: "/v1/blocked-callers/" + b.Caller, Body: blockedOut(b)}, nil
	})
	handle(s, op{
		Method: http.MethodDelete, Path: "/v1/blocked-callers/{caller}", ID: "unblock-caller", Tag: "blocked callers",
		Summary: "Let a caller through again", Need: account.ManageNumbers,
	}, func(ctx context.Context, who account.Identity, in *blockedPath) (*done, error) {
		if err := s.numbers.Unblock(ctx, who.AccountID, who.Actor, in.Caller); err != nil {
			return nil, err
		}
		s.refreshRoutes(ctx)
		return nil, nil //nolint:nilnil // 204
	})
}
