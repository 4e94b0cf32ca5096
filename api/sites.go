package api

import (
	"context"
	"net/http"

	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/attribution"
)

type siteBody struct {
	ID      string        `json:"id"`
	Name    string        `json:"name"`
	Key     string        `json:"key" doc:"Stands in the website's source; it is no secret"`
	Origins []string      `json:"origins" doc:"Whose pages may ask with the key"`
	PoolID  *string       `json:"pool_id" doc:"Whose numbers its visitors are shown; null: only source numbers"`
	Swap    []*wireNumber `json:"swap" doc:"The printed numbers to replace"`
	Consent string        `json:"consent" enum:"not_required,required" doc:"required: nothing is stored before the person agreed"`
	SiteScript
	Snippet   string `json:"snippet" doc:"What goes into the website's pages"`
	CreatedAt stamp  `json:"created_at"`
}

func (s *Server) siteOut(site attribution.Site) siteBody {
	b := siteBody{
		ID: site.ID, Name: site.Name, Key: site.Key, Origins: site.Origins, PoolID: orNil(site.PoolID), Swap: []*wireNumber{},
		Consent: site.Consent, SiteScript: scriptOut(site.Script), CreatedAt: at(site.CreatedAt),
		Snippet: `<script async src="` + s.publicURL + `/dni/v1/` + site.Key + `.js"></script>`,
	}
	if b.Origins == nil {
		b.Origins = []string{}
	}
	for _, n := range site.Swap {
		b.Swap = append(b.Swap, number(n))
	}
	return b
}

// SiteScript is how the script behaves on the site.
type SiteScript struct {
	CookieDays  int64  `json:"cookie_days" doc:"How long a browser is recognised"`
	Cookieless  bool   `json:"cookieless" doc:"Nothing is kept beyond the browser's tab"`
	RespectDNT  bool   `json:"respect_dnt" doc:"Do Not Track counts as a refusal; Global Privacy Control always does"`
	ConsentMode string `json:"consent_mode" enum:"ignored,analytics_storage,ad_storage" doc:"Which of Google's consent signals must be granted before anything is stored"`
}

func scriptOut(s attribution.Script) SiteScript {
	return SiteScript{CookieDays: s.CookieDays, Cookieless: s.Cookieless, RespectDNT: s.RespectDNT, ConsentMode: s.ConsentMode}
}

type ScriptPatch struct {
	CookieDays  *int64  `json:"cookie_days,omitempty" doc:"1 to 395; without it 90"`
	Cookieless  *bool   `json:"cookieless,omitempty"`
	RespectDNT  *bool   `json:"respect_dnt,omitempty"`
	ConsentMode *string `json:"consent_mode,omitempty" enum:"ignored,analytics_storage,ad_storage"`
}

func (p ScriptPatch) patch() attribution.ScriptPatch {
	return attribution.ScriptPatch{CookieDays: p.CookieDays, Cookieless: p.Cookieless, RespectDNT: p.RespectDNT, ConsentMode: p.ConsentMode}
}

type sitePost struct {
	Body struct {
		Name    string           `json:"name" doc:"Unique in the account, whatever its case" example:"Shop"`
		Origins []string         `json:"origins,omitempty" doc:"Scheme and host" example:"[\"https://shop.example\"]"`
		PoolID  optional[string] `json:"pool_id,omitempty"`
		Swap    []string         `json:"swap,omitempty" doc:"E.164" example:"[\"+13125550171\"]"`
		Consent string           `json:"consent,omitempty" enum:"not_required,required" doc:"Without it: not_required"`
		ScriptPatch
	}
}

type sitePatch struct {
	ChangeByID
	Body struct {
		Name    *string          `json:"name,omitempty"`
		Origins *[]string        `json:"origins,omitempty"`
		PoolID  optional[string] `json:"pool_id,omitempty"`
		Swap    *[]string        `json:"swap,omitempty"`
		Consent *string          `json:"consent,omitempty" enum:"not_required,required"`
		ScriptPatch
	}
}

// siteDoors are the websites on which numbers are swapped.
func (s *Server) siteDoors() {
	handle(s, op{
		Method: http.MethodGet, Path: "/v1/sites", ID: "list-sites", Tag: "sites",
		Summary: "The websites, oldest first", Need: account.ReadNumbers,
	}, func(ctx context.Context, who account.Identity, in *struct{ Paging }) (*listed[siteBody], error) {
		next, err := s.after(who, "sites", in.Paging)
		if err != nil {
			return nil, err
		}
		list, err := s.ledger.Sites(ctx, who.AccountID, next.After, next.Limit)
		if err != nil {
			return nil, err
		}
		return newPage(s, who, "sites", list, in.Paging, s.siteOut, func(site attribution.Site) any { return site.ID }), nil
	})
	handle(s, op{
		Method: http.MethodPost, Path: "/v1/sites", ID: "create-site", Tag: "sites",
		Summary: "Add a website; its key is made with it", Need: account.ManageNumbers,
	}, func(ctx context.Context, who account.Identity, in *sitePost) (*created[siteBody], error) {
		site, err := s.ledger.CreateSite(ctx, who, attribution.SiteDraft{
			Name: in.Body.Name, Origins: in.Body.Origins, PoolID: given(in.Body.PoolID), Swap: in.Body.Swap, Consent: in.Body.Consent,
			ScriptPatch: in.Body.patch(),
		})
		if err != nil {
			return nil, err
		}
		return &created[siteBody]{Location: "/v1/sites/" + site.ID, ETag: etag(site.Version), Body: s.siteOut(site)}, nil
	})
	handle(s, op{
		Method: http.MethodGet, Path: "/v1/sites/{id}", ID: "get-site", Tag: "sites",
		Summary: "One website", Need: account.ReadNumbers,
	}, func(ctx context.Context, who account.Identity, in *struct{ ByID }) (*found[siteBody], error) {
		site, err := s.ledger.Site(ctx, who.AccountID, in.ID)
		if err != nil {
			return nil, err
		}
		return &found[siteBody]{ETag: etag(site.Version), Body: s.siteOut(site)}, nil
	})
	handle(s, op{
		Method: http.MethodPatch, Path: "/v1/sites/{id}", ID: "update-site", Tag: "sites",
		Summary: "Change a website; its key stays", Need: account.ManageNumbers,
	}, func(ctx context.Context, who account.Identity, in *sitePatch) (*found[siteBody], error) {
		site, err := s.ledger.UpdateSite(ctx, who, in.ID, in.Version(), attribution.SitePatch{
			Name: in.Body.Name, Origins: in.Body.Origins, PoolID: present(in.Body.PoolID), Swap: in.Body.Swap, Consent: in.Body.Consent,
			ScriptPatch: in.Body.patch(),
		})
		if err != nil {
			return nil, err
		}
		return &found[siteBody]{ETag: etag(site.Version), Body: s.siteOut(site)}, nil
	})
	handle(s, op{
		Method: http.MethodDelete, Path: "/v1/sites/{id}", ID: "retire-site", Tag: "sites",
		Summary: "Take a website out of use; its pages keep their printed numbers", Need: account.ManageNumbers,
	}, func(ctx context.Context, who account.Identity, in *ChangeByID) (*done, error) {
		return nil, s.ledger.RetireSite(ctx, who, in.ID, in.Version())
	})
}
