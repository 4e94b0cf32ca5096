package api

import (
	"context"
	"net/http"

	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/scoring"
)

// listDoors are the account's own lists: what people judge calls with.
func (s *Server) listDoors() {
	s.tagDoors()
	s.dispositionDoors()
	s.scorecardDoors()
	s.agreementDoor()
	s.agentDoors()
}

// after reads the cursor of a list that continues after an id.
func (s *Server) after(who account.Identity, list string, p Paging) (scoring.Page, error) {
	next := scoring.Page{Limit: p.Limit + 1}
	_, err := s.readCursor(who, list, p, &next.After)
	return next, err
}

// ChangeByID is embedded in the input of a change of one thing that carries an
// ETag.
type ChangeByID struct {
	ByID
	Precondition
}

type tagBody struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	CreatedAt stamp  `json:"created_at"`
}

func tagOut(t scoring.Tag) tagBody {
	return tagBody{ID: t.ID, Name: t.Name, CreatedAt: at(t.CreatedAt.Time)}
}

type tagPost struct {
	Body struct {
		Name string `json:"name" doc:"Unique in the account, whatever its case" example:"price question"`
	}
}

type tagPatch struct {
	ChangeByID
	Body struct {
		Name *string `json:"name,omitempty"`
	}
}

func (s *Server) tagDoors() {
	handle(s, op{
		Method: http.MethodGet, Path: "/v1/tags", ID: "list-tags", Tag: "tags",
		Summary: "The tags that calls may carry, by name", Need: account.ReadLists,
	}, func(ctx context.Context, who account.Identity, in *struct{ Paging }) (*listed[tagBody], error) {
		next, err := s.after(who, "tags", in.Paging)
		if err != nil {
			return nil, err
		}
		tags, err := s.desk.Tags(ctx, who.AccountID, next)
		if err != nil {
			return nil, err
		}
		return newPage(s, who, "tags", tags, in.Paging, tagOut, func(t scoring.Tag) any { return t.ID }), nil
	})
	handle(s, op{
		Method: http.MethodPost, Path: "/v1/tags", ID: "create-tag", Tag: "tags",
		Summary: "Add a tag", Need: account.ManageLists,
	}, func(ctx context.Context, who account.Identity, in *tagPost) (*created[tagBody], error) {
		t, err := s.desk.CreateTag(ctx, who, in.Body.Name)
		if err != nil {
			return nil, err
		}
		return &created[tagBody]{Location: "/v1/tags/" + t.ID, ETag: etag(t.Version), Body: tagOut(t)}, nil
	})
	handle(s, op{
		Method: http.MethodGet, Path: "/v1/tags/{id}", ID: "get-tag", Tag: "tags",
		Summary: "One tag", Need: account.ReadLists,
	}, func(ctx context.Context, who account.Identity, in *struct{ ByID }) (*found[tagBody], error) {
		t, err := s.desk.TagByID(ctx, who.AccountID, in.ID)
		if err != nil {
			return nil, err
		}
		return &found[tagBody]{ETag: etag(t.Version), Body: tagOut(t)}, nil
	})
	handle(s, op{
		Method: http.MethodPatch, Path: "/v1/tags/{id}", ID: "update-tag", Tag: "tags",
		Summary: "Rename a tag, on every call that carries it", Need: account.ManageLists,
	}, func(ctx context.Context, who account.Identity, in *tagPatch) (*found[tagBody], error) {
		t, err := s.desk.RenameTag(ctx, who, in.ID, in.Body.Name, in.Version())
		if err != nil {
			return nil, err
		}
		return &found[tagBody]{ETag: etag(t.Version), Body: tagOut(t)}, nil
	})
	handle(s, op{
		Method: http.MethodDelete, Path: "/v1/tags/{id}", ID: "retire-tag", Tag: "tags",
		Summary: "Take a tag off the list; calls that carry it keep it", Need: account.ManageLists,
	}, func(ctx context.Context, who account.Identity, in *ChangeByID) (*done, error) {
		return nil, s.desk.RetireTag(ctx, who, in.ID, in.Version())
	})
}

type dispositionBody struct {
	ID        string        `json:"id"`
	Name      string        `json:"name"`
	Qualified bool          `json:"qualified" doc:"A call with it is a qualified call"`
	Stage     scoring.Stage `json:"stage" enum:"none,lead,qualified,won" doc:"How far it says the caller has come"`
	Genuine   bool          `json:"genuine" doc:"false for spam, wrong number, test"`
	Position  int64         `json:"position" doc:"Its place in the list, smallest first"`
	CreatedAt stamp         `json:"created_at"`
}

func dispositionOut(d scoring.Disposition) dispositionBody {
	return dispositionBody{
		ID: d.ID, Name: d.Name, Qualified: d.Qualified, Stage: d.Stage, Genuine: d.Genuine, Position: d.Position, CreatedAt: at(d.CreatedAt.Time),
	}
}

type dispositionPost struct {
	Body struct {
		Name      string         `json:"name" doc:"Unique in the account, whatever its case" example:"Booked"`
		Qualified *bool          `json:"qualified,omitempty" doc:"Without it: true when the stage is not none"`
		Stage     *scoring.Stage `json:"stage,omitempty" enum:"none,lead,qualified,won" doc:"Without it: none"`
		Genuine   *bool          `json:"genuine,omitempty" doc:"Without it: true"`
		Position  *int64         `json:"position,omitempty" minimum:"0" maximum:"1000000" doc:"Without it: the end"`
	}
}

type dispositionPatch struct {
	ChangeByID
	Body struct {
		Name      *string        `json:"name,omitempty"`
		Qualified *bool          `json:"qualified,omitempty"`
		Stage     *scoring.Stage `json:"stage,omitempty" enum:"none,lead,qualified,won"`
		Genuine   *bool          `json:"genuine,omitempty"`
		Position  *int64         `json:"position,omitempty" minimum:"0" maximum:"1000000"`
	}
}

func (s *Server) dispositionDoors() {
	handle(s, op{
		Method: http.MethodGet, Path: "/v1/dispositions", ID: "list-dispositions", Tag: "dispositions",
		Summary: "The outcomes that calls may have, by position", Need: account.ReadLists,
	}, func(ctx context.Context, who account.Identity, in *struct{ Paging }) (*listed[dispositionBody], error) {
		next, err := s.after(who, "dispositions", in.Paging)
		if err != nil {
			return nil, err
		}
		list, err := s.desk.Dispositions(ctx, who.AccountID, next)
		if err != nil {
			return nil, err
		}
		return newPage(s, who, "dispositions", list, in.Paging, dispositionOut, func(d scoring.Disposition) any { return d.ID }), nil
	})
	handle(s, op{
		Method: http.MethodPost, Path: "/v1/dispositions", ID: "create-disposition", Tag: "dispositions",
		Summary: "Add a disposition", Need: account.ManageLists,
	}, func(ctx context.Context, who account.Identity, in *dispositionPost) (*created[dispositionBody], error) {
		d, err := s.desk.CreateDisposition(ctx, who, scoring.DispositionEdit{
			Name: &in.Body.Name, Qualified: in.Body.Qualified, Stage: in.Body.Stage, Genuine: in.Body.Genuine, Position: in.Body.Position,
		})
		if err != nil {
			return nil, err
		}
		return &created[dispositionBody]{Location: "/v1/dispositions/" + d.ID, ETag: etag(d.Version), Body: dispositionOut(d)}, nil
	})
	handle(s, op{
		Method: http.MethodGet, Path: "/v1/dispositions/{id}", ID: "get-disposition", Tag: "dispositions",
		Summary: "One disposition", Need: account.ReadLists,
	}, func(ctx context.Context, who account.Identity, in *struct{ ByID }) (*found[dispositionBody], error) {
		d, err := s.desk.DispositionByID(ctx, who.AccountID, in.ID)
		if err != nil {
			return nil, err
		}
		return &found[dispositionBody]{ETag: etag(d.Version), Body: dispositionOut(d)}, nil
	})
	handle(s, op{
		Method: http.MethodPatch, Path: "/v1/dispositions/{id}", ID: "update-disposition", Tag: "dispositions",
		Summary: "Change a disposition, for every call that has it", Need: account.ManageLists,
	}, func(ctx context.Context, who account.Identity, in *dispositionPatch) (*found[dispositionBody], error) {
		d, err := s.desk.EditDisposition(ctx, who, in.ID, scoring.DispositionEdit{
			Name: in.Body.Name, Qualified: in.Body.Qualified, Stage: in.Body.Stage, Genuine: in.Body.Genuine, Position: in.Body.Position,
		}, in.Version())
		if err != nil {
			return nil, err
		}
		return &found[dispositionBody]{ETag: etag(d.Version), Body: dispositionOut(d)}, nil
	})
	handle(s, op{
		Method: http.MethodDelete, Path: "/v1/dispositions/{id}", ID: "retire-disposition", Tag: "dispositions",
		Summary: "Take a disposition off the list; calls that have it keep it", Need: account.ManageLists,
	}, func(ctx context.Context, who account.Identity, in *ChangeByID) (*done, error) {
		return nil, s.desk.RetireDisposition(ctx, who, in.ID, in.Version())
	})
}

type criterionBody struct {
	ID          string  `json:"id" doc:"Stable over the versions of its card"`
	Name        string  `json:"name"`
	Description string  `json:"description"`
	Weight      float64 `json:"weight" doc:"Above 0; only its share of all weights matters"`
	MaxLevel    int64   `json:"max_level" doc:"Full marks; levels go from 0 to it"`
	Critical    bool    `json:"critical" doc:"At level 0 the whole score is 0"`
}

type criterionIn struct {
	ID          string  `json:"id,omitempty" doc:"Keep it to change a criterion; without it a new one is made"`
	Name        string  `json:"name" example:"Greeted by name"`
	Description string  `json:"description,omitempty"`
	Weight      float64 `json:"weight" example:"10"`
	MaxLevel    int64   `json:"max_level" example:"4"`
	Critical    bool    `json:"critical,omitempty"`
}

type scorecardBody struct {
	ID        string          `json:"id"`
	Version   int64           `json:"version" doc:"Every change makes a new one; scores keep theirs"`
	Name      string          `json:"name"`
	Criteria  []criterionBody `json:"criteria"`
	CreatedAt stamp           `json:"created_at" doc:"Of this version"`
}

func scorecardOut(c scoring.Scorecard) scorecardBody {
	b := scorecardBody{ID: c.ID, Version: c.Version, Name: c.Name, Criteria: []criterionBody{}, CreatedAt: at(c.CreatedAt.Time)}
	for _, x := range c.Criteria {
		b.Criteria = append(b.Criteria, criterionBody(x))
	}
	return b
}

func criteriaIn(in []criterionIn) []scoring.Criterion {
	out := make([]scoring.Criterion, len(in))
	for i, c := range in {
		out[i] = scoring.Criterion(c)
	}
	return out
}

type scorecardPost struct {
	Body struct {
		Name     string        `json:"name" example:"Sales call"`
		Criteria []criterionIn `json:"criteria" minItems:"1" maxItems:"100"`
	}
}

type scorecardPatch struct {
	ChangeByID
	Body struct {
		Name     *string        `json:"name,omitempty"`
		Criteria *[]criterionIn `json:"criteria,omitempty" maxItems:"100" doc:"Replaces them all"`
	}
}

func (s *Server) scorecardDoors() {
	handle(s, op{
		Method: http.MethodGet, Path: "/v1/scorecards", ID: "list-scorecards", Tag: "scorecards",
		Summary: "The rubrics that calls are scored with, oldest first", Need: account.ReadLists,
	}, func(ctx context.Context, who account.Identity, in *struct{ Paging }) (*listed[scorecardBody], error) {
		next, err := s.after(who, "scorecards", in.Paging)
		if err != nil {
			return nil, err
		}
		cards, err := s.desk.Scorecards(ctx, who.AccountID, next)
		if err != nil {
			return nil, err
		}
		return newPage(s, who, "scorecards", cards, in.Paging, scorecardOut, func(c scoring.Scorecard) any { return c.ID }), nil
	})
	handle(s, op{
		Method: http.MethodPost, Path: "/v1/scorecards", ID: "create-scorecard", Tag: "scorecards",
		Summary: "Add a scorecard", Need: account.ManageLists,
	}, func(ctx context.Context, who account.Identity, in *scorecardPost) (*created[scorecardBody], error) {
		criteria := criteriaIn(in.Body.Criteria)
		c, err := s.desk.CreateScorecard(ctx, who, scoring.ScorecardEdit{Name: &in.Body.Name, Criteria: &criteria})
		if err != nil {
			return nil, err
		}
		return &created[scorecardBody]{Location: "/v1/scorecards/" + c.ID, ETag: etag(c.Version), Body: scorecardOut(c)}, nil
	})
	handle(s, op{
		Method: http.MethodGet, Path: "/v1/scorecards/{id}", ID: "get-scorecard", Tag: "scorecards",
		Summary: "One scorecard, now or in an older version", Need: account.ReadLists,
	}, func(ctx context.Context, who account.Identity, in *struct {
		ByID
		Version int64 `query:"version" minimum:"0" doc:"0 or none: the current one"`
	},
	) (*found[scorecardBody], error) {
		c, err := s.desk.ScorecardByID(ctx, who.AccountID, in.ID, in.Version)
		if err != nil {
			return nil, err
		}
		return &found[scorecardBody]{ETag: etag(c.Version), Body: scorecardOut(c)}, nil
	})
	handle(s, op{
		Method: http.MethodPatch, Path: "/v1/scorecards/{id}", ID: "update-scorecard", Tag: "scorecards",
		Summary: "Make a new version of a scorecard", Need: account.ManageLists,
	}, func(ctx context.Context, who account.Identity, in *scorecardPatch) (*found[scorecardBody], error) {
		edit := scoring.ScorecardEdit{Name: in.Body.Name}
		if in.Body.Criteria != nil {
			criteria := criteriaIn(*in.Body.Criteria)
			edit.Criteria = &criteria
		}
		c, err := s.desk.EditScorecard(ctx, who, in.ID, edit, in.Version())
		if err != nil {
			return nil, err
		}
		return &found[scorecardBody]{ETag: etag(c.Version), Body: scorecardOut(c)}, nil
	})
	handle(s, op{
		Method: http.MethodDelete, Path: "/v1/scorecards/{id}", ID: "retire-scorecard", Tag: "scorecards",
		Summary: "Take a scorecard off the list; scores given with it stay", Need: account.ManageLists,
	}, func(ctx context.Context, who account.Identity, in *ChangeByID) (*done, error) {
		return nil, s.desk.RetireScorecard(ctx, who, in.ID, in.Version())
	})
}

type agentBody struct {
	ID        string      `json:"id"`
	Name      string      `json:"name"`
	Phone     *wireNumber `json:"phone" doc:"The phone that rings; calls it answered are theirs"`
	Email     *string     `json:"email"`
	CreatedAt stamp       `json:"created_at"`
}

func agentOut(a scoring.Agent) agentBody {
	return agentBody{ID: a.ID, Name: a.Name, Phone: number(a.Phone), Email: orNil(a.Email), CreatedAt: at(a.CreatedAt.Time)}
}

type agentPost struct {
	Body struct {
		Name  string           `json:"name" example:"Ines Duarte"`
		Phone optional[string] `json:"phone,omitempty" doc:"E.164; another agent must not have it" example:"+13125550171"`
		Email optional[string] `json:"email,omitempty" example:"ines@example.com"`
	}
}

type agentPatch struct {
	ChangeByID
	Body struct {
		Name  *string          `json:"name,omitempty"`
		Phone optional[string] `json:"phone,omitempty" doc:"E.164, or null for none"`
		Email optional[string] `json:"email,omitempty" doc:"null for none"`
	}
}

// orZero is what an edit makes of a field: nil when it is absent, "" for null.
func (o optional[T]) orZero() *T {
	switch {
	case !o.Present:
		return nil
	case o.Value == nil:
		return new(T)
	}
	return o.Value
}

func (s *Server) agentDoors() {
	handle(s, op{
		Method: http.MethodGet, Path: "/v1/agents", ID: "list-agents", Tag: "agents",
		Summary: "The people who answer calls, by name", Need: account.ReadLists,
	}, func(ctx context.Context, who account.Identity, in *struct{ Paging }) (*listed[agentBody], error) {
		next, err := s.after(who, "agents", in.Paging)
		if err != nil {
			return nil, err
		}
		agents, err := s.desk.Agents(ctx, who.AccountID, next)
		if err != nil {
			return nil, err
		}
		return newPage(s, who, "agents", agents, in.Paging, agentOut, func(a scoring.Agent) any { return a.ID }), nil
	})
	handle(s, op{
		Method: http.MethodPost, Path: "/v1/agents", ID: "create-agent", Tag: "agents",
		Summary: "Add an agent", Need: account.ManageLists,
	}, func(ctx context.Context, who account.Identity, in *agentPost) (*created[agentBody], error) {
		a, err := s.desk.CreateAgent(ctx, who, scoring.AgentEdit{Name: &in.Body.Name, Phone: in.Body.Phone.orZero(), Email: in.Body.Email.orZero()})
		if err != nil {
			return nil, err
		}
		return &created[agentBody]{Location: "/v1/agents/" + a.ID, ETag: etag(a.Version), Body: agentOut(a)}, nil
	})
	handle(s, op{
		Method: http.MethodGet, Path: "/v1/agents/{id}", ID: "get-agent", Tag: "agents",
		Summary: "One agent", Need: account.ReadLists,
	}, func(ctx context.Context, who account.Identity, in *struct{ ByID }) (*found[agentBody], error) {
		a, err := s.desk.AgentByID(ctx, who.AccountID, in.ID)
		if err != nil {
			return nil, err
		}
		return &found[agentBody]{ETag: etag(a.Version), Body: agentOut(a)}, nil
	})
	handle(s, op{
		Method: http.MethodPatch, Path: "/v1/agents/{id}", ID: "update-agent", Tag: "agents",
		Summary: "Change an agent", Need: account.ManageLists,
	}, func(ctx context.Context, who account.Identity, in *agentPatch) (*found[agentBody], error) {
		a, err := s.desk.EditAgent(ctx, who, in.ID, scoring.AgentEdit{
			Name: in.Body.Name, Phone: in.Body.Phone.orZero(), Email: in.Body.Email.orZero(),
		}, in.Version())
		if err != nil {
			return nil, err
		}
		return &found[agentBody]{ETag: etag(a.Version), Body: agentOut(a)}, nil
	})
	handle(s, op{
		Method: http.MethodDelete, Path: "/v1/agents/{id}", ID: "retire-agent", Tag: "agents",
		Summary: "Take an agent off the list; calls they answered stay theirs", Need: account.ManageLists,
	}, func(ctx context.Context, who account.Identity, in *ChangeByID) (*done, error) {
		return nil, s.desk.RetireAgent(ctx, who, in.ID, in.Version())
	})
}
