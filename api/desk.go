package api

import (
	"context"
	"encoding/json"
	"math"
	"net/http"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/scoring"
	"github.com/callwheel/callwheel/telephony"
)

// deskDoors are what people say about a call. Every write answers with the
// desk's new ETag and takes If-Match.
func (s *Server) deskDoors() {
	s.judgeDoors()
	s.scoreDoors()
	s.disputeDoors()
	s.saleDoors()
	s.noteDoors()
}

// act is who judges the call, against which version.
func act(who account.Identity, in ChangeByID) scoring.Act {
	return scoring.Act{AccountID: who.AccountID, CallID: in.ID, Actor: who.Actor, IfVersion: in.Version()}
}

// agentRef is whose call it was.
type agentRef struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	ByHand bool   `json:"by_hand" doc:"false: concluded from the phone that answered"`
}

// JudgedBody is what a desk comes to; every call shows it.
type JudgedBody struct {
	Agent       *agentRef        `json:"agent"`
	Tags        []string         `json:"tags"`
	Disposition *string          `json:"disposition"`
	Qualified   *bool            `json:"qualified" doc:"null while the call has no disposition"`
	Value       *callwheel.Money `json:"value" doc:"Sales less refunds; null when there was none, or when they are in several currencies"`
	Score       *float64         `json:"score" doc:"0 to 100, the mean over its scorers; null: not scored"`
	Note        *string          `json:"note" doc:"The latest one; see the notes for what roles that may not see callers read"`
}

func judgedOut(who account.Identity, v *scoring.View) JudgedBody {
	b := JudgedBody{Tags: []string{}, Qualified: v.Qualified(), Value: v.Value(), Score: rounded(v.Score)}
	for _, t := range v.Tags {
		b.Tags = append(b.Tags, t.Name)
	}
	if v.Agent != nil {
		b.Agent = &agentRef{ID: v.Agent.ID, Name: v.Agent.Name, ByHand: v.Agent.ByHand}
	}
	if v.Disposition != nil {
		b.Disposition = &v.Disposition.Name
	}
	if n := len(v.Notes); n > 0 {
		b.Note = new(said(who, v.Notes[n-1].Text))
	}
	return b
}

type deskBody struct {
	JudgedBody
	CallID      string            `json:"call_id"`
	DisposedAt  *stamp            `json:"disposed_at"`
	DisposedBy  *string           `json:"disposed_by"`
	Values      []callwheel.Money `json:"values" doc:"Sales less refunds, by currency"`
	ScoresMixed bool              `json:"scores_mixed" doc:"The score is a mean over different cards or versions"`
	Scores      []scoreBody       `json:"scores" doc:"The valid ones"`
	Sales       []saleBody        `json:"sales"`
	Notes       []noteBody        `json:"notes"`
	Feedback    []feedbackBody    `json:"feedback"`
	CallBacks   []callBackBody    `json:"callbacks"`
	UpdatedAt   *stamp            `json:"updated_at" doc:"null while nobody has judged the call"`
}

func deskOut(who account.Identity, v *scoring.View) deskBody {
	b := deskBody{
		JudgedBody: judgedOut(who, v), CallID: v.CallID, Values: v.Values, ScoresMixed: v.Mixed, UpdatedAt: atPtr(v.UpdatedAt.Ptr()),
		Scores: each(v.Scores, scoreOut(who)), Sales: each(v.Sales, saleOut), Notes: each(v.Notes, noteOut(who)),
		Feedback: each(v.Feedback, feedbackOut(who)), CallBacks: each(v.CallBacks, callBackOut),
	}
	if d := v.Disposition; d != nil {
		b.DisposedAt, b.DisposedBy = atPtr(d.GivenAt.Ptr()), &d.GivenBy
	}
	return b
}

// each maps a list; the result is never null.
func each[R, T any](rows []R, wire func(R) T) []T {
	out := make([]T, len(rows))
	for i, r := range rows {
		out[i] = wire(r)
	}
	return out
}

// deskAfter answers with the desk of a call after a write that made version.
func (s *Server) deskAfter(ctx context.Context, who account.Identity, callID string, version int64, err error) (*found[deskBody], error) {
	if err != nil {
		return nil, err
	}
	v, err := s.desk.View(ctx, who.AccountID, callID)
	if err != nil {
		return nil, err
	}
	// What was written is at version; the view may show a later one. The ETag
	// must not promise that its reader has seen that.
	return &found[deskBody]{ETag: etag(min(version, v.Version)), Body: deskOut(who, v)}, nil
}

type ofCall struct {
	ByID
	Paging
}

type taggedCall struct {
	ChangeByID
	Tag string `path:"tag" doc:"The tag's name"`
}

type dispositionPut struct {
	ChangeByID
	Body struct {
		Disposition string `json:"disposition" doc:"The name of one of the account's dispositions" example:"Booked"`
	}
}

type callAgentPut struct {
	ChangeByID
	Body struct {
		AgentID *string `json:"agent_id" doc:"null: whoever's phone answered"`
	}
}

type untaggedCall struct {
	ETag string `header:"ETag"`
}

func (s *Server) judgeDoors() {
	handle(s, op{
		Method: http.MethodGet, Path: "/v1/calls/{id}/desk", ID: "get-desk", Tag: "desk",
		Summary: "Everything that people said about a call", Need: account.ReadCalls,
	}, func(ctx context.Context, who account.Identity, in *struct{ ByID }) (*found[deskBody], error) {
		v, err := s.desk.View(ctx, who.AccountID, in.ID)
		if err != nil {
			return nil, err
		}
		return &found[deskBody]{ETag: etag(v.Version), Body: deskOut(who, v)}, nil
	})
	handle(s, op{
		Method: http.MethodPut, Path: "/v1/calls/{id}/tags/{tag}", ID: "tag-call", Tag: "desk",
		Summary: "Put a tag on a call", Need: account.WriteDesk,
		Doc: "A name that is not in the account's list is 422, with the nearest names.",
	}, func(ctx context.Context, who account.Identity, in *taggedCall) (*found[deskBody], error) {
		version, err := s.desk.Tag(ctx, act(who, in.ChangeByID), in.Tag)
		return s.deskAfter(ctx, who, in.ID, version, err)
	})
	handle(s, op{
		Method: http.MethodDelete, Path: "/v1/calls/{id}/tags/{tag}", ID: "untag-call", Tag: "desk",
		Summary: "Take a tag off a call", Need: account.WriteDesk,
	}, func(ctx context.Context, who account.Identity, in *taggedCall) (*untaggedCall, error) {
		version, err := s.desk.Untag(ctx, act(who, in.ChangeByID), in.Tag)
		if err != nil {
			return nil, err
		}
		return &untaggedCall{ETag: etag(version)}, nil
	})
	handle(s, op{
		Method: http.MethodPut, Path: "/v1/calls/{id}/disposition", ID: "dispose-call", Tag: "desk",
		Summary: "Say what became of a call", Need: account.WriteDesk,
		Doc: "The latest counts; earlier ones stay in the history. A name that is not in the account's list is 422, with the nearest names.",
	}, func(ctx context.Context, who account.Identity, in *dispositionPut) (*found[deskBody], error) {
		version, err := s.desk.Dispose(ctx, act(who, in.ChangeByID), in.Body.Disposition)
		return s.deskAfter(ctx, who, in.ID, version, err)
	})
	handle(s, op{
		Method: http.MethodPut, Path: "/v1/calls/{id}/agent", ID: "assign-call", Tag: "desk",
		Summary: "Say whose call it was", Need: account.WriteDesk,
	}, func(ctx context.Context, who account.Identity, in *callAgentPut) (*found[deskBody], error) {
		agent := ""
		if in.Body.AgentID != nil {
			agent = *in.Body.AgentID
		}
		version, err := s.desk.Assign(ctx, act(who, in.ChangeByID), agent)
		return s.deskAfter(ctx, who, in.ID, version, err)
	})
	handle(s, op{
		Method: http.MethodGet, Path: "/v1/calls/{id}/history", ID: "call-history", Tag: "desk",
		Summary: "Who judged what, oldest first", Need: account.ReadCalls,
	}, func(ctx context.Context, who account.Identity, in *ofCall) (*listed[judgementBody], error) {
		history, err := s.desk.History(ctx, who.AccountID, in.ID)
		if err != nil {
			return nil, err
		}
		return pageOf(s, who, "history "+in.ID, history, in.Paging, judgementOut(who), func(j scoring.Judgement) string { return j.ID })
	})
}

type judgementBody struct {
	ID     string         `json:"id"`
	CallID string         `json:"call_id"`
	At     stamp          `json:"at"`
	Actor  string         `json:"actor" doc:"user_…, token_… or import"`
	Kind   string         `json:"kind" doc:"tagged, untagged, disposed, scored, sold, noted, feedback, called_back, assigned, disputed, resolved or referred"`
	Detail map[string]any `json:"detail" doc:"Names as they were then, and ids of what was written"`
}

// judgementOut writes an entry of a history. What people wrote down, and who sent
// a caller, is told as the asking role may read it.
func judgementOut(who account.Identity) func(scoring.Judgement) judgementBody {
	return func(j scoring.Judgement) judgementBody {
		b := judgementBody{ID: j.ID, CallID: j.CallID, At: at(j.At.Time), Actor: j.Actor, Kind: j.Kind, Detail: map[string]any{}}
		json.Unmarshal(j.Detail, &b.Detail) //nolint:errcheck // written by us as an object
		for _, name := range []string{"reason", "comment", "referred_by"} {
			if text, told := b.Detail[name].(string); told {
				b.Detail[name] = said(who, text)
			}
		}
		return b
	}
}

type markBody struct {
	Criterion string  `json:"criterion" doc:"The criterion's id"`
	Name      string  `json:"name"`
	Level     *int64  `json:"level" doc:"null: does not apply"`
	MaxLevel  int64   `json:"max_level"`
	Weight    float64 `json:"weight"`
	Critical  bool    `json:"critical"`
}

type scoreBody struct {
	ID               string     `json:"id"`
	Scorecard        string     `json:"scorecard" doc:"Its name then"`
	ScorecardID      string     `json:"scorecard_id"`
	ScorecardVersion int64      `json:"scorecard_version"`
	Scorer           string     `json:"scorer"`
	Marks            []markBody `json:"marks"`
	Comment          string     `json:"comment"`
	Score            *float64   `json:"score" doc:"0 to 100; 0 when a critical criterion failed; null when none applied"`
	Uncritical       *float64   `json:"uncritical" doc:"The score without the rule about critical criteria"`
	AutoFailed       bool       `json:"auto_failed" doc:"A critical criterion is at level 0"`
	ScoredAt         stamp      `json:"scored_at"`
	SupersededAt     *stamp     `json:"superseded_at" doc:"null while it is valid"`

	Dispute *disputeBody `json:"dispute" doc:"null while nobody has disputed it"`
}

// rounded gives a score the four decimals with which it is kept, so that it is
// the same figure wherever it is shown.
func rounded(score *float64) *float64 {
	if score == nil {
		return nil
	}
	v := math.Round(*score*1e4) / 1e4
	return &v
}

func scoreOut(who account.Identity) func(scoring.Score) scoreBody {
	return func(x scoring.Score) scoreBody { return oneScore(who, x) }
}

func oneScore(who account.Identity, x scoring.Score) scoreBody {
	b := scoreBody{
		ID: x.ID, Scorecard: x.Card.Name, ScorecardID: x.Card.ID, ScorecardVersion: x.Card.Version, Scorer: x.Scorer,
		Marks: []markBody{}, Comment: said(who, x.Comment), Score: rounded(x.Result.Score), Uncritical: rounded(x.Result.Uncritical), AutoFailed: x.Result.AutoFailed,
		ScoredAt: at(x.ScoredAt.Time), SupersededAt: atPtr(x.SupersededAt.Ptr()),
		Dispute: disputeOut(who, x.Dispute),
	}
	for _, c := range x.Card.Criteria {
		m := markBody{Criterion: c.ID, Name: c.Name, MaxLevel: c.MaxLevel, Weight: c.Weight, Critical: c.Critical}
		if level, applies := x.Levels[c.ID]; applies {
			m.Level = &level
		}
		b.Marks = append(b.Marks, m)
	}
	return b
}

type scorePost struct {
	ChangeByID
	Body struct {
		Scorecard string `json:"scorecard" doc:"Id or name"`
		Marks     []struct {
			Criterion string `json:"criterion" doc:"Id or name"`
			Level     *int64 `json:"level" doc:"0 to the criterion's max_level, or null: does not apply"`
		} `json:"marks" maxItems:"100" doc:"A criterion without a mark does not apply"`
		Comment string `json:"comment,omitempty"`
	}
}

func (s *Server) scoreDoors() {
	handle(s, op{
		Method: http.MethodGet, Path: "/v1/calls/{id}/scores", ID: "list-scores", Tag: "desk",
		Summary: "The scores of a call, superseded ones too, oldest first", Need: account.ReadCalls,
	}, func(ctx context.Context, who account.Identity, in *ofCall) (*listed[scoreBody], error) {
		scores, err := s.desk.Scores(ctx, who.AccountID, in.ID)
		if err != nil {
			return nil, err
		}
		return pageOf(s, who, "scores "+in.ID, scores, in.Paging, scoreOut(who), func(x scoring.Score) string { return x.ID })
	})
	handle(s, op{
		Method: http.MethodPost, Path: "/v1/calls/{id}/scores", ID: "score-call", Tag: "desk",
		Summary: "Fill in a scorecard for a call", Need: account.WriteDesk,
		Doc: "Several people may score one call. Who scores again with the same card supersedes their own earlier score. A call in which nobody spoke to the caller (missed or blocked, and not called back with success) is 409.",
	}, func(ctx context.Context, who account.Identity, in *scorePost) (*created[scoreBody], error) {
		filled := scoring.Filled{Scorecard: in.Body.Scorecard, Comment: in.Body.Comment}
		for _, m := range in.Body.Marks {
			filled.Marks = append(filled.Marks, scoring.Mark{Criterion: m.Criterion, Level: m.Level})
		}
		x, version, err := s.desk.Score(ctx, act(who, in.ChangeByID), filled)
		if err != nil {
			return nil, err
		}
		return &created[scoreBody]{Location: "/v1/calls/" + in.ID + "/scores", ETag: etag(version), Body: oneScore(who, x)}, nil
	})
}

type saleBody struct {
	ID         string           `json:"id"`
	CallID     *string          `json:"call_id" doc:"null for an outcome that was brought in"`
	Value      callwheel.Money  `json:"value" doc:"Below 0 for a refund"`
	Margin     *callwheel.Money `json:"margin" doc:"What remains of the value; null: not known"`
	Refunded   callwheel.Money  `json:"refunded" doc:"What has been given back of it"`
	RefundOf   *string          `json:"refund_of" doc:"Of a refund: the sale that it takes back"`
	SoldAt     stamp            `json:"sold_at"`
	RecordedAt stamp            `json:"recorded_at"`
	RecordedBy string           `json:"recorded_by"`
}

func saleOut(x scoring.Sale) saleBody {
	return saleBody{
		ID: x.ID, CallID: orNil(x.CallID), Value: x.Value, Margin: x.Margin, Refunded: x.Refunded, RefundOf: orNil(x.RefundOf),
		SoldAt: at(x.SoldAt.Time), RecordedAt: at(x.RecordedAt.Time), RecordedBy: x.RecordedBy,
	}
}

type salePost struct {
	ChangeByID
	Body struct {
		Value    wireMoney           `json:"value" doc:"Above 0, of a refund too"`
		SoldAt   optional[stamp]     `json:"sold_at,omitempty" doc:"Without it: now"`
		Margin   optional[wireMoney] `json:"margin,omitempty" doc:"What remains of the value, in its currency. Of a refund: what is lost of the sale's margin; without it, in proportion"`
		RefundOf optional[string]    `json:"refund_of,omitempty" doc:"The id of the sale that this takes back"`
	}
}

// sale is the room's sale.
func (in *salePost) sale() (scoring.NewSale, error) {
	value, bad := in.Body.Value.money("value")
	n := scoring.NewSale{Value: value, SoldAt: in.Body.SoldAt.Value.ptr(), RefundOf: given(in.Body.RefundOf)}
	if m := in.Body.Margin.Value; m != nil {
		margin, wrong := m.money("margin")
		n.Margin, bad = &margin, append(bad, wrong...)
	}
	return n, callwheel.InvalidFields(bad)
}

func (s *Server) saleDoors() {
	handle(s, op{
		Method: http.MethodGet, Path: "/v1/calls/{id}/sales", ID: "list-sales", Tag: "desk",
		Summary: "The sales and refunds of a call, oldest first", Need: account.ReadCalls,
	}, func(ctx context.Context, who account.Identity, in *ofCall) (*listed[saleBody], error) {
		sales, err := s.desk.Sales(ctx, who.AccountID, in.ID)
		if err != nil {
			return nil, err
		}
		return pageOf(s, who, "sales "+in.ID, sales, in.Paging, saleOut, func(x scoring.Sale) string { return x.ID })
	})
	handle(s, op{
		Method: http.MethodPost, Path: "/v1/calls/{id}/sales", ID: "record-sale", Tag: "desk",
		Summary: "Record a sale that a call brought, or a refund of one", Need: account.WriteDesk,
		Doc: "A caller may have several sales over the months. A refund names its sale, is in its currency and takes back at most what is left of it.",
	}, func(ctx context.Context, who account.Identity, in *salePost) (*created[saleBody], error) {
		n, err := in.sale()
		if err != nil {
			return nil, err
		}
		x, version, err := s.desk.Sell(ctx, act(who, in.ChangeByID), n)
		if err != nil {
			return nil, err
		}
		return &created[saleBody]{Location: "/v1/calls/" + in.ID + "/sales", ETag: etag(version), Body: saleOut(x)}, nil
	})
}

type noteBody struct {
	ID        string `json:"id"`
	Text      string `json:"text" doc:"For roles that may not see callers, what looks like a phone number (seven digits and more) is masked here and in comments"`
	WrittenAt stamp  `json:"written_at"`
	WrittenBy string `json:"written_by"`
}

// said is what somebody wrote about a call, as the asking role may read it:
// people write down numbers to call back.
func said(who account.Identity, text string) string {
	if who.May(account.SeeCallers) {
		return text
	}
	return telephony.MaskText(text)
}

func noteOut(who account.Identity) func(scoring.Note) noteBody {
	return func(n scoring.Note) noteBody {
		return noteBody{ID: n.ID, Text: said(who, n.Text), WrittenAt: at(n.WrittenAt.Time), WrittenBy: n.WrittenBy}
	}
}

type feedbackBody struct {
	ID      string               `json:"id"`
	CallID  string               `json:"call_id"`
	Kind    scoring.FeedbackKind `json:"kind" enum:"csat,nps"`
	Value   int64                `json:"value"`
	Comment string               `json:"comment"`
	GivenAt stamp                `json:"given_at"`
}

func feedbackOut(who account.Identity) func(scoring.Feedback) feedbackBody {
	return func(f scoring.Feedback) feedbackBody {
		return feedbackBody{ID: f.ID, CallID: f.CallID, Kind: f.Kind, Value: f.Value, Comment: said(who, f.Comment), GivenAt: at(f.GivenAt.Time)}
	}
}

type callBackBody struct {
	ID        string `json:"id"`
	CallID    string `json:"call_id"`
	CalledAt  stamp  `json:"called_at"`
	Connected bool   `json:"connected" doc:"A person was reached"`
	CalledBy  string `json:"called_by"`
}

func callBackOut(c scoring.CallBack) callBackBody {
	return callBackBody{ID: c.ID, CallID: c.CallID, CalledAt: at(c.CalledAt.Time), Connected: c.Connected, CalledBy: c.CalledBy}
}

type notePost struct {
	ChangeByID
	Body struct {
		Text string `json:"text" doc:"At most 10,000 characters"`
	}
}

type feedbackPost struct {
	ChangeByID
	Body struct {
		Kind    scoring.FeedbackKind `json:"kind" enum:"csat,nps"`
		Value   int64                `json:"value" doc:"csat: 1 to 5; nps: 0 to 10"`
		Comment string               `json:"comment,omitempty"`
		GivenAt optional[stamp]      `json:"given_at,omitempty" doc:"When the caller said so. Without it: now"`
	}
}

type callBackPost struct {
	ChangeByID
	Body struct {
		Connected bool            `json:"connected" doc:"A person was reached"`
		At        optional[stamp] `json:"at,omitempty" doc:"When the business called back. Without it: now"`
	}
}

func (s *Server) noteDoors() {
	handle(s, op{
		Method: http.MethodGet, Path: "/v1/calls/{id}/notes", ID: "list-notes", Tag: "desk",
		Summary: "The notes about a call, oldest first", Need: account.ReadCalls,
	}, func(ctx context.Context, who account.Identity, in *ofCall) (*listed[noteBody], error) {
		v, err := s.desk.View(ctx, who.AccountID, in.ID)
		if err != nil {
			return nil, err
		}
		return pageOf(s, who, "notes "+in.ID, v.Notes, in.Paging, noteOut(who), func(n scoring.Note) string { return n.ID })
	})
	handle(s, op{
		Method: http.MethodPost, Path: "/v1/calls/{id}/notes", ID: "note-call", Tag: "desk",
		Summary: "Write a note about a call", Need: account.WriteDesk,
	}, func(ctx context.Context, who account.Identity, in *notePost) (*created[noteBody], error) {
		n, version, err := s.desk.Note(ctx, act(who, in.ChangeByID), in.Body.Text)
		if err != nil {
			return nil, err
		}
		return &created[noteBody]{Location: "/v1/calls/" + in.ID + "/notes", ETag: etag(version), Body: noteOut(who)(n)}, nil
	})
	handle(s, op{
		Method: http.MethodPost, Path: "/v1/calls/{id}/feedback", ID: "feedback-call", Tag: "desk",
		Summary: "Keep what the caller said about the call", Need: account.WriteDesk,
	}, func(ctx context.Context, who account.Identity, in *feedbackPost) (*created[feedbackBody], error) {
		said := act(who, in.ChangeByID)
		if when := in.Body.GivenAt.Value.ptr(); when != nil {
			said.At = *when
		}
		f, version, err := s.desk.Feedback(ctx, said, in.Body.Kind, in.Body.Value, in.Body.Comment)
		if err != nil {
			return nil, err
		}
		return &created[feedbackBody]{Location: "/v1/calls/" + in.ID + "/desk", ETag: etag(version), Body: feedbackOut(who)(f)}, nil
	})
	handle(s, op{
		Method: http.MethodPost, Path: "/v1/calls/{id}/callback", ID: "call-back", Tag: "desk",
		Summary: "Say that the business called back", Need: account.WriteDesk,
	}, func(ctx context.Context, who account.Identity, in *callBackPost) (*created[callBackBody], error) {
		c, version, err := s.desk.CallBack(ctx, act(who, in.ChangeByID), in.Body.Connected, in.Body.At.Value.ptr())
		if err != nil {
			return nil, err
		}
		return &created[callBackBody]{Location: "/v1/calls/" + in.ID + "/desk", ETag: etag(version), Body: callBackOut(c)}, nil
	})
}
