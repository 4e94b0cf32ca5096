package attribution

const attributedSource = `
SELECT CASE WHEN verdict = 'ambiguous' THEN '' ELSE source END
FROM attributions
WHERE account_id = ? AND call_id = ?`

const addAttribution = `
INSERT INTO attributions (
    account_id, ` + attributionColumns + `
)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (account_id, call_id) DO NOTHING`

const linkPerson = `
INSERT INTO person_links (account_id, alias, person, linked_at, call_id, known_at)
VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (account_id, alias) DO NOTHING`

// bindingOfNumber answers: what did the number stand for then?
const bindingOfNumber = `
SELECT source_id, pool_id, campaign
FROM number_bindings
WHERE account_id = ? AND number = ? AND bound_from <= ?
ORDER BY bound_from DESC
LIMIT 1`

// poolOfOverflow answers: whose overflow number was this then?
const poolOfOverflow = `
SELECT pool_id
FROM overflow_numbers
WHERE account_id = ? AND number = ? AND used_from <= ? AND (used_until IS NULL OR used_until > ?)
ORDER BY used_from DESC, pool_id
LIMIT 1`

// holdersOf answers: to whom was the number shown before that instant, and what
// is known of them? Later leases first. Links that were written down after the
// call was judged are not known.
const holdersOf = `
SELECT l.lease_id, l.number, l.pool_id, l.session_id, l.visitor_id, l.touch_id, l.leased_from, l.last_beat_at, l.left_at, l.leased_until, l.beat_seconds,
    COALESCE(t.source_id, '') AS source_id, COALESCE(t.source, '') AS source, COALESCE(t.medium, '') AS medium,
    COALESCE(t.campaign, '') AS campaign, COALESCE(s.region, '') AS region, COALESCE(s.device, '') AS device,
    COALESCE(p.person, '') AS person, COALESCE(p.known_at, 0) AS known_at
FROM (
    SELECT account_id, ` + leaseColumns + `
    FROM leases
    WHERE account_id = ? AND number = ? AND leased_from <= ?
    ORDER BY leased_from DESC, lease_id DESC
    LIMIT ?
) l
LEFT JOIN touches t ON t.account_id = l.account_id AND t.touch_id = l.touch_id
LEFT JOIN sessions s ON s.account_id = l.account_id AND s.session_id = l.session_id
LEFT JOIN person_links p ON p.account_id = l.account_id AND p.alias = l.visitor_id AND p.linked_at < ? AND p.known_at <= ?
ORDER BY l.leased_from DESC, l.lease_id DESC`

// linksOfCaller answers: how many visitors was this phone known to be, then?
const linksOfCaller = `
SELECT count(*) FROM person_links
WHERE account_id = ? AND person = ? AND linked_at < ? AND known_at <= ?`

// callsOfCaller counts the caller's earlier calls, a thousand at most, and
// whether one of them was to this number before its present holder had it.
const callsOfCaller = `
SELECT
    (SELECT count(*) FROM (
        SELECT call_id FROM calls
        WHERE account_id = ? AND from_e164 = ? AND started_at < ? AND direction = 'inbound'
        LIMIT 1000) own) AS own,
    (SELECT count(*) FROM (
        SELECT call_id FROM calls
        WHERE account_id = ? AND from_e164 = ? AND started_at < ? AND tracking_number = ? AND direction = 'inbound'
        LIMIT 1) here) AS here`

// callsBefore counts the account's earlier calls, as many as matter.
const callsBefore = `
SELECT count(*) FROM (
    SELECT call_id FROM calls
    WHERE account_id = ? AND started_at < ? AND direction = 'inbound'
    ORDER BY started_at DESC
    LIMIT ?) before`

// lastTouchOfCaller is the newest arrival of whoever the phone was known to be.
const lastTouchOfCaller = `
SELECT ` + touchColumns + `
FROM touches
WHERE account_id = ? AND touched_at <= ? AND person IN (
    SELECT alias FROM person_links WHERE account_id = ? AND person = ? AND linked_at < ? AND known_at <= ?)
ORDER BY CASE WHEN lower(source) = 'direct' THEN 1 ELSE 0 END, touched_at DESC, touch_id DESC
LIMIT 1`

const leaseByID = `
SELECT ` + leaseColumns + `
FROM leases
WHERE account_id = ? AND lease_id = ?`

const allAccounts = `SELECT account_id FROM accounts ORDER BY account_id`

const callColumns = `c.account_id, c.call_id, c.direction, COALESCE(c.from_kind, '') AS from_kind, COALESCE(c.from_e164, '') AS from_e164,
    COALESCE(c.tracking_number, '') AS tracking_number, c.started_at, c.shell`

const unattributedCalls = `
SELECT ` + callColumns + `
FROM calls c
LEFT JOIN attributions a ON a.account_id = c.account_id AND a.call_id = c.call_id
WHERE c.account_id = ? AND c.updated_at >= ? AND a.call_id IS NULL
  AND c.direction = 'inbound' AND c.tracking_number IS NOT NULL
  AND (NOT c.shell OR c.updated_at < ?)
ORDER BY c.updated_at, c.call_id
LIMIT ?`

const callsAfter = `
SELECT ` + callColumns + `
FROM calls c
WHERE (c.account_id, c.call_id) > (?, ?)
ORDER BY c.account_id, c.call_id
LIMIT ?`

const startOfCall = `
SELECT started_at FROM calls
WHERE account_id = ? AND call_id = ?`

const callExists = `
SELECT call_id FROM calls
WHERE account_id = ? AND call_id = ?`

const attributionColumns = `call_id, verdict, method, confidence, visitor_confidence, untracked_weight, background, contaminated,
    source_id, source, medium, campaign, term, content, click_ids, landing_page, referrer, visitor_id, session_id, lease_id, touch_id,
    pool_id, model_version, candidates, why, judged_at, attributed_at`

const attributionOfCall = `
SELECT ` + attributionColumns + `
FROM attributions
WHERE account_id = ? AND call_id = ?`

const attributionsOfCalls = `
SELECT ` + attributionColumns + `
FROM attributions
WHERE account_id = ? AND call_id IN (?)`

// countsOfTold reads what came together with something that a call told, and
// the totals.
const countsOfTold = `
SELECT told, given, calls,
    (SELECT count(*) FROM evidence_counts k WHERE k.account_id = e.account_id AND k.kind = e.kind AND k.given = '' AND k.told <> '') AS kinds
FROM evidence_counts e
WHERE e.account_id = ? AND e.kind = ? AND e.told IN (?, '')`

const addCount = `
INSERT INTO evidence_counts (account_id, kind, told, given, calls)
VALUES (?, ?, ?, ?, 1)
ON CONFLICT (account_id, kind, told, given) DO UPDATE SET calls = evidence_counts.calls + 1`
