package attribution

const visitorOfSession = `
SELECT visitor_id FROM sessions
WHERE account_id = ? AND session_id = ?`

const seeVisitor = `
UPDATE visitors SET last_seen_at = ?
WHERE account_id = ? AND visitor_id = ?`

const addVisitor = `
INSERT INTO visitors (account_id, visitor_id, site_id, first_seen_at, last_seen_at)
VALUES (?, ?, ?, ?, ?)
ON CONFLICT (account_id, visitor_id) DO NOTHING`

const sessionColumns = `session_id, visitor_id, site_id, started_at, last_beat_at, touch_id`

const newestSession = `
SELECT ` + sessionColumns + `
FROM sessions
WHERE account_id = ? AND visitor_id = ?
ORDER BY started_at DESC, session_id DESC
LIMIT 1`

const sessionByID = `
SELECT ` + sessionColumns + `
FROM sessions
WHERE account_id = ? AND session_id = ?`

const addSession = `
INSERT INTO sessions (account_id, session_id, visitor_id, site_id, started_at, last_beat_at, touch_id, region, device)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`

const seeSession = `
UPDATE sessions SET last_beat_at = ?, touch_id = ?
WHERE account_id = ? AND session_id = ?`

const beatSession = `
UPDATE sessions
SET last_beat_at = CASE WHEN last_beat_at >= ? AND last_beat_at < ? THEN ? ELSE last_beat_at END,
    swapped = ?, found = ?, failed = ?
WHERE account_id = ? AND session_id = ?`

const touchColumns = `touch_id, person, session_id, touched_at, source_id, source, medium, campaign, term, content,
    click_ids, landing_page, referrer, rule`

const touchByID = `
SELECT ` + touchColumns + `
FROM touches
WHERE account_id = ? AND touch_id = ?`

const lastKnownTouch = `
SELECT ` + touchColumns + `
FROM touches
WHERE account_id = ? AND person = ? AND touched_at >= ? AND lower(source) <> 'direct'
ORDER BY touched_at DESC, touch_id DESC
LIMIT 1`

const addTouch = `
INSERT INTO touches (account_id, ` + touchColumns + `, created_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
