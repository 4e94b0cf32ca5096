-- +goose Up
-- What was sold on a call belongs to it, whenever it was sold.

-- The call on which an outcome came about, '' where its file does not say.
ALTER TABLE outcomes ADD COLUMN call_id TEXT NOT NULL DEFAULT '';
