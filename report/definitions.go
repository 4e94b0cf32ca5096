package report

// Definition says what one figure means.
type Definition struct {
	Figure  string `json:"figure"`
	Text    string `json:"text"`
	Formula string `json:"formula,omitempty"`
}

// definitionLink is where a figure's definition is served.
func definitionLink(figure string) string { return "/v1/definitions#" + figure }

// Definitions are the figures of every report, in words and where it helps as a
// formula. The reports link here.
var Definitions = []Definition{
	{"calls", "Inbound calls that started inside the range, without those that a rule refused.", ""},
	{"answered", "Calls in which a person was bridged to the caller.", ""},
	{"missed", "Calls that no person answered: voicemail, abandoned, busy, no-answer, failed.", ""},
	{"blocked", "Inbound calls refused by a rule. They are not among calls.", ""},
	{"first_time", "Calls of an identified caller who had never called the account before. Anonymous callers are neither first-time nor repeat.", ""},
	{"qualified", "Calls whose present disposition counts as qualified.", ""},
	{"credit", "Share of the conversions (calls, leads, qualified callers or sales) that the model gives to the row. Credits add up to the number of conversions. Touches are arrivals, and the calls, forms and chats that tell a source without an arrival.", "Σ weights of the row's touches"},
	{"revenue", "Credited value of the conversions, net of the refunds booked to them, in the account's currency.", "Σ weight × (value − refunds)"},
	{"spend", "Recorded cost, spread over its dates, of the dates inside the range; in another currency at the rate of each date. Null when none was recorded or rows cannot be told apart by it.", "⌊S·i/n⌋ − ⌊S·(i−1)/n⌋ on the i-th of n dates"},
	{"cost_per_call", "Spend for each call. Null without spend or calls.", "spend ÷ calls"},
	{"cost_per_qualified", "Spend for each qualified call. Null without spend or qualified calls.", "spend ÷ qualified"},
	{"cost_per_lead", "Spend for each credited lead, in a report that credits leads; null in another, and without spend or leads.", "spend ÷ credit, with credit_for=lead"},
	{"cost_per_sale", "Spend for each credited sale, in a report that credits sales; null in another, and without spend or sales.", "spend ÷ credit, with credit_for=sale"},
	{"answered_rate", "Share of the calls that have ended in which a person was bridged to the caller. Null without such calls.", "answered ÷ (answered + missed)"},
	{"answered_rate_interval", "Wilson 95 % interval of answered_rate.", "(p + z²/2n ± z·√(p(1−p)/n + z²/4n²)) ÷ (1 + z²/n), z = 1.96"},
	{"spend_provisional", "Whether some of the spend is of today or yesterday, or of days ahead: where it comes from it may still be revised.", ""},
	{"small", "Whether the row has fewer than 30 calls: its figures are too uncertain to compare it with others, and it is not ranked.", "calls < 30"},
	{"rank", "Place of the row by credit, among the rows that are a source and not small. In the report about agents by score_shrunken, 1 for the best; null with fewer than ten scored calls.", ""},
	{"roi", "Simple return: what came back beyond what was spent, for each unit spent. It ignores margin. Null without spend.", "(revenue − spend) ÷ spend"},
	{"roi_interval", "95 % interval of roi from the number and spread of the credited sales. Null with fewer than five, and by the model markov, which divides them together.", "roi ± 1.96·√Σ(credited value)² ÷ spend, not below −1"},
	{"roi_margin", "Return on the margin of what was sold: the margin booked with the sale, or else the account's margin rate. Null when no margin is known.", "(Σ credited margin − spend) ÷ spend"},
	{"roas", "Revenue for each unit spent. Null without spend.", "revenue ÷ spend"},
	{"horizons", "What touches inside the range have earned within so many days after, in all purchases of the persons.", ""},
	{"origin", "What was bought inside the range, by where its buyer first came from: the person's first touch ever, whatever the model (which credits what triggered the purchase). Each purchase is one of first (the person's first), repeat, or referred: bought by somebody who was sent, and credited to where the referrer first came from. (referral) is a referrer of whom no touch at or before the purchase is known. Somebody who is told to have been sent more than a day after their first purchase was not. roi is all three against the row's spend.", "(first + repeat + referred revenue − spend) ÷ spend"},
	{"positions", "Credit by the position of the touch in its path (1 for the first), for the model shapley_ordered. The 50th holds all later ones.", ""},
	{"compare", "Credit, revenue and returns of the row by the second model, when two are compared.", ""},
	{"difference", "What the second model gives the row beyond the first one. Null where either is.", "compare − figure"},
	{"model", "The rule that divides a conversion over its path, with its parameters. The weights of time and position do not depend on how rows are grouped. Those of shapley and markov do: there a channel is what a row is about, by all names that rows are grouped and filtered by. They describe which channels go together with conversions, not what causes them. markov looks at all paths together, those that did not convert included (a path belongs to the report when a touch of it lies inside the range); it is solved exactly, and has no horizons and no interval, because it gives no single sale to a touch. Grouped or filtered by what belongs to a call (tracking number, pool, agent, tag) it looks at the paths that converted alone.", ""},
	{"offered", "Calls that rang the agent's phone.", ""},
	{"ring_seconds", "Mean time from the first ring to the bridge, of the calls that the agent answered. It flatters: the impatient are gone. See ring_median_seconds.", ""},
	{"ring_median_seconds", "Median time to answer of the calls that rang the agent's phone. Callers who gave up count as waits that would have gone on. Null when too many gave up to tell.", "smallest t with S(t) ≤ ½, S the Kaplan-Meier estimate"},
	{"ring_p90_seconds", "90th percentile of the same.", "smallest t with S(t) ≤ 0.1"},
	{"talk_seconds", "Mean time in conversation, of the calls that the agent answered.", ""},
	{"score", "Mean score of the agent's scored calls, from 0 to 100; a failed critical criterion makes a score 0. Scored says how many.", ""},
	{"score_interval", "95 % interval of the mean score, by Student's t. Null with fewer than two scored calls.", "mean ± t·s ÷ √n"},
	{"scores_mixed", "Whether the scores were given with different scorecards, or versions of one: their mean mixes what was asked.", ""},
	{"score_adjusted", "Mean of the agent's scores with the leniency of each scorer taken out: how many points more than the others a scorer gives.", "mean of (score − scorer), from score = μ + agent + scorer + rest"},
	{"score_shrunken", "score_adjusted, drawn towards everybody's mean the more, the fewer scores there are: what agents are compared by.", "μ + n ÷ (n + σ²/τ²) × (score_adjusted − μ)"},
	{"score_shrunken_interval", "95 % interval of score_shrunken.", "score_shrunken ± 1.96·σ ÷ √(n + σ²/τ²)"},
	{"scored", "How many of the agent's calls were scored: what the mean score rests on.", ""},
	{"qualified_rate", "Share of the calls that are qualified; in the report about agents, of the calls that the agent answered. With its Wilson 95 % interval.", "qualified ÷ calls, qualified ÷ answered of an agent's"},
	{"qualified_rate_interval", "Wilson 95 % interval of qualified_rate.", "(p + z²/2n ± z·√(p(1−p)/n + z²/4n²)) ÷ (1 + z²/n), z = 1.96"},
	{"qualified_rate_shrunken", "qualified_rate, drawn towards the rate of all agents the more, the fewer calls there are: to compare agents, not to state their rate.", "(qualified + m·p) ÷ (answered + m), p the pooled rate, m from the moments of a beta-binomial distribution, or 20"},
	{"sales", "Sales booked on the agent's calls that were not given back whole.", ""},
	{"wait_median_seconds", "Median time to answer: from the first ring of an agent's phone to the bridge (where the provider told no ring, from the start of the call). Callers who gave up or were sent to voicemail count as waits that would have gone on. Null when too many gave up to tell.", "smallest t with S(t) ≤ ½, S the Kaplan-Meier estimate"},
	{"wait_p90_seconds", "90th percentile of the time to answer, counted as wait_median_seconds is.", "smallest t with S(t) ≤ 0.1"},
	{"within_share", "Share of callers who are answered within T seconds, if they wait as long.", "1 − S(T), S the Kaplan-Meier estimate"},
	{"within_share_interval", "95 % interval of within_share by Greenwood's variance.", "1 − S^exp(±1.96·√Σ d÷(n(n−d)) ÷ |ln S|)"},
	{"service_level", "Service level by the third of the formulas in use, which nothing flatters: who hung up and who was sent to voicemail count as not answered within T.", "answered within T ÷ (answered + missed)"},
	{"service_level_interval", "Wilson 95 % interval of service_level.", ""},
	{"called_back", "Missed calls whose caller was called back within 24 hours, and reached.", ""},
	{"called_back_rate", "Share of the missed calls that were called back within 24 hours. Anonymous callers cannot be, and count.", "called_back ÷ missed"},
	{"called_back_rate_interval", "Wilson 95 % interval of called_back_rate.", ""},
	{"callback_median_seconds", "Median time from a missed call until its caller was reached by calling back. Those who have not been yet count as waits that go on. Null while fewer than half were.", "smallest t with S(t) ≤ ½"},
	{"callback_p90_seconds", "90th percentile of the same.", ""},
	{"first_contacts", "Answered calls of identified callers that began a matter: no answered call about it in the seven days before. Calls of one caller are about the same matter when they share a tag, or one of them has none; spam, wrong numbers and tests are left out. Null until seven days after the period.", ""},
	{"first_contact_rate", "Share of first_contacts after which the caller did not call about the same matter for seven days.", "without a further call ÷ first_contacts"},
	{"first_contact_rate_interval", "Wilson 95 % interval of first_contact_rate.", ""},
	{"days", "Elapsed time of the period in units of 24 hours: a day of 23 hours is shorter, and of a period that still runs only what has been counts.", ""},
	{"numbers", "Tracking numbers that belonged to the pool, on average over the part of the range that has been. Draining numbers count until they leave.", "Σ time in the pool ÷ range"},
	{"utilisation", "Share of the numbers' time in which they were lent, tails included.", "Σ lease time ÷ Σ time in the pool"},
	{"visitors", "Sessions that began inside the range and wanted one of the pool's numbers.", ""},
	{"overflow", "Sessions that wanted a number and never had one of their own.", ""},
	{"overflow_share", "Share of the pool's visitors who never had a number of their own. Null without visitors.", "overflow ÷ visitors"},
	{"capped", "Sessions that were refused because their address or network had its share of the pool.", ""},
	{"reuse_gap_minutes", "Mean time from a visitor's last look at a number until somebody else was shown it. Null while no number came round again.", ""},
	{"contaminated", "Calls of the pool by a caller who is known to belong to somebody else than who held the number.", ""},
	{"expected_accuracy", "Share of the calls that are expected to come before their number is shown to somebody else, from the gaps as they were and how long callers wait.", "mean over releases of 1 − Σ wᵢ·exp(−gap ÷ mᵢ); a number not shown again within eight days counts 1"},
	{"speed", "Opportunities a day: persons' attempts to reach the business, where calls of one number at most 30 minutes apart are one attempt.", "v = opportunities ÷ elapsed days"},
	{"opportunities", "Attempts of persons to reach the business: by phone, by a form or by a chat. Spam, wrong numbers, tests and hang-ups under 5 seconds are left out.", ""},
	{"reached", "Share of opportunities that a person answered, or that were called back, or whose form or chat was answered, within 24 hours.", "reached ÷ opportunities"},
	{"prompt", "Goodwill left after waiting, over those who were reached: 1 up to the target T (20 seconds unless set otherwise), half when a person waits θ beyond it. θ is the median patience of the account's own callers (Kaplan-Meier over the year before the end of the baseline, answered calls censored) once 50 of them have given up, else 120 seconds, or what was set; it is frozen with the baseline.", "mean of 1 ÷ (1 + max(0, wait − T) ÷ θ)"},
	{"handled", "Mean score of the scored calls in which somebody spoke to the caller (answered, or called back with success), as a share of full marks.", ""},
	{"won", "Share of the genuine leads of the period that bought within 30 days; leads younger than that are left out.", "won ÷ leads"},
	{"kept", "Share of the sold value that was not given back.", "1 − refunds ÷ sales"},
	{"content", "Share of answering customers who are no detractors (NPS 0 to 6, CSAT 1 or 2).", "1 − detractors ÷ answers"},
	{"weight", "How heavy a customer is: one, and the repeat purchases and referred leads that 90 days of a customer bring.", "W = 1 + 90 × (repeats + referred leads) ÷ customer-days"},
	{"friction", "Share of the push that is lost on the way round.", "F = 1 − η, η = reached·prompt·handled·won·kept·content"},
	{"resistance", "Where friction is: the parts add up, as friction itself does not, so that they can be compared. Null when nothing is left of a part.", "μ = −ln η = Σ −ln(part)"},
	{"momentum", "Happy customers won per day, each counted with the 90 days of returns it brings, over the parts that were measured.", "L = v·η·W"},
	{"index", "Momentum against the baseline, which is 100, over the parts measured in both. Null without enough data.", "M = 100·L ÷ L₀"},
	{"index_smoothed", "The index of what was before the end of the period, where a fact of a half-life ago (14 days unless set otherwise) counts half: numerators and denominators alike. Its facts are those of the ten half-lives before the end: a report of that range links to their calls.", "M over counts weighed by 2^(−age ÷ half-life)"},
	{"index_smoothed_parts", "The parts over which the smoothed index is computed: those that were measured in what was before the end of the period, and in the baseline. They can be others than those of the index.", ""},
	{"segments", "What each source, campaign or agent moved the index by. Points add up to the index less 100; mix is how the same people divide among segments. A call belongs to the source and campaign of its attribution, a form or a chat to those that it names itself. A part that a segment has nobody to measure on is the account's. Its links list the calls of what it counts: by and segment, beside momentum, ask GET /v1/calls for the same of any segment.", "ℓ(Mg, Mg₀)·ln(part of g ÷ part of g in the baseline)"},
	{"levers", "What moving a part would bring, as momentum is proportional to each: half of what is missed, or half the gap to the account's own best month of the last twelve.", "points = M·(then ÷ now − 1); customers = L·days·(then ÷ now − 1); margin = opportunities·reached·won·(then ÷ now − 1)·margin of a sale"},
	{"behind", "What each part was computed from: numerator, denominator, and links that list exactly the calls. An attempt is listed by the call in which the caller was reached, or else by the one that began it. timed are those reached after a known wait, late those of them beyond the target, left_out calls that are no attempts; leads are old enough to be judged, won those of them that bought in time; of refunds something was given back; customers are those who bought before the end, each by the first purchase, repeats and referrals those of the return window before it; earned are the opportunities that follow from the period's, brought those of the period that customers brought; bought_before are those who bought in the return window before the last one that ends with the period, stayed those of them who bought again or sent somebody in the last, each by their first purchase of the one before. A form, a chat or a sale without a call counts and is not listed. A period that runs is linked as far as it has been. Of a frozen baseline the counts are as they were kept and the links list its period as the facts are now.", ""},
	{"alerts", "Times in which more was lost at a joint than chance explains: the statistic of the days, against the share lost in the baseline, was above 5. Lost are missed attempts, waits beyond the target, leads not won and detractors; of a scored call the marks it fell short of, of a sale the share given back. A joint is watched where the baseline measured it.", "S = max(0, S + z ÷ σ − 0.5); z = (lost − n·p) ÷ √(n·p·(1 − p)), of handled and kept (lost − n·p) ÷ (s·√n) with s the standard deviation of a case in the baseline; days lists n, lost and S from the day it rose; σ = mean |zᵢ − zᵢ₋₁| ÷ 1.128 of the baseline's days, at least 1"},
	{"interval", "95 % interval of the index. It has changed only when the interval leaves out 100.", "M·exp(±1.96·√Var ln M)"},
	{"change", "The difference to the baseline's 100 points, split over the parts without rest.", "ℓ(M, 100)·ln(part ÷ part of the baseline), ℓ the logarithmic mean"},
	{"changed", "Whether the index differs from 100 by more than chance explains.", "100 lies outside interval"},
	{"enough_data", "Whether every part of the index has the cases that it needs; missing says which has not, with what is needed and what was seen.", ""},
	{"parts", "The parts of friction and speed as measured, also where there are too few cases to use them.", ""},
	{"counts", "What the parts were counted from.", ""},
	{"phases", "Persons a day who reach each phase: attract (tried to reach the business), engage (were reached and won), delight (kept what they bought and are content), and the gain.", "attract = v, engage = v·reached·won, delight = v·reached·won·kept·content"},
	{"gain", "Opportunities that the customers of a period's opportunities brought in the return window after (90 days unless set otherwise), for each of its opportunities: customers who try to reach the business again after they bought, and persons whom they sent. Each is counted once, for the opportunity on which that customer last bought. The plain share of such opportunities among all is the same only when the wheel neither gains nor loses speed. Until gain_complete it can only grow. The wheel is said to turn by itself only when the lower end of gain_interval is above 1.", "earned opportunities of the period's customers ÷ opportunities"},
	{"earned_share", "Share of the period's opportunities that customers brought, by trying again after they bought or by sending somebody, however long ago they bought.", "brought ÷ opportunities"},
	{"stay", "Share of the customers who bought in the return window before the last one and in the last one bought again or sent somebody: the r of turn.", "stayed ÷ bought_before"},
	{"turn", "How the wheel goes on when nobody pushes, in steps of the return window: c customers for each opportunity (reached·won), d delighted for each customer (kept·content), f returns for each customer and step (weight − 1), r the share of the customers of the step before who came back or sent somebody. Null where these are not measured, or fewer than ten customers bought in the step before.", "gain = c·d·f ÷ (1 − r); growth = the largest root of ρ³ − r·ρ² − c·d·f; coast_days = step·ln 2 ÷ −ln ρ; settles at attract = pushes ÷ (1 − gain)"},
	{"sessions", "Sessions that came to the page. One that comes to it again is counted once.", ""},
	{"found", "Places on the page that show one of the printed numbers, of each session the most at a time.", ""},
	{"swapped", "Places on which the visitor's own number was shown instead, of each session the most at a time.", ""},
	{"failed", "Numbers that the script saw and did not swap, by why: input (a form field), noswap (marked so), format (words between its digits), rewritten (somebody writes the printed number again and again), late (the answer took over 0.8 s), no_target, overflow, excluded, other.", ""},
	{"flag", "swapped_nothing: no number was swapped for 24 hours while sessions went on. no_number: the same where no printed number was ever seen on the page and the site swaps elsewhere.", ""},
}

var attributionFigures = []string{
	"calls", "answered", "missed", "blocked", "first_time", "qualified", "credit", "revenue", "spend",
	"cost_per_call", "cost_per_qualified", "cost_per_lead", "cost_per_sale", "roi", "roi_interval", "roi_margin", "roas",
	"answered_rate", "answered_rate_interval", "qualified_rate", "qualified_rate_interval", "spend_provisional", "small", "rank", "model",
}

var roiFigures = append(append([]string{}, attributionFigures...), "horizons")

var agentFigures = []string{
	"offered", "answered", "ring_seconds", "ring_median_seconds", "ring_p90_seconds", "talk_seconds", "scored", "score", "score_interval", "scores_mixed", "score_adjusted", "score_shrunken",
	"score_shrunken_interval", "rank", "qualified", "qualified_rate", "qualified_rate_interval", "qualified_rate_shrunken",
	"sales", "revenue",
}

var dniFigures = []string{"sessions", "found", "swapped", "failed", "flag"}

var momentumFigures = []string{
	"speed", "friction", "resistance", "weight", "momentum", "index", "interval", "opportunities", "reached", "prompt", "handled",
	"won", "kept", "content", "days", "change", "changed", "enough_data", "parts", "counts", "phases", "gain", "earned_share", "stay", "turn",
	"index_smoothed", "index_smoothed_parts", "segments", "levers", "behind", "alerts",
}
