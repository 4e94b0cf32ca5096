// Package report is what the owner learns: which source earned the calls and
// the money, what the money returned, who answers how well, and whether the
// flywheel gains momentum.
//
// It reads every room's tables and writes only its own: spend, exchange rates,
// and daily counts that are prepared ahead and can always be rebuilt. Nothing that it concludes
// is stored. [Desk] has one verb per report: [Desk.Attribution], [Desk.ROI],
// [Desk.Agents], [Desk.Momentum]; each reads one consistent view of the
// database. [Desk.ImportSpend] takes spend in,
// [Desk.PutRates] exchange rates, [Desk.RollUp] prepares days.
//
// Every answer is also a [Table], which [WriteTable], [WriteCSV] and
// [WriteJSON] print: a figure has one value however it is asked for. What each
// figure means is in [Definitions]; the same texts are served to people.
//
// # Ranges
//
// A range [from, until) is half-open and made of instants. Days are those of
// the report's zone, so a day may have 23 or 25 hours. Without from a report
// covers the last 30 days of the account's zone, today included.
//
// # Calls
//
// Counted are inbound calls by started_at. answered is outcome answered, missed
// is voicemail, abandoned, busy, no-answer and failed; a call that still rings
// is neither. blocked calls are shown beside and are not among calls. first_time
// is an identified caller without any earlier inbound call to the account.
// qualified is a call whose present disposition counts as qualified. A call
// stands in the row of its own attribution, or of the literal untracked.
//
// # Persons
//
// A caller with an E.164 number is a person of that name. A visitor, or a name
// used in an import, belongs to the caller that person_links says; otherwise it
// is a person by itself. A call without a number is its visitor's, and without
// a visitor it is a person of its own. Sales, outcomes and dispositions belong
// to the person of their call, or to the person they name.
//
// # Touches
//
// A person's path is made of
//
//   - the touches of the person's own names: the number, the linked visitors
//     and imported names, and the visitors to whom calls of the person were
//     attributed;
//   - for each call whose attribution names a source but no touch and no
//     visitor (a source number, an overflow number with a source, an imported
//     call): the call itself, as a touch at its started_at with the source,
//     medium and campaign of the attribution. Someone who dials the number on a
//     billboard has met the billboard at that moment;
//   - for each form or chat of the person's own names that names a source: the
//     enquiry itself, at its time with the source, medium and campaign that it
//     names, unless the person has a touch of that source (and of its medium and
//     campaign, where they are named) in the 90 days before: then it came from
//     that touch. An enquiry whose source is untracked is none.
//
// Touches are in order of time, then id.
//
// # Conversions
//
// What is credited depends on credit_for. call: every call, valued with the
// sales that were booked on it (an imported outcome belongs to the person's
// last call at or before it was won). lead and qualified: a person's first
// moment of that stage, valued with all the person's sales: the first time a
// disposition of the stage or a later one was given to a call of the person,
// whether or not another followed, the first sale (a sale is won), or an
// imported outcome's own moments. sale: every sale, and every imported outcome
// that was won, with the person's last call at or before it. The value of a sale is net of the refunds booked to it,
// whenever those were.
//
// Eligible are touches with conversion − window ≤ touch ≤ conversion, both ends
// included, in elapsed time, that lie after the person's previous conversion of
// the same kind. When none is left the credit goes to (returning) if there was
// a previous conversion, to untracked if the call that converted is untracked,
// and to (none) otherwise. For credit_for=call an untracked call is credited to
// untracked whatever else is known of its caller.
//
// A call is tracked when its attribution has a winner and a confidence of at
// least 0.7 (reading winner). In reading expected each candidate's path is
// credited with the candidate's weight (the source itself, where several holders
// of one are added up) and untracked with the rest.
//
// Credits of one conversion add up to 1, so a column adds up to the number of
// conversions, and revenue to the value of the conversions. Amounts are divided
// in micros and rounded to the minor unit by largest remainder: printed lines
// add up to the printed total. When rows are grouped by tag, a call with several
// tags stands in each row's counts; its credit and money are divided equally.
//
// # Models
//
// A conversion is divided over its eligible touches x₁…xₙ by weights that add up
// to 1 ([attribution.FindModel]):
//
//   - first_touch, last_touch, linear: the first, the last, 1/n each.
//     last_non_direct: the last whose source is not direct, else the last.
//   - position (40/20/40) and shaped (a/m/b): a to the first, b to the last, m in
//     equal parts to those between. Of two touches a/(a+b) and b/(a+b).
//   - lead_creation: the last touch at or before the person became a lead. Where
//     that is not known, or no touch is that old, the last touch.
//   - w_shaped: 30 each to the first touch and to the last touches at or before
//     the moments of becoming a lead and qualified, 10 in equal parts to the
//     others. full_path: 22.5 each to these and the moment of winning. Weights on
//     one touch add up; a moment that is not known, or older than every touch, is
//     dropped; what is left is scaled to the whole. Moments are the person's first
//     ones after the conversion before, told by calls that began after it, and those
//     that an imported outcome states. A disposition tells of its stage and of those
//     before it; a purchase tells that the person had won, nothing of the others.
//   - time_decay: 2^(−age ÷ half-life), scaled, in elapsed time.
//   - shapley: equally among the distinct channels of the path (the Shapley value
//     of conversions by sets of channels). shapley_ordered tells the position of
//     each touch, too.
//   - markov: the share of each channel in the removal effects of the chain that
//     all paths walk, solved exactly; value by the expected value in the same way.
//     Paths that did not convert are in it when a touch of theirs lies inside the
//     range: what lies within the look-back before a last touch, and was claimed
//     by no conversion, whenever that was. In reading expected a path is a null by
//     the chance that somebody else made the call.
//
// For shapley and markov a channel is what rows are told apart by, of the names
// of the touch. What belongs to the conversion (agent, tag, month) divides markov
// into chains of their own; told apart by the call, they have no nulls.
//
// compare puts a second model beside: difference is the second less the first.
//
// # Origins
//
// A sale belongs to a person, and a person comes from somewhere. origin tells
// what was bought in the range by where its buyer first came from, whatever the
// look-back: first purchases, repeat purchases, and what was bought by persons
// who were sent (referrals), which stands where their referrer first came from, at
// or before the purchase, and so on up to ten persons. What triggered a purchase is
// told by credit and revenue beside it.
//
// # Money
//
// Ratios are ratios of sums, in totals too. What cannot be computed is null
// ("not available"): no spend means no roi, never zero or infinity. Amounts are
// kept as booked. Unlike currencies are never added: an amount in another
// currency is converted at the rate of its day (a sale's of the day it was sold,
// a refund's of its sale, spend's of each date it is laid on), or of the latest
// of the seven days before that has one, and rounded to the minor unit. rates
// lists what was converted with. Without a rate revenue, or spend, of the row and
// of the totals is not available, and the amount is listed under missing.
//
// Spend given for a span of n dates is spread so that the first i dates carry
// ⌊S·i/n⌋ minor units: it sums exactly and every sub-range is a difference of
// two such values. Spend for a single date replaces, on that date, what longer
// spans give to the same source (where medium and campaign of the two agree or
// are left open); it never adds to it. Spend without a medium has the one that its
// source had when the date began. Spend can be told apart by source,
// medium, campaign and date only: grouped or filtered by anything else it is
// null.
//
// cost_per_call and cost_per_qualified are spend ÷ calls and spend ÷ qualified;
// cost_per_lead and cost_per_sale are spend ÷ credit in a report that credits
// leads, or sales;
// roi is (revenue − spend) ÷ spend, roi_margin the same with the margin of what
// was sold (booked with the sale, else the account's rate), roas revenue ÷ spend.
// In the totals they set the spend that is known against what all rows brought,
// whatever rows there are: the printed sums divide to the printed ratio, and it
// does not depend on the grouping. Where rows have no spend a note says of how many
// it is known, and what roi and cost_per_qualified are among those alone.
// roi_interval is roi ± 1.96·√Σ(credited value)² ÷ spend, not below −1, null with
// fewer than five credited sales.
//
// Spend of today and yesterday may still be revised where it comes from:
// spend_provisional marks rows that have some. Rates stand with their Wilson
// intervals. A row of fewer than 30 calls is small, and not ranked.
//
// # Agents
//
// A call is the agent's who was set by hand, else whose phone was bridged: who
// had that phone when the call started. offered are the calls that rang a phone
// of the agent's, answered those that were bridged to it. ring_seconds and
// talk_seconds are means over answered calls in whole seconds; score is the mean
// of the scored calls, of which scored says how many; qualified_rate is
// qualified ÷ answered with its Wilson interval. sales and revenue are what was
// sold on the agent's calls, net of refunds.
//
// Agents are compared by score_shrunken: their scores with the leniency of each
// scorer taken out (score = μ + agent + scorer + rest, see scoring.FitLeniency)
// and drawn towards everybody's mean the more, the fewer there are. Fewer than
// ten scored calls give no rank. Scores of different scorecards or versions are
// averaged only with scores_mixed saying so.
//
// # Horizons
//
// In the ROI report, horizons tell what touches inside the range have earned
// within 30, 90 and 365 days after. For horizon h each sale is divided by the
// model over the person's touches of the h days before it, earlier purchases
// notwithstanding, and the parts of touches inside the range are added up: an
// investment pays several times. Milestones are those of the sale itself: the first
// moments after the purchase before. complete says whether h days have passed since
// the end of the range. Markov gives no sale to a touch and has none.
//
// # Momentum
//
// L = v·η·W, the happy customers won per day, each counted with the 90 days of
// returns it brings; M = 100·L/L₀ against a baseline over the parts that were
// measured in both. See [Counts] and [Compare].
//
//   - v (speed): opportunities a day. An opportunity is a person's attempt to
//     reach the business; calls of one number at most 30 minutes apart are one, and
//     so is a form or a chat.
//     Spam, wrong numbers, tests and hang-ups under 5 seconds are none.
//   - η is the product of the grips, friction is 1 − η: reached (answered, or
//     called back and connected within 24 hours), prompt (goodwill left after
//     the wait, 1 up to 20 s, half after θ more: see [Yardsticks]), handled (mean score), won (genuine
//     leads that bought within 30 days, younger ones left out), kept (sold value
//     not given back), content (answering customers who are no detractors).
//   - W (weight): 1 + 90 × (repeat purchases + referred leads) ÷ customer-days.
//   - g (gain): opportunities that a period's customers brought, by trying again
//     after they bought or by sending somebody, for each of its opportunities. Each
//     is counted once, for the opportunity on which its customer last bought, up to
//     90 days after it. Above 1 the wheel would turn by itself.
//   - θ in prompt is the median patience of the account's own callers (Kaplan and
//     Meier; answered calls are censored) once 50 have given up, else 120 s.
//
// Money is converted as above. While a sale of a period has no rate, its kept, sold,
// refunded and the margin of its levers are not available; rates and missing tell
// the sales of the range and, unless it is frozen, of the baseline.
//
// In segments a call belongs to the source or campaign of its attribution, a form
// or a chat to those that it names itself. No agent has one.
//
// The figures of a period do not depend on where the range that was asked for
// begins or ends.
//
// Behind every count stands a link that lists its calls ([CallQuery].Momentum): of
// parts, the gain, levers, alerts and, with By and Segment, of segments. Report and
// list go through the same facts and group them by the same rule. What is about
// customers (weight, gain) is the account's and has no segments. Of a frozen
// baseline only counts were kept: its links list the calls of its period as the
// facts are now, and say no number of them.
//
// # The stored winner
//
// The model stored_winner looks at no path. A call, and what was sold on it,
// belong to the winner that the call's own attribution names as it stands, or to
// untracked; a sale whose call is not known to (none). In the horizons the call
// itself, when it is tracked, is the touch, at its started_at. There is nothing to
// be divided, so it has the reading winner only. It is the one question of money
// that the database can add up by itself and that can be prepared by days.
//
// # Rollups
//
// [Desk.RollUp] counts closed days of the account's zone: the calls of the day
// into daily_facts, what was sold on the day into daily_sales and what the calls of
// the day sold within the horizons into daily_earnings, both by the stored winner.
// It remembers where each call was counted. Calls, attributions, desks and sales
// carry the time of their last write; a day is fresh when no call of it, no call
// that was counted in it, no earlier call of one of its callers, no sale of the
// day or of its calls, and no refund of those was written after the state that the
// rollup has followed, less ten minutes for transactions that were still under way.
// Zone, currency and margin rate of the account are part of the state. Everything
// that is not fresh is counted from the calls, so the answer is the same. Sales in
// other currencies, whose rates may be corrected, and imported outcomes are never
// prepared.
//
// What is not prepared is added up by the database where rows and filters are
// names (source, medium, campaign, term, content, landing page, tracking number,
// pool), and read one by one otherwise.
package report
