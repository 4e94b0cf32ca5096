// Package scoring is what a call was worth: the desk where people judge calls,
// the lists they judge with, and the arithmetic of scorecards.
//
// # Vocabulary
//
// An [Agent] is a person who answers calls. A [Tag] is a free label from the
// account's list, any number per call. A [Disposition] is the one outcome of a
// call from the account's list; it says whether the call is qualified, which
// stage its caller has reached, and whether it was a genuine enquiry at all. A
// [Scorecard] is a rubric of weighted criteria, a [Score] is one scorer's
// filled-in copy of it. A [Sale] is money that a caller brought, once or many
// times over the months; a refund is a sale with a negative value that names
// the sale it takes back. Notes, feedback and call-backs are what their names
// say. A [Referral] says who sent whom.
//
// # The desk
//
// [Desk] has one verb per judgement: [Desk.Tag], [Desk.Untag], [Desk.Dispose],
// [Desk.Score], [Desk.Sell], [Desk.Note], [Desk.Feedback], [Desk.CallBack],
// [Desk.Assign]. Each is one transaction that locks the call's desk row, so
// judgements about one call are in a strict order, counts its version up by
// one, and appends a [Judgement] with author and time. The version is what
// people edit against: a write that names an older one fails with kind Stale
// and changes nothing. A call that nobody has judged has version 0.
//
// Judgements are facts. Nothing is overwritten: the latest disposition counts,
// by the time it was given and then by id, and earlier ones stay; a scorer who
// scores again supersedes his earlier score, which is kept; taking a tag off
// is a judgement of its own. Saying the same thing again (a tag that is on the
// call already, one's own disposition repeated) changes nothing.
//
// A call can be judged as soon as it is known, while it still rings. A call of
// another account does not exist here: NotFound.
//
// # Lists
//
// Names in a list are unique by their folded form (NFC, Unicode case folding,
// single spaces), so "Café" and "CAFÉ" are one tag however they are typed. An
// item is retired, never deleted: calls that carry it keep it, and its name
// becomes free. A name that is not in the list is refused with the nearest
// ones. A change to a scorecard makes a new version; scores keep the version
// they were given with.
//
// # Scorecard arithmetic
//
// With weights w, levels x of at most m, over the criteria that apply:
//
//	score = 100 · Σ w·(x/m) / Σ w
//
// A critical criterion at level 0 makes the score 0; what it would have been
// stands beside it as Uncritical. When no criterion applies the call is not
// scored. The score of a call is the mean over its valid scores; when those
// come from different cards or versions the view says so (Mixed).
//
// # Agreement and leniency
//
// Where several people scored one call, [Desk.Agreement] tells criterion by
// criterion how far they agree: Krippendorff's alpha on the ordinal scale, over
// the versions of a card that ask the same question. Below 0.667 agents are not
// to be ranked by it; where all marks are alike there is no alpha, not one of 1.
// [FitLeniency] tells strict scorers from bad agents: score = μ + agent + scorer
// + rest, by alternating means with shrinkage.
//
// A score may be disputed once ([Desk.Dispute]); what became of that
// ([Desk.Resolve]) is kept with it. A changed score is superseded by one of
// whoever decided, or by the one that its scorer gave since.
//
// # Lead scores
//
// How likely a call is to be qualified is predicted once, two minutes after it
// began, from what is known then: source, area, tags put on by then, part of the
// day, weekday or weekend, and whether the caller called or bought before; never
// from its course. The model is a logistic regression with a ridge, fitted weekly
// to the account's own outcomes when there are 200 with 40 of each kind;
// otherwise the pooled prior, fitted to the facts that mean the same in every
// account, moved to the account's share of qualified calls. It is judged by the
// last 30 % of the outcomes in time, fitted to the first 70 %. Versions are only
// added; every score names its own. Only here does the room read attributions: the
// source of a call comes before its worth (docs/adr/0015).
//
// # Milestones
//
// A person's lead_at, qualified_at and won_at are the first moment at which a
// disposition of that stage or a later one was given to any of their calls
// (none < lead < qualified < won), whether or not another disposition followed.
// A sale is won at its sold_at; a refund is no milestone. Imported outcomes
// count with their own moments. A disposition means what the list says about it
// now; what it meant when it was given stands in the history. See
// [Desk.Milestones].
//
// # Whose call it was
//
// The agent of a call is the one set by hand ([Desk.Assign]); otherwise the one
// who had the phone that was bridged (calls.answered_by) when the call started;
// calls of before belong to the first who had it. A phone that changes hands
// takes no call along (agent_phones).
//
// # Who is a person
//
// Callers are persons by their E.164 number. Everybody else, the anonymous
// above all, is a person of one call: 'call:' and the call's id.
package scoring
