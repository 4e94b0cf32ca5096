-- +goose Up
-- What money in other currencies is worth, and who asked without calling.

-- One day's rate of a currency into the account's: what one unit of it is worth.
-- Amounts stay as booked; reports convert them at the rate of their day.
CREATE TABLE rates (
    account_id   TEXT NOT NULL REFERENCES accounts (account_id),
    currency     TEXT NOT NULL,
    to_currency  TEXT NOT NULL,
    day          TEXT NOT NULL,                            -- YYYY-MM-DD
    rate         TEXT NOT NULL,                            -- plain decimal text, above 0: never a binary fraction
    created_at   BIGINT NOT NULL,
    updated_at   BIGINT NOT NULL,
    PRIMARY KEY (account_id, to_currency, currency, day)
) /*STRICT*/;
CREATE INDEX rates_day ON rates (account_id, day);

-- Forms and chats: opportunities of a person, as calls are.
CREATE TABLE enquiries (
    account_id   TEXT NOT NULL REFERENCES accounts (account_id),
    enquiry_id   TEXT NOT NULL,                            -- derived from external_id where there is one
    external_id  TEXT NOT NULL DEFAULT '',                 -- the other system's: the same again changes or corrects
    person       TEXT NOT NULL,                            -- any stable string: an E.164 number, a visitor, a hashed address
    kind         TEXT NOT NULL,                            -- form, chat
    at           BIGINT NOT NULL,
    source       TEXT NOT NULL DEFAULT '',
    medium       TEXT NOT NULL DEFAULT '',
    campaign     TEXT NOT NULL DEFAULT '',
    answered_at  BIGINT,                                   -- when a person answered; NULL: nobody yet
    recorded_at  BIGINT NOT NULL,
    recorded_by  TEXT NOT NULL,
    PRIMARY KEY (account_id, enquiry_id)
) /*STRICT*/;
CREATE INDEX enquiries_at ON enquiries (account_id, at);
