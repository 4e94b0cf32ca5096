-- +goose Up
-- What momentum is measured against. A baseline is frozen with the yardsticks
-- and the counts it was made with: rows are added and never changed, the one
-- with the highest version is the account's present one.
CREATE TABLE baselines (
    account_id   TEXT NOT NULL REFERENCES accounts (account_id),
    baseline_id  TEXT NOT NULL,
    version      BIGINT NOT NULL,
    from_at      BIGINT NOT NULL,
    until_at     BIGINT NOT NULL,
    tz           TEXT NOT NULL,                            -- whose days it was counted by
    yardsticks   TEXT NOT NULL,                            -- JSON of report.Yardsticks
    counts       TEXT NOT NULL,                            -- JSON of report.Counts
    segments     TEXT NOT NULL,                            -- JSON: source, campaign, agent → name → report.Counts
    charts       TEXT NOT NULL,                            -- JSON: joint → what a quiet day of it looks like
    automatic    BOOLEAN NOT NULL,                         -- frozen by the first report rather than by a person
    created_by   TEXT NOT NULL,
    created_at   BIGINT NOT NULL,
    PRIMARY KEY (account_id, baseline_id)
) /*STRICT*/;
CREATE UNIQUE INDEX baselines_version ON baselines (account_id, version);
