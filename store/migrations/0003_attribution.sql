-- +goose Up
-- Which touch earned the call.

CREATE TABLE sources (
    account_id  TEXT NOT NULL REFERENCES accounts (account_id),
    source_id   TEXT NOT NULL,
    name        TEXT NOT NULL,
    folded      TEXT NOT NULL,                             -- lower-case name: names are unique whatever the case
    medium      TEXT NOT NULL DEFAULT '',
    kind        TEXT NOT NULL DEFAULT 'online',            -- online, offline
    rules       TEXT NOT NULL DEFAULT '[]',                -- JSON of []attribution.Rule, ordered
    position    BIGINT NOT NULL DEFAULT 0,                 -- sources are tried in this order
    version     BIGINT NOT NULL DEFAULT 1,
    created_at  BIGINT NOT NULL,
    retired_at  BIGINT,
    PRIMARY KEY (account_id, source_id)
) /*STRICT*/;
CREATE UNIQUE INDEX sources_name ON sources (account_id, folded) WHERE retired_at IS NULL;

-- Every name that a source ever had, and who had it last: spend that was booked
-- on a former name belongs to the source as it is called now.
CREATE TABLE source_names (
    account_id  TEXT NOT NULL,
    folded      TEXT NOT NULL,
    source_id   TEXT NOT NULL,
    named_at    BIGINT NOT NULL,
    PRIMARY KEY (account_id, folded)
) /*STRICT*/;

CREATE TABLE pools (
    account_id          TEXT NOT NULL REFERENCES accounts (account_id),
    pool_id             TEXT NOT NULL,
    name                TEXT NOT NULL,
    destination         TEXT NOT NULL DEFAULT '',
    lease_tail_seconds  BIGINT NOT NULL DEFAULT 1800,
    cooldown_seconds    BIGINT NOT NULL DEFAULT 600,
    overflow_number_id  TEXT NOT NULL DEFAULT '',
    version             BIGINT NOT NULL DEFAULT 1,
    created_at          BIGINT NOT NULL,
    retired_at          BIGINT,
    PRIMARY KEY (account_id, pool_id)
) /*STRICT*/;
CREATE UNIQUE INDEX pools_name ON pools (account_id, lower(name)) WHERE retired_at IS NULL;

-- Which number everybody was shown while a pool had none free, and when. The
-- first use of a number reaches back without end.
CREATE TABLE overflow_numbers (
    account_id  TEXT NOT NULL,
    number      TEXT NOT NULL,
    pool_id     TEXT NOT NULL,
    used_from   BIGINT NOT NULL,
    used_until  BIGINT,                                    -- exclusive; NULL while it is
    PRIMARY KEY (account_id, number, pool_id, used_from)
) /*STRICT*/;

-- One row per number that a pool lends. The claim lives on this row.
CREATE TABLE pool_numbers (
    account_id        TEXT NOT NULL,
    number            TEXT NOT NULL,
    pool_id           TEXT NOT NULL,
    lease_id          TEXT NOT NULL DEFAULT '',            -- the lease that holds it; '' when nobody does
    visitor_id        TEXT NOT NULL DEFAULT '',            -- who held it last: a returning visitor gets it back
    leased_until      BIGINT NOT NULL DEFAULT 0,           -- end of the tail of the present or last lease
    free_at           BIGINT NOT NULL DEFAULT 0,           -- leased_until plus the cooldown: may be lent again, the smallest first
    stocked           BOOLEAN NOT NULL DEFAULT TRUE,       -- false: no longer lent, kept for its history
    PRIMARY KEY (account_id, number)
) /*STRICT*/;
CREATE INDEX pool_numbers_free ON pool_numbers (account_id, pool_id, free_at, number);
CREATE INDEX pool_numbers_visitor ON pool_numbers (account_id, pool_id, visitor_id);

CREATE TABLE sites (
    account_id  TEXT NOT NULL REFERENCES accounts (account_id),
    site_id     TEXT NOT NULL,
    name        TEXT NOT NULL,
    site_key    TEXT NOT NULL,
    origins     TEXT NOT NULL DEFAULT '[]',                -- JSON list of allowed origins
    pool_id     TEXT NOT NULL DEFAULT '',
    swap        TEXT NOT NULL DEFAULT '[]',                -- JSON list of printed numbers to replace, E.164
    consent     TEXT NOT NULL DEFAULT 'not_required',      -- not_required, required
    version     BIGINT NOT NULL DEFAULT 1,
    created_at  BIGINT NOT NULL,
    retired_at  BIGINT,
    PRIMARY KEY (account_id, site_id)
) /*STRICT*/;
CREATE UNIQUE INDEX sites_key ON sites (site_key);
CREATE UNIQUE INDEX sites_name ON sites (account_id, lower(name)) WHERE retired_at IS NULL;

CREATE TABLE visitors (
    account_id     TEXT NOT NULL,
    visitor_id     TEXT NOT NULL,
    site_id        TEXT NOT NULL,
    first_seen_at  BIGINT NOT NULL,
    last_seen_at   BIGINT NOT NULL,
    PRIMARY KEY (account_id, visitor_id)
) /*STRICT*/;
CREATE INDEX visitors_seen ON visitors (last_seen_at);

CREATE TABLE sessions (
    account_id    TEXT NOT NULL,
    session_id    TEXT NOT NULL,
    visitor_id    TEXT NOT NULL,
    site_id       TEXT NOT NULL,
    started_at    BIGINT NOT NULL,
    last_beat_at  BIGINT NOT NULL,
    touch_id      TEXT NOT NULL DEFAULT '',                -- the touch that describes this session (never direct over a known one)
    swapped       BIGINT NOT NULL DEFAULT 0,
    found         BIGINT NOT NULL DEFAULT 0,
    failed        BIGINT NOT NULL DEFAULT 0,               -- printed numbers that the script could not replace
    PRIMARY KEY (account_id, session_id)
) /*STRICT*/;
CREATE INDEX sessions_visitor ON sessions (account_id, visitor_id, started_at);

-- One arrival with evidence of where it came from. `person` is the visitor id,
-- or for imported touches the person named in the file.
CREATE TABLE touches (
    account_id    TEXT NOT NULL,
    touch_id      TEXT NOT NULL,
    person        TEXT NOT NULL,
    session_id    TEXT NOT NULL DEFAULT '',
    touched_at    BIGINT NOT NULL,
    source_id     TEXT NOT NULL DEFAULT '',
    source        TEXT NOT NULL,
    medium        TEXT NOT NULL DEFAULT '',
    campaign      TEXT NOT NULL DEFAULT '',
    term          TEXT NOT NULL DEFAULT '',
    content       TEXT NOT NULL DEFAULT '',
    click_ids     TEXT NOT NULL DEFAULT '{}',              -- JSON object, kept verbatim
    landing_page  TEXT NOT NULL DEFAULT '',
    referrer      TEXT NOT NULL DEFAULT '',
    rule          TEXT NOT NULL DEFAULT '',                -- which rule said so, with its version
    created_at    BIGINT NOT NULL,
    PRIMARY KEY (account_id, touch_id)
) /*STRICT*/;
CREATE INDEX touches_person ON touches (account_id, person, touched_at);
CREATE INDEX touches_touched ON touches (account_id, touched_at);

-- Lease history: append-only but for the end of the running lease. It answers
-- "who held this number at that instant" for ever. A lease is one stretch of
-- presence and its tail; a session that comes back begins the next one.
CREATE TABLE leases (
    account_id    TEXT NOT NULL,
    lease_id      TEXT NOT NULL,
    number        TEXT NOT NULL,
    pool_id       TEXT NOT NULL,
    session_id    TEXT NOT NULL,
    visitor_id    TEXT NOT NULL,
    touch_id      TEXT NOT NULL,
    leased_from   BIGINT NOT NULL,
    last_beat_at  BIGINT NOT NULL,
    leased_until  BIGINT NOT NULL,                         -- end of the tail, exclusive
    PRIMARY KEY (account_id, lease_id)
) /*STRICT*/;
CREATE INDEX leases_number ON leases (account_id, number, leased_from);
CREATE INDEX leases_session ON leases (account_id, session_id);

-- Two names of one person: a visitor and the number they called from.
CREATE TABLE person_links (
    account_id  TEXT NOT NULL,
    alias       TEXT NOT NULL,                             -- visitor id or the name used in an import
    person      TEXT NOT NULL,                             -- E.164 of the caller
    linked_at   BIGINT NOT NULL,
    call_id     TEXT NOT NULL DEFAULT '',                  -- the call that proved it
    PRIMARY KEY (account_id, alias)
) /*STRICT*/;
CREATE INDEX person_links_person ON person_links (account_id, person);

CREATE TABLE attributions (
    account_id     TEXT NOT NULL,
    call_id        TEXT NOT NULL,
    verdict        TEXT NOT NULL,                          -- winner, source, untracked
    method         TEXT NOT NULL,                          -- lease, lease_tail, source_number, overflow_number, imported, none
    confidence     DOUBLE PRECISION NOT NULL,
    source_id      TEXT NOT NULL DEFAULT '',
    source         TEXT NOT NULL DEFAULT '',
    medium         TEXT NOT NULL DEFAULT '',
    campaign       TEXT NOT NULL DEFAULT '',
    term           TEXT NOT NULL DEFAULT '',
    content        TEXT NOT NULL DEFAULT '',
    click_ids      TEXT NOT NULL DEFAULT '{}',
    landing_page   TEXT NOT NULL DEFAULT '',
    referrer       TEXT NOT NULL DEFAULT '',
    visitor_id     TEXT NOT NULL DEFAULT '',
    session_id     TEXT NOT NULL DEFAULT '',
    lease_id       TEXT NOT NULL DEFAULT '',
    touch_id       TEXT NOT NULL DEFAULT '',
    pool_id        TEXT NOT NULL DEFAULT '',
    model_version  TEXT NOT NULL,
    candidates     TEXT NOT NULL DEFAULT '[]',             -- JSON: every holder considered, with weight and evidence
    why            TEXT NOT NULL DEFAULT '[]',             -- JSON: sentences for a person
    attributed_at  BIGINT NOT NULL,
    PRIMARY KEY (account_id, call_id)
) /*STRICT*/;
CREATE INDEX attributions_visitor ON attributions (account_id, visitor_id) WHERE visitor_id <> '';
