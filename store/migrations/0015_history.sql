-- +goose Up
-- A person over time.

-- What somebody asked by forms and chats, under each of their names.
CREATE INDEX enquiries_person ON enquiries (account_id, person, at);
