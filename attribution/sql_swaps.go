package attribution

const pagesOfSession = `
SELECT pages FROM sessions
WHERE account_id = ? AND session_id = ?`

const keepPagesOfSession = `
UPDATE sessions SET pages = ?
WHERE account_id = ? AND session_id = ?`

const pageKnown = `
SELECT count(*) FROM swap_pages
WHERE account_id = ? AND site_id = ? AND page = ?`

const pagesOfSite = `
SELECT count(*) FROM swap_pages
WHERE account_id = ? AND site_id = ?`

const addSwapPage = `
INSERT INTO swap_pages (account_id, site_id, page, first_session_at, last_session_at)
VALUES (?, ?, ?, ?, ?)
ON CONFLICT (account_id, site_id, page) DO NOTHING`

const arriveAtPage = `
UPDATE swap_pages
SET last_session_at = ?, silent_since = CASE WHEN silent_since = 0 THEN ? ELSE silent_since END
WHERE account_id = ? AND site_id = ? AND page = ?`

const numberOnPage = `
UPDATE swap_pages SET numbered = TRUE
WHERE account_id = ? AND site_id = ? AND page = ?`

const swapOnPage = `
UPDATE swap_pages SET last_swapped_at = ?, silent_since = 0
WHERE account_id = ? AND site_id = ? AND page = ?`

const addSwapDay = `
INSERT INTO swap_days (account_id, site_id, page, day, sessions, found, swapped)
VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (account_id, site_id, page, day) DO UPDATE
SET sessions = swap_days.sessions + excluded.sessions, found = swap_days.found + excluded.found, swapped = swap_days.swapped + excluded.swapped`

const addSwapFailure = `
INSERT INTO swap_failures (account_id, site_id, page, day, why, failed)
VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (account_id, site_id, page, day, why) DO UPDATE
SET failed = swap_failures.failed + excluded.failed`

// One figure for the whole installation, without an account: a gauge carries
// none. SwapPage.Flag is the same in Go.
const silentPages = `
SELECT count(p.account_id)
FROM swap_pages p
JOIN sites s ON s.account_id = p.account_id AND s.site_id = p.site_id AND s.retired_at IS NULL
WHERE p.silent_since > 0 AND p.silent_since <= ? AND p.last_session_at > ?
  AND (p.numbered OR NOT EXISTS (
    SELECT 1 FROM swap_pages o
    WHERE o.account_id = p.account_id AND o.site_id = p.site_id AND o.last_swapped_at > ?
  ))`

const trimSwapFailures = `DELETE FROM swap_failures WHERE day < ?`

const trimSwapDays = `DELETE FROM swap_days WHERE day < ?`

const trimSwapPages = `DELETE FROM swap_pages WHERE last_session_at < ?`

const callsOfVisitor = `
SELECT count(*) FROM attributions
WHERE account_id = ? AND visitor_id = ? AND visitor_id <> ''`
