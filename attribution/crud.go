package attribution

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/telephony"
)

// Bounds of the account's lists.
const (
	maxName    = 100
	maxRules   = 100
	maxOrigins = 50
	maxSwap    = 50
	maxTail    = 86_400     // a day
	maxRest    = 30 * 86400 // a month
)

// reservedNames stand for something else in reports.
var reservedNames = []string{"untracked", "(none)", "(returning)"}

// SourceDraft is a source to be made. Position nil puts it last, Kind "" is
// online.
type SourceDraft struct {
	Name     string
	Medium   string
	Kind     string
	Rules    []Rule
	Position *int64
}

// SourcePatch changes the fields that are not nil.
type SourcePatch struct {
	Name     *string
	Medium   *string
	Kind     *string
	Rules    *[]Rule
	Position *int64
}

// PoolDraft is a pool to be made. A nil LeaseTailSeconds is half an hour, a nil
// CooldownSeconds ten minutes.
type PoolDraft struct {
	Name             string
	Destination      string
	LeaseTailSeconds *int64
	CooldownSeconds  *int64
	OverflowNumberID string
	SourceNumbers    string // "" is SourceNumbersFirst
}

// PoolPatch changes the fields that are not nil.
type PoolPatch struct {
	Name             *string
	Destination      *string
	LeaseTailSeconds *int64
	CooldownSeconds  *int64
	OverflowNumberID *string
	SourceNumbers    *string
}

// SiteDraft is a site to be made. Its key is made with it. Consent "" is
// not_required.
type SiteDraft struct {
	Name    string
	Origins []string
	PoolID  string
	Swap    []string
	Consent string
	ScriptPatch
}

// ScriptPatch says how the script shall behave; what is nil stays, or is its
// default in a draft: 90 days, with a cookie, Do Not Track and Google's consent
// mode ignored.
type ScriptPatch struct {
	CookieDays  *int64
	Cookieless  *bool
	RespectDNT  *bool
	ConsentMode *string
}

func (p ScriptPatch) apply(s *Script) {
	change(&s.CookieDays, p.CookieDays)
	change(&s.Cookieless, p.Cookieless)
	change(&s.RespectDNT, p.RespectDNT)
	change(&s.ConsentMode, p.ConsentMode)
}

// SitePatch changes the fields that are not nil.
type SitePatch struct {
	Name    *string
	Origins *[]string
	PoolID  *string
	Swap    *[]string
	Consent *string
	ScriptPatch
}

// fields collects what is wrong with a draft.
type fields []callwheel.FieldError

func (f *fields) add(field, format string, args ...any) {
	*f = append(*f, callwheel.FieldError{Field: field, Message: fmt.Sprintf(format, args...)})
}

func (f *fields) err() error { return callwheel.InvalidFields(*f) }

// name checks and cleans a name that people give.
func (f *fields) name(field, text string, required bool) string {
	clean := cleanText(text, 4*maxName)
	switch {
	case clean == "" && required:
		f.add(field, "must not be empty")
	case utf8.RuneCountInString(clean) > maxName:
		f.add(field, "must have at most %d characters", maxName)
	case clean != "" && !account.Legible(clean):
		f.add(field, "must be visible, and hold no invisible characters")
	}
	return clean
}

func (f *fields) within(field string, v, low, high int64) {
	if v < low || v > high {
		f.add(field, "%s", rangeText(low, high))
	}
}

func rangeText(low, high int64) string { return fmt.Sprintf("must be between %d and %d", low, high) }

// stale refuses a change of a version that is no longer the latest; expect nil
// takes any.
func stale(what string, have int64, expect *int64) error {
	if expect != nil && have != *expect {
		return callwheel.Errorf(callwheel.Stale, "change %s: it was changed in the meantime and is at version %d now", what, have)
	}
	return nil
}

// taken turns a violated unique name into a Conflict.
func taken(what, name string, err error) error {
	if store.IsUnique(err) {
		return &callwheel.Error{Kind: callwheel.Conflict, Message: fmt.Sprintf("a %s named %q exists already", what, name)}
	}
	return err
}

// Sources lists the account's sources in the order in which they are tried,
// after the one with the id after ("" from the beginning), at most limit (0:
// all). Retired ones are left out.
func (l *Ledger) Sources(ctx context.Context, accountID, after string, limit int) ([]Source, error) {
	var rows []sourceRow
	if err := l.db.Select(ctx, &rows, listSources, accountID, after, accountID, after, limitOf(limit)); err != nil {
		return nil, fmt.Errorf("list sources: %w", err)
	}
	list := make([]Source, len(rows))
	for i, r := range rows {
		list[i] = r.source()
	}
	return list, nil
}

// Source returns one source; NotFound when there is none or it is retired.
func (l *Ledger) Source(ctx context.Context, accountID, id string) (Source, error) {
	return readSource(ctx, l.db, accountID, id, "")
}

// CreateSource makes a source. Errors are Invalid with fields, and Conflict for
// a name that is taken in any case of letters.
func (l *Ledger) CreateSource(ctx context.Context, who account.Identity, d SourceDraft) (Source, error) {
	s := Source{AccountID: who.AccountID, ID: callwheel.NewID("src"), Name: d.Name, Medium: d.Medium, Kind: d.Kind, Rules: d.Rules, Version: 1, CreatedAt: store.At(l.now()).Time}
	if s.Kind == "" {
		s.Kind = "online"
	}
	if d.Position != nil {
		s.Position = *d.Position
	}
	if err := s.check(); err != nil {
		return Source{}, err
	}
	err := l.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		if d.Position == nil {
			if err := tx.Get(ctx, &s.Position, nextPosition, who.AccountID); err != nil {
				return err
			}
		}
		return l.insertSource(ctx, tx, who, s)
	})
	if err != nil {
		return Source{}, fmt.Errorf("create source: %w", taken("source", s.Name, err))
	}
	return s, nil
}

func (l *Ledger) insertSource(ctx context.Context, tx *store.Tx, who account.Identity, s Source) error {
	if _, err := tx.Exec(ctx, insertSource, who.AccountID, s.ID, s.Name, strings.ToLower(s.Name), s.Medium, s.Kind, toJSON(s.Rules), s.Position, store.At(s.CreatedAt)); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, keepMedium, who.AccountID, s.ID, store.Micros(s.CreatedAt), s.Medium); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, nameSource, who.AccountID, strings.ToLower(s.Name), s.ID, store.Micros(l.now())); err != nil {
		return err
	}
	return account.Audit(ctx, tx, l.now(), who, "source.create", s.ID, nil)
}

// UpdateSource changes a source. expect is the version the change was made
// against, nil for any. Errors are those of CreateSource, NotFound and Stale.
func (l *Ledger) UpdateSource(ctx context.Context, who account.Identity, id string, expect *int64, p SourcePatch) (Source, error) {
	var s Source
	err := l.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		var err error
		if s, err = readSource(ctx, tx, who.AccountID, id, tx.ForUpdate()); err != nil {
			return err
		}
		if err := stale("source", s.Version, expect); err != nil {
			return err
		}
		former := s.Medium
		change(&s.Name, p.Name)
		change(&s.Medium, p.Medium)
		change(&s.Kind, p.Kind)
		change(&s.Rules, p.Rules)
		change(&s.Position, p.Position)
		if err := s.check(); err != nil {
			return err
		}
		s.Version++
		if _, err := tx.Exec(ctx, updateSource, s.Name, strings.ToLower(s.Name), s.Medium, s.Kind, toJSON(s.Rules), s.Position, s.Version, who.AccountID, id); err != nil {
			return err
		}
		if s.Medium != former {
			if _, err := tx.Exec(ctx, keepMedium, who.AccountID, id, store.Micros(l.now()), s.Medium); err != nil {
				return err
			}
		}
		if _, err := tx.Exec(ctx, nameSource, who.AccountID, strings.ToLower(s.Name), s.ID, store.Micros(l.now())); err != nil {
			return err
		}
		return account.Audit(ctx, tx, l.now(), who, "source.update", s.ID, nil)
	})
	if err != nil {
		return Source{}, fmt.Errorf("change source: %w", taken("source", s.Name, err))
	}
	return s, nil
}

// RetireSource takes a source out of use. What was attributed to it stays, and
// numbers bound to it go on counting for it.
func (l *Ledger) RetireSource(ctx context.Context, who account.Identity, id string, expect *int64) error {
	return l.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		s, err := readSource(ctx, tx, who.AccountID, id, tx.ForUpdate())
		if err == nil {
			err = stale("source", s.Version, expect)
		}
		if err == nil {
			_, err = tx.Exec(ctx, retireSource, store.At(l.now()), who.AccountID, id)
		}
		if err == nil {
			err = account.Audit(ctx, tx, l.now(), who, "source.retire", s.ID, nil)
		}
		if err != nil {
			return fmt.Errorf("retire source: %w", err)
		}
		return nil
	})
}

func (s *Source) check() error {
	var bad fields
	s.Name = bad.name("name", s.Name, true)
	s.Medium = strings.ToLower(bad.name("medium", s.Medium, false))
	if slices.Contains(reservedNames, strings.ToLower(s.Name)) {
		bad.add("name", "%q stands for something else in reports", s.Name)
	}
	if s.Kind != "online" && s.Kind != "offline" {
		bad.add("kind", "must be online or offline")
	}
	if len(s.Rules) > maxRules {
		bad.add("rules", "must be at most %d", maxRules)
	}
	for i, r := range s.Rules {
		bad = append(bad, r.validate(i)...)
	}
	bad.within("position", s.Position, -1_000_000, 1_000_000)
	return bad.err()
}

// Pools lists the account's pools as Sources does, oldest first.
func (l *Ledger) Pools(ctx context.Context, accountID, after string, limit int) ([]Pool, error) {
	var rows []poolRow
	if err := l.db.Select(ctx, &rows, listPools, accountID, after, limitOf(limit)); err != nil {
		return nil, fmt.Errorf("list pools: %w", err)
	}
	list := make([]Pool, len(rows))
	for i, r := range rows {
		list[i] = r.pool()
	}
	return list, nil
}

// Pool returns one pool; NotFound when there is none or it is retired.
func (l *Ledger) Pool(ctx context.Context, accountID, id string) (Pool, error) {
	return readPool(ctx, l.db, accountID, id, "")
}

// CreatePool makes a pool. It lends nothing until tracking numbers are put into
// it. Errors are Invalid with fields and Conflict for a taken name.
func (l *Ledger) CreatePool(ctx context.Context, who account.Identity, d PoolDraft) (Pool, error) {
	p := Pool{
		AccountID: who.AccountID, ID: callwheel.NewID("pool"), Name: d.Name, Destination: d.Destination, LeaseTailSeconds: 1800, CooldownSeconds: 600,
		OverflowNumberID: d.OverflowNumberID, SourceNumbers: firstOf(d.SourceNumbers, SourceNumbersFirst), Version: 1, CreatedAt: store.At(l.now()).Time,
	}
	change(&p.LeaseTailSeconds, d.LeaseTailSeconds)
	change(&p.CooldownSeconds, d.CooldownSeconds)
	err := l.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := p.check(ctx, tx); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, insertPool, who.AccountID, p.ID, p.Name, p.Destination, p.LeaseTailSeconds, p.CooldownSeconds, p.OverflowNumberID, p.SourceNumbers, store.At(p.CreatedAt))
		if err == nil {
			err = overflowTo(ctx, tx, p, "", l.now())
		}
		if err != nil {
			return err
		}
		if _, err = stock(ctx, tx, who.AccountID); err != nil {
			return err
		}
		return account.Audit(ctx, tx, l.now(), who, "pool.create", p.ID, nil)
	})
	if err != nil {
		return Pool{}, fmt.Errorf("create pool: %w", taken("pool", p.Name, err))
	}
	return p, nil
}

// UpdatePool changes a pool; see UpdateSource. A new destination is where its
// numbers ring from the next call on.
func (l *Ledger) UpdatePool(ctx context.Context, who account.Identity, id string, expect *int64, patch PoolPatch) (Pool, error) {
	var p Pool
	err := l.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		var err error
		if p, err = readPool(ctx, tx, who.AccountID, id, tx.ForUpdate()); err != nil {
			return err
		}
		if err := stale("pool", p.Version, expect); err != nil {
			return err
		}
		before := p.OverflowNumberID
		change(&p.Name, patch.Name)
		change(&p.Destination, patch.Destination)
		change(&p.LeaseTailSeconds, patch.LeaseTailSeconds)
		change(&p.CooldownSeconds, patch.CooldownSeconds)
		change(&p.OverflowNumberID, patch.OverflowNumberID)
		change(&p.SourceNumbers, patch.SourceNumbers)
		if err := p.check(ctx, tx); err != nil {
			return err
		}
		p.Version++
		_, err = tx.Exec(ctx, updatePool, p.Name, p.Destination, p.LeaseTailSeconds, p.CooldownSeconds, p.OverflowNumberID, p.SourceNumbers, p.Version, who.AccountID, id)
		if err != nil {
			return err
		}
		if err := overflowTo(ctx, tx, p, before, l.now()); err != nil {
			return err
		}
		if err := telephony.SetPoolDestination(ctx, tx, who.AccountID, id, p.Destination); err != nil {
			return err
		}
		if _, err = stock(ctx, tx, who.AccountID); err != nil {
			return err
		}
		return account.Audit(ctx, tx, l.now(), who, "pool.update", p.ID, nil)
	})
	if err != nil {
		return Pool{}, fmt.Errorf("change pool: %w", taken("pool", p.Name, err))
	}
	return p, nil
}

// RetirePool takes a pool out of use: its numbers are lent no longer, running
// leases end by themselves. It fails with kind Conflict while a site uses it.
func (l *Ledger) RetirePool(ctx context.Context, who account.Identity, id string, expect *int64) error {
	return l.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		p, err := readPool(ctx, tx, who.AccountID, id, tx.ForUpdate())
		if err == nil {
			err = stale("pool", p.Version, expect)
		}
		if err != nil {
			return fmt.Errorf("retire pool: %w", err)
		}
		site, err := optional(ctx, tx, siteOfPool, who.AccountID, id)
		if err != nil {
			return fmt.Errorf("retire pool: %w", err)
		}
		if site != "" {
			return callwheel.Errorf(callwheel.Conflict, "retire pool: the site %q uses it", site)
		}
		if _, err := tx.Exec(ctx, retirePool, store.At(l.now()), who.AccountID, id); err != nil {
			return fmt.Errorf("retire pool: %w", err)
		}
		before := p.OverflowNumberID
		p.OverflowNumberID = ""
		if err := overflowTo(ctx, tx, p, before, l.now()); err != nil {
			return fmt.Errorf("retire pool: %w", err)
		}
		if _, err = stock(ctx, tx, who.AccountID); err != nil {
			return fmt.Errorf("retire pool: %w", err)
		}
		return account.Audit(ctx, tx, l.now(), who, "pool.retire", p.ID, nil)
	})
}

func (p *Pool) check(ctx context.Context, tx *store.Tx) error {
	var bad fields
	p.Name = bad.name("name", p.Name, true)
	bad.within("lease_tail_seconds", p.LeaseTailSeconds, 0, maxTail)
	bad.within("cooldown_seconds", p.CooldownSeconds, 0, maxRest)
	if p.SourceNumbers != SourceNumbersFirst && p.SourceNumbers != SourceNumbersWhenShort {
		bad.add("source_numbers", "must be %s or %s", SourceNumbersFirst, SourceNumbersWhenShort)
	}
	if p.Destination != "" {
		e164, err := telephony.CheckDestination(ctx, tx, p.Destination)
		var refused *callwheel.Error
		switch {
		case err == nil:
			p.Destination = e164
		case errors.As(err, &refused) && refused.Kind == callwheel.Invalid:
			bad = append(bad, refused.Fields...)
		default:
			return err
		}
	}
	if p.OverflowNumberID != "" {
		number, err := optional(ctx, tx, overflowNumber, p.AccountID, p.OverflowNumberID)
		if err != nil {
			return err
		}
		if number == "" {
			bad.add("overflow_number_id", "must be an active tracking number of this account")
		}
	}
	return bad.err()
}

// Sites lists the account's sites as Pools does.
func (l *Ledger) Sites(ctx context.Context, accountID, after string, limit int) ([]Site, error) {
	var rows []siteRow
	if err := l.db.Select(ctx, &rows, listSites, accountID, after, limitOf(limit)); err != nil {
		return nil, fmt.Errorf("list sites: %w", err)
	}
	list := make([]Site, len(rows))
	for i, r := range rows {
		list[i] = r.site()
	}
	return list, nil
}

// Site returns one site; NotFound when there is none or it is retired.
func (l *Ledger) Site(ctx context.Context, accountID, id string) (Site, error) {
	return readSite(ctx, l.db, accountID, id, "")
}

// siteFreshness is how long a site may be remembered: other replicas' changes
// take this long to be seen on websites.
const siteFreshness = 5 * time.Second

// SiteByKey returns the site that a page names. While the database is away it
// answers from memory. Errors are NotFound and Unavailable.
func (l *Ledger) SiteByKey(ctx context.Context, key string) (Site, error) {
	now := l.now()
	l.mu.Lock()
	known, ok := l.sites[key]
	l.mu.Unlock()
	if age := now.Sub(known.readAt); ok && age >= 0 && age < siteFreshness {
		return known.site, nil
	}
	var row siteRow
	err := l.db.Get(ctx, &row, siteByKey, key)
	kind := callwheel.KindOf(err)
	switch {
	case err == nil:
		site := row.site()
		l.mu.Lock()
		l.sites[key] = knownSite{site: site, readAt: now}
		l.mu.Unlock()
		return site, nil
	case kind == callwheel.NotFound:
		l.forgetSite(key)
		return Site{}, callwheel.Errorf(callwheel.NotFound, "find site: no site has this key")
	case ok:
		return known.site, nil
	}
	return Site{}, fmt.Errorf("find site: %w", err)
}

func (l *Ledger) forgetSite(key string) {
	l.mu.Lock()
	delete(l.sites, key)
	l.mu.Unlock()
}

// CreateSite makes a site and its key. Errors are Invalid with fields and
// Conflict for a taken name.
func (l *Ledger) CreateSite(ctx context.Context, who account.Identity, d SiteDraft) (Site, error) {
	s := Site{
		AccountID: who.AccountID, ID: callwheel.NewID("site"), Key: callwheel.NewID("dni"), Name: d.Name, Origins: d.Origins, PoolID: d.PoolID,
		Swap: d.Swap, Consent: firstOf(d.Consent, ConsentNotRequired), Version: 1, CreatedAt: store.At(l.now()).Time,
		Script: Script{CookieDays: 90, ConsentMode: ConsentModeIgnored},
	}
	d.ScriptPatch.apply(&s.Script)
	err := l.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := s.check(ctx, tx); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, insertSite, who.AccountID, s.ID, s.Name, s.Key, toJSON(s.Origins), s.PoolID, toJSON(s.Swap), s.Consent,
			s.CookieDays, s.Cookieless, s.RespectDNT, s.ConsentMode, store.At(s.CreatedAt)); err != nil {
			return err
		}
		return account.Audit(ctx, tx, l.now(), who, "site.create", s.ID, nil)
	})
	if err != nil {
		return Site{}, fmt.Errorf("create site: %w", taken("site", s.Name, err))
	}
	return s, nil
}

// UpdateSite changes a site; see UpdateSource. Its key never changes.
func (l *Ledger) UpdateSite(ctx context.Context, who account.Identity, id string, expect *int64, p SitePatch) (Site, error) {
	var s Site
	err := l.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		var err error
		if s, err = readSite(ctx, tx, who.AccountID, id, tx.ForUpdate()); err != nil {
			return err
		}
		if err := stale("site", s.Version, expect); err != nil {
			return err
		}
		change(&s.Name, p.Name)
		change(&s.Origins, p.Origins)
		change(&s.PoolID, p.PoolID)
		change(&s.Swap, p.Swap)
		change(&s.Consent, p.Consent)
		p.ScriptPatch.apply(&s.Script)
		if err := s.check(ctx, tx); err != nil {
			return err
		}
		s.Version++
		if _, err := tx.Exec(ctx, updateSite, s.Name, toJSON(s.Origins), s.PoolID, toJSON(s.Swap), s.Consent,
			s.CookieDays, s.Cookieless, s.RespectDNT, s.ConsentMode, s.Version, who.AccountID, id); err != nil {
			return err
		}
		return account.Audit(ctx, tx, l.now(), who, "site.update", s.ID, nil)
	})
	if err != nil {
		return Site{}, fmt.Errorf("change site: %w", taken("site", s.Name, err))
	}
	l.forgetSite(s.Key)
	return s, nil
}

// RetireSite takes a site out of use: its key is unknown from now on, and its
// pages keep their printed numbers.
func (l *Ledger) RetireSite(ctx context.Context, who account.Identity, id string, expect *int64) error {
	var s Site
	err := l.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		var err error
		s, err = readSite(ctx, tx, who.AccountID, id, tx.ForUpdate())
		if err == nil {
			err = stale("site", s.Version, expect)
		}
		if err == nil {
			_, err = tx.Exec(ctx, retireSite, store.At(l.now()), who.AccountID, id)
		}
		if err == nil {
			err = account.Audit(ctx, tx, l.now(), who, "site.retire", s.ID, nil)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("retire site: %w", err)
	}
	l.forgetSite(s.Key)
	return nil
}

func (s *Site) check(ctx context.Context, tx *store.Tx) error {
	var bad fields
	s.Name = bad.name("name", s.Name, true)
	s.Origins = bad.origins(s.Origins)
	s.Swap = bad.swap(s.Swap)
	if s.Consent != ConsentRequired && s.Consent != ConsentNotRequired {
		bad.add("consent", "must be %s or %s", ConsentRequired, ConsentNotRequired)
	}
	s.Script.check(&bad)
	if s.PoolID != "" {
		if _, err := readPool(ctx, tx, s.AccountID, s.PoolID, ""); callwheel.KindOf(err) == callwheel.NotFound {
			bad.add("pool_id", "must be a pool of this account")
		} else if err != nil {
			return err
		}
	}
	return bad.err()
}

func (f *fields) origins(list []string) []string {
	if len(list) > maxOrigins {
		f.add("origins", "must be at most %d", maxOrigins)
		return nil
	}
	clean := []string{}
	for i, text := range list {
		u, err := url.Parse(strings.ToLower(strings.TrimSpace(text)))
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" || strings.Contains(u.Host, "*") {
			f.add(fmt.Sprintf("origins[%d]", i), "must be scheme and host, such as https://shop.example")
			continue
		}
		if origin := u.Scheme + "://" + defaultPort(u); !slices.Contains(clean, origin) {
			clean = append(clean, origin)
		}
	}
	return clean
}

// defaultPort writes the host as browsers do: without the port that goes
// without saying.
func defaultPort(u *url.URL) string {
	if u.Scheme == "https" && u.Port() == "443" || u.Scheme == "http" && u.Port() == "80" {
		return u.Hostname()
	}
	return u.Host
}

func (f *fields) swap(list []string) []string {
	if len(list) > maxSwap {
		f.add("swap", "must be at most %d", maxSwap)
		return nil
	}
	clean := []string{}
	for i, text := range list {
		e164, err := telephony.ParseNumber(text, "")
		if err != nil {
			f.add(fmt.Sprintf("swap[%d]", i), "must be a phone number in E.164, such as +13125550171")
			continue
		}
		if !slices.Contains(clean, e164) {
			clean = append(clean, e164)
		}
	}
	return clean
}

func change[T any](field *T, to *T) {
	if to != nil {
		*field = *to
	}
}

func limitOf(limit int) int {
	if limit <= 0 {
		return 1 << 30
	}
	return limit
}

// toJSON writes a list of plain values; nil is the empty list.
func toJSON[T any](list []T) string {
	if list == nil {
		return "[]"
	}
	text, err := json.Marshal(list)
	if err != nil {
		return "[]"
	}
	return string(text)
}

func fromJSON[T any](text string) []T {
	list := []T{}
	if json.Unmarshal([]byte(text), &list) != nil {
		return []T{}
	}
	return list
}
