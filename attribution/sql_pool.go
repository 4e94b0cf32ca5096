package attribution

const leaseColumns = `lease_id, number, pool_id, session_id, visitor_id, touch_id, leased_from, last_beat_at, left_at, leased_until, beat_seconds`

const leaseOfSession = `
SELECT ` + leaseColumns + `
FROM leases
WHERE account_id = ? AND session_id = ?
  AND (CAST(? AS TEXT) = '' OR pool_id = ?)
ORDER BY leased_from DESC, lease_id DESC
LIMIT 1`

// A number's rows are claimed by the statement that locks them. free_at is the
// order of release, because the cooldown of a pool is the same for all of its
// numbers; %s is the row lock, empty on SQLite.
const claimRested = `
UPDATE pool_numbers
SET lease_id = ?, visitor_id = ?, leased_until = ?, free_at = ?
WHERE account_id = ?
  AND number = (
    SELECT number FROM pool_numbers
    WHERE account_id = ? AND pool_id = ? AND stocked AND free_at <= ?
    ORDER BY free_at, number
    LIMIT 1%s
  )
  AND free_at <= ?
RETURNING number`

// A short lease does not cut the rest that the last one had earned.
const claimOwn = `
UPDATE pool_numbers
SET lease_id = ?, leased_until = ?, free_at = CASE WHEN free_at < ? THEN ? ELSE free_at END, seen_at = ?
WHERE account_id = ?
  AND number = (
    SELECT number FROM pool_numbers
    WHERE account_id = ? AND pool_id = ? AND stocked AND visitor_id = ? AND leased_until <= ?
      AND (CAST(? AS TEXT) = '' OR number = ?)
    ORDER BY leased_until DESC, number
    LIMIT 1%s
  )
  AND leased_until <= ?
RETURNING number`

// runningLease answers: which number of the pool is this visitor's at the moment?
const runningLease = `
SELECT l.lease_id, l.number, l.pool_id, l.session_id, l.visitor_id, l.touch_id, l.leased_from, l.last_beat_at, l.left_at, l.leased_until, l.beat_seconds
FROM pool_numbers n
JOIN leases l ON l.account_id = n.account_id AND l.lease_id = n.lease_id
WHERE n.account_id = ? AND n.pool_id = ? AND n.visitor_id = ? AND n.leased_until > ?
ORDER BY l.leased_from DESC, l.lease_id DESC
LIMIT 1`

// A hold is never shortened: whoever sees the number was promised it. A page
// that is open keeps a number that drains, too.
const prolongNumber = `
UPDATE pool_numbers
SET lease_id = ?, visitor_id = ?,
    leased_until = CASE WHEN leased_until < ? THEN ? ELSE leased_until END,
    free_at = CASE WHEN free_at < ? THEN ? ELSE free_at END,
    seen_at = ?
WHERE account_id = ? AND number = ? AND pool_id = ?
  AND lease_id = ? AND leased_until > ?
  AND (stocked OR EXISTS (
    SELECT 1 FROM tracking_numbers t
    WHERE t.account_id = pool_numbers.account_id AND t.number = pool_numbers.number
      AND t.pool_id = pool_numbers.pool_id AND t.state = 'draining'
  ))`

const prolongLease = `
UPDATE leases
SET last_beat_at = CASE WHEN last_beat_at < ? THEN ? ELSE last_beat_at END,
    left_at = COALESCE(CAST(? AS BIGINT), left_at),
    leased_until = CASE WHEN leased_until < ? THEN ? ELSE leased_until END
WHERE account_id = ? AND lease_id = ?
RETURNING leased_until`

// The next lease of the same session and number begins where this one ends:
// only the future is cut off, so no past instant changes hands.
const cutLease = `
UPDATE leases SET leased_until = ?
WHERE account_id = ? AND lease_id = ?`

const addLease = `
INSERT INTO leases (account_id, ` + leaseColumns + `)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`

// Numbers that are on the right shelf already are left out before the insert:
// ON CONFLICT would lock them all, and with them every claim under way.
const stockNumbers = `
INSERT INTO pool_numbers (account_id, number, pool_id)
SELECT t.account_id, t.number, t.pool_id
FROM tracking_numbers t
JOIN pools p ON p.account_id = t.account_id AND p.pool_id = t.pool_id AND p.retired_at IS NULL
WHERE t.account_id = ? AND t.state = 'active'
  AND NOT EXISTS (
    SELECT 1 FROM pools o
    WHERE o.account_id = t.account_id AND o.overflow_number_id = t.number_id AND o.retired_at IS NULL
  )
  AND NOT EXISTS (
    SELECT 1 FROM pool_numbers n
    WHERE n.account_id = t.account_id AND n.number = t.number AND n.pool_id = t.pool_id AND n.stocked
  )
ORDER BY t.number
ON CONFLICT (account_id, number) DO UPDATE
SET pool_id = excluded.pool_id, stocked = TRUE`

const unstockNumbers = `
UPDATE pool_numbers SET stocked = FALSE
WHERE account_id = ? AND stocked
  AND NOT EXISTS (
    SELECT 1
    FROM tracking_numbers t
    JOIN pools p ON p.account_id = t.account_id AND p.pool_id = t.pool_id AND p.retired_at IS NULL
    WHERE t.account_id = pool_numbers.account_id AND t.number = pool_numbers.number
      AND t.pool_id = pool_numbers.pool_id AND t.state = 'active'
      AND NOT EXISTS (
        SELECT 1 FROM pools o
        WHERE o.account_id = t.account_id AND o.overflow_number_id = t.number_id AND o.retired_at IS NULL
      )
  )`

const accountsWithPools = `SELECT DISTINCT account_id FROM pools WHERE retired_at IS NULL ORDER BY account_id`

// activeSourceNumber answers: does this source have a number of its own that
// may be shown to an arrival of this campaign? One bound to the campaign wins.
const activeSourceNumber = `
SELECT number
FROM tracking_numbers
WHERE account_id = ? AND source_id = ? AND pool_id = '' AND state = 'active'
  AND (campaign = '' OR lower(campaign) = lower(?))
ORDER BY CASE WHEN campaign = '' THEN 1 ELSE 0 END, number_id
LIMIT 1`

const overflowNumber = `
SELECT number
FROM tracking_numbers
WHERE account_id = ? AND number_id = ? AND state = 'active'`
