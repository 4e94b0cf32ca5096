package loopback

import (
	"maps"
	"net/url"
	"strconv"
	"time"

	"github.com/callwheel/callwheel/telephony"
)

const apiVersion = "2010-04-01"

// params is the content of one request; every name has one value.
type params map[string]string

func (p params) values() url.Values {
	v := make(url.Values, len(p))
	for name, value := range p {
		v.Set(name, value)
	}
	return v
}

// with returns a copy that also has the given names and values.
func (p params) with(pairs ...string) params {
	copied := maps.Clone(p)
	for i := 0; i+1 < len(pairs); i += 2 {
		copied[pairs[i]] = pairs[i+1]
	}
	return copied
}

// voiceParams are those of every request about the caller's leg.
func (c *call) voiceParams(status telephony.Status) params {
	s := c.script()
	p := params{
		"AccountSid": c.net.config.AccountSID, "ApiVersion": apiVersion,
		"CallSid": c.placed.SID, "CallStatus": string(status), "Direction": "inbound",
		"From": s.From, "To": s.To, "Caller": s.From, "Called": s.To,
	}
	for _, prefix := range []string{"From", "Caller"} {
		p.place(prefix, s.FromPlace)
	}
	for _, prefix := range []string{"To", "Called"} {
		p.place(prefix, s.ToPlace)
	}
	if s.CallerName != "" {
		p["CallerName"] = s.CallerName
	}
	maps.Copy(p, s.Extra)
	return p
}

// place writes the four names also where nothing is known of them, as the
// provider does.
func (p params) place(prefix string, where Place) {
	p[prefix+"City"] = where.City
	p[prefix+"State"] = where.State
	p[prefix+"Zip"] = where.Zip
	p[prefix+"Country"] = where.Country
}

// legParams are those of every request about an agent's leg.
func (l *leg) legParams() params {
	c := l.dial.call
	return params{
		"AccountSid": c.net.config.AccountSID, "ApiVersion": apiVersion,
		"CallSid": l.placed.SID, "ParentCallSid": c.placed.SID,
		"CallStatus": string(l.placed.Status), "Direction": "outbound-dial",
		"From": l.dial.callerID, "To": l.placed.Number, "Caller": l.dial.callerID, "Called": l.placed.Number,
	}
}

// progress adds what a status callback has over the plain parameters.
func (p params) progress(sequence int, at time.Time) params {
	return p.with("CallbackSource", "call-progress-events",
		"SequenceNumber", strconv.Itoa(sequence), "Timestamp", rfc2822(at))
}

// ended adds the two durations: seconds, and the minutes that are billed.
func (p params) ended(seconds int64) params {
	return p.with("CallDuration", strconv.FormatInt(seconds, 10),
		"Duration", strconv.FormatInt((seconds+59)/60, 10))
}

// recordingParams are those of a recording callback.
func (c *call) recordingParams(r recording) params {
	p := params{
		"AccountSid": c.net.config.AccountSID, "CallSid": r.callSID, "RecordingSid": r.sid,
		"RecordingUrl": c.net.mediaURL(r.sid), "RecordingStatus": r.status,
		"RecordingChannels": strconv.Itoa(r.channels), "RecordingSource": r.source,
		"RecordingStartTime": rfc2822(r.startedAt), "RecordingTrack": "both", "ErrorCode": "0",
	}
	if r.status == "completed" {
		p["RecordingDuration"] = strconv.FormatInt(r.seconds, 10)
	}
	return p
}

func (n *Network) mediaURL(recordingSID string) string {
	return n.config.APIURL + "/" + apiVersion + "/Accounts/" + n.config.AccountSID + "/Recordings/" + recordingSID
}

func rfc2822(at time.Time) string { return at.UTC().Format(time.RFC1123Z) }

// wholeSeconds rounds a span as the provider reports it.
func wholeSeconds(span time.Duration) int64 { return int64(span.Round(time.Second) / time.Second) }
