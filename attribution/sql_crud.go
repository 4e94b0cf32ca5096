package attribution

import (
	"context"
	"fmt"
	"time"

	"github.com/callwheel/callwheel/store"
)

const sourceColumns = `account_id, source_id, name, medium, kind, rules, position, version, created_at, retired_at`

type sourceRow struct {
	AccountID string     `db:"account_id"`
	ID        string     `db:"source_id"`
	Name      string     `db:"name"`
	Medium    string     `db:"medium"`
	Kind      string     `db:"kind"`
	Rules     string     `db:"rules"`
	Position  int64      `db:"position"`
	Version   int64      `db:"version"`
	CreatedAt store.Time `db:"created_at"`
	RetiredAt store.Time `db:"retired_at"`
}

func (r sourceRow) source() Source {
	return Source{
		AccountID: r.AccountID, ID: r.ID, Name: r.Name, Medium: r.Medium, Kind: r.Kind, Rules: fromJSON[Rule](r.Rules), Position: r.Position,
		Version: r.Version, CreatedAt: r.CreatedAt.Time, RetiredAt: r.RetiredAt.Ptr(),
	}
}

const listSources = `
SELECT ` + sourceColumns + `
FROM sources
WHERE account_id = ? AND retired_at IS NULL
  AND (CAST(? AS TEXT) = '' OR (position, source_id) > (
    SELECT a.position, a.source_id FROM sources a WHERE a.account_id = ? AND a.source_id = ?
  ))
ORDER BY position, source_id
LIMIT ?`

const sourceByID = `
SELECT ` + sourceColumns + `
FROM sources
WHERE account_id = ? AND source_id = ? AND retired_at IS NULL`

// anySource also finds a retired one: what it earned stays its own.
const anySource = `
SELECT ` + sourceColumns + `
FROM sources
WHERE account_id = ? AND source_id = ?`

// mediumAt is what a source's medium was at an instant.
const mediumAt = `
SELECT COALESCE(
    (SELECT m.medium FROM source_mediums m WHERE m.account_id = s.account_id AND m.source_id = s.source_id AND m.set_at <= ? ORDER BY m.set_at DESC LIMIT 1),
    (SELECT m.medium FROM source_mediums m WHERE m.account_id = s.account_id AND m.source_id = s.source_id ORDER BY m.set_at LIMIT 1),
    s.medium)
FROM sources s
WHERE s.account_id = ? AND s.source_id = ?`

const nextPosition = `
SELECT COALESCE(MAX(position), 0) + 1
FROM sources
WHERE account_id = ? AND retired_at IS NULL`

const insertSource = `
INSERT INTO sources (account_id, source_id, name, folded, medium, kind, rules, position, created_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`

const nameSource = `
INSERT INTO source_names (account_id, folded, source_id, named_at)
VALUES (?, ?, ?, ?)
ON CONFLICT (account_id, folded) DO UPDATE SET source_id = excluded.source_id, named_at = excluded.named_at`

const keepMedium = `
INSERT INTO source_mediums (account_id, source_id, set_at, medium)
VALUES (?, ?, ?, ?)
ON CONFLICT (account_id, source_id, set_at) DO UPDATE SET medium = excluded.medium`

const updateSource = `
UPDATE sources
SET name = ?, folded = ?, medium = ?, kind = ?, rules = ?, position = ?, version = ?
WHERE account_id = ? AND source_id = ?`

const retireSource = `
UPDATE sources SET retired_at = ?, version = version + 1
WHERE account_id = ? AND source_id = ?`

func readSource(ctx context.Context, q store.Querier, accountID, id, lock string) (Source, error) {
	var row sourceRow
	if err := q.Get(ctx, &row, sourceByID+lock, accountID, id); err != nil {
		return Source{}, fmt.Errorf("source: %w", err)
	}
	return row.source(), nil
}

const poolColumns = `account_id, pool_id, name, destination, lease_tail_seconds, cooldown_seconds, overflow_number_id, source_numbers, version, created_at, retired_at`

type poolRow struct {
	AccountID        string     `db:"account_id"`
	ID               string     `db:"pool_id"`
	Name             string     `db:"name"`
	Destination      string     `db:"destination"`
	LeaseTailSeconds int64      `db:"lease_tail_seconds"`
	CooldownSeconds  int64      `db:"cooldown_seconds"`
	OverflowNumberID string     `db:"overflow_number_id"`
	SourceNumbers    string     `db:"source_numbers"`
	Version          int64      `db:"version"`
	CreatedAt        store.Time `db:"created_at"`
	RetiredAt        store.Time `db:"retired_at"`
}

func (r poolRow) pool() Pool {
	return Pool{
		AccountID: r.AccountID, ID: r.ID, Name: r.Name, Destination: r.Destination, LeaseTailSeconds: r.LeaseTailSeconds, CooldownSeconds: r.CooldownSeconds,
		OverflowNumberID: r.OverflowNumberID, SourceNumbers: r.SourceNumbers,
		Version: r.Version, CreatedAt: r.CreatedAt.Time, RetiredAt: r.RetiredAt.Ptr(),
	}
}

const listPools = `
SELECT ` + poolColumns + `
FROM pools
WHERE account_id = ? AND retired_at IS NULL AND pool_id > ?
ORDER BY pool_id
LIMIT ?`

const poolByID = `
SELECT ` + poolColumns + `
FROM pools
WHERE account_id = ? AND pool_id = ? AND retired_at IS NULL`

const insertPool = `
INSERT INTO pools (account_id, pool_id, name, destination, lease_tail_seconds, cooldown_seconds, overflow_number_id, source_numbers, created_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`

const updatePool = `
UPDATE pools
SET name = ?, destination = ?, lease_tail_seconds = ?, cooldown_seconds = ?, overflow_number_id = ?, source_numbers = ?, version = ?
WHERE account_id = ? AND pool_id = ?`

const retirePool = `
UPDATE pools SET retired_at = ?, version = version + 1
WHERE account_id = ? AND pool_id = ?`

const siteOfPool = `
SELECT name FROM sites
WHERE account_id = ? AND pool_id = ? AND retired_at IS NULL
ORDER BY site_id
LIMIT 1`

func readPool(ctx context.Context, q store.Querier, accountID, id, lock string) (Pool, error) {
	var row poolRow
	if err := q.Get(ctx, &row, poolByID+lock, accountID, id); err != nil {
		return Pool{}, fmt.Errorf("pool: %w", err)
	}
	return row.pool(), nil
}

const siteColumns = `account_id, site_id, name, site_key, origins, pool_id, swap, consent, cookie_days, cookieless, respect_dnt, consent_mode, version, created_at, retired_at`

type siteRow struct {
	AccountID string     `db:"account_id"`
	ID        string     `db:"site_id"`
	Name      string     `db:"name"`
	Key       string     `db:"site_key"`
	Origins   string     `db:"origins"`
	PoolID    string     `db:"pool_id"`
	Swap      string     `db:"swap"`
	Consent   string     `db:"consent"`
	Days      int64      `db:"cookie_days"`
	Less      bool       `db:"cookieless"`
	DNT       bool       `db:"respect_dnt"`
	Mode      string     `db:"consent_mode"`
	TZ        string     `db:"tz"` // of the account, where it was asked for
	Version   int64      `db:"version"`
	CreatedAt store.Time `db:"created_at"`
	RetiredAt store.Time `db:"retired_at"`
}

func (r siteRow) site() Site {
	s := Site{
		AccountID: r.AccountID, ID: r.ID, Name: r.Name, Key: r.Key, Origins: fromJSON[string](r.Origins), PoolID: r.PoolID,
		Swap: fromJSON[string](r.Swap), Consent: r.Consent, Version: r.Version, CreatedAt: r.CreatedAt.Time, RetiredAt: r.RetiredAt.Ptr(),
		Script: Script{CookieDays: r.Days, Cookieless: r.Less, RespectDNT: r.DNT, ConsentMode: r.Mode},
	}
	if zone, err := time.LoadLocation(r.TZ); err == nil {
		s.zone = zone
	}
	return s
}

const listSites = `
SELECT ` + siteColumns + `
FROM sites
WHERE account_id = ? AND retired_at IS NULL AND site_id > ?
ORDER BY site_id
LIMIT ?`

const siteByID = `
SELECT ` + siteColumns + `
FROM sites
WHERE account_id = ? AND site_id = ? AND retired_at IS NULL`

// The key is what tells the account: it is the browser's credential.
const siteByKey = `
SELECT ` + siteColumns + `, (SELECT a.tz FROM accounts a WHERE a.account_id = sites.account_id) AS tz
FROM sites
WHERE site_key = ? AND retired_at IS NULL`

const insertSite = `
INSERT INTO sites (account_id, site_id, name, site_key, origins, pool_id, swap, consent,
    cookie_days, cookieless, respect_dnt, consent_mode, created_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`

const updateSite = `
UPDATE sites
SET name = ?, origins = ?, pool_id = ?, swap = ?, consent = ?,
    cookie_days = ?, cookieless = ?, respect_dnt = ?, consent_mode = ?, version = ?
WHERE account_id = ? AND site_id = ?`

const retireSite = `
UPDATE sites SET retired_at = ?, version = version + 1
WHERE account_id = ? AND site_id = ?`

func readSite(ctx context.Context, q store.Querier, accountID, id, lock string) (Site, error) {
	var row siteRow
	if err := q.Get(ctx, &row, siteByID+lock, accountID, id); err != nil {
		return Site{}, fmt.Errorf("site: %w", err)
	}
	return row.site(), nil
}
