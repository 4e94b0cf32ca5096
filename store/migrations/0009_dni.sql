-- +goose Up
-- How the browser's script behaves on a site, and whether it swaps anything.

ALTER TABLE sites ADD COLUMN cookie_days BIGINT NOT NULL DEFAULT 90;          -- how long a browser is recognised
ALTER TABLE sites ADD COLUMN cookieless BOOLEAN NOT NULL DEFAULT FALSE;       -- nothing is kept beyond the tab
ALTER TABLE sites ADD COLUMN respect_dnt BOOLEAN NOT NULL DEFAULT FALSE;      -- Do Not Track counts as a refusal
ALTER TABLE sites ADD COLUMN consent_mode TEXT NOT NULL DEFAULT 'ignored';    -- ignored, analytics_storage, ad_storage

-- What was counted of a session's pages already, so that telling it again
-- counts nothing: JSON of attribution.sessionPages.
ALTER TABLE sessions ADD COLUMN pages TEXT NOT NULL DEFAULT '';

-- One row per page of a site on which the script ran.
CREATE TABLE swap_pages (
    account_id        TEXT NOT NULL,
    site_id           TEXT NOT NULL,
    page              TEXT NOT NULL,                       -- the path of its address; '(other)' for all beyond the limit
    first_session_at  BIGINT NOT NULL,
    last_session_at   BIGINT NOT NULL,
    last_swapped_at   BIGINT NOT NULL DEFAULT 0,           -- 0: never
    silent_since      BIGINT NOT NULL DEFAULT 0,           -- first session since the last swap; 0: none
    numbered          BOOLEAN NOT NULL DEFAULT FALSE,      -- a printed number was seen on it
    PRIMARY KEY (account_id, site_id, page)
) /*STRICT*/;

-- The sums of a page and a day.
CREATE TABLE swap_days (
    account_id  TEXT NOT NULL,
    site_id     TEXT NOT NULL,
    page        TEXT NOT NULL,
    day         BIGINT NOT NULL,                           -- the day's first instant in the account's zone
    sessions    BIGINT NOT NULL DEFAULT 0,
    found       BIGINT NOT NULL DEFAULT 0,
    swapped     BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (account_id, site_id, page, day)
) /*STRICT*/;
CREATE INDEX swap_days_day ON swap_days (account_id, day);

CREATE TABLE swap_failures (
    account_id  TEXT NOT NULL,
    site_id     TEXT NOT NULL,
    page        TEXT NOT NULL,
    day         BIGINT NOT NULL,
    why         TEXT NOT NULL,                             -- a reason code of the script
    failed      BIGINT NOT NULL,
    PRIMARY KEY (account_id, site_id, page, day, why)
) /*STRICT*/;
