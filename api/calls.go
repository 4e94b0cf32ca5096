package api

import (
	"context"
	"errors"
	"net/http"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humaecho"
	"github.com/labstack/echo/v4"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/report"
	"github.com/callwheel/callwheel/telephony"
)

// wireFrom is who called. A caller who withheld the number, or is no phone, has
// a kind and no number.
type wireFrom struct {
	E164     *string `json:"e164" example:"+12125550143"`
	National *string `json:"national" example:"(212) 555-0143"`
	Kind     string  `json:"kind" enum:"e164,anonymous,sip,client,short,invalid"`
}

type callerDetails struct {
	Name    *string `json:"name"`
	City    *string `json:"city"`
	State   *string `json:"state"`
	Zip     *string `json:"zip"`
	Country *string `json:"country"`
}

type callAttribution struct {
	Verdict           string            `json:"verdict" enum:"winner,source,ambiguous,untracked" doc:"ambiguous: the leading source is named, but is not sure enough to be credited"`
	Source            *string           `json:"source" doc:"null: untracked"`
	Medium            *string           `json:"medium"`
	Campaign          *string           `json:"campaign"`
	Term              *string           `json:"term"`
	Content           *string           `json:"content"`
	ClickIDs          map[string]string `json:"click_ids"`
	LandingPage       *string           `json:"landing_page"`
	Referrer          *string           `json:"referrer"`
	VisitorID         *string           `json:"visitor_id"`
	SessionID         *string           `json:"session_id"`
	Method            string            `json:"method"`
	Confidence        float64           `json:"confidence" doc:"0 to 1: that the source is right, or that nobody we know called"`
	VisitorConfidence float64           `json:"visitor_confidence" doc:"0 to 1: that this visitor called"`
}

type recordingBody struct {
	Kind       string  `json:"kind" enum:"call,voicemail"`
	State      string  `json:"state" enum:"pending,kept,absent,failed,deleted"`
	Seconds    *int64  `json:"seconds"`
	Channels   *int64  `json:"channels"`
	MediaType  *string `json:"media_type"`
	Transcript *string `json:"transcript"`
	URL        *string `json:"url" doc:"Where to hear it; null until it is kept"`
}

type legBody struct {
	Number      *wireNumber `json:"number"`
	Status      string      `json:"status"`
	InitiatedAt *stamp      `json:"initiated_at"`
	RingingAt   *stamp      `json:"ringing_at"`
	AnsweredAt  *stamp      `json:"answered_at"`
	EndedAt     *stamp      `json:"ended_at"`
	TalkSeconds *int64      `json:"talk_seconds"`
	Bridged     *bool       `json:"bridged" doc:"null: the provider did not say"`
	SIPCode     *string     `json:"sip_code"`
}

type callBody struct {
	ID               string         `json:"id"`
	Provider         string         `json:"provider"`
	ProviderCallID   string         `json:"provider_call_id"`
	Direction        string         `json:"direction" enum:"inbound,outbound"`
	Status           *string        `json:"status" doc:"The provider's word for the caller's leg"`
	Outcome          *string        `json:"outcome" doc:"answered, voicemail, abandoned, busy, no-answer, failed or blocked; null while it is not known"`
	From             *wireFrom      `json:"from" doc:"null for a call known only from other events"`
	TrackingNumber   *wireNumber    `json:"tracking_number"`
	Destination      *wireNumber    `json:"destination" doc:"Who was rung last, or who answered"`
	WaitSeconds      *int64         `json:"wait_seconds" doc:"From the start of the call to the bridge"`
	StartedAt        stamp          `json:"started_at"`
	AnsweredAt       *stamp         `json:"answered_at"`
	EndedAt          *stamp         `json:"ended_at"`
	RingSeconds      *int64         `json:"ring_seconds" doc:"Time to answer: from the first ring of an agent's phone to the bridge"`
	TalkSeconds      *int64         `json:"talk_seconds"`
	DurationSeconds  *int64         `json:"duration_seconds" doc:"Of the caller's leg, as the provider counts it"`
	VoicemailSeconds *int64         `json:"voicemail_seconds"`
	FirstTimeCaller  *bool          `json:"first_time_caller" doc:"null for a caller who is not identified: neither first-time nor repeat"`
	PriorCalls       *int64         `json:"prior_calls" doc:"Earlier calls of this caller to this account; null for a caller who is not identified"`
	Caller           *callerDetails `json:"caller"`
	JudgedBody
	LeadScore   *leadScoreBody   `json:"lead_score" doc:"How likely the call was to become a qualified one, by what was known when it began; null while it is not scored"`
	Attribution *callAttribution `json:"attribution" doc:"null while it is not decided"`
	Recording   *recordingBody   `json:"recording" doc:"null when there is none, or for roles that may not hear it"`
	Legs        []legBody        `json:"legs"`
	Flags       []string         `json:"flags" doc:"Oddities, such as reconciled or fallback"`
	Imported    bool             `json:"imported"`
	CreatedAt   stamp            `json:"created_at" doc:"The same as started_at"`
}

func callOut(who account.Identity, r report.CallRow) callBody {
	b := callBody{
		ID: r.ID, Provider: r.Provider, ProviderCallID: r.ProviderCallID, Direction: string(r.Direction),
		Status: orNil(string(r.Status)), Outcome: orNil(string(r.Outcome)), From: fromOut(who, r.Call),
		TrackingNumber: number(r.TrackingNumber), Destination: number(r.Destination),
		WaitSeconds: r.WaitSeconds, StartedAt: at(r.StartedAt), AnsweredAt: atPtr(r.AnsweredAt), EndedAt: atPtr(r.EndedAt),
		RingSeconds: r.RingSeconds, TalkSeconds: r.TalkSeconds, DurationSeconds: r.DurationSeconds, VoicemailSeconds: r.VoicemailSeconds,
		FirstTimeCaller: r.FirstTime, PriorCalls: r.PriorCalls, Caller: detailsOut(who, r.Caller),
		JudgedBody: callJudged(who, r), LeadScore: leadScoreOut(r.Lead), Attribution: attributionOut(r.Attribution), Recording: recordingOut(who, r),
		Legs: each(r.Legs, legOut), Flags: r.Flags, Imported: r.Imported, CreatedAt: at(r.StartedAt),
	}
	if b.Flags == nil {
		b.Flags = []string{}
	}
	return b
}

func fromOut(who account.Identity, c telephony.Call) *wireFrom {
	if c.CallerKind == "" {
		return nil
	}
	from := &wireFrom{Kind: string(c.CallerKind)}
	if n := callerNumber(who, c.From); n != nil {
		from.E164, from.National = &n.E164, &n.National
	}
	return from
}

// detailsOut shows what the provider knows of the caller; the name is for those
// who may see the number.
func detailsOut(who account.Identity, d telephony.CallerDetails) *callerDetails {
	out := &callerDetails{City: orNil(d.City), State: orNil(d.State), Zip: orNil(d.Zip), Country: orNil(d.Country)}
	if who.May(account.SeeCallers) {
		out.Name = orNil(d.Name)
	}
	return out
}

func callJudged(who account.Identity, r report.CallRow) JudgedBody {
	b := JudgedBody{
		Tags: r.Tags, Disposition: orNil(r.Disposition), Qualified: r.Qualified, Value: r.Value, Note: orNil(said(who, r.Note)),
	}
	if r.AgentID != "" {
		b.Agent = &agentRef{ID: r.AgentID, Name: r.Agent, ByHand: r.AgentByHand}
	}
	if r.ScorePPM != nil {
		b.Score = rounded(new(float64(*r.ScorePPM) / 1e4))
	}
	return b
}

func attributionOut(a *report.CallAttribution) *callAttribution {
	if a == nil {
		return nil
	}
	return &callAttribution{
		Verdict: a.Verdict, VisitorConfidence: a.VisitorConfidence,
		Source: orNil(a.Source), Medium: orNil(a.Medium), Campaign: orNil(a.Campaign), Term: orNil(a.Term), Content: orNil(a.Content),
		ClickIDs: a.ClickIDs, LandingPage: orNil(a.LandingPage), Referrer: orNil(a.Referrer),
		VisitorID: orNil(a.VisitorID), SessionID: orNil(a.SessionID), Method: a.Method, Confidence: a.Confidence,
	}
}

// recordingOut shows the recording that GET …/recording would play.
func recordingOut(who account.Identity, r report.CallRow) *recordingBody {
	if len(r.Recordings) == 0 || !who.May(account.Recordings) {
		return nil
	}
	best := r.Recordings[0]
	for _, other := range r.Recordings {
		if best.State != "kept" && other.State == "kept" {
			best = other
		}
	}
	out := &recordingBody{
		Kind: best.Kind, State: best.State, Seconds: best.Seconds, Channels: best.Channels,
		MediaType: orNil(best.MediaType), Transcript: orNil(best.Transcript),
	}
	if best.State == "kept" {
		url := "/v1/calls/" + r.ID + "/recording"
		out.URL = &url
	}
	return out
}

func legOut(l telephony.Leg) legBody {
	b := legBody{
		Number: number(l.Number), Status: string(l.Status), InitiatedAt: atPtr(l.InitiatedAt), RingingAt: atPtr(l.RingingAt),
		AnsweredAt: atPtr(l.AnsweredAt), EndedAt: atPtr(l.EndedAt), TalkSeconds: l.TalkSeconds, SIPCode: orNil(l.SIPCode),
	}
	if l.Bridged != telephony.Unknown {
		bridged := l.Bridged == telephony.Yes
		b.Bridged = &bridged
	}
	return b
}

type callList struct {
	Paging
	ListRange
	Source         string `query:"source" maxLength:"200" doc:"Name or id, any case; untracked finds calls that no source is given"`
	Medium         string `query:"medium" maxLength:"200"`
	Campaign       string `query:"campaign" maxLength:"200"`
	Outcome        string `query:"outcome" enum:"answered,missed,voicemail,abandoned,busy,no-answer,failed,blocked" doc:"missed: nobody of the business spoke to the caller"`
	Direction      string `query:"direction" enum:"inbound,outbound"`
	Tag            string `query:"tag" maxLength:"200" doc:"Name or id"`
	Agent          string `query:"agent" maxLength:"200" doc:"Name or id"`
	Disposition    string `query:"disposition" maxLength:"200" doc:"Name or id"`
	Qualified      string `query:"qualified" enum:"true,false"`
	FirstTime      string `query:"first_time" enum:"true,false" doc:"Callers who are not identified are neither"`
	Caller         string `query:"caller" maxLength:"40" doc:"E.164, or a kind such as anonymous"`
	TrackingNumber string `query:"tracking_number" maxLength:"40" doc:"E.164"`
	PoolID         string `query:"pool_id" maxLength:"200"`
	MinTalkSeconds int64  `query:"min_talk_seconds" minimum:"0"`
	Scored         string `query:"scored" enum:"true,false"`
	Momentum       string `query:"momentum" enum:"opportunities,reached,missed,timed,late,left_out,scored,leads,won,sales,refunds,answers,detractors,customers,repeats,referrals,earned,brought,bought_before,stayed" doc:"Exactly the calls behind a figure of the momentum report whose period is from to until, as /v1/definitions#behind says what each counts; the other filters narrow them"`
	Baseline       string `query:"baseline" maxLength:"200" doc:"With momentum: the baseline whose yardsticks are meant; without it the present one's"`
	By             string `query:"by" enum:"source,campaign,agent" doc:"With momentum and segment: what the segment is"`
	Segment        string `query:"segment" maxLength:"2000" doc:"With momentum and by: only the calls of this segment of the momentum report, by its name there to the letter, (none) and untracked included. customers, repeats, referrals, earned, brought, bought_before and stayed are the account's and have none" example:"Spring sale"`
	Q              string `query:"q" maxLength:"200" doc:"A text in the caller's number, name or city, or in a note, as it stands"`
}

// query reads the filters as the asking role may use them.
func (in *callList) query(who account.Identity) (report.CallQuery, error) {
	q := report.CallQuery{
		Source: in.Source, Medium: in.Medium, Campaign: in.Campaign, Outcome: in.Outcome,
		Direction: in.Direction, Tag: in.Tag, Agent: in.Agent, Disposition: in.Disposition,
		Qualified: truth(in.Qualified), FirstTime: truth(in.FirstTime), Scored: truth(in.Scored),
		PoolID: in.PoolID, Text: in.Q, CallersHidden: !who.May(account.SeeCallers), Limit: in.Limit,
		Momentum: in.Momentum, Baseline: in.Baseline, By: report.Dimension(in.By), Segment: in.Segment,
	}
	if in.MinTalkSeconds > 0 {
		q.MinTalkSeconds = &in.MinTalkSeconds
	}
	var err error
	if q.TrackingNumber, err = phone("tracking_number", in.TrackingNumber); err != nil {
		return q, err
	}
	q.Caller, err = callerFilter(in.Caller, q.CallersHidden)
	return q, err
}

// callerFilter reads who called. A role that sees callers masked may not find
// out by asking either.
func callerFilter(text string, hidden bool) (string, error) {
	switch telephony.CallerKind(text) {
	case "", telephony.CallerAnonymous, telephony.CallerSIP, telephony.CallerClient, telephony.CallerShort, telephony.CallerInvalid, telephony.CallerE164:
		return text, nil
	}
	if hidden {
		return "", callwheel.Errorf(callwheel.Forbidden, "this role may not look for a caller by number")
	}
	return phone("caller", text)
}

func truth(text string) *bool {
	if text == "" {
		return nil
	}
	yes := text == "true"
	return &yes
}

type eventBody struct {
	ID          string  `json:"id"`
	Provider    string  `json:"provider"`
	Door        string  `json:"door" doc:"The door it came through; reconcile and import are ours"`
	ReceivedAt  stamp   `json:"received_at"`
	CreatedAt   stamp   `json:"created_at" doc:"The same as received_at"`
	Target      *string `json:"target" doc:"Path and query as received; null for roles that may not see callers"`
	ContentType string  `json:"content_type"`
	Body        *string `json:"body" doc:"As received; null for roles that may not see callers"`
	Answer      *string `json:"answer" doc:"What we answered"`
}

func eventOut(who account.Identity) func(telephony.Entry) eventBody {
	return func(en telephony.Entry) eventBody {
		b := eventBody{
			ID: en.ID, Provider: en.Provider, Door: string(en.Door), ReceivedAt: at(en.ReceivedAt.Time), CreatedAt: at(en.ReceivedAt.Time),
			ContentType: en.ContentType,
		}
		if !who.May(account.SeeCallers) {
			return b
		}
		body := string(en.Body)
		if !utf8.ValidString(body) {
			body = string([]rune(body))
		}
		b.Target, b.Body, b.Answer = &en.Target, &body, orNil(en.Answer)
		return b
	}
}

// callDoors are the calls, as facts and as what people made of them.
func (s *Server) callDoors() {
	handle(s, op{
		Method: http.MethodGet, Path: "/v1/calls", ID: "list-calls", Tag: "calls",
		Summary: "Calls, newest first", Need: account.ReadCalls, Export: account.ExportCalls,
	}, s.listCalls)
	handle(s, op{
		Method: http.MethodGet, Path: "/v1/calls/{id}", ID: "get-call", Tag: "calls",
		Summary: "One call", Need: account.ReadCalls,
	}, func(ctx context.Context, who account.Identity, in *struct{ ByID }) (*found[callBody], error) {
		r, err := s.callList.Get(ctx, who.AccountID, in.ID)
		if err != nil {
			return nil, err
		}
		return &found[callBody]{ETag: etag(r.DeskVersion), Body: callOut(who, r)}, nil
	})
	handle(s, op{
		Method: http.MethodGet, Path: "/v1/calls/{id}/events", ID: "list-call-events", Tag: "calls",
		Summary: "Every provider fact about a call as received, in the order of arrival", Need: account.ReadCalls,
	}, func(ctx context.Context, who account.Identity, in *ofCall) (*listed[eventBody], error) {
		entries, err := s.calls.Events(ctx, who.AccountID, in.ID)
		if err != nil {
			return nil, err
		}
		return pageOf(s, who, "events of "+in.ID, entries, in.Paging, eventOut(who), func(en telephony.Entry) string { return en.ID })
	})
	handle(s, op{
		Method: http.MethodGet, Path: "/v1/calls/{id}/recording", ID: "get-recording", Tag: "calls", Stream: true,
		Summary: "The recording, or else the voicemail, of a call; Range is honoured", Need: account.Recordings,
	}, s.playRecording)
	handle(s, op{
		Method: http.MethodDelete, Path: "/v1/calls/{id}/recording", ID: "delete-recording", Tag: "calls",
		Summary: "Delete the recordings of a call, here and at the provider, for good", Need: account.Recordings,
		Doc: "Recordings of this call that arrive later are not kept either.",
	}, func(ctx context.Context, who account.Identity, in *struct{ ByID }) (*done, error) {
		if err := s.calls.Exists(ctx, who.AccountID, in.ID); err != nil {
			return nil, err
		}
		return nil, s.recorder.Delete(ctx, who.AccountID, in.ID, who.Actor)
	})
}

func (s *Server) listCalls(ctx context.Context, who account.Identity, in *callList) (*listed[callBody], error) {
	q, err := in.query(who)
	if err != nil {
		return nil, err
	}
	if q.From, q.Until, err = s.span(ctx, who, in.ListRange); err != nil {
		return nil, err
	}
	q.Now = s.now()
	wire := func(r report.CallRow) callBody { return callOut(who, r) }
	if in.whole {
		if err := s.callList.Check(ctx, who.AccountID, q); err != nil {
			return nil, err
		}
		return &listed[callBody]{Body: page[callBody]{whole: func(yield func(any) error) error {
			return s.callList.Each(ctx, who.AccountID, q, func(r report.CallRow) error { return yield(wire(r)) })
		}}}, nil
	}
	if _, err := s.readCursor(who, "calls", in.Paging, &q.After); err != nil {
		return nil, err
	}
	rows, err := s.callList.List(ctx, who.AccountID, q)
	if err != nil {
		return nil, err
	}
	return newPage(s, who, "calls", rows, in.Paging, wire, func(r report.CallRow) any { return r.Place() }), nil
}

// playRecording streams the file through us: the provider's address never
// leaves the house.
func (s *Server) playRecording(ctx context.Context, who account.Identity, in *struct{ ByID }) (*huma.StreamResponse, error) {
	media, meta, err := s.recorder.Open(ctx, who.AccountID, in.ID)
	if err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		defer media.Close()
		c := humaecho.UnwrapV4(hc)
		w, r := c.Response(), c.Request()
		liftDeadline(w)
		h := w.Header()
		h.Set("Content-Type", meta.MediaType)
		h.Set("Content-Disposition", `inline; filename="`+in.ID+`.wav"`)
		h.Set("ETag", `"`+meta.ID+`"`)
		var kept time.Time
		if meta.KeptAt != nil {
			kept = *meta.KeptAt
		}
		http.ServeContent(&mediaWriter{ResponseWriter: w, server: s, c: c}, r, "", kept, media)
	}}, nil
}

// mediaWriter makes the one refusal that http.ServeContent words itself, of a
// range that the file does not have, a problem like every other.
type mediaWriter struct {
	http.ResponseWriter
	server  *Server
	c       echo.Context
	refused bool
}

// WriteHeader sends the status, or the whole problem.
func (w *mediaWriter) WriteHeader(status int) {
	if status != http.StatusRequestedRangeNotSatisfiable {
		w.ResponseWriter.WriteHeader(status)
		return
	}
	w.refused = true
	for _, name := range []string{"Content-Type", "Content-Disposition"} { // they are the file's
		w.Header().Del(name)
	}
	w.server.writeProblem(w.c, newProblem(status, "", "the recording does not have that range"))
}

// Write sends bytes, but not those that follow a problem.
func (w *mediaWriter) Write(b []byte) (int, error) {
	if w.refused {
		return len(b), nil
	}
	return w.ResponseWriter.Write(b)
}

// liftDeadline lets an answer take as long as its reader needs.
func liftDeadline(w http.ResponseWriter) {
	err := http.NewResponseController(w).SetWriteDeadline(time.Time{})
	if err != nil && !errors.Is(err, http.ErrNotSupported) {
		return // the connection is gone, which the next write will tell
	}
}
