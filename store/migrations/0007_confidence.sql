-- +goose Up
-- How sure an attribution is, and what that was worked out with.

-- How often the page said that it was open: two intervals without a beat end a
-- stretch of presence. Leases from before were given 90 seconds.
ALTER TABLE leases ADD COLUMN beat_seconds BIGINT NOT NULL DEFAULT 45;
ALTER TABLE leases ADD COLUMN left_at BIGINT;                         -- when the page said that it was left; NULL while it has not

-- What a session tells about where and on what its visitor is, as far as
-- somebody said so; set once, when it starts.
ALTER TABLE sessions ADD COLUMN region TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN device TEXT NOT NULL DEFAULT '';      -- mobile, desktop

-- When the link was written down: a call that was judged before did not know it.
ALTER TABLE person_links ADD COLUMN known_at BIGINT NOT NULL DEFAULT 0;

ALTER TABLE attributions ADD COLUMN visitor_confidence DOUBLE PRECISION NOT NULL DEFAULT 0;
ALTER TABLE attributions ADD COLUMN untracked_weight DOUBLE PRECISION NOT NULL DEFAULT 1;
ALTER TABLE attributions ADD COLUMN contaminated BOOLEAN NOT NULL DEFAULT FALSE; -- a known caller on a number that has gone to somebody else
ALTER TABLE attributions ADD COLUMN background DOUBLE PRECISION NOT NULL DEFAULT 0; -- calls per hour from beyond the candidates
ALTER TABLE attributions ADD COLUMN judged_at BIGINT NOT NULL DEFAULT 0;         -- nothing that was written down later was considered
UPDATE attributions SET untracked_weight = 1 - confidence WHERE verdict IN ('winner', 'source');
UPDATE attributions SET visitor_confidence = confidence WHERE verdict = 'winner';
CREATE INDEX attributions_pool ON attributions (account_id, pool_id, attributed_at);

-- How long people wait before they call, fitted to an account's own calls. Only
-- ever added to: every attribution names the version that it was made with.
CREATE TABLE delay_models (
    account_id   TEXT NOT NULL REFERENCES accounts (account_id),
    version      BIGINT NOT NULL,
    fitted_at    BIGINT NOT NULL,                          -- counts for calls that start from then on
    calls        BIGINT NOT NULL,                          -- calls it was fitted to
    identified   BIGINT NOT NULL,                          -- of them, by people who were known otherwise
    parameters   TEXT NOT NULL,                            -- JSON of attribution.Delays
    PRIMARY KEY (account_id, version)
) /*STRICT*/;

-- How often something told by a call (the caller's area, the kind of line) came
-- together with something known of a visitor (region, device), over the calls
-- whose visitor was sure without it. '' on either side is the total.
CREATE TABLE evidence_counts (
    account_id  TEXT NOT NULL REFERENCES accounts (account_id),
    kind        TEXT NOT NULL,                             -- area, device
    told        TEXT NOT NULL,
    given       TEXT NOT NULL,
    calls       BIGINT NOT NULL,
    PRIMARY KEY (account_id, kind, told, given)
) /*STRICT*/;

-- How likely past holders of a number still are to call it: what decides which
-- number is lent next. One figure for each part of the delay mixture, as of
-- mass_at; the present or last holder is not in it yet, but in seen_at.
ALTER TABLE pool_numbers ADD COLUMN mass TEXT NOT NULL DEFAULT '[]';  -- JSON list
ALTER TABLE pool_numbers ADD COLUMN mass_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE pool_numbers ADD COLUMN seen_at BIGINT NOT NULL DEFAULT 0; -- 0: never shown
