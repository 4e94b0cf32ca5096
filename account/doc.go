// Package account says who may do what: accounts, their users, API tokens, web
// sessions, and the record of who changed what.
//
// # Accounts
//
// One installation serves many businesses. An account is one of them: a name, a
// time zone (the days of its reports), a currency, a margin, the person who is
// rung when nothing else is known, and how long recordings are kept. Everything
// that any room stores belongs to exactly one account, and an [Identity] never
// reaches beyond its own.
//
// # Who is asking
//
// Two credentials lead to an [Identity]: an API token ("cw_…", 32 random bytes,
// of which only the SHA-256 is stored) and a web session, which a user gets for
// an e-mail address and a password. Both are looked up on every request, so a
// revoked token, a disabled user and a changed role count from the next request
// on, on every replica.
//
// # What they may do
//
// Six roles and the permissions of each are one table in role.go. Doors name
// the [Permission] they need. Nobody gives away more than they have: a token's
// or user's role is covered by its maker's ([Role.Covers]). A token counts only
// while the person at the beginning of its chain of makers does, with a role that
// still covers it, and is revoked with every token above it.
//
// # Promises
//
//   - A password is kept as argon2id; trying one for an unknown address takes
//     as long as for a known one and answers the same.
//   - Secrets of the telephony provider are sealed (AES-256-GCM) with a key
//     derived from the installation's secret key, bound to their account.
//   - Changes of accounts, users, tokens and credentials write their entry of
//     the audit log in the same transaction. Entries name fields, never secrets.
//     So does a right that was refused, as often as the doors let it.
//   - Names hold nothing that people cannot see: [Legible], for every room.
//   - An Idempotency-Key is claimed before the work and stored with the answer
//     after it: see [Directory.ClaimKey].
//
// [Directory] is the room's one value.
package account
