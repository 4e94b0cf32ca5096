// Package loopback is a pretend phone network with a pretend provider: for
// tests, the demo and local work. It speaks the real Twilio protocol over HTTP,
// as the provider does, and there is no other way in: it signs its requests,
// POSTs the number's voice URL, reads the TwiML that comes back and plays it,
// rings phones, tells status callbacks, records, and answers the REST API.
//
// # Playing calls
//
//	clock := loopback.NewClock(start)                  // the server gets clock.Now too
//	net := loopback.New(loopback.Config{
//		PublicURL: "http://127.0.0.1:8080", AccountSID: sid, AuthToken: token, Clock: clock,
//	})
//	net.AddNumber("+13125550171", loopback.NumberURLs{})  // the usual doors
//	call := net.Call(loopback.CallScript{
//		From: "+12125550143", To: "+13125550171", At: start.Add(time.Minute),
//		Phone: func(number string, attempt int) loopback.Phone {
//			return loopback.Phone{Answers: true, After: 7 * time.Second, Talk: 2 * time.Minute}
//		},
//	})
//	err := net.Finish(ctx)
//	// call.Outcome is telephony.Answered, call.TalkSeconds 120
//
// A [CallScript] says what the people do: how patient the caller is, whether a
// phone is picked up, who hangs up first, how long a message is. What the
// network does follows from the server's TwiML alone. The [PlacedCall] is the
// truth about the call, to compare with what the server believes.
//
// # Time
//
// The network is a list of things that happen at instants. On a moved [Clock]
// they are played as fast as the server answers, in the order of time, many
// calls overlapping: the clock jumps to each instant, the request is made, and
// its answer is in before the next thing happens, so a run is repeatable to the
// byte. On a live clock the network waits for each instant and lets requests
// overlap, as the provider's do; [Config] Scale shortens calls for the
// impatient. Clock.GoLive turns the one into the other between two runs. Anything
// else that happens at an instant (a browser's visit, an agent's work, a job's
// step) joins with [Network.Schedule], or follows a call through OnEnd.
//
// # The requests of a call
//
// With seconds from the call's arrival, for a Dial with answerOnBridge whose
// phone is picked up 7 s after its first ring:
//
//	0    voice URL        CallStatus=ringing; the answer is TwiML
//	1    leg callback     initiated, SequenceNumber 0
//	2    leg callback     ringing
//	9    whisper URL      asked on the agent's leg, before the bridge
//	9    leg callback     in-progress (the event "answered")
//	135  leg callback     completed, with CallDuration (s), Duration (min), SipResponseCode
//	135  Dial action      DialCallStatus, DialCallSid, DialCallDuration, DialBridged
//	135  StatusCallback   of the number: once, at the end
//	140  recording        callback of the Dial's recording
//
// When the caller hangs up while it rings, the action is asked all the same,
// with a final CallStatus, before the leg's callback; what it answers is not
// played. With a Record verb the number's callback comes 1 s after the message,
// the recording's 4 s and the transcript's 62 s after it.
//
// Played: Say, Play, Pause, Gather, Dial (Number children together, or with
// sequential one after another; up to ten), Record, Redirect, Reject, Hangup;
// in a whisper Say, Play, Pause, Gather, Redirect, Hangup. Prompts are spoken
// at 15 letters a second. Phones of one Dial ring on until one is bridged, so
// that a mobile's voicemail that presses no key does not take the call away
// from the others.
//
// # Delivery
//
// The fragment of a webhook URL holds its connection rules (#rc=2&rp=5xx,ct,rt).
// Without one, only a failed connect is retried, once. Retries carry the same
// I-Twilio-Idempotency-Token. A voice request that fails goes to the number's
// fallback URL with ErrorCode and ErrorUrl; a status callback that fails is
// lost. All attempts and the pauses between them end within the time that the
// rules give them together (tt, 15 s). Unlike the provider this network follows no
// redirect, and takes nothing but XML for TwiML. What the provider's debugger would show is in
// PlacedCall.Warnings; a test that wants clean TwiML asserts that it is empty.
//
// [Chaos] doubles, reorders, delays and drops status callbacks, by seed. A lost
// callback stays lost, but the REST call list knows the truth.
//
// # The REST API
//
// [Network.REST] serves what a carrier adapter needs: numbers to buy, owned
// numbers, the call list with its filters and pages, recordings and their media,
// behind Basic authentication. [Network.Fault] makes it answer 429, 500 as HTML,
// 503 or nothing, or cut the connection after the thing was done.
//
// SIDs are counters behind the usual prefixes, so that nobody takes them for
// secrets; numbers that this package makes up are from ranges kept for fiction.
//
// # A business to play
//
// [World] makes up the traffic of a small business, from the same seed always
// the same: visits, calls, and what they were worth. It is data without HTTP;
// whoever runs it plays each item through the proper door.
package loopback
