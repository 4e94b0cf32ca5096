package twilio_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/telephony"
	"github.com/callwheel/callwheel/telephony/loopback"
	"github.com/callwheel/callwheel/telephony/twilio"
)

// desk is the smallest server there is: it believes, reads and answers with
// the Provider, and keeps the events.
type desk struct {
	t      *testing.T
	p      *twilio.Provider
	public string
	events []telephony.Event
}

func (d *desk) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	req := telephony.Request{
		Door: telephony.Door(strings.TrimPrefix(r.URL.Path, "/webhooks/twilio/")), Method: r.Method, Target: r.RequestURI,
		ContentType: r.Header.Get("Content-Type"), Body: body, Signatures: r.Header.Values(twilio.SignatureHeader),
	}
	if _, err := d.p.Verify(req, d.public, []telephony.Secret{{AccountRef: account, Tokens: []string{"next", "testauthtoken"}}}); err != nil {
		d.t.Errorf("%s: %v", req.Target, err)
		w.WriteHeader(http.StatusForbidden)
		return
	}
	e := d.p.Parse(req)
	d.events = append(d.events, e)
	if !e.Door.Live() {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	answer, contentType, err := d.p.Render(d.answer(e))
	if err != nil {
		d.t.Errorf("%s: %v", req.Target, err)
	}
	w.Header().Set("Content-Type", contentType)
	w.Write(answer)
}

func (d *desk) answer(e telephony.Event) []telephony.Instruction {
	at := func(door telephony.Door) string { return d.public + "/webhooks/twilio/" + string(door) + "?hop=1" }
	switch e.Door {
	case telephony.DoorVoice:
		return []telephony.Instruction{
			telephony.Say{Text: "This call is recorded."},
			telephony.Dial{
				Targets:     []telephony.Target{{Number: "+17735550101", WhisperURL: at(telephony.DoorWhisper), StatusURL: at(telephony.DoorLeg)}},
				TimeoutSecs: 20, Record: true, RecordingURL: at(telephony.DoorRecording), ActionURL: at(telephony.DoorNext),
			},
		}
	case telephony.DoorWhisper:
		return []telephony.Instruction{telephony.Gather{Prompt: "Press 1.", NumDigits: 1, ActionURL: at(telephony.DoorKeys)}, telephony.Hangup{}}
	case telephony.DoorNext:
		return []telephony.Instruction{telephony.Hangup{}}
	}
	return nil
}

// TestTheNetworkAndTheAdapterUnderstandEachOther buys a number, takes a call on
// it, fetches the recording and gives the number back.
func TestTheNetworkAndTheAdapterUnderstandEachOther(t *testing.T) {
	d := &desk{t: t, p: twilio.New()}
	office := httptest.NewServer(d)
	t.Cleanup(office.Close)
	d.public = office.URL
	noon := time.Date(2026, 10, 6, 14, 0, 0, 0, time.UTC)
	network := loopback.New(loopback.Config{PublicURL: office.URL, AccountSID: account, AuthToken: "testauthtoken", Clock: loopback.NewClock(noon)})
	api := httptest.NewServer(network.REST())
	t.Cleanup(api.Close)
	var waits int
	c, err := twilio.NewCarrier(twilio.CarrierConfig{
		AccountSID: account, AuthToken: "testauthtoken", APIURL: api.URL, Timeout: 5 * time.Second,
		Sleep: func(context.Context, time.Duration) error { waits++; return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()

	network.Fault(loopback.Fault{Kind: loopback.TooMany, Times: 2})
	offers, err := c.Search(ctx, telephony.CarrierSearch{Country: "US", AreaCode: "312", Limit: 3})
	if err != nil || len(offers) != 3 || waits != 2 {
		t.Fatalf("search: got %+v after %d waits, %v, want 3 offers after 2", offers, waits, err)
	}
	number := offers[0].Number

	// Half-done: the purchase happened, its answer did not arrive.
	network.Fault(loopback.Fault{Kind: loopback.CutAfter, Method: "POST"})
	if _, err := c.Buy(ctx, number, telephony.NumberSettings{}); callwheel.KindOf(err) != callwheel.Unavailable {
		t.Fatalf("buy: got %v, want kind unavailable", err)
	}
	owned, err := c.Owned(ctx, number)
	if err != nil || len(owned) != 1 || owned[0].Number != number {
		t.Fatalf("owned: got %+v, %v, want the number", owned, err)
	}
	if _, err := c.Buy(ctx, number, telephony.NumberSettings{}); callwheel.KindOf(err) != callwheel.Conflict {
		t.Errorf("buy again: got %v, want kind conflict", err)
	}
	s := telephony.NumberSettings{VoiceURL: office.URL + "/webhooks/twilio/voice", StatusURL: office.URL + "/webhooks/twilio/status"}
	if err := c.Configure(ctx, owned[0].Ref, s); err != nil {
		t.Fatalf("configure: %v", err)
	}
	owned, err = c.Owned(ctx, "")
	if err != nil || len(owned) != 1 || owned[0].VoiceURL != s.VoiceURL || owned[0].StatusURL != s.StatusURL || owned[0].FallbackURL != "" {
		t.Fatalf("owned: got %+v, %v, want what was configured", owned, err)
	}

	placed := network.Call(loopback.CallScript{
		From: "+12125550143", To: number, At: noon.Add(time.Minute),
		Phone: func(string, int) loopback.Phone {
			return loopback.Phone{Answers: true, After: 4 * time.Second, PressKey: "1", Talk: time.Minute}
		},
	})
	network.Finish(ctx)
	if !placed.Done || placed.Outcome != telephony.Answered || len(placed.Warnings) != 0 {
		t.Fatalf("got outcome %q, warnings %v, want answered without any", placed.Outcome, placed.Warnings)
	}
	seen := map[telephony.Door]telephony.Event{}
	for _, e := range d.events {
		if e.CallRef != placed.SID || len(e.Flags) != 0 {
			t.Errorf("%s: got call %q, flags %v, want %q and none", e.Door, e.CallRef, e.Flags, placed.SID)
		}
		seen[e.Door] = e
	}
	if next := seen[telephony.DoorNext]; next.Bridged != telephony.Yes || next.DialStatus != telephony.Completed || next.LegRef == "" || next.Query.Hop != 1 {
		t.Errorf("got Dial action %+v", next)
	}
	if keys := seen[telephony.DoorKeys]; keys.Digits != "1" || keys.LegRef != seen[telephony.DoorNext].LegRef {
		t.Errorf("got keys %+v", keys)
	}

	calls, err := c.Calls(ctx, noon, noon.Add(time.Hour))
	if err != nil || len(calls) != 2 {
		t.Fatalf("calls: got %+v, %v, want the caller's leg and the agent's", calls, err)
	}
	legs, err := c.Legs(ctx, placed.SID)
	if err != nil || len(legs) != 1 || legs[0].ParentRef != placed.SID || legs[0].Status != telephony.Completed || legs[0].Seconds < 60 {
		t.Errorf("legs: got %+v, %v", legs, err)
	}
	if call, err := c.Call(ctx, placed.SID); err != nil || !call.Status.Final() || call.To != number {
		t.Errorf("call: got %+v, %v", call, err)
	}

	recording := seen[telephony.DoorRecording]
	body, contentType, err := c.Media(ctx, recording.RecordingURL)
	if err != nil {
		t.Fatalf("media: %v", err)
	}
	sound, err := io.ReadAll(body)
	if err = errors.Join(err, body.Close()); err != nil || !strings.HasPrefix(contentType, "audio/") || !strings.HasPrefix(string(sound), "RIFF") {
		t.Errorf("media: got %d bytes of %q, %v, want a WAV", len(sound), contentType, err)
	}
	if err := c.DeleteRecording(ctx, recording.RecordingRef); err != nil {
		t.Errorf("delete recording: %v", err)
	}
	if _, _, err := c.Media(ctx, recording.RecordingURL); callwheel.KindOf(err) != callwheel.NotFound {
		t.Errorf("media of a deleted recording: got %v, want kind not_found", err)
	}

	if err := c.Release(ctx, owned[0].Ref); err != nil {
		t.Errorf("release: %v", err)
	}
	if err := c.Release(ctx, owned[0].Ref); callwheel.KindOf(err) != callwheel.NotFound {
		t.Errorf("release again: got %v, want kind not_found", err)
	}
}
