package telephony

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/callwheel/callwheel"
)

// minVoicemailSeconds is how long a message must be to count as one: shorter
// ones are the sound of somebody hanging up.
const minVoicemailSeconds = 3

// sameMoment is how far apart the provider's times of two legs may be that
// ended because of one another.
const sameMoment = 2 * time.Second

// Folded is one fact of a call and what we answered to it.
type Folded struct {
	Event
	Decision Decision
}

// Fold makes the call's row from the set of its events. It is pure, and the
// same for every order and every repetition of them: nothing depends on when a
// request reached us but started_at (the receipt of the voice request), the
// moment at which an agent pressed a key, which only we saw, and the end of a
// call whose final callback bears no time.
//
// Missing events leave their fields empty rather than guessed; the row of a
// subset never contradicts the row of the whole. One inference is worth its
// risk: a caller who was sent to voicemail and of whom no message is known has
// left none.
func Fold(accountID string, events []Folded) Call {
	f := newFolding(events)
	c := Call{AccountID: accountID, Direction: Inbound, Events: int64(len(f.events))}
	if len(f.events) == 0 {
		return c
	}
	c.Provider, c.ProviderCallID = f.events[0].Provider, f.events[0].CallRef
	c.ID = CallID(c.Provider, c.ProviderCallID)
	f.identity(&c)
	f.lifetime(&c)
	f.foldLegs(&c)
	f.conversation(&c)
	f.foldOutcome(&c)
	f.imported(&c)
	if c.Outcome == Answered && c.Status.Rank() < InProgress.Rank() {
		// The provider says so of the caller's leg only when the call is over.
		c.Status = InProgress
	}
	f.flags(&c)
	return c
}

// CallID is the id of a provider's call: derived, so that replicas, replay and
// repetitions agree without asking one another.
func CallID(provider, ref string) string { return callwheel.DerivedID("call", provider, ref) }

// folding is a call's events in an order that does not depend on their
// arrival, with what several parts of the fold need to know.
type folding struct {
	events []Folded
	voice  *Folded
	legs   map[string]*Leg

	answered bool // somebody talked to the caller
	bridged  *Leg // on this leg, where that is known
	talk     int64
	accepted map[string]time.Time // legs whose agent pressed the key, and when
}

func newFolding(events []Folded) *folding {
	list := latestImport(distinct(events))
	slices.SortFunc(list, compareFacts)
	f := &folding{events: list, legs: map[string]*Leg{}, accepted: map[string]time.Time{}, talk: -1}
	for i := range list {
		if list[i].Door == DoorVoice {
			if f.voice == nil || list[i].ReceivedAt.Before(f.voice.ReceivedAt) {
				f.voice = &list[i]
			}
		}
	}
	return f
}

// compareFacts is the order in which the fold reads: total over facts with
// different keys, so that a set of facts has exactly one.
func compareFacts(a, b Folded) int {
	return cmp.Or(
		cmp.Compare(doorOrder(a.Door), doorOrder(b.Door)),
		cmp.Compare(a.LegRef, b.LegRef),
		cmp.Compare(a.Sequence, b.Sequence),
		a.At.Compare(b.At),
		cmp.Compare(a.Key, b.Key),
	)
}

// distinct returns every fact once: equal keys are one fact, and the request
// that came first stands for it.
func distinct(events []Folded) []Folded {
	list := slices.Clone(events)
	slices.SortStableFunc(list, func(a, b Folded) int {
		return cmp.Or(cmp.Compare(a.Key, b.Key), a.ReceivedAt.Compare(b.ReceivedAt))
	})
	return slices.CompactFunc(list, func(a, b Folded) bool { return a.Key == b.Key })
}

// doorOrder ranks doors by how much they know about the caller's leg; it is
// also the order in which the fold reads its events.
func doorOrder(d Door) int {
	return 1 + slices.Index([]Door{
		DoorVoice, DoorStatus, DoorReconcile, DoorNext, DoorVoicemail, DoorLeg,
		DoorWhisper, DoorKeys, DoorRecording, DoorTranscription, DoorImport,
	}, d)
}

// parent says whether the event tells the state of the caller's leg.
func parent(e Event) bool {
	switch e.Door {
	case DoorVoice, DoorStatus, DoorNext, DoorVoicemail:
		return true
	case DoorReconcile, DoorImport:
		return e.LegRef == ""
	}
	return false
}

// identity fills in who called whom: from the voice request when there is one,
// else from whatever else speaks of the caller's leg.
func (f *folding) identity(c *Call) {
	for _, e := range f.events {
		if e.Decision.NumberID != "" && c.NumberID == "" {
			c.NumberID = e.Decision.NumberID
		}
		if c.TrackingNumber == "" {
			c.TrackingNumber = e.Query.Number
		}
		if !parent(e.Event) {
			continue
		}
		if c.CallerKind == "" && (e.Door == DoorVoice || e.From != "") {
			c.FromRaw = e.From
			c.CallerKind, c.From = Classify(e.From)
		}
		if strings.HasPrefix(e.Direction, string(Outbound)) {
			c.Direction = Outbound
		}
		mergeCaller(&c.Caller, e.Caller)
		c.Verstat = cmp.Or(c.Verstat, e.Verstat)
		c.Imported = c.Imported || e.Door == DoorImport
	}
	// What was dialled beats what a query said about it.
	for _, e := range f.events {
		if kind, number := Classify(e.To); parent(e.Event) && kind == CallerE164 {
			c.TrackingNumber = number
			return
		}
	}
}

func mergeCaller(to *CallerDetails, from CallerDetails) {
	to.Name = cmp.Or(to.Name, from.Name)
	to.City = cmp.Or(to.City, from.City)
	to.State = cmp.Or(to.State, from.State)
	to.Zip = cmp.Or(to.Zip, from.Zip)
	to.Country = cmp.Or(to.Country, from.Country)
}

// lifetime fills in the state of the caller's leg and its two ends.
func (f *folding) lifetime(c *Call) {
	c.Shell = f.voice == nil && !slices.ContainsFunc(f.events, func(e Folded) bool { return e.Told != nil })
	c.StartedAt = f.startedAt()
	var best *Event
	for i := range f.events {
		e := &f.events[i].Event
		if !parent(*e) || e.Status == "" {
			continue
		}
		if best == nil || later(e.Status, e.Sequence, e.At, best.Status, best.Sequence, best.At) {
			best = e
		}
	}
	if best != nil {
		c.Status = best.Status
	}
	// The length and the end are told by the final callback alone; the list of
	// calls that we ask afterwards stands in for a lost one.
	for _, e := range f.events {
		if !parent(e.Event) || !e.Status.Final() || e.Status != c.Status {
			continue
		}
		if c.EndedAt == nil && !e.At.IsZero() {
			c.EndedAt = instant(e.At)
		}
		if c.DurationSeconds == nil && e.Seconds >= 0 && (e.Door == DoorStatus || e.Door == DoorReconcile || e.Door == DoorImport) {
			c.DurationSeconds = seconds(e.Seconds)
		}
	}
	if c.EndedAt != nil {
		return
	}
	// A final callback whose own time is missing or makes no sense came about
	// then.
	for _, e := range f.events {
		if e.Door == DoorStatus && e.Status.Final() && e.Status == c.Status {
			c.EndedAt = earlier(c.EndedAt, e.ReceivedAt)
		}
	}
}

func (f *folding) startedAt() time.Time {
	if f.voice != nil {
		return f.voice.ReceivedAt
	}
	var at, received time.Time
	for _, e := range f.events {
		if !e.At.IsZero() && (at.IsZero() || e.At.Before(at)) {
			at = e.At
		}
		if received.IsZero() || e.ReceivedAt.Before(received) {
			received = e.ReceivedAt
		}
	}
	if at.IsZero() {
		return received
	}
	return at
}

// later says whether state a supersedes state b of the same leg: by rank, and
// among different finals by the provider's sequence, then its clock. The last
// comparison only makes the choice the same everywhere.
func later(a Status, aSeq int64, aAt time.Time, b Status, bSeq int64, bAt time.Time) bool {
	return cmp.Or(
		cmp.Compare(a.Rank(), b.Rank()),
		cmp.Compare(aSeq, bSeq),
		aAt.Compare(bAt),
		cmp.Compare(a, b),
	) > 0
}

// foldLegs gathers what is known of every phone that was rung.
func (f *folding) foldLegs(c *Call) {
	best := map[string]*Event{}
	for i := range f.events {
		e := &f.events[i].Event
		if e.LegRef == "" {
			continue
		}
		switch e.Door {
		case DoorLeg, DoorWhisper, DoorReconcile:
			f.legState(e, e.Status, best)
		case DoorNext:
			// The action tells the leg's fate without its times: it only fills
			// in for a leg of which nothing else is known to have ended.
			told := &Event{Door: DoorNext, LegRef: e.LegRef, Status: e.DialStatus, Sequence: -1}
			f.legState(told, e.DialStatus, best)
			if e.Bridged != Unknown {
				f.leg(e.LegRef).Bridged = e.Bridged
			}
		case DoorKeys:
			f.leg(e.LegRef)
			if at, ok := f.accepted[e.LegRef]; e.Digits == acceptDigit && (!ok || e.ReceivedAt.Before(at)) {
				f.accepted[e.LegRef] = e.ReceivedAt
			}
		}
	}
	for ref, leg := range f.legs {
		f.finishLeg(leg, best[ref])
	}
	for _, leg := range f.legs {
		c.Legs = append(c.Legs, *leg)
	}
	sortLegs(c.Legs)
}

// legState takes over what one event says of a leg.
func (f *folding) legState(e *Event, status Status, best map[string]*Event) {
	leg := f.leg(e.LegRef)
	if leg.Number == "" {
		_, number := Classify(e.To)
		leg.Number = cmp.Or(number, e.To)
	}
	if leg.SIPCode == "" {
		leg.SIPCode = e.SIPCode
	}
	switch {
	case e.At.IsZero():
	case status == Initiated || status == Queued:
		leg.InitiatedAt = earlier(leg.InitiatedAt, e.At)
	case status == Ringing:
		leg.RingingAt = earlier(leg.RingingAt, e.At)
	case status == InProgress:
		leg.AnsweredAt = earlier(leg.AnsweredAt, e.At)
	}
	if status == "" {
		return
	}
	if b := best[e.LegRef]; b == nil || later(status, e.Sequence, e.At, b.Status, b.Sequence, b.At) {
		best[e.LegRef] = e
		leg.Status = status
	}
}

// finishLeg derives what the leg's last state tells: its end, its length, and
// the moment of answer when the event that would have told it is missing.
func (f *folding) finishLeg(leg *Leg, last *Event) {
	if last == nil || !last.Status.Final() {
		return
	}
	if !last.At.IsZero() {
		leg.EndedAt = instant(last.At)
	}
	if last.Status != Completed || last.Door == DoorNext || last.Seconds < 0 {
		return
	}
	leg.TalkSeconds = seconds(last.Seconds)
	if leg.AnsweredAt == nil && leg.EndedAt != nil {
		leg.AnsweredAt = instant(leg.EndedAt.Add(-time.Duration(last.Seconds) * time.Second))
	}
}

func (f *folding) leg(ref string) *Leg {
	if f.legs[ref] == nil {
		f.legs[ref] = &Leg{Ref: ref}
	}
	return f.legs[ref]
}

// sortLegs puts legs in the order in which they were rung, as far as that is
// known.
func sortLegs(legs []Leg) {
	slices.SortFunc(legs, func(a, b Leg) int {
		return cmp.Or(firstSeen(a).Compare(firstSeen(b)), cmp.Compare(a.Ref, b.Ref))
	})
}

func firstSeen(l Leg) time.Time {
	for _, at := range []*time.Time{l.InitiatedAt, l.RingingAt, l.AnsweredAt, l.EndedAt} {
		if at != nil {
			return *at
		}
	}
	return time.Time{}
}

// picked says whether somebody, or something, picked the phone up.
func picked(l Leg) bool { return l.Status == InProgress || l.Status == Completed }

// conversation finds the leg that the caller talked to, and the times that
// follow from it.
func (f *folding) conversation(c *Call) {
	c.Hops, c.Destination = f.rung()
	f.findBridge()
	at := f.bridgedAt(c.Legs)
	if at != nil {
		c.AnsweredAt = at
		if !c.Shell { // else nobody knows when the waiting began
			c.WaitSeconds = between(c.StartedAt, *at)
		}
		if ring := firstRing(c.Legs); ring != nil {
			c.RingSeconds = between(*ring, *at)
		}
	}
	if f.talk >= 0 {
		c.TalkSeconds = seconds(f.talk)
	}
	if f.bridged == nil {
		return
	}
	c.AnsweredBy = f.bridged.Number
	c.Destination = f.bridged.Number
	if c.TalkSeconds == nil {
		c.TalkSeconds = f.bridged.TalkSeconds
	}
}

// rung returns how many steps of the plan were begun, and who was rung last.
func (f *folding) rung() (hops int64, destination string) {
	last := 0
	for _, e := range f.events {
		hops = max(hops, int64(e.Decision.Hop))
		if e.Door == DoorNext {
			hops = max(hops, int64(e.Query.Hop))
		}
		if d := e.Decision; d.dials() && d.Hop >= last {
			last, destination = d.Hop, d.Destinations[0]
		}
	}
	return hops, destination
}

// findBridge looks for proof that a leg was bridged: the Dial action says so,
// or the agent pressed the key. Without an action a picked-up leg is proof only
// under a plan in which nothing stands between the pick-up and the bridge.
func (f *folding) findBridge() {
	for _, e := range f.events {
		if e.Door != DoorNext || e.Bridged != Yes && !(undecided(e.Event) && f.plain()) {
			continue
		}
		f.answered, f.talk = true, e.DialSeconds
		if e.LegRef != "" {
			f.bridged = f.leg(e.LegRef)
			return
		}
	}
	candidates := f.uncontradicted()
	for _, leg := range candidates {
		if _, ok := f.accepted[leg.Ref]; ok || f.plain() || f.answered && len(candidates) == 1 {
			f.answered, f.bridged = true, f.legs[leg.Ref]
			return
		}
	}
}

// undecided says whether a Dial action ended with a picked-up leg and does not
// tell whether it was bridged: a provider may leave that out.
func undecided(e Event) bool { return e.Bridged == Unknown && e.DialStatus == Completed }

// uncontradicted returns the legs that were picked up and of which no action
// says that they were not bridged, in the order of their answer.
func (f *folding) uncontradicted() []Leg {
	var list []Leg
	for _, leg := range f.legs {
		if picked(*leg) && leg.Bridged != No {
			list = append(list, *leg)
		}
	}
	slices.SortFunc(list, func(a, b Leg) int {
		return cmp.Or(compareAt(a.AnsweredAt, b.AnsweredAt), cmp.Compare(a.Ref, b.Ref))
	})
	return list
}

// plain says whether the plan is known and bridges whoever picks up.
func (f *folding) plain() bool {
	known := false
	for _, e := range f.events {
		if e.Decision.dials() {
			known = true
			if e.Decision.Whisper {
				return false
			}
		}
	}
	return known
}

// presses says whether an agent of this call had to press a key.
func (f *folding) presses() bool {
	return slices.ContainsFunc(f.events, func(e Folded) bool { return e.Decision.Press || e.Decision.Kind == DecidedGather })
}

// bridgedAt is the moment of the bridge: of the key where one was pressed, else
// of the pick-up. While a whispering plan has told nothing yet, the pick-up
// stands in provisionally.
func (f *folding) bridgedAt(legs []Leg) *time.Time {
	if f.bridged == nil {
		if candidates := f.uncontradicted(); len(candidates) > 0 && !f.answered && !f.presses() && !f.callerGone() {
			return candidates[0].AnsweredAt
		}
		return nil
	}
	if at, ok := f.accepted[f.bridged.Ref]; ok {
		return instant(at)
	}
	if f.presses() {
		return nil // somebody pressed a key and we do not know when
	}
	return f.bridged.AnsweredAt
}

// callerGone says whether a Dial action told that the caller had hung up.
func (f *folding) callerGone() bool {
	return slices.ContainsFunc(f.events, func(e Folded) bool { return e.Door == DoorNext && e.Status.Final() })
}

func firstRing(legs []Leg) *time.Time {
	var first *time.Time
	for _, leg := range legs {
		if leg.RingingAt != nil {
			first = earlier(first, *leg.RingingAt)
		}
	}
	return first
}

// foldOutcome says what became of the call, or leaves it open.
func (f *folding) foldOutcome(c *Call) {
	message := f.message()
	switch {
	case f.blocked():
		c.Outcome = Blocked
	case f.answered:
		c.Outcome = Answered
	case message != nil:
		c.Outcome = Voicemail
		if *message > 0 {
			c.VoicemailSeconds = message
		}
	case c.Status.Final():
		c.Outcome = f.missed(c)
	}
}

func (f *folding) blocked() bool {
	return f.voice != nil && f.voice.Decision.Kind == DecidedReject
}

// message returns the length of the voicemail that was left, 0 when only its
// text is known, nil when none is known.
func (f *folding) message() *int64 {
	longest := int64(-1)
	for _, e := range f.events {
		switch {
		case e.Door == DoorVoicemail, e.Door == DoorRecording && e.RecordingSource == "RecordVerb":
			longest = max(longest, e.RecordingSeconds)
		}
	}
	if longest >= minVoicemailSeconds {
		return &longest
	}
	// Only messages are transcribed, and only those long enough to be one.
	spoken := slices.ContainsFunc(f.events, func(e Folded) bool { return e.Door == DoorTranscription && e.Transcript != "" })
	if spoken && longest < 0 {
		return seconds(0)
	}
	return nil
}

// missed says why nobody of the business talked to a caller whose leg has
// ended.
func (f *folding) missed(c *Call) Outcome {
	var ended *Folded // our plan came to its end with the caller still there
	for i := range f.events {
		e := &f.events[i]
		if e.Door != DoorNext {
			continue
		}
		if undecided(e.Event) {
			return "" // somebody picked up, and nobody told whether they talked
		}
		if e.Status.Final() || e.Decision.Kind == DecidedVoicemail {
			return Abandoned // gone while it rang, or before leaving a message
		}
		if e.Decision.Kind == DecidedHangup && (ended == nil || e.Query.Hop > ended.Query.Hop) {
			ended = e
		}
	}
	if ended != nil {
		return unreached(ended.DialStatus)
	}
	if f.voice != nil && f.voice.Decision.Kind != "" && !f.voice.Decision.dials() {
		return Abandoned // nobody was to be rung, and no message was left
	}
	if slices.ContainsFunc(c.Legs, picked) {
		return "" // picked up, and nobody told whether they were bridged
	}
	switch c.Status {
	case Failed:
		return OutcomeFailed
	case NoAnswer, Canceled, Busy:
		return Abandoned // the caller's leg was never answered, not even by us
	}
	if f.hungUpRinging(c) {
		return Abandoned
	}
	return ""
}

// unreached turns the fate of the last leg into the outcome of a plan that
// ended with it.
func unreached(s Status) Outcome {
	switch s {
	case Busy:
		return OutcomeBusy
	case Failed:
		return OutcomeFailed
	}
	return OutcomeNoAnswer
}

// hungUpRinging says whether the legs show a caller who hung up while they
// rang: the last one stopped ringing in the moment in which the call ended,
// although something would have followed it.
func (f *folding) hungUpRinging(c *Call) bool {
	if c.EndedAt == nil || len(c.Legs) == 0 {
		return false
	}
	last := Leg{}
	for _, leg := range c.Legs {
		if !leg.Status.Final() || leg.EndedAt == nil {
			return false
		}
		if last.EndedAt == nil || leg.EndedAt.After(*last.EndedAt) {
			last = leg
		}
	}
	if last.Status != NoAnswer && last.Status != Canceled {
		return false
	}
	if slices.ContainsFunc(f.events, func(e Folded) bool { return e.Decision.Last }) {
		return false // the plan may have ended by itself
	}
	return c.EndedAt.Sub(*last.EndedAt).Abs() <= sameMoment
}

// flags gathers the oddities that adapters saw, and ours.
func (f *folding) flags(c *Call) {
	for _, e := range f.events {
		c.Flags = append(c.Flags, e.Flags...)
		if e.Door == DoorReconcile {
			c.Flags = append(c.Flags, "reconciled")
		}
		if e.Decision.Kind == DecidedFallback {
			c.Flags = append(c.Flags, "fallback")
		}
	}
	slices.Sort(c.Flags)
	c.Flags = slices.Compact(c.Flags)
}

func instant(t time.Time) *time.Time { return &t }

func seconds(n int64) *int64 { return &n }

// between returns the whole seconds from one instant to another. Clocks of two
// machines may disagree by a little; less than nothing is nothing.
func between(from, to time.Time) *int64 {
	return seconds(max(0, int64(to.Sub(from)/time.Second)))
}

func earlier(a *time.Time, b time.Time) *time.Time {
	if a != nil && !b.Before(*a) {
		return a
	}
	return &b
}

// compareAt orders optional instants, unknown ones last.
func compareAt(a, b *time.Time) int {
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil:
		return 1
	case b == nil:
		return -1
	}
	return a.Compare(*b)
}
