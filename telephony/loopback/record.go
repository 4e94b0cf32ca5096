package loopback

import (
	"strconv"
	"time"

	"github.com/callwheel/callwheel/telephony"
)

const (
	beep               = time.Second
	voicemailRecording = 4 * time.Second  // from the end of a message to its recording callback
	transcription      = 62 * time.Second // from the end of a message to its transcript
)

// recording is media that the provider keeps.
type recording struct {
	sid, callSID string
	source       string // DialVerb, RecordVerb
	status       string // completed, absent, deleted
	channels     int
	startedAt    time.Time
	seconds      int64
}

// keep gives a recording its SID and puts it where REST finds it.
func (c *call) keep(r recording) recording {
	r.sid, r.callSID = c.net.registry.newSID("RE"), c.placed.SID
	c.net.registry.putRecording(r)
	if r.status == "completed" {
		c.placed.Recordings = append(c.placed.Recordings, r.sid)
	}
	return r
}

// announce tells the recording callback of a Dial or Record.
func (c *call) announce(v verb, r recording, delay time.Duration) {
	callback := v.attr("recordingStatusCallback", "")
	if callback == "" {
		return
	}
	url := resolve(c.document, callback)
	c.net.after(delay, func() { c.tell(url, c.recordingParams(r)) })
}

// voicemail is a Record that runs.
type voicemail struct {
	call  *call
	verb  verb
	from  time.Time // when the beep was over
	timer *event
}

// record plays the beep and takes the caller's message.
func (c *call) record(v verb) {
	c.pause(beep, func() {
		m := &voicemail{call: c, verb: v, from: c.net.clock.Now()}
		c.activity = m
		c.patience.stop()
		if c.script().Voicemail <= 0 {
			c.callerHangsUp()
			return
		}
		limit := v.seconds("maxLength", 3600)
		if v.isTrue("transcribe") {
			limit = min(limit, 120*time.Second)
		}
		message, end := c.script().Voicemail, c.callerHangsUp
		if c.script().VoicemailKey != "" {
			end = func() { m.stop(c.script().VoicemailKey) }
		}
		if message > limit {
			message, end = limit, func() { m.stop("") }
		}
		m.timer = c.net.after(message, func() {
			if !c.over() {
				end()
			}
		})
	})
}

// stop ends the message while the caller stays: the action says what now.
func (m *voicemail) stop(key string) {
	c := m.call
	r := m.taken()
	action := resolve(c.document, m.verb.attr("action", c.document))
	c.fetch(action, m.actionParams(r, key))
}

// callerGone ends the message with the call, which is how most of them end. A
// caller who left nothing leaves a recording that is absent.
func (m *voicemail) callerGone() {
	m.timer.stop()
	c := m.call
	c.recordStop = true
	r := m.taken()
	if r.status != "completed" {
		return
	}
	action := resolve(c.document, m.verb.attr("action", c.document))
	c.ask(action, m.actionParams(r, "hangup"), func([]verb, error) {})
}

func (m *voicemail) actionParams(r recording, key string) params {
	c := m.call
	p := c.voiceParams(c.status).with("RecordingUrl", c.net.mediaURL(r.sid),
		"RecordingSid", r.sid, "RecordingDuration", strconv.FormatInt(r.seconds, 10))
	if key != "" {
		p["Digits"] = key
	}
	return p
}

// taken keeps what was said and announces it, with its transcript when the
// document wants one.
func (m *voicemail) taken() recording {
	c := m.call
	r := recording{
		source: "RecordVerb", channels: 1, startedAt: m.from, status: "completed",
		seconds: wholeSeconds(c.net.clock.Now().Sub(m.from)),
	}
	if r.seconds == 0 {
		r.status = "absent"
	}
	r = c.keep(r)
	c.placed.VoicemailSeconds = r.seconds
	c.announce(m.verb, r, voicemailRecording)
	if callback := m.verb.attr("transcribeCallback", ""); callback != "" && m.verb.isTrue("transcribe") && r.seconds > 2 {
		url := resolve(c.document, callback)
		c.net.after(transcription, func() { c.tell(url, c.transcriptParams(r)) })
	}
	return r
}

func (c *call) transcriptParams(r recording) params {
	sid := c.net.registry.newSID("TR")
	s := c.script()
	return params{
		"AccountSid": c.net.config.AccountSID, "ApiVersion": apiVersion, "CallSid": c.placed.SID,
		"CallStatus": string(telephony.Completed), "Direction": "inbound", "From": s.From, "To": s.To,
		"TranscriptionSid": sid, "TranscriptionStatus": "completed", "TranscriptionText": s.Message,
		"TranscriptionUrl": c.net.mediaURL(r.sid) + "/Transcriptions/" + sid,
		"RecordingSid":     r.sid, "RecordingUrl": c.net.mediaURL(r.sid),
	}
}
