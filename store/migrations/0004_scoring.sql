-- +goose Up
-- What the call was worth: judgements are rows with author and time; nothing is
-- overwritten, the latest counts.

CREATE TABLE agents (
    account_id  TEXT NOT NULL REFERENCES accounts (account_id),
    agent_id    TEXT NOT NULL,
    name        TEXT NOT NULL,
    phone       TEXT NOT NULL DEFAULT '',                  -- E.164 of the phone that rings; links a bridged leg to the person
    email       TEXT NOT NULL DEFAULT '',
    version     BIGINT NOT NULL DEFAULT 1,
    created_at  BIGINT NOT NULL,
    retired_at  BIGINT,
    PRIMARY KEY (account_id, agent_id)
) /*STRICT*/;
CREATE UNIQUE INDEX agents_phone ON agents (account_id, phone) WHERE phone <> '' AND retired_at IS NULL;

-- Whose a phone was when: a call stays with whoever had the phone that was
-- bridged, whatever becomes of phone and agent later.
CREATE TABLE agent_phones (
    account_id  TEXT NOT NULL,
    agent_id    TEXT NOT NULL,
    phone       TEXT NOT NULL,
    held_from   BIGINT NOT NULL,
    held_until  BIGINT,                                    -- exclusive; NULL while it is theirs
    PRIMARY KEY (account_id, agent_id, phone, held_from)
) /*STRICT*/;
CREATE INDEX agent_phones_phone ON agent_phones (account_id, phone, held_from);

CREATE TABLE tags (
    account_id  TEXT NOT NULL REFERENCES accounts (account_id),
    tag_id      TEXT NOT NULL,
    name        TEXT NOT NULL,
    folded      TEXT NOT NULL,                             -- case-folded NFC of the name: what makes it unique
    version     BIGINT NOT NULL DEFAULT 1,
    created_at  BIGINT NOT NULL,
    retired_at  BIGINT,
    PRIMARY KEY (account_id, tag_id)
) /*STRICT*/;
CREATE UNIQUE INDEX tags_name ON tags (account_id, folded) WHERE retired_at IS NULL;

CREATE TABLE call_tags (
    account_id  TEXT NOT NULL,
    call_id     TEXT NOT NULL,
    tag_id      TEXT NOT NULL,
    tagged_at   BIGINT NOT NULL,
    tagged_by   TEXT NOT NULL,
    PRIMARY KEY (account_id, call_id, tag_id)
) /*STRICT*/;
CREATE INDEX call_tags_tag ON call_tags (account_id, tag_id);

CREATE TABLE dispositions (
    account_id      TEXT NOT NULL REFERENCES accounts (account_id),
    disposition_id  TEXT NOT NULL,
    name            TEXT NOT NULL,
    folded          TEXT NOT NULL,
    qualified       BOOLEAN NOT NULL,
    stage           TEXT NOT NULL,                         -- none, lead, qualified, won
    genuine         BOOLEAN NOT NULL,                      -- false: spam, wrong number, test
    position        BIGINT NOT NULL DEFAULT 0,
    version         BIGINT NOT NULL DEFAULT 1,
    created_at      BIGINT NOT NULL,
    retired_at      BIGINT,
    PRIMARY KEY (account_id, disposition_id)
) /*STRICT*/;
CREATE UNIQUE INDEX dispositions_name ON dispositions (account_id, folded) WHERE retired_at IS NULL;

-- The desk's present view of a call: the row that writes lock and whose
-- version is the ETag. Everything in it can be rebuilt from the judgements.
CREATE TABLE call_desks (
    account_id      TEXT NOT NULL,
    call_id         TEXT NOT NULL,
    version         BIGINT NOT NULL,
    disposition_id  TEXT NOT NULL DEFAULT '',
    disposed_at     BIGINT,
    agent_id        TEXT NOT NULL DEFAULT '',              -- set by hand or by an import; otherwise whoever's phone answered
    score_ppm       BIGINT,                                -- mean score of the call over its scorers, millionths of full marks
    scores          BIGINT NOT NULL DEFAULT 0,
    updated_at      BIGINT NOT NULL,
    PRIMARY KEY (account_id, call_id)
) /*STRICT*/;
CREATE INDEX call_desks_disposition ON call_desks (account_id, disposition_id);

-- Every judgement ever given, who gave it and when.
CREATE TABLE judgements (
    account_id    TEXT NOT NULL,
    judgement_id  TEXT NOT NULL,
    call_id       TEXT NOT NULL,
    at            BIGINT NOT NULL,
    actor         TEXT NOT NULL,                           -- user_…, token_…, import
    kind          TEXT NOT NULL,                           -- tagged, untagged, disposed, scored, sold, noted, feedback, called_back, assigned
    detail        TEXT NOT NULL,                           -- JSON
    PRIMARY KEY (account_id, judgement_id)
) /*STRICT*/;
CREATE INDEX judgements_call ON judgements (account_id, call_id, at);

-- A disposition given to a call; the latest (given_at, then id) counts. A
-- person's lead_at, qualified_at and won_at are the first of that stage or later.
CREATE TABLE call_dispositions (
    account_id      TEXT NOT NULL,
    judgement_id    TEXT NOT NULL,
    call_id         TEXT NOT NULL,
    disposition_id  TEXT NOT NULL,
    given_at        BIGINT NOT NULL,
    given_by        TEXT NOT NULL,
    PRIMARY KEY (account_id, judgement_id)
) /*STRICT*/;
CREATE INDEX call_dispositions_call ON call_dispositions (account_id, call_id, given_at);

CREATE TABLE scorecards (
    account_id    TEXT NOT NULL REFERENCES accounts (account_id),
    scorecard_id  TEXT NOT NULL,
    version       BIGINT NOT NULL,                         -- every change of the rubric is a new version
    name          TEXT NOT NULL,
    folded        TEXT NOT NULL DEFAULT '',
    criteria      TEXT NOT NULL,                           -- JSON of []scoring.Criterion
    current       BOOLEAN NOT NULL,
    created_at    BIGINT NOT NULL,
    retired_at    BIGINT,
    PRIMARY KEY (account_id, scorecard_id, version)
) /*STRICT*/;
CREATE UNIQUE INDEX scorecards_name ON scorecards (account_id, folded) WHERE current AND retired_at IS NULL AND folded <> '';

CREATE TABLE scores (
    account_id         TEXT NOT NULL,
    score_id           TEXT NOT NULL,
    call_id            TEXT NOT NULL,
    scorecard_id       TEXT NOT NULL,
    scorecard_version  BIGINT NOT NULL,
    scorer             TEXT NOT NULL,
    marks              TEXT NOT NULL,                      -- JSON: criterion → level or null (not applicable)
    comment            TEXT NOT NULL DEFAULT '',
    points_ppm         BIGINT,                             -- null: no criterion applied; 0 when a critical one failed
    uncritical_ppm     BIGINT,                             -- the score without the critical failure
    auto_failed        BOOLEAN NOT NULL,
    scored_at          BIGINT NOT NULL,
    superseded_at      BIGINT,                             -- the same scorer scored again with the same card
    PRIMARY KEY (account_id, score_id)
) /*STRICT*/;
CREATE INDEX scores_call ON scores (account_id, call_id);
-- One scorer has one valid score per call and card.
CREATE UNIQUE INDEX scores_valid ON scores (account_id, call_id, scorecard_id, scorer) WHERE superseded_at IS NULL;

CREATE TABLE sales (
    account_id    TEXT NOT NULL,
    sale_id       TEXT NOT NULL,
    call_id       TEXT NOT NULL,
    person        TEXT NOT NULL,                           -- E.164 of the caller, or 'call:' and the id when there is none
    value_micros  BIGINT NOT NULL,                         -- negative for a refund
    margin_micros BIGINT,
    currency      TEXT NOT NULL,
    sold_at       BIGINT NOT NULL,
    refund_of     TEXT NOT NULL DEFAULT '',
    refunded_micros BIGINT NOT NULL DEFAULT 0,             -- of a sale: what has been given back so far; the claim that a refund is checked against
    recorded_at   BIGINT NOT NULL,
    recorded_by   TEXT NOT NULL,
    PRIMARY KEY (account_id, sale_id)
) /*STRICT*/;
CREATE INDEX sales_call ON sales (account_id, call_id);
CREATE INDEX sales_person ON sales (account_id, person, sold_at);
CREATE INDEX sales_sold ON sales (account_id, sold_at);

CREATE TABLE notes (
    account_id  TEXT NOT NULL,
    note_id     TEXT NOT NULL,
    call_id     TEXT NOT NULL,
    text        TEXT NOT NULL,
    written_at  BIGINT NOT NULL,
    written_by  TEXT NOT NULL,
    PRIMARY KEY (account_id, note_id)
) /*STRICT*/;
CREATE INDEX notes_call ON notes (account_id, call_id, written_at);

CREATE TABLE feedback (
    account_id   TEXT NOT NULL,
    feedback_id  TEXT NOT NULL,
    call_id      TEXT NOT NULL,
    person       TEXT NOT NULL,
    kind         TEXT NOT NULL,                            -- csat (1-5), nps (0-10)
    value        BIGINT NOT NULL,
    comment      TEXT NOT NULL DEFAULT '',
    given_at     BIGINT NOT NULL,
    PRIMARY KEY (account_id, feedback_id)
) /*STRICT*/;
CREATE INDEX feedback_given ON feedback (account_id, given_at);

CREATE TABLE callbacks (
    account_id   TEXT NOT NULL,
    callback_id  TEXT NOT NULL,
    call_id      TEXT NOT NULL,                            -- the missed call that was answered by calling back
    called_at    BIGINT NOT NULL,
    connected    BOOLEAN NOT NULL,
    called_by    TEXT NOT NULL,
    PRIMARY KEY (account_id, callback_id)
) /*STRICT*/;
CREATE INDEX callbacks_call ON callbacks (account_id, call_id, called_at);

CREATE TABLE referrals (
    account_id   TEXT NOT NULL,
    referral_id  TEXT NOT NULL,
    referrer     TEXT NOT NULL,                            -- E.164 of who sent
    referred     TEXT NOT NULL,                            -- E.164 of who was sent
    referred_at  BIGINT NOT NULL,
    recorded_by  TEXT NOT NULL,
    PRIMARY KEY (account_id, referral_id)
) /*STRICT*/;
CREATE UNIQUE INDEX referrals_pair ON referrals (account_id, referrer, referred);

-- Outcomes that were imported rather than judged here.
CREATE TABLE outcomes (
    account_id    TEXT NOT NULL,
    outcome_id    TEXT NOT NULL,
    person        TEXT NOT NULL,
    lead_at       BIGINT,
    qualified_at  BIGINT,
    won_at        BIGINT,
    value_micros  BIGINT,
    margin_micros BIGINT,
    currency      TEXT NOT NULL DEFAULT '',
    imported_at   BIGINT NOT NULL,
    PRIMARY KEY (account_id, outcome_id)
) /*STRICT*/;
CREATE INDEX outcomes_person ON outcomes (account_id, person);
