-- +goose Up
-- Which medium a source had since when: a call is judged by what its source was
-- when it began, whenever that is asked. Before the first row stands the first.
CREATE TABLE source_mediums (
    account_id  TEXT NOT NULL,
    source_id   TEXT NOT NULL,
    set_at      BIGINT NOT NULL,
    medium      TEXT NOT NULL,
    PRIMARY KEY (account_id, source_id, set_at)
) /*STRICT*/;

INSERT INTO source_mediums (account_id, source_id, set_at, medium)
SELECT account_id, source_id, created_at, medium FROM sources;
