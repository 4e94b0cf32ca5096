-- +goose Up
-- What was sold on a call belongs to it, whenever it was sold.

-- The call on which an outcome came about, '' where its file does not say.
ALTER TABLE outcomes ADD COLUMN call_id TEXT NOT NULL DEFAULT '';
-- Few name one: the index is of those alone, so that it is worth looking up.
CREATE INDEX outcomes_by_call ON outcomes (account_id, call_id) WHERE call_id <> '';
