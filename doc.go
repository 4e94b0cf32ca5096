// Package callwheel is the map of the house: an open, self-hosted call-tracking
// backend.
//
// A telephony event comes in, attribution says which campaign earned it,
// scoring says what it was worth, and report tells the owner:
//
//	          facts                    conclusion              judgement             knowledge
//	provider ───────▶ telephony ─────▶ attribution ─────▶ scoring ─────▶ report ─────▶ owner
//	browser  ───────────────────────▶ attribution            ▲ agents        ▲ spend
//
// Data flows left to right; imports point right to left: a later room knows the
// earlier ones, never the reverse. Facts (events, touches, judgements) are only
// ever added; conclusions can always be recomputed from them.
//
// The rooms: [github.com/callwheel/callwheel/telephony] is the phone network as
// facts, [github.com/callwheel/callwheel/attribution] says which touch earned
// the call, [github.com/callwheel/callwheel/scoring] what it was worth,
// [github.com/callwheel/callwheel/report] what the owner learns. Around them:
// account (who may do what), store (the database as a mechanism), jobs (when,
// not what), api (the doors), web (what the browser gets), configs, and
// cmd/callwheel, whose serve.go reads as the architecture.
//
// This package itself holds only what every room speaks: error kinds, ids and
// money.
package callwheel
