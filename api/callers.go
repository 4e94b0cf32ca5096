package api

import (
	"context"
	"net/http"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/report"
	"github.com/callwheel/callwheel/scoring"
	"github.com/callwheel/callwheel/telephony"
)

type callerCallBody struct {
	ID              string             `json:"id"`
	StartedAt       stamp              `json:"started_at"`
	Outcome         *telephony.Outcome `json:"outcome" doc:"null while it is not known"`
	TrackingNumber  *wireNumber        `json:"tracking_number"`
	TalkSeconds     *int64             `json:"talk_seconds"`
	DurationSeconds *int64             `json:"duration_seconds"`
	Disposition     *string            `json:"disposition"`
}

// touchBody is one arrival and what it told about where the person came from.
type touchBody struct {
	ID          string            `json:"id"`
	TouchedAt   stamp             `json:"touched_at"`
	Source      string            `json:"source"`
	Medium      *string           `json:"medium"`
	Campaign    *string           `json:"campaign"`
	Term        *string           `json:"term"`
	Content     *string           `json:"content"`
	ClickIDs    map[string]string `json:"click_ids"`
	LandingPage *string           `json:"landing_page"`
	Referrer    *string           `json:"referrer"`
	VisitorID   *string           `json:"visitor_id"`
	SessionID   *string           `json:"session_id"`
}

func touchOut(t report.Touch) touchBody {
	return touchBody{
		ID: t.ID, TouchedAt: at(t.TouchedAt.Time), Source: t.Source, Medium: orNil(t.Medium), Campaign: orNil(t.Campaign),
		Term: orNil(t.Term), Content: orNil(t.Content), ClickIDs: t.ClickIDs(), LandingPage: orNil(t.Landing),
		Referrer: orNil(t.Referrer), VisitorID: orNil(t.VisitorID), SessionID: orNil(t.SessionID),
	}
}

type referralBody struct {
	ID         string      `json:"id"`
	Referrer   *wireNumber `json:"referrer" doc:"Who sent"`
	Referred   *wireNumber `json:"referred" doc:"Who was sent"`
	ReferredAt stamp       `json:"referred_at"`
	RecordedBy string      `json:"recorded_by" doc:"user_…, token_…, or job for a link"`
	Via        string      `json:"via" enum:"field,keypad,link" doc:"How it was said: asked and written down, keyed in, or by a link with a referral code"`
}

// callerBody is a person over time.
type callerBody struct {
	Number      *wireNumber          `json:"number"`
	Kind        telephony.CallerKind `json:"kind"`
	CallCount   int64                `json:"call_count"`
	FirstCallAt *stamp               `json:"first_call_at"`
	LastCallAt  *stamp               `json:"last_call_at"`
	LeadAt      *stamp               `json:"lead_at" doc:"When they first were a lead or more"`
	QualifiedAt *stamp               `json:"qualified_at"`
	WonAt       *stamp               `json:"won_at"`
	Calls       []callerCallBody     `json:"calls" doc:"The latest 500, newest first"`
	Touches     []touchBody          `json:"touches" doc:"The latest 500 arrivals on the account's sites, newest first"`
	Sales       []saleBody           `json:"sales" doc:"Refunds too, oldest first"`
	Values      []callwheel.Money    `json:"values" doc:"Sales less refunds, by currency"`
	Feedback    []feedbackBody       `json:"feedback"`
	Referred    []referralBody       `json:"referred" doc:"Whom they sent"`
	ReferredBy  []referralBody       `json:"referred_by" doc:"Who sent them"`
	History     []judgementBody      `json:"history" doc:"The latest 500 judgements about their calls, newest first"`
}

func callerOut(who account.Identity, c *scoring.Caller, touches []report.Touch) callerBody {
	referral := func(r scoring.Referral) referralBody { return referralOut(who, r) }
	return callerBody{
		Number: callerNumber(who, c.E164), Kind: telephony.CallerE164,
		CallCount: c.CallCount, FirstCallAt: atPtr(c.FirstCall.Ptr()), LastCallAt: atPtr(c.LastCall.Ptr()),
		LeadAt: atPtr(c.Milestones.LeadAt.Ptr()), QualifiedAt: atPtr(c.Milestones.QualifiedAt.Ptr()), WonAt: atPtr(c.Milestones.WonAt.Ptr()),
		Calls: each(c.Calls, callerCallOut), Touches: each(touches, touchOut), Sales: each(c.Sales, saleOut), Values: c.Values, Feedback: each(c.Feedback, feedbackOut(who)),
		Referred: each(c.Referred, referral), ReferredBy: each(c.ReferredBy, referral), History: each(c.History, judgementOut),
	}
}

func callerCallOut(c scoring.CallerCall) callerCallBody {
	b := callerCallBody{
		ID: c.ID, StartedAt: at(c.StartedAt.Time), Outcome: (*telephony.Outcome)(c.Outcome),
		TalkSeconds: c.TalkSeconds, DurationSeconds: c.DurationSeconds, Disposition: c.Disposition,
	}
	if c.TrackingNumber != nil {
		b.TrackingNumber = number(*c.TrackingNumber)
	}
	return b
}

func referralOut(who account.Identity, r scoring.Referral) referralBody {
	return referralBody{
		ID: r.ID, Referrer: callerNumber(who, r.Referrer), Referred: callerNumber(who, r.Referred),
		ReferredAt: at(r.ReferredAt.Time), RecordedBy: r.RecordedBy, Via: r.Via,
	}
}

// ByCaller is embedded in the input of an operation on one caller.
type ByCaller struct {
	E164 string `path:"e164" doc:"The caller's number" example:"+13125550171"`
}

type referralPost struct {
	ByCaller
	Body struct {
		Referred   string          `json:"referred,omitempty" doc:"Whom this caller sent"`
		Referrer   string          `json:"referrer,omitempty" doc:"Or: who sent this caller"`
		ReferredAt optional[stamp] `json:"referred_at,omitempty" doc:"Without it: now"`
	}
}

// callerDoors are about people rather than calls.
func (s *Server) callerDoors() {
	handle(s, op{
		Method: http.MethodGet, Path: "/v1/callers/{e164}", ID: "get-caller", Tag: "callers",
		Summary: "A person over time: calls, touches, sales, feedback, referrals", Need: account.ReadCalls,
	}, func(ctx context.Context, who account.Identity, in *ByCaller) (*found[callerBody], error) {
		c, err := s.desk.Caller(ctx, who.AccountID, in.E164)
		if err != nil {
			return nil, err
		}
		touches, err := s.callList.Touches(ctx, who.AccountID, c.E164)
		if err != nil {
			return nil, err
		}
		return &found[callerBody]{Body: callerOut(who, c, touches)}, nil
	})
	handle(s, op{
		Method: http.MethodPost, Path: "/v1/callers/{e164}/referrals", ID: "record-referral", Tag: "callers",
		Summary: "Say who sent whom", Need: account.WriteDesk,
		Doc: "Saying the same again changes nothing and answers with what is there.",
	}, func(ctx context.Context, who account.Identity, in *referralPost) (*created[referralBody], error) {
		if (in.Body.Referred == "") == (in.Body.Referrer == "") {
			return nil, callwheel.InvalidField("referred", "give either referred or referrer")
		}
		from, to := in.E164, in.Body.Referred
		if to == "" {
			from, to = in.Body.Referrer, in.E164
		}
		r, err := s.desk.Refer(ctx, who.AccountID, who.Actor, from, to, in.Body.ReferredAt.Value.ptr())
		if err != nil {
			return nil, err
		}
		return &created[referralBody]{Location: "/v1/callers/" + r.Referrer, Body: referralOut(who, r)}, nil
	})
}
