-- +goose Up
-- What the owner learns. Spend is a fact; daily facts are prepared ahead and
-- can always be rebuilt.

CREATE TABLE spend (
    account_id   TEXT NOT NULL REFERENCES accounts (account_id),
    spend_id     TEXT NOT NULL,
    source       TEXT NOT NULL,
    medium       TEXT NOT NULL DEFAULT '',
    campaign     TEXT NOT NULL DEFAULT '',
    from_on      TEXT NOT NULL,                            -- YYYY-MM-DD, the account's zone
    until_on     TEXT NOT NULL,                            -- the day after the last
    cost_micros  BIGINT NOT NULL,
    currency     TEXT NOT NULL,
    created_at   BIGINT NOT NULL,
    updated_at   BIGINT NOT NULL,
    PRIMARY KEY (account_id, spend_id)
) /*STRICT*/;
CREATE UNIQUE INDEX spend_key ON spend (account_id, source, medium, campaign, from_on, until_on);

-- Calls of one day of the account's zone, counted by what they were attributed
-- to. Rebuilt whenever a call of that day, or a judgement about one, changes.
CREATE TABLE daily_facts (
    account_id        TEXT NOT NULL,
    day_on            TEXT NOT NULL,                       -- YYYY-MM-DD, the account's zone
    source_id         TEXT NOT NULL,
    source            TEXT NOT NULL,                       -- the literal 'untracked' where no source is known
    medium            TEXT NOT NULL,
    campaign          TEXT NOT NULL,
    calls             BIGINT NOT NULL,
    answered          BIGINT NOT NULL,
    missed            BIGINT NOT NULL,
    blocked           BIGINT NOT NULL,                     -- refused by a rule; not among calls
    first_time        BIGINT NOT NULL,
    qualified         BIGINT NOT NULL,
    PRIMARY KEY (account_id, day_on, source_id, source, medium, campaign)
) /*STRICT*/;

-- Where each call was last counted: a call that has moved to another day, or
-- turned out to be somebody else's, takes its old day along.
CREATE TABLE daily_calls (
    account_id  TEXT NOT NULL,
    call_id     TEXT NOT NULL,
    day_on      TEXT NOT NULL,
    started_at  BIGINT NOT NULL,
    caller      TEXT NOT NULL,                             -- E.164, '' when not known
    PRIMARY KEY (account_id, call_id)
) /*STRICT*/;
CREATE INDEX daily_calls_day ON daily_calls (account_id, day_on);

-- Which days are prepared. A day without a mark, or with a stale one, is
-- answered from the calls themselves.
CREATE TABLE daily_marks (
    account_id   TEXT NOT NULL,
    day_on       TEXT NOT NULL,
    rolled_at    BIGINT NOT NULL,                          -- 0: stale, to be rolled up again
    PRIMARY KEY (account_id, day_on)
) /*STRICT*/;
CREATE INDEX daily_marks_stale ON daily_marks (account_id, day_on) WHERE rolled_at = 0;

-- How far changes have been followed, and for which zone the days were cut.
CREATE TABLE daily_states (
    account_id  TEXT PRIMARY KEY,
    tz          TEXT NOT NULL,
    seen_until  BIGINT NOT NULL                            -- every change stamped before it has marked its days
) /*STRICT*/;

-- What changed lately, and what happened in a range: the questions of reports.
CREATE INDEX attributions_attributed ON attributions (account_id, attributed_at);
CREATE INDEX call_desks_updated ON call_desks (account_id, updated_at);
CREATE INDEX call_dispositions_given ON call_dispositions (account_id, given_at);
CREATE INDEX callbacks_called ON callbacks (account_id, called_at);
