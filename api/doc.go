// Package api is the doors: the only place that knows HTTP.
//
// # Audiences
//
// The routes are one table in server.go, grouped by who comes through them:
//
//   - provider: /webhooks/…, signed requests of the phone network, handed to
//     telephony as they are;
//   - browser: /dni/v1/…, pages of customers' sites, known by site key and origin;
//   - agents, marketers, programs: /v1/…, JSON, by bearer token or the
//     dashboard's cookie;
//   - anyone: /v1/openapi.json and /docs;
//   - people: / and /sign-in;
//   - operator: a listener of its own with /metrics, /livez, /readyz/….
//
// # An operation
//
// Everything below /v1 is an operation: a method, a path, the permission it
// needs, an input and an output. [handle] registers it with huma, which
// validates the input and describes both in the OpenAPI document. Paths below
// /v1 are refused without a credential before anything else is looked at, so a
// route that forgot its permission is closed, not open.
//
// A request passes, in this order: who is asking (401), may they (403), how
// often (429), parameters (400, 422), body (413, 415, 400), idempotency key,
// huma's validation (422), the room.
//
// # Errors
//
// Every error, also echo's and huma's own, is application/problem+json with a
// stable slug as its type. Rooms return kinds; errors.go turns a kind into a
// status, once. A 404 carries no request id: an id that never existed, a
// malformed one and one of another account are answered with the same bytes.
//
// # Output
//
// Lists are {"items", "next_cursor"}. ?fields= selects, Accept: text/csv and
// application/x-ndjson change the form; all three work on what an operation
// returned as JSON, so a figure is the same in each. A table without a limit is
// the whole list, written page by page. A cursor goes on only in the list, with
// the filters, that gave it.
//
// Roles that may not see callers read their numbers masked, also where people
// wrote them into notes and comments ([telephony.MaskText]), and may not ask for
// one.
package api
