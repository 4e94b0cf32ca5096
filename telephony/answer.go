package telephony

import (
	"bytes"
	"context"
	"encoding/xml"
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"
)

// maxAnswer is the provider's own limit for a document.
const maxAnswer = 64 << 10

// answered is what a live call is told, in the provider's language.
type answered struct {
	body        []byte
	contentType string
}

// heard is what is known of a live request while its answer is looked for.
type heard struct {
	event     Event
	accountID string
}

// Answer tells the network what to do with a live call, and keeps the event.
// It always gives an answer with something to do, whatever is broken: whoever
// dialled reaches a person, else a voicemail. No database is read to find it;
// the event is kept within Config.WriteBudget, or spooled.
//
// What panics is answered by the emergency answer, and so is what takes longer
// than all budgets together: the provider would give up on us, and the caller.
func (s *Switchboard) Answer(ctx context.Context, p Provider, secret Secret, req Request) (body []byte, contentType string) {
	result := make(chan answered, 1) // an answer that comes too late is dropped here
	var known atomic.Pointer[heard]
	go func() {
		defer func() {
			if cause := recover(); cause != nil {
				s.panicked(ctx, "emergency", cause)
				result <- s.lastWord(req.Door, known.Load())
			}
		}()
		body, contentType := s.answer(ctx, p, secret, req, &known)
		result <- answered{body, contentType}
	}()
	timer := time.NewTimer(s.cfg.patience())
	defer timer.Stop()
	select {
	case a := <-result:
		return a.body, a.contentType
	case <-timer.C:
		select {
		case a := <-result: // both at once, on a machine that stood still
			return a.body, a.contentType
		default:
		}
	}
	s.deps.Log.ErrorContext(ctx, "answer not found in time", "door", string(req.Door))
	s.metrics.answers.WithLabelValues(string(req.Door), "late").Inc()
	a := s.lastWord(req.Door, known.Load())
	return a.body, a.contentType
}

// lastWord is the emergency answer without the adapter, which may be what fails.
func (s *Switchboard) lastWord(door Door, known *heard) answered {
	if known == nil {
		known = &heard{}
	}
	list, _ := s.emergencyList(door, known.event, known.accountID)
	return answered{literal(list), "text/xml"}
}

// answer is Answer without its last net.
func (s *Switchboard) answer(ctx context.Context, p Provider, secret Secret, req Request, known *atomic.Pointer[heard]) (body []byte, contentType string) {
	defer func() {
		if cause := recover(); cause != nil {
			s.panicked(ctx, "answer", cause)
			_, body, contentType = s.emergency(p, req.Door, Event{Provider: p.Name()}, "")
		}
	}()
	e := safeParse(p, req)
	sn := s.Snapshot()
	r := Receipt{Secret: secret, Request: req, Event: e, AccountID: s.account(sn, secret, e)}
	known.Store(&heard{e, r.AccountID})
	if before, ok := s.answers.Get(r.memoKey()); ok {
		// Asked again: the same answer, even if routes have changed since. The
		// first time may not have reached the disk, so it is kept again, as of then.
		r.Answer, r.Decision = before.body, before.decision
		r.Request.ReceivedAt, r.Event.ReceivedAt = before.receivedAt, before.receivedAt
		s.keepLive(ctx, r)
		return before.body, before.contentType
	}
	r.Decision, body, contentType = s.decide(ctx, p, sn, r)
	r.Answer = body
	if kept, ok := s.keepLive(ctx, r); ok && !kept.New && kept.Answer != "" {
		body = []byte(kept.Answer) // answered before, by another replica or in an earlier life
	}
	if e.CallRef != "" {
		s.answers.Put(r.memoKey(), given{body, contentType, r.Decision, req.ReceivedAt})
	}
	s.metrics.answers.WithLabelValues(string(req.Door), r.Decision.Kind).Inc()
	return body, contentType
}

func (r Receipt) memoKey() string { return memoKey(r.Event.Provider, r.key()) }

// memoKey is what was asked, in memory.
func memoKey(provider, key string) string { return provider + "/" + key }

// keepLive keeps the event while a caller waits. What it cannot keep is counted
// and lost; the call goes on.
func (s *Switchboard) keepLive(ctx context.Context, r Receipt) (Kept, bool) {
	kept, err := s.store(ctx, r, s.cfg.WriteBudget)
	if err != nil {
		return Kept{}, false
	}
	if kept.New && r.Event.Door == DoorVoice && kept.Call.ID != "" {
		s.attribute(ctx, kept.Call)
	}
	return kept, true
}

// decide finds the answer. A fault on the way, ours or the adapter's, leads to
// the emergency answer.
func (s *Switchboard) decide(ctx context.Context, p Provider, sn *Snapshot, r Receipt) (d Decision, body []byte, contentType string) {
	e := r.Event
	defer func() {
		if cause := recover(); cause != nil {
			s.panicked(ctx, "decide", cause)
			d, body, contentType = s.emergency(p, e.Door, e, r.AccountID)
		}
	}()
	line, known := s.line(sn, r.AccountID, e)
	list, d := s.instructions(ctx, sn, line, known, e)
	d.NumberID, d.PlanVersion = line.NumberID, line.Version
	body, contentType, err := p.Render(list)
	if err != nil || len(body) > maxAnswer {
		s.deps.Log.ErrorContext(ctx, "answer cannot be written", "door", string(e.Door), "bytes", len(body), "error", err)
		return s.emergency(p, e.Door, e, r.AccountID)
	}
	return d, body, contentType
}

// instructions is the answer as the plan has it.
func (s *Switchboard) instructions(ctx context.Context, sn *Snapshot, line Line, known bool, e Event) ([]Instruction, Decision) {
	c := Callback{PublicURL: s.cfg.PublicURL, Provider: e.Provider, Query: Query{
		AccountID: line.AccountID, Number: line.Number, PlanVersion: line.Version,
	}}
	switch e.Door {
	case DoorVoice:
		if sn.Blocks(line.AccountID, e.From) {
			return Refuse()
		}
		list, d := line.Plan.Open(c)
		if !known {
			d.Kind = DecidedFallback
		}
		if e.CallRef != "" { // calls without a name are not one call
			s.calls.Put(liveKey(line.AccountID, e), liveCall{line: line})
		}
		return list, d
	case DoorNext:
		return line.Plan.Next(c, e)
	case DoorWhisper:
		source := ""
		if line.Plan.Whisper != "" {
			source = s.source(ctx, line, e)
		}
		return line.Plan.Greet(c, e.Query.Hop, source)
	case DoorKeys:
		return line.Plan.Keys(e.Digits)
	}
	return []Instruction{Hangup{}}, Decision{Kind: DecidedHangup} // a voicemail was left
}

// line finds the tracking number and its plan: the plan that the call began
// with while it is remembered, else the current one, else the fallback. known
// is false for the fallback.
func (s *Switchboard) line(sn *Snapshot, accountID string, e Event) (Line, bool) {
	// Without a name of its call the request finds nothing: none is kept there.
	live, remembered := s.calls.Get(liveKey(accountID, e))
	if remembered && e.Door != DoorVoice && live.line.Plan.usable() && (e.Query.PlanVersion == 0 || e.Query.PlanVersion == live.line.Version) {
		return live.line, live.line.NumberID != ""
	}
	number := tracked(e)
	if l, ok := sn.Line(number); ok && l.AccountID == accountID && l.Plan.usable() {
		return l, true
	}
	return s.fallback(sn, accountID, number), false
}

// usable says whether a caller reaches anything by the plan.
func (p Plan) usable() bool { return len(p.Steps) > 0 || p.Voicemail }

// fallback is the line of a number that nobody knows: it rings the account's
// destination, else the installation's, else takes a message.
func (s *Switchboard) fallback(sn *Snapshot, accountID, number string) Line {
	office, _ := sn.Office(accountID)
	l := Line{AccountID: accountID, Number: number, Generic: National(number)}
	l.Plan = *straight(except(number, office.Destination), except(number, s.cfg.Destination))
	// A message can only be heard by an account.
	l.Plan.Voicemail = accountID != "" || len(l.Plan.Steps) == 0
	l.Plan = l.Plan.WithDefaults()
	l.Version = planVersion(l.Plan)
	return l
}

// except keeps a number from being forwarded to itself.
func except(number, destination string) string {
	if destination == number {
		return ""
	}
	return destination
}

// emergency is the answer when finding the proper one has failed. It needs
// little of the adapter, at worst nothing, and asks for nothing further: a
// second fault cannot make it go round.
func (s *Switchboard) emergency(p Provider, door Door, e Event, accountID string) (Decision, []byte, string) {
	list, phone := s.emergencyList(door, e, accountID)
	d := Decision{Kind: DecidedFallback}
	if phone != "" {
		d.Destinations = []string{phone}
	}
	body, contentType, err := safeRender(p, list)
	if err == nil && len(bytes.TrimSpace(body)) > 0 {
		return d, body, contentType
	}
	s.deps.Log.Error("emergency answer cannot be written", "error", err)
	return d, literal(list), "text/xml"
}

// literal writes the little that an emergency needs without any adapter.
func literal(list []Instruction) []byte {
	var b bytes.Buffer
	b.WriteString(xml.Header + "<Response>")
	text := func(s string) { xml.EscapeText(&b, []byte(s)) } //nolint:errcheck // a buffer takes everything
	for _, in := range list {
		switch in := in.(type) {
		case Say:
			b.WriteString("<Say>")
			text(in.Text)
			b.WriteString("</Say>")
		case Dial:
			b.WriteString("<Dial>")
			text(in.Targets[0].Number)
			b.WriteString("</Dial>")
		case Record:
			// Without an action the network would ask the same door again.
			b.WriteString(`<Record maxLength="120" action="`)
			text(in.ActionURL)
			b.WriteString(`"/>`)
		case Hangup:
			b.WriteString("<Hangup/>")
		}
	}
	b.WriteString("</Response>")
	return b.Bytes()
}

// emergencyList returns what to do, and the phone that it rings, "" for none.
func (s *Switchboard) emergencyList(door Door, e Event, accountID string) (list []Instruction, phone string) {
	switch {
	case door == DoorWhisper:
		return nil, "" // bridges at once: better an agent without a whisper than a caller without an agent
	case door == DoorKeys && e.Digits == acceptDigit:
		return nil, "" // likewise
	case door == DoorKeys, door == DoorVoicemail, e.Status.Final(), e.Bridged == Yes:
		return []Instruction{Hangup{}}, ""
	}
	sn, number := s.Snapshot(), tracked(e)
	l := s.fallback(sn, accountID, number)
	if own, ok := sn.Line(number); ok && own.AccountID == accountID && len(own.Plan.Steps) > 0 {
		l = own
	}
	if len(l.Plan.Steps) == 0 {
		c := Callback{PublicURL: s.cfg.PublicURL, Provider: e.Provider, Query: Query{AccountID: accountID}}
		list, _ = l.Plan.unanswered(c)
		return list, ""
	}
	phone = l.Plan.Steps[0].Destinations[0]
	return []Instruction{Dial{Targets: []Target{{Number: phone}}, TimeoutSecs: maxTimeout, AnswerOnBridge: true}}, phone
}

func safeRender(p Provider, list []Instruction) (body []byte, contentType string, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("panic while rendering: %v", cause)
		}
	}()
	return p.Render(list)
}

func (s *Switchboard) panicked(ctx context.Context, place string, cause any) {
	s.metrics.panics.WithLabelValues(place).Inc()
	s.deps.Log.ErrorContext(ctx, "panic on the call path", "place", place, "cause", fmt.Sprint(cause), "stack", string(debug.Stack()))
}
