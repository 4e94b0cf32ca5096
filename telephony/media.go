package telephony

import (
	"cmp"
	"slices"
	"time"
)

// media is what the events of a call say about one recording of it.
type media struct {
	ref        string
	kind       string // call, voicemail
	state      string // pending, absent, failed
	url        string
	seconds    *int64
	channels   *int64
	transcript string
	dueAt      *time.Time
	finishedAt *time.Time
}

// lostCallback is how long we wait for the provider to say that a recording of
// which we know is ready before we look ourselves.
const lostCallback = 10 * time.Minute

// foldMedia gathers the recordings of a call from the set of its events.
func foldMedia(events []Folded) []media {
	byRef := map[string]*media{}
	for _, e := range newFolding(events).events {
		if e.RecordingRef == "" || !tellsOfRecordings(e.Door) {
			continue
		}
		m := byRef[e.RecordingRef]
		if m == nil {
			m = &media{ref: e.RecordingRef, kind: "call", state: "pending"}
			byRef[e.RecordingRef] = m
		}
		m.take(e.Event)
	}
	list := make([]media, 0, len(byRef))
	for _, m := range byRef {
		if m.finishedAt != nil {
			m.state, m.dueAt = "pending", m.finishedAt
		}
		list = append(list, *m)
	}
	slices.SortFunc(list, func(a, b media) int { return cmp.Compare(a.ref, b.ref) })
	return list
}

// tellsOfRecordings says whether what comes through the door names recordings:
// their own callback, the ends of Dial and Record, and transcriptions.
func tellsOfRecordings(d Door) bool {
	return d == DoorRecording || d == DoorNext || d == DoorVoicemail || d == DoorTranscription
}

func (m *media) take(e Event) {
	if e.Door == DoorVoicemail || e.Door == DoorTranscription || e.RecordingSource == "RecordVerb" {
		m.kind = "voicemail" // only messages have a Record action and are transcribed
	}
	m.url = cmp.Or(m.url, e.RecordingURL)
	m.transcript = cmp.Or(m.transcript, e.Transcript)
	if m.seconds == nil && e.RecordingSeconds >= 0 {
		m.seconds = seconds(e.RecordingSeconds)
	}
	if m.channels == nil && e.RecordingChannels > 0 {
		m.channels = seconds(e.RecordingChannels)
	}
	switch {
	case e.Door == DoorRecording && e.RecordingStatus == "completed":
		m.finishedAt = earlier(m.finishedAt, e.ReceivedAt)
	case e.Door == DoorRecording && (e.RecordingStatus == "absent" || e.RecordingStatus == "failed"):
		m.state, m.dueAt = e.RecordingStatus, nil
	case m.state == "pending":
		m.dueAt = earlier(m.dueAt, e.ReceivedAt.Add(lostCallback))
	}
}
