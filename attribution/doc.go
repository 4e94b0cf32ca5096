// Package attribution says which touch earned a call.
//
// # Vocabulary
//
// A visitor is a browser that is recognised across sessions; a session is a
// visitor's continuous visit; a touch is one arrival with evidence of where it
// came from: its source, medium, campaign, term and content, and the click ids
// that advertisers add. A person's touches in order are the path that models
// ([Model]) credit.
//
// A tracking number stands for a source (a source number: a billboard, a print
// advertisement), or belongs to a pool. A pool lends its numbers to website
// sessions: a lease is one session's hold on one number for [from, until). It
// lasts while the page is open, which its beats tell, and for a tail after
// that; then the number rests for the pool's cooldown. A site is a website on
// which printed numbers are swapped for these.
//
// # What happens
//
// [Ledger.Visit] is called when a page is viewed: it classifies the arrival
// ([Classify], pure), finds or makes visitor and session, keeps the touch and
// lends a number: of the free ones the one that past holders are least likely to
// call, Σ p·S(u) over all of them, then the one that has rested longest. A visitor
// who comes back gets the same number while it is free or still theirs. [Ledger.Beat] keeps the number while the page is open.
// [Ledger.Attribute] is called when a call comes in: it looks up who had been
// shown the dialled number when the call started, and keeps the conclusion with
// its evidence. [Ledger.Sweep] finds the calls for which that failed.
//
// # What is promised
//
//   - A number is never on two sessions' live leases at once, on either
//     database: the claim lives on the row that is locked.
//   - Nobody is told that a pool is empty while a number is free.
//   - Who held a number at a past instant never changes, so attributing again
//     gives the same answer. Leases, touches and bindings are only added to;
//     credits are never stored.
//   - A direct visit does not hide where somebody came from before, for
//     Config.KnownSource.
//   - Nothing of a person is stored before they agreed, where a site needs
//     that; secrets in a page's address are never stored.
//
// # Media
//
// A touch's medium is the page's utm_medium in lower case. Where the page says
// none it is one of: cpc (a paid click), organic, local (maps and business
// profiles), social, ai (assistants), email, affiliate, display, sms, print,
// referral (another website), or (none) when nothing is known. [MediumClass]
// says to which of these a utm_medium belongs.
//
// # How sure
//
// A call comes at an instant to a number. Everybody who was shown that number
// before, and everybody we do not know, is an independent stream of possible
// calls, and the chance that the call came from one of them is its share of the
// whole intensity at that instant ([Delays.Posterior]):
//
//	λ = e·η        while the number is on a visitor's screen
//	λ = e·p·f(u)   when they last had it u ago
//	π = λ / (Σ λ + β)
//
// f is the density of the delay after the last view, a mixture of exponentials;
// p is the chance that a visitor calls after they left; η is the calls per hour
// of a visitor who has the number before them, which is while the last beat is
// less than two intervals old and did not say that the page was left; β is the calls per hour of a number from nobody
// we know. e is the product of evidence ratios, each how much likelier something
// is if this visitor called than if somebody else did:
//
//   - phone: 1 ÷ the share of the account's calls that come from this phone, at
//     most 1000, where an earlier call or form proved that it is the visitor's;
//     0.1 where either is known to belong to another.
//   - area: P(caller's area code | visitor's region) ÷ P(area code), from the
//     account's own counts with one added to each, within 1/20 and 20. We do not
//     know where a visitor is; the page or a proxy may tell. Otherwise 1.
//   - device: the same for the kind of line and the visitor's device. Numbers of
//     many countries, the United States among them, do not tell: then 1.
//
// The product is held to 1000. The counts come from calls whose visitor is 0.9
// sure without such evidence.
//
// A visitor is one stream, whatever they were shown: their last display counts.
// The 250 newest leases of a number are looked at one by one; what is to be
// expected from holders before them, if they came as often, is added to β.
//
// The visitor confidence is π of the likeliest visitor; the source confidence is
// the sum over all visitors of one source and medium. The largest of these sums
// and of π₀, the share of nobody we know, decides: below 0.7 the winner is
// ambiguous. From 0.9 a confidence is high, from 0.7 medium. A number that nobody
// was shown before is untracked, with certainty.
//
// # Whose parameters
//
// [DefaultDelays] are assumptions: 60 % of callers wait 4 minutes on average,
// 25 % an hour, 15 % two days; p = 0.05, η = 6 per hour, β = 0.002 per hour.
// An account that knows better says so: [Ledger.DeclareDelays]. When it has 200
// calls of people who were identified otherwise, [Ledger.Refit] fits them to its
// own calls, every week, as the next version; a call is judged by the version of
// its time and names it. [Delays.Fit] says how.
//
// # A number that was saved
//
// Who dials from the address book reaches whoever was lent the number since. A
// caller who is known, and had called this number before it went to the visitor
// who holds it now, is judged by their own history instead, at 0.95 (a phone can
// be lent), and the call is flagged as contaminated.
//
// # Asking again
//
// Leases are only added to, and a beat after a silence of two intervals begins
// the next one, so what a lease says of an instant never changes. Links between
// phones and visitors count from when they were written down. What was counted
// over all calls stands with the attribution as it was. So [Ledger.Verify] comes
// to the same answer for ever.
package attribution
