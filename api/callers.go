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

// touchBody is one meeting with a source and what it told about where the person
// came from.
type touchBody struct {
	ID          string            `json:"id"`
	Kind        report.TouchKind  `json:"kind" enum:"arrival,enquiry,call" doc:"arrival: on a site, or brought in. enquiry: a form or a chat that names a source which nothing else explains. call: to a number of the source itself. id is the enquiry's or the call's then"`
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
		ID: t.ID, Kind: t.Kind, TouchedAt: at(t.TouchedAt.Time), Source: t.Source, Medium: orNil(t.Medium), Campaign: orNil(t.Campaign),
		Term: orNil(t.Term), Content: orNil(t.Content), ClickIDs: t.ClickIDs(), LandingPage: orNil(t.Landing),
		Referrer: orNil(t.Referrer), VisitorID: orNil(t.VisitorID), SessionID: orNil(t.SessionID),
	}
}

// ReferralBody says who sent whom; it is embedded in what else is told of them.
type ReferralBody struct {
	ID         string      `json:"id"`
	Referrer   *wireNumber `json:"referrer" doc:"Who sent"`
	Referred   *wireNumber `json:"referred" doc:"Who was sent"`
	ReferredAt stamp       `json:"referred_at"`
	RecordedBy string      `json:"recorded_by" doc:"user_…, token_…, or job for a link"`
	Via        string      `json:"via" enum:"field,keypad,link" doc:"How it was said: asked and written down, keyed in, or by a link with a referral code"`
}

// sentBody is whom a caller sent, and what they bought.
type sentBody struct {
	ReferralBody
	Sales  []saleBody        `json:"sales" doc:"What they bought: refunds too, oldest first"`
	Values []callwheel.Money `json:"values" doc:"Sales less refunds, by currency"`
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
	Touches     []touchBody          `json:"touches" doc:"The latest 500 touches that reports may credit, newest first"`
	Enquiries   []enquiryBody        `json:"enquiries" doc:"The latest 500 forms and chats, newest first"`
	Sales       []saleBody           `json:"sales" doc:"Refunds too, and outcomes that were brought in, oldest first"`
	Values      []callwheel.Money    `json:"values" doc:"Sales less refunds, by currency"`
	Feedback    []feedbackBody       `json:"feedback"`
	Referred    []sentBody           `json:"referred" doc:"Whom they sent, and what those bought"`
	ReferredBy  []ReferralBody       `json:"referred_by" doc:"Who sent them"`
	History     []judgementBody      `json:"history" doc:"The latest 500 judgements about their calls, newest first"`
}

func callerOut(who account.Identity, c *scoring.Caller, touches []report.Touch) callerBody {
	referral := func(r scoring.Referral) ReferralBody { return referralOut(who, r) }
	sent := func(s scoring.Sent) sentBody {
		return sentBody{ReferralBody: referral(s.Referral), Sales: each(s.Sales, saleOut), Values: s.Values}
	}
	return callerBody{
		Number: callerNumber(who, c.E164), Kind: telephony.CallerE164,
		CallCount: c.CallCount, FirstCallAt: atPtr(c.FirstCall.Ptr()), LastCallAt: atPtr(c.LastCall.Ptr()),
		LeadAt: atPtr(c.Milestones.LeadAt.Ptr()), QualifiedAt: atPtr(c.Milestones.QualifiedAt.Ptr()), WonAt: atPtr(c.Milestones.WonAt.Ptr()),
		Calls: each(c.Calls, callerCallOut), Touches: each(touches, touchOut), Enquiries: each(c.Enquiries, enquiryOut(who)), Sales: each(c.Sales, saleOut), Values: c.Values, Feedback: each(c.Feedback, feedbackOut(who)),
		Referred: each(c.Referred, sent), ReferredBy: each(c.ReferredBy, referral), History: each(c.History, judgementOut(who)),
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

func referralOut(who account.Identity, r scoring.Referral) ReferralBody {
	return ReferralBody{
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
		Summary: "A person over time: calls, touches, forms and chats, sales, feedback, whom they sent and what those bought", Need: account.ReadCalls,
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
	}, func(ctx context.Context, who account.Identity, in *referralPost) (*created[ReferralBody], error) {
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
		return &created[ReferralBody]{Location: "/v1/callers/" + r.Referrer, Body: referralOut(who, r)}, nil
	})
}
