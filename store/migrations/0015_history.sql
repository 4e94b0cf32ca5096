-- +goose Up
-- A person over time.

-- What somebody asked by forms and chats, under each of their names.
CREATE INDEX enquiries_person ON enquiries (account_id, person, at);

-- What was given back of an imported outcome's value; its margin is that of what
-- was kept.
ALTER TABLE outcomes ADD COLUMN refunded_micros BIGINT NOT NULL DEFAULT 0;
