-- +goose Up
-- Accounts and who may do what in them. Words are PostgreSQL's; store/dialect.go
-- says what becomes of them on SQLite.

CREATE TABLE accounts (
    account_id                TEXT PRIMARY KEY,
    name                      TEXT NOT NULL,
    tz                        TEXT NOT NULL,               -- IANA zone; days of every report
    currency                  TEXT NOT NULL,               -- ISO 4217; reports are in it
    margin_ppm                BIGINT,                      -- share of revenue that is margin, in millionths; null: not known
    destination               TEXT NOT NULL DEFAULT '',    -- the human who is rung when a number has no plan of its own
    recording_policy          TEXT NOT NULL DEFAULT 'announce', -- announce: recording needs an announcement; silent: it may do without
    recording_retention_days  BIGINT NOT NULL DEFAULT 365,
    journal_retention_days    BIGINT NOT NULL DEFAULT 730,
    provider_account          TEXT NOT NULL DEFAULT '',    -- its own provider account, '' for the installation's
    provider_secrets          TEXT NOT NULL DEFAULT '',    -- sealed JSON list of its tokens, '' for none
    version                   BIGINT NOT NULL DEFAULT 1,
    created_at                BIGINT NOT NULL
) /*STRICT*/;

CREATE TABLE users (
    account_id     TEXT NOT NULL REFERENCES accounts (account_id),
    user_id        TEXT NOT NULL,
    email          TEXT NOT NULL,
    name           TEXT NOT NULL,
    password_hash  TEXT NOT NULL,                          -- argon2id with its parameters
    role           TEXT NOT NULL,
    agent_id       TEXT NOT NULL DEFAULT '',
    disabled_at    BIGINT,
    version        BIGINT NOT NULL DEFAULT 1,
    created_at     BIGINT NOT NULL,
    PRIMARY KEY (account_id, user_id)
) /*STRICT*/;
CREATE UNIQUE INDEX users_email ON users (email);

CREATE TABLE tokens (
    account_id    TEXT NOT NULL REFERENCES accounts (account_id),
    token_id      TEXT NOT NULL,
    name          TEXT NOT NULL,
    prefix        TEXT NOT NULL,                           -- the visible first characters, to recognise it
    hash          TEXT NOT NULL,                           -- SHA-256 of the whole token, hex
    role          TEXT NOT NULL,
    agent_id      TEXT NOT NULL DEFAULT '',
    created_by    TEXT NOT NULL,                           -- user_…, token_… or 'operator'
    root_user     TEXT NOT NULL DEFAULT '',                -- the person at the beginning of its chain of makers, '' when that is the operator
    created_at    BIGINT NOT NULL,
    last_used_at  BIGINT,
    expires_at    BIGINT,
    revoked_at    BIGINT,
    PRIMARY KEY (account_id, token_id)
) /*STRICT*/;
CREATE UNIQUE INDEX tokens_hash ON tokens (hash);
CREATE INDEX tokens_maker ON tokens (account_id, created_by);

CREATE TABLE web_sessions (
    account_id  TEXT NOT NULL,                             -- '' until somebody signed in
    token       TEXT NOT NULL,
    data        BYTEA NOT NULL,
    expires_at  BIGINT NOT NULL,
    PRIMARY KEY (account_id, token)
) /*STRICT*/;
CREATE UNIQUE INDEX web_sessions_token ON web_sessions (token);
CREATE INDEX web_sessions_expiry ON web_sessions (expires_at);

CREATE TABLE idempotency_keys (
    account_id    TEXT NOT NULL,
    key           TEXT NOT NULL,
    request_hash  TEXT NOT NULL,                           -- method, path and body that the key was first used with
    status        BIGINT NOT NULL DEFAULT 0,               -- 0 while the first request is still at work
    header        TEXT NOT NULL DEFAULT '{}',
    body          BYTEA,
    created_at    BIGINT NOT NULL,
    PRIMARY KEY (account_id, key)
) /*STRICT*/;

CREATE TABLE audit_log (
    account_id   TEXT NOT NULL,
    audit_id     TEXT NOT NULL,
    at           BIGINT NOT NULL,
    actor        TEXT NOT NULL,                            -- user_…, token_…, or 'operator'
    action       TEXT NOT NULL,                            -- 'number.update'
    object       TEXT NOT NULL,                            -- id of what was acted on
    detail       TEXT NOT NULL DEFAULT '{}',               -- JSON: fields changed, never secrets
    PRIMARY KEY (account_id, audit_id)
) /*STRICT*/;
CREATE INDEX audit_log_object ON audit_log (account_id, object, at);
