-- +goose Up
-- What pools need to be planned: who asked them for a number and what came of
-- it.

-- first: a source's own number goes before the pool's; when_short: it is shown
-- only when the pool has none to lend.
ALTER TABLE pools ADD COLUMN source_numbers TEXT NOT NULL DEFAULT 'first';

ALTER TABLE sessions ADD COLUMN pool_id TEXT NOT NULL DEFAULT '';      -- the pool that was asked for a number
ALTER TABLE sessions ADD COLUMN lent TEXT NOT NULL DEFAULT '';         -- leased, or why never: empty, capped

UPDATE sessions
SET lent = 'leased',
    pool_id = (SELECT min(l.pool_id) FROM leases l WHERE l.account_id = sessions.account_id AND l.session_id = sessions.session_id)
WHERE EXISTS (SELECT 1 FROM leases l WHERE l.account_id = sessions.account_id AND l.session_id = sessions.session_id);

CREATE INDEX sessions_pool ON sessions (account_id, pool_id, started_at);
CREATE INDEX leases_pool ON leases (account_id, pool_id, leased_from);

-- A person said that the number is to be given back although it is still called.
ALTER TABLE tracking_numbers ADD COLUMN release_forced BOOLEAN NOT NULL DEFAULT FALSE;
