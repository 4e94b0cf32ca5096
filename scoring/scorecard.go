package scoring

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"slices"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/store"
)

// Criterion is one line of a scorecard: a question that is answered with a
// level from 0 to MaxLevel, or not at all where it does not apply.
type Criterion struct {
	ID          string  `json:"id"` // stable over the versions of its card
	Name        string  `json:"name"`
	Description string  `json:"description,omitempty"`
	Weight      float64 `json:"weight"`    // > 0; only its share of all weights matters
	MaxLevel    int64   `json:"max_level"` // >= 1
	Critical    bool    `json:"critical"`  // at level 0 the whole score is 0 ("auto-fail")
}

// Result is what the marks on a scorecard come to. Score and Uncritical go from
// 0 to 100 and are nil when no criterion applied.
type Result struct {
	Score      *float64 // 0 when a critical criterion failed
	Uncritical *float64 // what Score is or would be without that rule
	AutoFailed bool     // a critical criterion is at level 0
}

// Total works out the score of levels by criterion id. A criterion without a
// level does not apply and weighs nothing.
func Total(criteria []Criterion, levels map[string]int64) Result {
	var sum, weights float64
	var r Result
	for _, c := range criteria {
		x, applies := levels[c.ID]
		if !applies {
			continue
		}
		weights += c.Weight
		sum += c.Weight * (float64(x) / float64(c.MaxLevel))
		r.AutoFailed = r.AutoFailed || c.Critical && x == 0
	}
	if weights == 0 {
		return r
	}
	uncritical := min(100, 100*(sum/weights))
	score := uncritical
	if r.AutoFailed {
		score = 0
	}
	r.Score, r.Uncritical = &score, &uncritical
	return r
}

// ppm is a score of 0 to 100 in millionths of full marks, as it is kept.
func ppm(score *float64) *int64 {
	if score == nil {
		return nil
	}
	v := int64(math.Round(*score * 10_000))
	return &v
}

// Mark is a scorer's answer to one criterion, named by its id or its name. A
// nil Level says that it does not apply.
type Mark struct {
	Criterion string
	Level     *int64
}

// Levels reads the marks against the criteria: known criteria, each at most
// once, levels in range. A criterion that is not marked does not apply; where none
// applies there is nothing to keep, and nothing that could take the place of a score
// that was given before. The error is Invalid and names every mark that was refused.
func Levels(criteria []Criterion, marks []Mark) (map[string]int64, error) {
	var bad []callwheel.FieldError
	seen := map[string]bool{}
	levels := map[string]int64{}
	for i, m := range marks {
		refuse := func(field, format string, args ...any) {
			bad = append(bad, callwheel.FieldError{Field: fmt.Sprintf("marks[%d].%s", i, field), Message: fmt.Sprintf(format, args...)})
		}
		c, known := findCriterion(criteria, m.Criterion)
		switch {
		case !known:
			refuse("criterion", "%q is not a criterion of this scorecard; nearest: %s", cut(m.Criterion), quoted(nearest(m.Criterion, criterionNames(criteria), 3)))
		case seen[c.ID]:
			refuse("criterion", "%q is marked twice", c.Name)
		case m.Level != nil && (*m.Level < 0 || *m.Level > c.MaxLevel):
			refuse("level", "must be from 0 to %d, or null where it does not apply", c.MaxLevel)
		case m.Level != nil:
			levels[c.ID] = *m.Level
		}
		seen[c.ID] = true
	}
	if len(bad) == 0 && len(levels) == 0 {
		bad = append(bad, callwheel.FieldError{Field: "marks", Message: "must give at least one criterion a level: where none applies there is nothing to score"})
	}
	return levels, callwheel.InvalidFields(bad)
}

func findCriterion(criteria []Criterion, text string) (Criterion, bool) {
	for _, c := range criteria {
		if c.ID == text {
			return c, true
		}
	}
	folded := Fold(text)
	for _, c := range criteria {
		if Fold(c.Name) == folded {
			return c, true
		}
	}
	return Criterion{}, false
}

func criterionNames(criteria []Criterion) []string {
	names := make([]string, len(criteria))
	for i, c := range criteria {
		names[i] = c.Name
	}
	return names
}

const (
	maxCriteria    = 100
	maxDescription = 1000
	maxLevels      = 100
	maxWeight      = 1e6
)

var criterionID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,40}$`)

// cleanCriteria checks the lines of a card, gives those without an id one, and
// returns them as they are kept.
func cleanCriteria(in []Criterion) ([]Criterion, []callwheel.FieldError) {
	var bad []callwheel.FieldError
	if len(in) == 0 || len(in) > maxCriteria {
		return nil, []callwheel.FieldError{{Field: "criteria", Message: fmt.Sprintf("must be 1 to %d criteria", maxCriteria)}}
	}
	ids, names := map[string]bool{}, map[string]bool{}
	out := slices.Clone(in)
	for i := range out {
		c := &out[i]
		refuse := func(field, problem string) {
			bad = append(bad, callwheel.FieldError{Field: fmt.Sprintf("criteria[%d].%s", i, field), Message: problem})
		}
		if c.ID == "" {
			c.ID = callwheel.NewID("crit")
		}
		switch {
		case !criterionID.MatchString(c.ID):
			refuse("id", "must be 1 to 40 letters, digits, _ or -")
		case ids[c.ID]:
			refuse("id", "is used twice")
		}
		ids[c.ID] = true
		clean, problem := cleanName(c.Name)
		switch {
		case problem != "":
			refuse("name", problem)
		case names[Fold(clean)]:
			refuse("name", "is used twice")
		}
		c.Name = clean
		names[Fold(clean)] = true
		if problem := checkText(c.Description, maxDescription); problem != "" {
			refuse("description", problem)
		}
		if !(c.Weight > 0 && c.Weight <= maxWeight) {
			refuse("weight", "must be above 0 and at most 1000000")
		}
		if c.MaxLevel < 1 || c.MaxLevel > maxLevels {
			refuse("max_level", fmt.Sprintf("must be from 1 to %d", maxLevels))
		}
	}
	return out, bad
}

// Scorecard is a rubric. Every change makes a new version of it; scores keep
// the version that they were given with.
type Scorecard struct {
	ID        string
	Version   int64
	Name      string
	Criteria  []Criterion
	CreatedAt store.Time // of this version
}

// ScorecardEdit holds what shall change; nil leaves it as it is. Criteria are
// replaced as a whole: one that keeps its id is the same criterion, changed.
type ScorecardEdit struct {
	Name     *string
	Criteria *[]Criterion
}

// apply lays the edit over the card and checks the result.
func (e ScorecardEdit) apply(c *Scorecard) error {
	var bad []callwheel.FieldError
	if e.Name != nil {
		clean, problem := cleanName(*e.Name)
		if problem != "" {
			bad = append(bad, callwheel.FieldError{Field: "name", Message: problem})
		}
		c.Name = clean
	} else if c.Name == "" {
		bad = append(bad, callwheel.FieldError{Field: "name", Message: "must not be empty"})
	}
	if e.Criteria != nil || len(c.Criteria) == 0 {
		var criteria []Criterion
		if e.Criteria != nil {
			criteria = *e.Criteria
		}
		clean, problems := cleanCriteria(criteria)
		bad = append(bad, problems...)
		c.Criteria = clean
	}
	return callwheel.InvalidFields(bad)
}

type scorecardRow struct {
	ID        string     `db:"scorecard_id"`
	Version   int64      `db:"version"`
	Name      string     `db:"name"`
	Criteria  string     `db:"criteria"`
	CreatedAt store.Time `db:"created_at"`
}

func (r scorecardRow) card() (Scorecard, error) {
	c := Scorecard{ID: r.ID, Version: r.Version, Name: r.Name, CreatedAt: r.CreatedAt}
	if err := json.Unmarshal([]byte(r.Criteria), &c.Criteria); err != nil {
		return Scorecard{}, fmt.Errorf("read criteria of %s: %w", r.ID, err)
	}
	return c, nil
}

const (
	scorecardColumns = `SELECT scorecard_id, version, name, criteria, created_at FROM scorecards `
	selectScorecard  = scorecardColumns + `WHERE account_id = ? AND current AND retired_at IS NULL`
)

// Scorecards lists the account's cards in their current versions, oldest card
// first.
func (d *Desk) Scorecards(ctx context.Context, accountID string, page Page) ([]Scorecard, error) {
	var rows []scorecardRow
	err := d.db.Select(ctx, &rows, selectScorecard+` AND scorecard_id > ? ORDER BY scorecard_id LIMIT ?`, accountID, page.After, page.most())
	if err != nil {
		return nil, fmt.Errorf("list scorecards: %w", err)
	}
	cards := make([]Scorecard, len(rows))
	for i, r := range rows {
		if cards[i], err = r.card(); err != nil {
			return nil, err
		}
	}
	return cards, nil
}

// ScorecardByID returns one version of a card; 0 is the current one, of a card
// that has not retired. Older versions can be read for ever. NotFound.
func (d *Desk) ScorecardByID(ctx context.Context, accountID, id string, version int64) (Scorecard, error) {
	query, args := selectScorecard+` AND scorecard_id = ?`, []any{accountID, id}
	if version != 0 {
		query, args = scorecardColumns+`WHERE account_id = ? AND scorecard_id = ? AND version = ?`, []any{accountID, id, version}
	}
	var row scorecardRow
	if err := d.db.Get(ctx, &row, query, args...); err != nil {
		return Scorecard{}, fmt.Errorf("read scorecard: %w", err)
	}
	return row.card()
}

// CreateScorecard adds a card. It fails with Conflict when the account has one
// of that name, and with Invalid naming every criterion that cannot be one.
func (d *Desk) CreateScorecard(ctx context.Context, who account.Identity, e ScorecardEdit) (Scorecard, error) {
	c := Scorecard{ID: callwheel.NewID("card"), Version: 1, CreatedAt: store.At(d.now())}
	if err := e.apply(&c); err != nil {
		return Scorecard{}, err
	}
	err := d.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		return d.audited(ctx, tx, who, "scorecard.create", c.ID, map[string]any{"name": c.Name}, insertScorecard(ctx, tx, who.AccountID, c))
	})
	if err != nil {
		return Scorecard{}, fmt.Errorf("create scorecard: %w", err)
	}
	return c, nil
}

func insertScorecard(ctx context.Context, tx *store.Tx, accountID string, c Scorecard) error {
	criteria, err := json.Marshal(c.Criteria)
	if err != nil {
		return err
	}
	n, err := tx.Exec(ctx, `
		INSERT INTO scorecards (account_id, scorecard_id, version, name, folded, criteria, current, created_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
		accountID, c.ID, c.Version, c.Name, Fold(c.Name), string(criteria), true, c.CreatedAt)
	if err == nil && n == 0 {
		return conflict("scorecard", c.Name)
	}
	return err
}

// EditScorecard makes a new version of a card with the given changes. Errors:
// NotFound, Stale, Conflict when the name is taken, Invalid.
func (d *Desk) EditScorecard(ctx context.Context, who account.Identity, id string, e ScorecardEdit, ifVersion *int64) (Scorecard, error) {
	var c Scorecard
	err := d.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		var err error
		if c, err = lockScorecard(ctx, tx, who.AccountID, id, ifVersion); err != nil {
			return err
		}
		before := c
		if err := e.apply(&c); err != nil {
			return err
		}
		if c.Name == before.Name && slices.Equal(c.Criteria, before.Criteria) {
			return nil
		}
		if _, err := tx.Exec(ctx, `UPDATE scorecards SET current = ? WHERE account_id = ? AND scorecard_id = ? AND version = ?`,
			false, who.AccountID, id, before.Version); err != nil {
			return err
		}
		c.Version, c.CreatedAt = before.Version+1, store.At(d.now())
		return d.audited(ctx, tx, who, "scorecard.update", id, map[string]any{"name": c.Name, "version": c.Version}, insertScorecard(ctx, tx, who.AccountID, c))
	})
	if err != nil {
		return Scorecard{}, fmt.Errorf("edit scorecard: %w", err)
	}
	return c, nil
}

// RetireScorecard takes a card off the list; scores given with it stay. Errors:
// NotFound, Stale.
func (d *Desk) RetireScorecard(ctx context.Context, who account.Identity, id string, ifVersion *int64) error {
	err := d.db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		c, err := lockScorecard(ctx, tx, who.AccountID, id, ifVersion)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE scorecards SET retired_at = ? WHERE account_id = ? AND scorecard_id = ?`,
			store.Micros(d.now()), who.AccountID, id)
		return d.audited(ctx, tx, who, "scorecard.retire", id, map[string]any{"name": c.Name}, err)
	})
	if err != nil {
		return fmt.Errorf("retire scorecard: %w", err)
	}
	return nil
}

// lockScorecard locks a card by its first version, which is always there, and
// reads the current one: whoever waited for the lock must see the version that
// the winner made, not the one that it replaced.
func lockScorecard(ctx context.Context, tx *store.Tx, accountID, id string, ifVersion *int64) (Scorecard, error) {
	var first int64
	err := tx.Get(ctx, &first, `SELECT version FROM scorecards WHERE account_id = ? AND scorecard_id = ? AND version = 1`+tx.ForUpdate(), accountID, id)
	if err != nil {
		return Scorecard{}, err
	}
	var row scorecardRow
	if err := tx.Get(ctx, &row, selectScorecard+` AND scorecard_id = ?`, accountID, id); err != nil {
		return Scorecard{}, err
	}
	if err := checkVersion(ifVersion, row.Version); err != nil {
		return Scorecard{}, err
	}
	return row.card()
}

// findScorecard looks a card up by id or name, or refuses it with the nearest
// names.
func findScorecard(ctx context.Context, tx *store.Tx, accountID, text string) (Scorecard, error) {
	var row scorecardRow
	err := tx.Get(ctx, &row, selectScorecard+` AND (scorecard_id = ? OR folded = ?)`, accountID, text, Fold(text))
	if err == nil {
		return row.card()
	}
	if callwheel.KindOf(err) != callwheel.NotFound {
		return Scorecard{}, err
	}
	var known []string
	if err := tx.Select(ctx, &known, `SELECT name FROM scorecards WHERE account_id = ? AND current AND retired_at IS NULL`, accountID); err != nil {
		return Scorecard{}, err
	}
	return Scorecard{}, unknownName("scorecard", "scorecard", text, known)
}
