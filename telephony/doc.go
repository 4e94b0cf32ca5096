// Package telephony is the phone network as facts: which calls came in, where
// they rang, who answered, how long people talked, what was recorded.
//
// # What this room promises
//
// The caller always gets through. The answer to a live call is found in memory
// ([Snapshot]), without a database; whatever is broken, a signed voice request
// is answered with somebody to ring, else with a voicemail ([Switchboard.Answer]).
//
// A fact that was acknowledged is on disk. Every provider request is kept as it
// came, in the journal; while the database is away it waits in a spool file
// ([Switchboard.Drain]). When neither takes it the provider is told to try again.
//
// A call is a fold over the set of its events ([Fold]). Providers deliver late,
// twice, out of order or not at all; any order and any repetition of the same
// events makes the same row, a later event can only add, and what nobody told
// stays empty. Calls, legs, recordings and messages can therefore be rebuilt
// from the journal at any time ([Switchboard.Replay]).
//
// # Vocabulary
//
// A [Call] is the caller's side of a conversation, or of the attempt at one; a
// [Leg] is one agent's phone that was rung for it. An [Event] is one fact the
// provider told about either. A tracking number is a number of ours whose calls
// are measured; its [Plan] says where it rings, step by step, and a [Decision]
// is what we told the network under that plan, in [Instruction] values. The
// words for how a call ended are those of [Outcome]: answered means that a
// person was bridged to the caller, not that the provider said "completed".
//
// # The way of a request
//
// [NewWebhook] takes it in at /webhooks/{provider}/{door} and believes it only
// with the provider's signature. A live door ([Door.Live]) is answered by
// [Switchboard.Answer], any other by [Switchboard.Take]; both keep the event
// through the room's one verb, [Switchboard.Receive]: one transaction that
// writes the journal, where duplicates stop, locks the call's row, reads all of
// the call's events and writes what they fold to. After the commit an
// [Attributor] is asked once which source earned the call. It has little time,
// and the call rings without it.
//
// # Who is turned away
//
// Only who cannot show the provider's signature: 403, and nothing changes. A
// signed request with a caller on the line is answered 200 with something to do,
// whatever else is wrong with it: parameters missing, doubled or out of all
// bounds, broken escapes, a final slash, a body of up to 1 MB, an AccountSid that
// is missing or named twice (then whoever's secret signed it is taken at their
// signature, for their own account alone), a panic of ours, an answer of ours that
// is not found in time.
//
// What is signed is the URL and the parameters of a form. Method and content type
// are not, so neither can cost a caller their call:
//
//   - A request without a body has its parameters in the URL, where they are
//     signed: GET (for which numbers can be set up), and whatever looks like it.
//   - A body that is signed as a form is read as one, whatever its type says.
//   - A body whose hash stands in the URL (bodySHA256) is signed, and kept.
//   - A body that is said to be no form and is not covered, under a URL that is
//     signed alone, is dropped: the caller gets through by what the URL says, and
//     nothing that nobody signed is read or kept. The log tells.
//
// Some requests cannot be signed, as far as anybody can tell, and are refused on
// live doors too: a body over 1 MB (413; it is not read to its end, and what the
// provider sends has a few kB), a body that breaks off (400; whoever sent it no
// longer listens), parameters of a form beside a URL that was signed alone (403),
// more than one signature (403; the provider sends one, and of two we would have to
// choose), an unknown path (404). A stranger is told what is wrong with their request
// before what is wrong with their signature: 405 for a method that is not POST
// (a GET that says it is signed is 403), 415 for a type that is no form, 413 for
// more than 64 kB. docs/adr/0017 says why.
//
// Where nobody waits the doors are narrower: POST, forms of up to 64 kB, at the
// exact path, of an account that is known by its name.
//
// # Accounts
//
// Whose event it is follows from who signed it, from the context we wrote into
// the signed callback URL, from the dialled number. An account's own provider
// account speaks for that account alone. What nobody can tell yet is parked and
// adopted when the voice request tells.
//
// # Providers
//
// A [Provider] is a language: it verifies, reads and writes, and does nothing
// else. A [Carrier] is the provider's REST API. The packages below this one
// implement them: twilio for the real thing, loopback for a pretend network.
package telephony
