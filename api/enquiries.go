package api

import (
	"context"
	"net/http"
	"strings"

	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/scoring"
	"github.com/callwheel/callwheel/telephony"
)

type enquiryBody struct {
	ID         string              `json:"id"`
	ExternalID string              `json:"external_id" doc:"The same again corrects the enquiry"`
	Person     string              `json:"person"`
	Kind       scoring.EnquiryKind `json:"kind" enum:"form,chat"`
	At         stamp               `json:"at"`
	Source     *string             `json:"source"`
	Medium     *string             `json:"medium"`
	Campaign   *string             `json:"campaign"`
	AnsweredAt *stamp              `json:"answered_at" doc:"null while nobody has answered"`
	CreatedAt  stamp               `json:"created_at"`
	RecordedBy string              `json:"recorded_by"`
}

func enquiryOut(who account.Identity) func(scoring.Enquiry) enquiryBody {
	return func(e scoring.Enquiry) enquiryBody {
		return enquiryBody{
			ID: e.ID, ExternalID: e.ExternalID, Person: personOut(who, e.Person), Kind: e.Kind, At: at(e.At.Time), Source: orNil(e.Source),
			Medium: orNil(e.Medium), Campaign: orNil(e.Campaign), AnsweredAt: atPtr(e.AnsweredAt.Ptr()), CreatedAt: at(e.RecordedAt.Time),
			RecordedBy: e.RecordedBy,
		}
	}
}

// personOut is a person's name: hidden from roles that may not see callers,
// because it may be a number or an address.
func personOut(who account.Identity, person string) string {
	switch {
	case who.May(account.SeeCallers):
		return person
	case strings.HasPrefix(person, "+"):
		return telephony.Mask(person)
	}
	return "•••"
}

type enquiryPost struct {
	Body struct {
		ExternalID string              `json:"external_id,omitempty" doc:"What names the enquiry elsewhere: the same again corrects it"`
		Person     string              `json:"person" doc:"Any stable text; a number in E.164 is its caller" example:"+13125550171"`
		Kind       scoring.EnquiryKind `json:"kind" enum:"form,chat"`
		At         optional[stamp]     `json:"at,omitempty" doc:"Without it: now"`
		Source     string              `json:"source,omitempty"`
		Medium     string              `json:"medium,omitempty"`
		Campaign   string              `json:"campaign,omitempty"`
		AnsweredAt optional[stamp]     `json:"answered_at,omitempty" doc:"When a person answered; without it nobody has"`
		ReferredBy string              `json:"referred_by,omitempty" doc:"The number of who sent this person: the field \"who sent you\" of a form, or of a link"`
	}
}

type enquiryList struct {
	Paging
	ListRange
}

// enquiryPosition is where a page of enquiries ends.
type enquiryPosition struct {
	At int64
	ID string
}

// enquiryDoors are forms and chats: opportunities of a person, as calls are.
func (s *Server) enquiryDoors() {
	handle(s, op{
		Method: http.MethodGet, Path: "/v1/enquiries", ID: "list-enquiries", Tag: "callers",
		Summary: "Forms and chats, newest first", Need: account.ReadCalls, Export: account.ExportCalls,
	}, func(ctx context.Context, who account.Identity, in *enquiryList) (*listed[enquiryBody], error) {
		var after enquiryPosition
		if _, err := s.readCursor(who, "enquiries", in.Paging, &after); err != nil {
			return nil, err
		}
		from, until, err := s.span(ctx, who, in.ListRange)
		if err != nil {
			return nil, err
		}
		rows, err := s.desk.Enquiries(ctx, who.AccountID, scoring.EnquiryPage{
			From: from, Until: until, AfterAt: after.At, AfterID: after.ID, Limit: in.Limit + 1,
		})
		if err != nil {
			return nil, err
		}
		return newPage(s, who, "enquiries", rows, in.Paging, enquiryOut(who), func(e scoring.Enquiry) any {
			return enquiryPosition{e.At.UnixMicro(), e.ID}
		}), nil
	})
	handle(s, op{
		Method: http.MethodPost, Path: "/v1/enquiries", ID: "record-enquiry", Tag: "callers",
		Summary: "Record a form or a chat, or that it was answered", Need: account.WriteDesk,
		Doc: "An opportunity of a person, as a call is: it counts in the momentum report, as reached when it was answered within 24 hours. The same external_id again corrects it.",
	}, func(ctx context.Context, who account.Identity, in *enquiryPost) (*created[enquiryBody], error) {
		b := in.Body
		e, err := s.desk.Enquire(ctx, who.AccountID, who.Actor, scoring.NewEnquiry{
			ExternalID: b.ExternalID, Person: b.Person, Kind: b.Kind, At: b.At.Value.ptr(), AnsweredAt: b.AnsweredAt.Value.ptr(),
			Source: b.Source, Medium: b.Medium, Campaign: b.Campaign, ReferredBy: b.ReferredBy,
		})
		if err != nil {
			return nil, err
		}
		return &created[enquiryBody]{Location: "/v1/enquiries/" + e.ID, Body: enquiryOut(who)(e)}, nil
	})
	handle(s, op{
		Method: http.MethodGet, Path: "/v1/enquiries/{id}", ID: "get-enquiry", Tag: "callers",
		Summary: "One form or chat", Need: account.ReadCalls,
	}, func(ctx context.Context, who account.Identity, in *struct{ ByID }) (*found[enquiryBody], error) {
		e, err := s.desk.Enquiry(ctx, who.AccountID, in.ID)
		if err != nil {
			return nil, err
		}
		return &found[enquiryBody]{Body: enquiryOut(who)(e)}, nil
	})
}
