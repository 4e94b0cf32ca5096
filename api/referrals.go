package api

import (
	"context"
	"net/http"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/scoring"
)

type callReferralPost struct {
	ByID
	Body struct {
		Referrer string `json:"referrer,omitempty" doc:"Who sent this caller, E.164" example:"+13125550171"`
		Digits   string `json:"digits,omitempty" maxLength:"30" doc:"Or: the number as the caller keyed it in, in the country of the number that was called" example:"3125550171#"`
		Code     string `json:"code,omitempty" maxLength:"40" doc:"Or: the referral code that the caller came with"`
	}
}

type referralCodeBody struct {
	Number    *wireNumber `json:"number" doc:"Whose it is"`
	Code      string      `json:"code"`
	Parameter string      `json:"parameter" doc:"The parameter of a link to one's site that holds it" example:"cw_ref"`
}

type callerFeedbackPost struct {
	ByCaller
	Body struct {
		Kind    scoring.FeedbackKind `json:"kind" enum:"csat,nps"`
		Value   int64                `json:"value" doc:"csat: 1 to 5; nps: 0 to 10"`
		Comment string               `json:"comment,omitempty"`
		GivenAt optional[stamp]      `json:"given_at,omitempty" doc:"When the caller said so. Without it: now"`
	}
}

// referralDoors take in who sent whom, and what callers say afterwards.
func (s *Server) referralDoors() {
	handle(s, op{
		Method: http.MethodPost, Path: "/v1/calls/{id}/referral", ID: "refer-call", Tag: "desk",
		Summary: "Say who sent the caller of a call", Need: account.WriteDesk,
		Doc: "By number, by the digits that the caller keyed in, or by a referral code. Saying the same again changes nothing and answers with what is there.",
	}, func(ctx context.Context, who account.Identity, in *callReferralPost) (*created[ReferralBody], error) {
		from := scoring.Sender{Referrer: in.Body.Referrer, Digits: in.Body.Digits, Code: in.Body.Code}
		given := 0
		for _, text := range []string{from.Referrer, from.Digits, from.Code} {
			if text != "" {
				given++
			}
		}
		if given != 1 {
			return nil, callwheel.InvalidField("referrer", "give one of referrer, digits and code")
		}
		r, err := s.desk.ReferCall(ctx, who.AccountID, who.Actor, in.ID, from)
		if err != nil {
			return nil, err
		}
		return &created[ReferralBody]{Location: "/v1/callers/" + r.Referrer, Body: referralOut(who, r)}, nil
	})
	handle(s, op{
		Method: http.MethodPost, Path: "/v1/callers/{e164}/referral-code", ID: "referral-code", Tag: "callers",
		Summary: "A caller's referral code, made the first time", Need: account.WriteDesk,
		Doc: "Who lands on a page of the account with ?cw_ref=CODE and calls, surely from there, was sent by the caller.",
	}, func(ctx context.Context, who account.Identity, in *ByCaller) (*created[referralCodeBody], error) {
		c, err := s.desk.ReferralCode(ctx, who.AccountID, in.E164)
		if err != nil {
			return nil, err
		}
		return &created[referralCodeBody]{
			Location: "/v1/callers/" + c.Person,
			Body:     referralCodeBody{Number: callerNumber(who, c.Person), Code: c.Code, Parameter: scoring.ParamReferral},
		}, nil
	})
	handle(s, op{
		Method: http.MethodPost, Path: "/v1/callers/{e164}/feedback", ID: "feedback-caller", Tag: "callers",
		Summary: "Keep what a caller said when nobody knows about which call: it goes to the latest", Need: account.WriteDesk,
	}, func(ctx context.Context, who account.Identity, in *callerFeedbackPost) (*created[feedbackBody], error) {
		said := scoring.Act{AccountID: who.AccountID, Actor: who.Actor, At: s.now()}
		if when := in.Body.GivenAt.Value.ptr(); when != nil {
			said.At = *when
		}
		var err error
		if said.CallID, err = s.desk.LatestCall(ctx, who.AccountID, in.E164, said.At); err != nil {
			return nil, err
		}
		f, version, err := s.desk.Feedback(ctx, said, in.Body.Kind, in.Body.Value, in.Body.Comment)
		if err != nil {
			return nil, err
		}
		return &created[feedbackBody]{Location: "/v1/calls/" + f.CallID + "/desk", ETag: etag(version), Body: feedbackOut(who)(f)}, nil
	})
}
