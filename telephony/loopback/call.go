package loopback

import (
	"time"

	"github.com/callwheel/callwheel/telephony"
)

// voicemailCounts is the length from which a message is one.
const voicemailCounts = 3

// call is a call in progress. Everything in it happens on the network's
// goroutine.
type call struct {
	net    *Network
	placed *PlacedCall
	number ownedNumber

	status     telephony.Status // of the caller's leg
	answeredAt time.Time
	verbs      []verb   // still to play
	document   string   // URL of the document being played
	activity   activity // what the caller is in the middle of; nil while a document is fetched
	patience   *event

	requests int // webhooks so far, for the seed of chaos
	phones   int // business phones rung so far
	gathers  int // Gathers heard so far

	rejected   bool
	hungUp     bool // the caller ended it
	broke      bool // a document could not be had
	lastDial   telephony.Status
	recordStop bool // the caller's leg closed together with a voicemail
}

// activity is a verb that takes time.
type activity interface {
	// callerGone ends the verb because the caller hung up. The call's own
	// status is final already.
	callerGone()
}

func newCall(n *Network, placed *PlacedCall) *call {
	return &call{net: n, placed: placed, status: telephony.Ringing}
}

func (c *call) script() *CallScript { return &c.placed.Script }

func (c *call) warn(text string) { c.placed.Warnings = append(c.placed.Warnings, text) }

// begin lets the call reach the provider, which asks the number's voice URL.
func (c *call) begin() {
	c.placed.StartedAt = c.net.clock.Now()
	c.placed.SID = c.net.registry.newSID("CA")
	c.number, _ = c.net.registry.number(c.script().To)
	c.note()
	if c.number.urls.Voice == "" {
		c.warn("21210 no voice URL: " + telephony.Mask(c.script().To))
		c.broke = true
		c.end(telephony.Failed)
		return
	}
	if patience := c.script().Patience; patience > 0 {
		c.patience = c.net.after(patience, c.callerHangsUp)
	}
	c.net.registry.onHangup(c.placed.SID, c.hungUpByREST)
	first := c.voiceParams(c.status)
	if verstat := c.script().Verstat; verstat != "" {
		first["StirVerstat"] = verstat
	}
	c.fetch(c.number.urls.Voice, first)
}

// fetch asks for a document and plays it. While it is on its way the caller
// may hang up; then nothing of it is played.
func (c *call) fetch(url string, p params) {
	c.activity = nil
	c.ask(url, p, func(verbs []verb, err error) {
		switch {
		case c.over():
			return
		case err != nil:
			c.applicationError()
		default:
			c.document, c.verbs = url, verbs
			c.next()
		}
	})
}

// applicationError is what the caller hears when no document can be had.
func (c *call) applicationError() {
	c.broke = true
	c.answer()
	c.pause(4*time.Second, func() { c.end(telephony.Completed) })
}

func (c *call) over() bool { return c.status.Final() }

// next plays the next verb of the document; at its end the provider hangs up.
func (c *call) next() {
	c.activity = nil
	if c.over() {
		return
	}
	if len(c.verbs) == 0 {
		c.answer()
		c.end(telephony.Completed)
		return
	}
	v := c.verbs[0]
	c.verbs = c.verbs[1:]
	c.play(v)
}

func (c *call) play(v verb) {
	switch v.name {
	case "Reject":
		c.reject(v)
	case "Pause":
		c.pause(speakingTime(v), c.next)
	case "Say", "Play":
		c.answer()
		c.pause(speakingTime(v), c.next)
	case "Gather":
		c.answer()
		c.gather(v)
	case "Record":
		c.answer()
		c.record(v)
	case "Dial":
		if !v.isTrue("answerOnBridge") {
			c.answer()
		}
		c.dial(v)
	case "Redirect":
		c.answer()
		c.fetch(resolve(c.document, v.text), c.voiceParams(c.status))
	case "Hangup":
		c.answer()
		c.end(telephony.Completed)
	default:
		c.next()
	}
}

// answer takes the call, from where on it is billed.
func (c *call) answer() { c.answerAt(c.net.clock.Now()) }

func (c *call) answerAt(at time.Time) {
	if c.status == telephony.Ringing {
		c.status, c.answeredAt = telephony.InProgress, at
		c.note()
	}
}

// reject refuses a call that was not answered yet; later it only ends it.
func (c *call) reject(v verb) {
	if c.status != telephony.Ringing {
		c.end(telephony.Completed)
		return
	}
	c.rejected = true
	if v.attr("reason", "rejected") == "busy" {
		c.end(telephony.Busy)
		return
	}
	c.end(telephony.NoAnswer)
}

// pausing is an activity that only takes time.
type pausing struct{ timer *event }

func (p pausing) callerGone() { p.timer.stop() }

func (c *call) pause(span time.Duration, then func()) {
	c.activity = pausing{c.net.after(span, func() {
		if !c.over() {
			then()
		}
	})}
}

// gather speaks its prompts and waits for a key, then asks its action; without
// a key the document goes on.
func (c *call) gather(v verb) {
	key := ""
	if c.gathers < len(c.script().Keys) {
		key = c.script().Keys[c.gathers]
	}
	c.gathers++
	wait := v.seconds("timeout", 5)
	if key != "" {
		wait = time.Second
	}
	c.pause(promptTime(v)+wait, func() {
		if key == "" && !v.isTrue("actionOnEmptyResult") {
			c.next()
			return
		}
		c.fetch(resolve(c.document, v.attr("action", c.document)), c.voiceParams(c.status).with("Digits", key))
	})
}

// callerHangsUp ends the call from the caller's side.
func (c *call) callerHangsUp() {
	if c.over() {
		return
	}
	c.hungUp = true
	c.leave()
}

// hungUpByREST ends the call because the account said so.
func (c *call) hungUpByREST() {
	if !c.over() {
		c.leave()
	}
}

// leave makes the caller's leg final and then lets what they were in the
// middle of end too, for its requests come before the number's callback.
func (c *call) leave() {
	c.status = c.finalStatus()
	if c.activity != nil {
		c.activity.callerGone()
	}
	c.end(c.status)
}

// finalStatus is how the caller's leg ends if it ends now.
func (c *call) finalStatus() telephony.Status {
	if c.status == telephony.Ringing {
		return telephony.NoAnswer
	}
	return telephony.Completed
}

// end closes the caller's leg, tells the number's status callback and writes
// down the truth.
func (c *call) end(status telephony.Status) {
	now := c.net.clock.Now()
	c.status = status
	c.patience.stop()
	c.placed.EndedAt = now
	if !c.answeredAt.IsZero() {
		c.placed.DurationSeconds = wholeSeconds(now.Sub(c.answeredAt))
	}
	c.placed.Status = status
	c.placed.Outcome = c.outcome()
	c.placed.Done = true
	c.note()
	c.tellNumber()
	if c.placed.Script.OnEnd != nil {
		c.placed.Script.OnEnd(c.placed)
	}
}

// tellNumber sends the number's StatusCallback: at the end, or a second later
// when a recording had to be closed first.
func (c *call) tellNumber() {
	told := func() {
		p := c.voiceParams(c.status).ended(c.placed.DurationSeconds).progress(0, c.net.clock.Now())
		c.tell(c.number.urls.Status, p)
	}
	if c.recordStop {
		c.net.after(time.Second, told)
		return
	}
	told()
}

func (c *call) outcome() telephony.Outcome {
	switch {
	case c.placed.AnsweredBy != "":
		return telephony.Answered
	case c.rejected:
		return telephony.Blocked
	case c.placed.VoicemailSeconds >= voicemailCounts:
		return telephony.Voicemail
	case c.hungUp:
		return telephony.Abandoned
	case c.broke, c.lastDial == telephony.Failed:
		return telephony.OutcomeFailed
	case c.lastDial == telephony.Busy:
		return telephony.OutcomeBusy
	}
	return telephony.OutcomeNoAnswer
}

// note puts the present state of the caller's leg into the REST call list.
func (c *call) note() {
	s := c.script()
	c.net.registry.putCall(callRow{
		sid: c.placed.SID, from: s.From, to: s.To, direction: "inbound", status: c.status,
		createdAt: c.placed.StartedAt, startedAt: c.placed.StartedAt, answeredAt: c.answeredAt, endedAt: c.placed.EndedAt,
		callerName: s.CallerName, numberSID: c.number.sid,
	})
}
