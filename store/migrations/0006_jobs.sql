-- +goose Up
-- One replica at a time per job: a row that expires.
CREATE TABLE job_locks (
    account_id  TEXT NOT NULL,                             -- '': jobs serve the whole installation
    job         TEXT NOT NULL,
    holder      TEXT NOT NULL,
    held_until  BIGINT NOT NULL,
    PRIMARY KEY (account_id, job)
) /*STRICT*/;
