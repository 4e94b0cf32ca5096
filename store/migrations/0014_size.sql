-- +goose Up
-- Reports on years of calls.

-- Whether a call is the first of its caller is asked for every call of a report:
-- the index alone answers it.
DROP INDEX calls_caller;
CREATE INDEX calls_caller ON calls (account_id, from_e164, started_at, call_id, direction);

-- What was recorded lately, what was given back of a sale, and imported outcomes
-- by their moments: the questions of reports and of the days prepared for them.
CREATE INDEX sales_recorded ON sales (account_id, recorded_at);
CREATE INDEX sales_refund ON sales (account_id, refund_of) WHERE refund_of <> '';
CREATE INDEX outcomes_lead ON outcomes (account_id, lead_at) WHERE lead_at IS NOT NULL;
CREATE INDEX outcomes_qualified ON outcomes (account_id, qualified_at) WHERE qualified_at IS NOT NULL;
CREATE INDEX outcomes_won ON outcomes (account_id, won_at) WHERE won_at IS NOT NULL;

-- Sales of one day of the account's zone, credited to the stored winner of the
-- call that each was booked on. Prepared together with daily_facts.
CREATE TABLE daily_sales (
    account_id           TEXT NOT NULL,
    day_on               TEXT NOT NULL,                    -- YYYY-MM-DD of sold_at, the account's zone
    source_id            TEXT NOT NULL,
    source               TEXT NOT NULL,                    -- the literal 'untracked' or '(none)' where no source is known
    medium               TEXT NOT NULL,
    campaign             TEXT NOT NULL,
    sales                BIGINT NOT NULL,
    valued               BIGINT NOT NULL,                  -- of which something was kept
    revenue_micros       BIGINT NOT NULL,                  -- net of refunds
    contribution_micros  BIGINT NOT NULL,                  -- margin of the revenue
    squares              DOUBLE PRECISION NOT NULL,        -- sum of squared revenues, in minor units of the currency
    no_margin            BIGINT NOT NULL,                  -- sales whose margin is not known
    unlike               BIGINT NOT NULL,                  -- sales in another currency, which no other column counts
    PRIMARY KEY (account_id, day_on, source_id, source, medium, campaign)
) /*STRICT*/;

-- What the calls of one day sold within so many days after they began.
CREATE TABLE daily_earnings (
    account_id      TEXT NOT NULL,
    day_on          TEXT NOT NULL,                         -- YYYY-MM-DD of the call's started_at, the account's zone
    source_id       TEXT NOT NULL,
    source          TEXT NOT NULL,
    medium          TEXT NOT NULL,
    campaign        TEXT NOT NULL,
    days            BIGINT NOT NULL,                       -- 30, 90, 365
    sales           BIGINT NOT NULL,
    revenue_micros  BIGINT NOT NULL,
    unlike          BIGINT NOT NULL,
    PRIMARY KEY (account_id, day_on, source_id, source, medium, campaign, days)
) /*STRICT*/;

-- Prepared days are cut and valued for this zone, currency and margin rate.
ALTER TABLE daily_states ADD COLUMN currency TEXT NOT NULL DEFAULT '';
ALTER TABLE daily_states ADD COLUMN margin_ppm BIGINT;

-- Spend whose dates reach into a range.
CREATE INDEX spend_until ON spend (account_id, until_on, from_on);
