-- +goose Up
-- Reports read no more than the range, or the persons, that they are about.

-- Who sent somebody.
CREATE INDEX referrals_referred ON referrals (account_id, referred);

-- The list of spend in its order, and why numbers were not swapped on a day.
CREATE INDEX spend_from ON spend (account_id, from_on, spend_id);
CREATE INDEX swap_failures_day ON swap_failures (account_id, day);
