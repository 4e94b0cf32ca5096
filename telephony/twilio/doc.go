// Package twilio speaks Twilio's language, and is the only package that does.
//
// [Provider] is the pure half, a [telephony.Provider]: it believes or refuses a
// request (signature.go), reads it into an event (event.go) and writes the
// answer (twiml.go). It has no clock, no network and no database.
//
// [Carrier] is the other half, a [telephony.Carrier]: numbers, the call list
// and media over the REST API (carrier.go), on top of a transport of our own
// (transport.go).
//
// # What is believed
//
// X-Twilio-Signature is an HMAC-SHA1, keyed with the account's auth token, over
// the URL that Twilio was given and, for a form, over every parameter in the
// body, sorted. The URL is built from the configured public URL and the raw
// request target, never from a Host or a forwarding header: whoever can choose
// the host chooses what is signed. Twilio is not consistent about ports, so
// three spellings of one URL are tried. User info and the fragment are never
// part of it.
//
// The signature holds neither time nor nonce, so a captured request verifies
// for ever. Repetition is therefore made harmless by [telephony.Event].Key, which
// is derived from signed content only, never from the idempotency header, which
// nobody signs. See the comment on key in event.go.
//
// # What is read
//
// Parse never refuses, because a caller may be on the line. What cannot be read
// stays zero and is named in Event.Flags:
//
//	bad_body            the body is not a form, or is said not to be
//	bad_duration        a length that is not whole seconds of at most two days
//	bad_sequence        a sequence number that is not a small whole number
//	bad_timestamp       a time that cannot be read, or outside 2000 to 2100
//	no_call             no id of the call (or message)
//	no_parent           an event of a leg that does not name the caller's leg
//	repeated_parameter  one name with several different values; the first counts
//	unknown_status      a status word that we do not know; RawStatus has it
//
// Of the two lengths in a callback, CallDuration (seconds) counts and Duration
// (minutes, rounded up, for billing) does not. Parameters in the query are read
// where a live request has no body, which is how Twilio asks a number that was set
// up with GET; beside a body only our own [telephony.Query] is.
//
// # What is said
//
// Documents are written with encoding/xml from typed structs, so that the same
// instructions always give the same bytes. Callback URLs carry Twilio's
// connection overrides in their fragment: by default it would not repeat a
// callback that we answered with an error, and the fact would be lost.
//
// # The REST API
//
// twilio-go supplies the endpoints and the models; its HTTP client is replaced.
// That client has no context, leaks the connection of every error answer,
// deletes ".5" from any query value, hides Retry-After and refuses secrets with
// a hyphen. Environment variables that would change the host (TWILIO_EDGE,
// TWILIO_REGION) are not read.
package twilio
