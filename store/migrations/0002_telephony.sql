-- +goose Up
-- The phone network as facts. The journal holds every provider request as it
-- came; calls, legs, recordings and messages are folds over it.

CREATE TABLE routes (
    account_id  TEXT NOT NULL REFERENCES accounts (account_id),
    route_id    TEXT NOT NULL,
    name        TEXT NOT NULL,
    plan        TEXT NOT NULL,                             -- JSON of telephony.Plan
    version     BIGINT NOT NULL DEFAULT 1,
    created_at  BIGINT NOT NULL,
    retired_at  BIGINT,
    PRIMARY KEY (account_id, route_id)
) /*STRICT*/;

CREATE TABLE tracking_numbers (
    account_id          TEXT NOT NULL REFERENCES accounts (account_id),
    number_id           TEXT NOT NULL,
    number              TEXT NOT NULL,                     -- E.164
    state               TEXT NOT NULL,                     -- ordered, active, draining, quarantined, released
    source_id           TEXT NOT NULL DEFAULT '',
    pool_id             TEXT NOT NULL DEFAULT '',
    campaign            TEXT NOT NULL DEFAULT '',
    destination         TEXT NOT NULL DEFAULT '',          -- short for a route with one step
    pool_destination    TEXT NOT NULL DEFAULT '',          -- the pool's destination, kept here so that routing needs no other room
    route_id            TEXT NOT NULL DEFAULT '',
    record              BOOLEAN NOT NULL DEFAULT FALSE,
    whisper             TEXT NOT NULL DEFAULT '',
    provider            TEXT NOT NULL DEFAULT 'twilio',
    provider_number_id  TEXT NOT NULL DEFAULT '',
    confirmed_at        BIGINT,                            -- the provider said that we own it and it points at us
    problem             TEXT NOT NULL DEFAULT '',          -- what the confirmation job found wrong
    due_at              BIGINT,                            -- when a job should look at it again (confirm, drain, release); null: nothing to do
    attempts            BIGINT NOT NULL DEFAULT 0,
    releasing_at        BIGINT,                            -- the provider was told to take it back: no way back any more
    version             BIGINT NOT NULL DEFAULT 1,
    created_at          BIGINT NOT NULL,
    released_at         BIGINT,
    PRIMARY KEY (account_id, number_id)
) /*STRICT*/;
-- One number rings in one account only, in the whole installation.
CREATE UNIQUE INDEX tracking_numbers_number ON tracking_numbers (number) WHERE state <> 'released';
CREATE INDEX tracking_numbers_pool ON tracking_numbers (account_id, pool_id);
CREATE INDEX tracking_numbers_account_number ON tracking_numbers (account_id, number);
CREATE INDEX tracking_numbers_due ON tracking_numbers (due_at) WHERE due_at IS NOT NULL;

-- What a number stood for and since when: append-only, so that a call of last
-- year is still judged by what its number meant then.
CREATE TABLE number_bindings (
    account_id  TEXT NOT NULL,
    number      TEXT NOT NULL,
    bound_from  BIGINT NOT NULL,                           -- the first source binding of a number is 0: it reaches back without end
    source_id   TEXT NOT NULL DEFAULT '',
    pool_id     TEXT NOT NULL DEFAULT '',
    campaign    TEXT NOT NULL DEFAULT '',
    created_at  BIGINT NOT NULL,
    PRIMARY KEY (account_id, number, bound_from)
) /*STRICT*/;

CREATE TABLE blocked_callers (
    account_id  TEXT NOT NULL REFERENCES accounts (account_id),
    caller      TEXT NOT NULL,                             -- E.164, or 'anonymous'
    reason      TEXT NOT NULL DEFAULT '',
    created_at  BIGINT NOT NULL,
    created_by  TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (account_id, caller)
) /*STRICT*/;

-- Bumped in the transaction of every change that routing must know; replicas
-- watch it and reload their snapshot.
CREATE TABLE routing_versions (
    account_id  TEXT PRIMARY KEY,                          -- '' is the installation's one row
    version     BIGINT NOT NULL
) /*STRICT*/;
INSERT INTO routing_versions (account_id, version) VALUES ('', 1);

CREATE TABLE journal (
    account_id    TEXT NOT NULL,                           -- '' while the account is not known yet
    entry_id      TEXT NOT NULL,                           -- derived from provider and key
    provider      TEXT NOT NULL,
    key           TEXT NOT NULL,                           -- what the provider says this request is
    door          TEXT NOT NULL,                           -- voice, status, voice/next, …, reconcile
    call_ref      TEXT NOT NULL DEFAULT '',                -- the provider's id of the (parent) call, or of the message
    received_at   BIGINT NOT NULL,
    target        TEXT NOT NULL,                           -- path and query as received
    content_type  TEXT NOT NULL,
    body          BYTEA NOT NULL,                          -- as received
    decision      TEXT NOT NULL DEFAULT '{}',              -- JSON of telephony.Decision: what we told the network to do, and under which plan
    answer        TEXT NOT NULL DEFAULT '',                -- the TwiML that was sent
    PRIMARY KEY (account_id, entry_id)
) /*STRICT*/;
CREATE UNIQUE INDEX journal_key ON journal (provider, key);
CREATE INDEX journal_call ON journal (account_id, provider, call_ref, received_at);
CREATE INDEX journal_received ON journal (account_id, received_at);

CREATE TABLE calls (
    account_id        TEXT NOT NULL,
    call_id           TEXT NOT NULL,                       -- derived from provider and provider_call_id
    provider          TEXT NOT NULL,
    provider_call_id  TEXT NOT NULL,
    direction         TEXT NOT NULL DEFAULT 'inbound',
    status            TEXT,                                -- the provider's status of the caller's leg; null: not told yet
    outcome           TEXT,                                -- answered, voicemail, abandoned, busy, no-answer, failed, blocked; null while not known
    from_kind         TEXT,                                -- e164, anonymous, sip, client, short, invalid; null for a shell
    from_e164         TEXT,                                -- null unless from_kind = e164
    from_raw          TEXT,
    tracking_number   TEXT,                                -- E.164 that was dialled
    number_id         TEXT NOT NULL DEFAULT '',
    destination       TEXT,                                -- the business number that was rung last, or that answered
    answered_by       TEXT,                                -- the destination that was bridged
    hops              BIGINT NOT NULL DEFAULT 0,
    started_at        BIGINT NOT NULL,
    answered_at       BIGINT,
    ended_at          BIGINT,
    wait_seconds      BIGINT,                              -- started_at to the bridge
    ring_seconds      BIGINT,                              -- first ring of an agent's phone to the bridge
    talk_seconds      BIGINT,
    duration_seconds  BIGINT,                              -- the caller's leg, as the provider counts it
    voicemail_seconds BIGINT,
    caller_name       TEXT NOT NULL DEFAULT '',
    caller_city       TEXT NOT NULL DEFAULT '',
    caller_state      TEXT NOT NULL DEFAULT '',
    caller_zip        TEXT NOT NULL DEFAULT '',
    caller_country    TEXT NOT NULL DEFAULT '',
    verstat           TEXT NOT NULL DEFAULT '',
    flags             TEXT NOT NULL DEFAULT '[]',          -- JSON list of oddities: 'bad_duration', 'reconciled', …
    shell             BOOLEAN NOT NULL DEFAULT FALSE,      -- known only from events other than the voice request
    imported          BOOLEAN NOT NULL DEFAULT FALSE,
    events            BIGINT NOT NULL DEFAULT 0,           -- how many journal entries it is folded from
    updated_at        BIGINT NOT NULL,
    PRIMARY KEY (account_id, call_id)
) /*STRICT*/;
CREATE UNIQUE INDEX calls_provider ON calls (provider, provider_call_id, account_id);
CREATE INDEX calls_started ON calls (account_id, started_at, call_id);
CREATE INDEX calls_caller ON calls (account_id, from_e164, started_at);
CREATE INDEX calls_number ON calls (account_id, tracking_number, started_at);
CREATE INDEX calls_updated ON calls (account_id, updated_at);
CREATE INDEX calls_open ON calls (account_id, started_at) WHERE ended_at IS NULL;

-- How far the provider's list of calls has been read, so that a program that was
-- away reads on from there.
CREATE TABLE call_lists (
    account_id        TEXT NOT NULL,                       -- '': a list belongs to the provider account, whoever shares it
    provider          TEXT NOT NULL,
    provider_account  TEXT NOT NULL,                       -- '' is the installation's own
    read_until        BIGINT NOT NULL,
    PRIMARY KEY (account_id, provider, provider_account)
) /*STRICT*/;

CREATE TABLE legs (
    account_id    TEXT NOT NULL,
    call_id       TEXT NOT NULL,
    leg_ref       TEXT NOT NULL,                           -- the provider's id of the child call
    number        TEXT NOT NULL,                           -- who was rung
    status        TEXT NOT NULL,
    initiated_at  BIGINT,
    ringing_at    BIGINT,
    answered_at   BIGINT,
    ended_at      BIGINT,
    talk_seconds  BIGINT,
    bridged       BOOLEAN,                                 -- null: not told
    sip_code      TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (account_id, call_id, leg_ref)
) /*STRICT*/;

CREATE TABLE recordings (
    account_id           TEXT NOT NULL,
    recording_id         TEXT NOT NULL,                    -- derived from provider and provider_ref
    call_id              TEXT NOT NULL,
    provider             TEXT NOT NULL,
    provider_ref         TEXT NOT NULL,
    kind                 TEXT NOT NULL,                    -- call, voicemail
    state                TEXT NOT NULL,                    -- pending, kept, absent, failed, deleted
    media_url            TEXT NOT NULL DEFAULT '',         -- the provider's; never shown
    media_path           TEXT NOT NULL DEFAULT '',         -- below the storage folder
    media_type           TEXT NOT NULL DEFAULT '',
    media_bytes          BIGINT,
    seconds              BIGINT,
    channels             BIGINT,
    transcript           TEXT NOT NULL DEFAULT '',
    due_at               BIGINT,                           -- when a job should look again; null: nothing to do
    attempts             BIGINT NOT NULL DEFAULT 0,
    last_error           TEXT NOT NULL DEFAULT '',
    finished_at          BIGINT,                           -- when the provider said it was ready (our receipt)
    kept_at              BIGINT,
    deleted_at           BIGINT,                           -- our copy is gone
    provider_deleted_at  BIGINT,                           -- the provider's is gone too
    PRIMARY KEY (account_id, recording_id)
) /*STRICT*/;
CREATE INDEX recordings_call ON recordings (account_id, call_id);
CREATE INDEX recordings_due ON recordings (due_at) WHERE due_at IS NOT NULL;

CREATE TABLE messages (
    account_id           TEXT NOT NULL,
    message_id           TEXT NOT NULL,
    provider             TEXT NOT NULL,
    provider_message_id  TEXT NOT NULL,
    direction            TEXT NOT NULL,
    status               TEXT NOT NULL,
    from_raw             TEXT NOT NULL,
    to_raw               TEXT NOT NULL,
    body                 TEXT NOT NULL DEFAULT '',
    media_count          BIGINT NOT NULL DEFAULT 0,
    opt_out              TEXT NOT NULL DEFAULT '',
    error_code           TEXT NOT NULL DEFAULT '',
    received_at          BIGINT NOT NULL,
    updated_at           BIGINT NOT NULL,
    PRIMARY KEY (account_id, message_id)
) /*STRICT*/;

-- A purchase: the intent first, then the provider call, then what came of it.
CREATE TABLE number_orders (
    account_id          TEXT NOT NULL REFERENCES accounts (account_id),
    order_id            TEXT NOT NULL,
    number              TEXT NOT NULL,
    state               TEXT NOT NULL,                     -- intent, sent, bought, refused
    settings            TEXT NOT NULL DEFAULT '{}',        -- JSON of what the number shall be once it is ours
    provider_number_id  TEXT NOT NULL DEFAULT '',
    due_at              BIGINT,
    attempts            BIGINT NOT NULL DEFAULT 0,
    last_error          TEXT NOT NULL DEFAULT '',
    created_at          BIGINT NOT NULL,
    updated_at          BIGINT NOT NULL,
    PRIMARY KEY (account_id, order_id)
) /*STRICT*/;
CREATE UNIQUE INDEX number_orders_open ON number_orders (number) WHERE state IN ('intent', 'sent');
