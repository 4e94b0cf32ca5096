package api

import (
	"context"
	"net/http"

	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/attribution"
)

type sourceBody struct {
	ID        string             `json:"id"`
	Name      string             `json:"name"`
	Medium    string             `json:"medium" doc:"Of its arrivals; empty takes the page's utm_medium"`
	Kind      string             `json:"kind" enum:"online,offline"`
	Rules     []attribution.Rule `json:"rules" doc:"By which arrivals on websites are recognised; any is enough. A pattern without * is looked for anywhere, with * it covers the whole text; case does not matter"`
	Position  int64              `json:"position" doc:"Sources are tried in this order"`
	CreatedAt stamp              `json:"created_at"`
}

func sourceOut(src attribution.Source) sourceBody {
	b := sourceBody{ID: src.ID, Name: src.Name, Medium: src.Medium, Kind: src.Kind, Rules: src.Rules, Position: src.Position, CreatedAt: at(src.CreatedAt)}
	if b.Rules == nil {
		b.Rules = []attribution.Rule{}
	}
	return b
}

type sourcePost struct {
	Body struct {
		Name     string             `json:"name" doc:"Unique in the account, whatever its case" example:"Google Ads"`
		Medium   string             `json:"medium,omitempty" example:"cpc"`
		Kind     string             `json:"kind,omitempty" enum:"online,offline" doc:"Without it: online"`
		Rules    []attribution.Rule `json:"rules,omitempty"`
		Position *int64             `json:"position,omitempty" doc:"Without it: the end"`
	}
}

type sourcePatch struct {
	ChangeByID
	Body struct {
		Name     *string             `json:"name,omitempty"`
		Medium   *string             `json:"medium,omitempty"`
		Kind     *string             `json:"kind,omitempty" enum:"online,offline"`
		Rules    *[]attribution.Rule `json:"rules,omitempty"`
		Position *int64              `json:"position,omitempty"`
	}
}

// sourceDoors are where calls come from, as the account names it.
func (s *Server) sourceDoors() {
	handle(s, op{
		Method: http.MethodGet, Path: "/v1/sources", ID: "list-sources", Tag: "sources",
		Summary: "The account's sources, in the order in which they are tried", Need: account.ReadSources,
	}, func(ctx context.Context, who account.Identity, in *struct{ Paging }) (*listed[sourceBody], error) {
		next, err := s.after(who, "sources", in.Paging)
		if err != nil {
			return nil, err
		}
		list, err := s.ledger.Sources(ctx, who.AccountID, next.After, next.Limit)
		if err != nil {
			return nil, err
		}
		return newPage(s, who, "sources", list, in.Paging, sourceOut, func(src attribution.Source) any { return src.ID }), nil
	})
	handle(s, op{
		Method: http.MethodPost, Path: "/v1/sources", ID: "create-source", Tag: "sources",
		Summary: "Add a source", Need: account.ManageSources,
	}, func(ctx context.Context, who account.Identity, in *sourcePost) (*created[sourceBody], error) {
		src, err := s.ledger.CreateSource(ctx, who, attribution.SourceDraft(in.Body))
		if err != nil {
			return nil, err
		}
		return &created[sourceBody]{Location: "/v1/sources/" + src.ID, ETag: etag(src.Version), Body: sourceOut(src)}, nil
	})
	handle(s, op{
		Method: http.MethodGet, Path: "/v1/sources/{id}", ID: "get-source", Tag: "sources",
		Summary: "One source", Need: account.ReadSources,
	}, func(ctx context.Context, who account.Identity, in *struct{ ByID }) (*found[sourceBody], error) {
		src, err := s.ledger.Source(ctx, who.AccountID, in.ID)
		if err != nil {
			return nil, err
		}
		return &found[sourceBody]{ETag: etag(src.Version), Body: sourceOut(src)}, nil
	})
	handle(s, op{
		Method: http.MethodPatch, Path: "/v1/sources/{id}", ID: "update-source", Tag: "sources",
		Summary: "Change a source, for arrivals and calls from now on", Need: account.ManageSources,
	}, func(ctx context.Context, who account.Identity, in *sourcePatch) (*found[sourceBody], error) {
		src, err := s.ledger.UpdateSource(ctx, who, in.ID, in.Version(), attribution.SourcePatch(in.Body))
		if err != nil {
			return nil, err
		}
		return &found[sourceBody]{ETag: etag(src.Version), Body: sourceOut(src)}, nil
	})
	handle(s, op{
		Method: http.MethodDelete, Path: "/v1/sources/{id}", ID: "retire-source", Tag: "sources",
		Summary: "Take a source out of use; what was attributed to it stays", Need: account.ManageSources,
	}, func(ctx context.Context, who account.Identity, in *ChangeByID) (*done, error) {
		return nil, s.ledger.RetireSource(ctx, who, in.ID, in.Version())
	})
}
