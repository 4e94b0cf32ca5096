package loopback

import (
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/callwheel/callwheel/telephony"
)

// How long the pretend network takes for things.
const (
	dialling      = time.Second     // from a Dial to the phone being called, and from there to its first ring
	dialGrace     = 5 * time.Second // what the provider adds to a Dial's timeout
	refusalAfter  = 2 * time.Second // from calling a phone to its busy signal
	maxNouns      = 10
	dialRecording = 5 * time.Second // from the end of a conversation to its recording callback
)

var dialable = regexp.MustCompile(`^\+[1-9][0-9]{6,14}$`)

// dial rings phones, together or one after another, and bridges the first that
// answers and whose whisper ends.
type dial struct {
	call     *call
	verb     verb
	callerID string
	waiting  []verb // nouns of a sequential Dial that were not rung yet
	legs     []*leg
	bridged  *leg
	bridgeAt time.Time
	hangup   *event // end of the conversation
	over     bool
}

// leg is one business phone of a dial.
type leg struct {
	dial       *dial
	placed     *PlacedLeg
	phone      Phone
	events     []string // that its status callback wants
	statusURL  string
	whisperURL string
	sequence   int
	timers     []*event
}

func (c *call) dial(v verb) {
	d := &dial{call: c, verb: v, callerID: v.attr("callerId", c.script().From)}
	c.activity = d
	nouns := slices.DeleteFunc(slices.Clone(v.children), func(child verb) bool { return child.name != "Number" })
	if number := strings.TrimSpace(v.text); number != "" {
		nouns = append(nouns, verb{name: "Number", text: number})
	}
	if len(nouns) > maxNouns {
		c.warn("13220 more than ten numbers in one Dial")
		nouns = nouns[:maxNouns]
	}
	if len(nouns) == 0 || !d.allowedCallerID() {
		c.warn("13214 Dial without a number, or with a caller id that is not ours")
		d.finish(telephony.Failed)
		return
	}
	if v.isTrue("sequential") {
		nouns, d.waiting = nouns[:1], nouns[1:]
	}
	for _, noun := range nouns {
		d.ring(noun)
	}
}

// allowedCallerID says whether the number to show is one of this call's or of
// the account's.
func (d *dial) allowedCallerID() bool {
	s := d.call.script()
	if d.callerID == s.From || d.callerID == s.To {
		return true
	}
	_, ours := d.call.net.registry.number(d.callerID)
	return ours
}

// ring begins to call one phone.
func (d *dial) ring(noun verb) {
	c := d.call
	c.phones++
	base := c.document
	l := &leg{
		dial:   d,
		placed: &PlacedLeg{SID: c.net.registry.newSID("CA"), Number: noun.text, Status: telephony.Queued},
		events: strings.Fields(noun.attr("statusCallbackEvent", "completed")),
	}
	if u := noun.attr("statusCallback", ""); u != "" {
		l.statusURL = resolve(base, u)
	}
	if u := noun.attr("url", ""); u != "" {
		l.whisperURL = resolve(base, u)
	}
	if c.script().Phone != nil {
		l.phone = c.script().Phone(noun.text, c.phones)
	}
	d.legs = append(d.legs, l)
	c.placed.Legs = append(c.placed.Legs, l.placed)
	l.later(dialling, l.initiated)
}

// later lets something happen to this leg unless it ends before.
func (l *leg) later(span time.Duration, fn func()) {
	l.timers = append(l.timers, l.dial.call.net.after(span, func() {
		if !l.placed.Status.Final() {
			fn()
		}
	}))
}

func (l *leg) initiated() {
	l.placed.InitiatedAt = l.now()
	l.become(telephony.Initiated, "initiated", "")
	refusal := l.phone.After
	if refusal == 0 {
		refusal = refusalAfter
	}
	switch {
	case !dialable.MatchString(l.placed.Number):
		l.dial.call.warn("13224 a number that cannot be dialled")
		l.later(refusalAfter, func() { l.end(telephony.Failed, "404") })
	case l.phone.Fails:
		l.later(refusal, func() { l.end(telephony.Failed, "503") })
	case l.phone.Busy:
		l.later(refusal, func() { l.end(telephony.Busy, "486") })
	default:
		l.later(dialling, l.ringing)
	}
	l.later(l.dial.verb.seconds("timeout", 30)+dialGrace, func() {
		if l.placed.Status.Rank() < telephony.InProgress.Rank() {
			l.end(telephony.NoAnswer, "487")
		}
	})
}

func (l *leg) ringing() {
	l.placed.RingingAt = l.now()
	l.become(telephony.Ringing, "ringing", "")
	if l.phone.Answers {
		l.later(l.phone.After, l.answered)
	}
}

// answered lets the agent hear the whisper, if there is one, and then bridges.
func (l *leg) answered() {
	l.placed.AnsweredAt = l.now()
	l.placed.Status = telephony.InProgress
	if l.whisperURL == "" {
		l.become(telephony.InProgress, "answered", "")
		l.bridge()
		return
	}
	l.whisper(l.whisperURL, l.legParams())
	if !l.placed.Status.Final() {
		l.become(telephony.InProgress, "answered", "")
	}
}

// whisper asks what the agent hears before the bridge, and plays it.
func (l *leg) whisper(url string, p params) {
	l.dial.call.ask(url, p, func(verbs []verb, err error) {
		switch {
		case l.placed.Status.Final():
			return
		case err != nil:
			l.end(telephony.Completed, "200")
		default:
			l.play(url, verbs)
		}
	})
}

// play lets the agent hear the verbs of a whisper; at their end the two are
// bridged. A Hangup drops this phone only.
func (l *leg) play(document string, verbs []verb) {
	if len(verbs) == 0 {
		l.bridge()
		return
	}
	v, rest := verbs[0], verbs[1:]
	goOn := func() { l.play(document, rest) }
	switch v.name {
	case "Say", "Play", "Pause":
		l.later(speakingTime(v), goOn)
	case "Gather":
		l.gather(document, v, goOn)
	case "Hangup", "Reject":
		l.end(telephony.Completed, "200")
	case "Redirect":
		l.whisper(resolve(document, v.text), l.legParams())
	default:
		l.dial.call.warn("13200 " + v.name + " is not allowed in a whisper")
		goOn()
	}
}

func (l *leg) gather(document string, v verb, goOn func()) {
	key := l.phone.PressKey
	if key == "" {
		l.later(promptTime(v)+v.seconds("timeout", 5), goOn)
		return
	}
	l.later(promptTime(v)+time.Second, func() {
		l.whisper(resolve(document, v.attr("action", document)), l.legParams().with("Digits", key))
	})
}

// bridge joins the agent and the caller, if nobody was quicker, and drops the
// other phones.
func (l *leg) bridge() {
	d, c := l.dial, l.dial.call
	if d.over || d.bridged != nil || c.over() {
		l.end(telephony.Completed, "200")
		return
	}
	d.bridged, d.bridgeAt = l, l.now()
	l.placed.Bridged = true
	c.placed.AnsweredBy, c.placed.AnsweredAt = l.placed.Number, d.bridgeAt
	c.patience.stop()
	c.answerAt(l.placed.AnsweredAt)
	for _, other := range d.legs {
		if other != l && !other.placed.Status.Final() {
			other.drop(telephony.Canceled)
		}
	}
	talk := min(l.phone.Talk, d.verb.seconds("timeLimit", 14_400))
	d.hangup = c.net.after(talk, func() {
		if l.phone.HangsUpFirst == AgentParty {
			l.end(telephony.Completed, "200")
			return
		}
		c.callerHangsUp()
	})
}

// drop ends a leg from outside: one that had answered is completed, whatever
// the word for the others is.
func (l *leg) drop(otherwise telephony.Status) {
	if l.placed.Status == telephony.InProgress {
		l.close(telephony.Completed, "200")
		return
	}
	l.close(otherwise, "487")
}

// end makes a leg final, and with the last one the dial.
func (l *leg) end(status telephony.Status, sip string) {
	if l.placed.Status.Final() {
		return
	}
	l.close(status, sip)
	d := l.dial
	if d.over {
		return
	}
	if d.bridged == nil && len(d.waiting) > 0 {
		noun := d.waiting[0]
		d.waiting = d.waiting[1:]
		d.ring(noun)
		return
	}
	if d.bridged == l || (d.bridged == nil && d.allFinal()) {
		d.finish(d.status())
	}
}

// close makes a leg final and tells its callback.
func (l *leg) close(status telephony.Status, sip string) {
	for _, t := range l.timers {
		t.stop()
	}
	l.placed.EndedAt = l.now()
	if !l.placed.AnsweredAt.IsZero() {
		l.placed.Seconds = wholeSeconds(l.placed.EndedAt.Sub(l.placed.AnsweredAt))
	}
	if l.placed.Bridged {
		l.dial.call.placed.TalkSeconds = l.placed.Seconds
	}
	l.become(status, "completed", sip)
}

// become moves a leg to a state and tells its callback, if that wants to know
// of the event.
func (l *leg) become(status telephony.Status, event, sip string) {
	l.placed.Status = status
	l.note()
	if l.statusURL == "" || !slices.Contains(l.events, event) {
		return
	}
	p := l.legParams().progress(l.sequence, l.now())
	if status.Final() {
		p = p.ended(l.placed.Seconds).with("SipResponseCode", sip)
	}
	l.sequence++
	l.dial.call.tell(l.statusURL, p)
}

func (l *leg) now() time.Time { return l.dial.call.net.clock.Now() }

func (l *leg) note() {
	c := l.dial.call
	c.net.registry.putCall(callRow{
		sid: l.placed.SID, parentSID: c.placed.SID, from: l.dial.callerID, to: l.placed.Number, direction: "outbound-dial",
		status: l.placed.Status, createdAt: l.placed.InitiatedAt, startedAt: l.placed.InitiatedAt,
		answeredAt: l.placed.AnsweredAt, endedAt: l.placed.EndedAt,
	})
}

func (d *dial) allFinal() bool {
	return !slices.ContainsFunc(d.legs, func(l *leg) bool { return !l.placed.Status.Final() })
}

// status is the word for the dial as a whole when the caller is still there.
func (d *dial) status() telephony.Status {
	if d.bridged != nil {
		return telephony.Completed
	}
	for _, s := range []telephony.Status{telephony.Completed, telephony.NoAnswer, telephony.Busy} {
		if slices.ContainsFunc(d.legs, func(l *leg) bool { return l.placed.Status == s }) {
			return s
		}
	}
	return telephony.Failed
}

// finish ends the dial while the caller is there: its action says what now.
func (d *dial) finish(status telephony.Status) {
	d.over = true
	c := d.call
	c.lastDial = status
	p := d.actionParams(status)
	if action := d.verb.attr("action", ""); action != "" {
		c.fetch(resolve(c.document, action), p)
		return
	}
	c.next()
}

// callerGone ends everything because the caller hung up. The action is asked
// all the same; what it answers is not played.
func (d *dial) callerGone() {
	if d.over {
		return
	}
	d.over = true
	c := d.call
	d.hangup.stop()
	status := telephony.Completed
	if d.bridged != nil {
		d.bridged.close(telephony.Completed, "200")
	} else {
		status = telephony.NoAnswer
		if d.verb.isTrue("answerOnBridge") {
			status = telephony.Canceled
		}
	}
	if action := d.verb.attr("action", ""); action != "" {
		c.ask(resolve(c.document, action), d.actionParams(status), func([]verb, error) {})
	}
	for _, l := range d.legs {
		if l.placed.Status.Final() {
			continue
		}
		if l.placed.InitiatedAt.IsZero() { // hung up before this phone was called at all
			l.placed.Status = status
			for _, t := range l.timers {
				t.stop()
			}
			continue
		}
		l.drop(status)
	}
}

// actionParams also makes the recording of a conversation that was recorded,
// for the action names it.
func (d *dial) actionParams(status telephony.Status) params {
	c := d.call
	p := c.voiceParams(c.status).with("DialCallStatus", string(status), "DialBridged", strconv.FormatBool(d.bridged != nil))
	told := d.bridged
	if told == nil && len(d.legs) > 0 {
		told = d.legs[len(d.legs)-1]
		for _, l := range d.legs {
			if l.placed.Status == status {
				told = l
			}
		}
	}
	if told != nil {
		p["DialCallSid"] = told.placed.SID
		if !told.placed.AnsweredAt.IsZero() {
			p["DialCallDuration"] = strconv.FormatInt(told.placed.Seconds, 10)
		}
	}
	if r, ok := d.recorded(); ok {
		p["RecordingUrl"] = c.net.mediaURL(r.sid)
	}
	return p
}

// recorded keeps the conversation when the Dial asked for it, and tells the
// recording callback a little later.
func (d *dial) recorded() (recording, bool) {
	c := d.call
	mode := d.verb.attr("record", "do-not-record")
	if d.bridged == nil || mode == "do-not-record" || mode == "false" {
		return recording{}, false
	}
	from, channels := d.bridgeAt, 1
	if strings.HasPrefix(mode, "record-from-ringing") {
		from = d.bridged.placed.RingingAt
	}
	if strings.HasSuffix(mode, "-dual") {
		channels = 2
	}
	r := c.keep(recording{
		source: "DialVerb", channels: channels, startedAt: from,
		seconds: wholeSeconds(c.net.clock.Now().Sub(from)), status: "completed",
	})
	c.announce(d.verb, r, dialRecording)
	return r, true
}

// resolve makes a URL of a document absolute, as the provider does.
func resolve(document, reference string) string {
	ref, err := url.Parse(reference)
	if err != nil || ref.IsAbs() {
		return reference
	}
	base, err := url.Parse(document)
	if err != nil {
		return reference
	}
	return base.ResolveReference(ref).String()
}
