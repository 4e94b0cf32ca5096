-- +goose Up
-- Judging calls and people: disputes of scores, who said how a caller came, and
-- how likely a call is to become a lead.

-- An agent says that a score is not right; a manager says what became of that.
-- A score is disputed once.
CREATE TABLE score_disputes (
    account_id   TEXT NOT NULL,
    score_id     TEXT NOT NULL,
    call_id      TEXT NOT NULL,
    reason       TEXT NOT NULL,
    disputed_at  BIGINT NOT NULL,
    disputed_by  TEXT NOT NULL,
    outcome      TEXT NOT NULL DEFAULT '',                 -- upheld, changed; '' while it is open
    comment      TEXT NOT NULL DEFAULT '',                 -- of whoever resolved it
    resolved_at  BIGINT,
    resolved_by  TEXT NOT NULL DEFAULT '',
    changed_to   TEXT NOT NULL DEFAULT '',                 -- the score that took its place
    PRIMARY KEY (account_id, score_id)
) /*STRICT*/;
CREATE INDEX score_disputes_call ON score_disputes (account_id, call_id);
-- What scorers of a card agree on is asked by card.
CREATE INDEX scores_card ON scores (account_id, scorecard_id);

-- How the caller's answer to "who sent you" came in.
ALTER TABLE referrals ADD COLUMN via TEXT NOT NULL DEFAULT 'field';            -- field, keypad, link

-- What a caller hands on: whoever lands with it was sent by them.
CREATE TABLE referral_codes (
    account_id  TEXT NOT NULL,
    code        TEXT NOT NULL,
    person      TEXT NOT NULL,                             -- E.164 of whose it is
    created_at  BIGINT NOT NULL,
    PRIMARY KEY (account_id, code)
) /*STRICT*/;
CREATE UNIQUE INDEX referral_codes_person ON referral_codes (account_id, person);

-- How the facts known when a call begins tell whether it will be qualified: fitted
-- to an account's own outcomes, or ('' as the account) to those of all. Only ever
-- added to: every score names the version that it was made with.
CREATE TABLE lead_models (
    account_id  TEXT NOT NULL,                             -- '' is the pooled prior of the installation
    version     BIGINT NOT NULL,
    origin      TEXT NOT NULL,                             -- fitted (to its own outcomes), pooled (the prior, moved to its share of qualified calls)
    prior       BIGINT NOT NULL DEFAULT 0,                 -- of pooled: the version of the prior
    fitted_at   BIGINT NOT NULL,                           -- counts for calls that start from then on
    outcomes    BIGINT NOT NULL,                           -- it was fitted to
    positives   BIGINT NOT NULL,                           -- of them, qualified ones
    model       TEXT NOT NULL,                             -- JSON of scoring.LeadWeights
    judgement   TEXT NOT NULL,                             -- JSON of scoring.LeadJudgement: how it did on later data
    PRIMARY KEY (account_id, version)
) /*STRICT*/;

-- What was predicted of a call when it began, and why. Never worked out again.
CREATE TABLE lead_scores (
    account_id     TEXT NOT NULL,
    call_id        TEXT NOT NULL,
    model_version  BIGINT NOT NULL,
    probability    DOUBLE PRECISION NOT NULL,
    facts          TEXT NOT NULL,                          -- JSON of []scoring.LeadFact: the three that moved it most
    scored_at      BIGINT NOT NULL,
    PRIMARY KEY (account_id, call_id)
) /*STRICT*/;
