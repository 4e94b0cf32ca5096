package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/report"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/telephony"
)

type importCmd struct {
	Touches  importTouchesCmd  `cmd:"" help:"Arrivals, forms and chats: touch_id, person, touched_at, source, medium, campaign, term, content, click_id, landing_page, referrer, enquiry, answered_at, referred_by."`
	Outcomes importOutcomesCmd `cmd:"" help:"What became of persons: outcome_id, person, call_id, lead_at, qualified_at, won_at, value, margin, refunded, currency, referred_by."`
	Spend    importSpendCmd    `cmd:"" help:"What sources cost: source, medium, campaign, from, until, amount, currency."`
	Calls    importCallsCmd    `cmd:"" help:"Calls: call_id, started_at, from, tracking_number, outcome, ring_seconds, talk_seconds, source, medium, campaign, confidence, agent, tags, disposition, disposed_at, value, margin, refunded, currency, score, csat, nps, rated_at, called_back_at, referred_by."`
}

// Help shows an example.
func (importCmd) Help() string {
	return `Example: callwheel import calls calls.csv --account acct_…

Files are CSV in UTF-8 with a header, instants in RFC 3339. Unknown columns are
refused by name. The whole file is checked before anything is taken: when a line
is refused nothing is, unless --keep-going takes the others. The same file again
changes nothing; a line with an id that is there corrects it. Sources, agents,
tags and dispositions that a file names are made. Lines that were refused are
named on standard error, and the exit code is 1.`
}

// importing are the flags that every import shares.
type importing struct {
	File      string `arg:"" help:"CSV file." type:"existingfile"`
	Account   string `help:"The account's id; needed when there are several." placeholder:"ID"`
	KeepGoing bool   `help:"Take the lines that are right when others are refused."`
	JSON      bool   `name:"json" help:"Print the summary as JSON."`
}

// importBatch is how many lines are written in one transaction: few, because a
// call that rings meanwhile waits for it.
const importBatch = 100

// importKind is one kind of file: its columns, how a line is read, and which
// room keeps it.
type importKind[T any] struct {
	name    string // of the file: "touches"
	columns []report.LineColumn
	// read reads a line and lists what is wrong with it, by column.
	read func(line report.Line) (T, []callwheel.FieldError)
	// id is what makes the line one of its kind.
	id func(T) string
	// check finds what speaks against lines that are right in themselves: what is
	// known already. By place in the batch; may be nil.
	check func(ctx context.Context, batch []T) (map[int][]callwheel.FieldError, error)
	// keep takes a batch, all or none.
	keep func(ctx context.Context, batch []T) ([]telephony.Imported, error)
}

// importSummary is what became of a file.
type importSummary struct {
	Kind      string              `json:"kind"`
	Read      int                 `json:"read"`
	New       int                 `json:"new"`
	Unchanged int                 `json:"unchanged"`
	Corrected int                 `json:"corrected"`
	Refused   int                 `json:"refused"`
	Made      map[string][]string `json:"made,omitempty"` // names added to the account's lists
}

func (s *importSummary) made(list string, names []string) {
	for _, name := range names {
		if s.Made == nil {
			s.Made = map[string][]string{}
		}
		if !slices.Contains(s.Made[list], name) {
			s.Made[list] = append(s.Made[list], name)
		}
	}
}

func (s *importSummary) count(done []telephony.Imported) {
	for _, d := range done {
		switch d {
		case telephony.ImportNew:
			s.New++
		case telephony.ImportCorrected:
			s.Corrected++
		default:
			s.Unchanged++
		}
	}
}

func (s *importSummary) print(w io.Writer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(w).Encode(s)
	}
	fmt.Fprintf(w, "%s: %d lines read, %d new, %d unchanged, %d corrected, %d refused\n", s.Kind, s.Read, s.New, s.Unchanged, s.Corrected, s.Refused)
	for _, list := range []string{"sources", "agents", "tags", "dispositions"} {
		if names := s.Made[list]; len(names) > 0 {
			fmt.Fprintf(w, "made %s: %s\n", list, strings.Join(names, ", "))
		}
	}
	if len(s.Made["dispositions"]) > 0 {
		fmt.Fprintln(w, "dispositions are made with stage none: say what they mean where they are more")
	}
	return nil
}

// bench is what an import works with.
type bench struct {
	*program
	who     account.Identity
	account account.Account
	summary importSummary
	std     stdio
}

// run opens the house, checks the whole file, and keeps it batch by batch.
func (c importing) run(ctx context.Context, s *settings, std stdio, do func(b *bench) error) error {
	cfg, err := s.load(std.environ, nil)
	if err != nil {
		return err
	}
	p, err := assemble(cfg, time.Now, newLog(cfg.Log, std.err))
	if err != nil {
		return err
	}
	defer p.close() //nolint:errcheck // nothing is left open to lose
	if err := p.db.Migrate(ctx); err != nil {
		return err
	}
	if c.Account, err = oneAccount(ctx, p.db, c.Account); err != nil {
		return err
	}
	b := &bench{program: p, who: account.Operator(c.Account), std: std}
	if b.account, err = p.directory.Get(ctx, c.Account); err != nil {
		return err
	}
	failed := do(b)
	if b.summary.New+b.summary.Corrected > 0 {
		detail := map[string]any{
			"read": b.summary.Read, "new": b.summary.New, "unchanged": b.summary.Unchanged, "corrected": b.summary.Corrected, "refused": b.summary.Refused,
		}
		if err := p.directory.Note(ctx, b.who, "import."+b.summary.Kind, "", detail); err != nil {
			return err
		}
	}
	if failed != nil && b.summary.Read == 0 {
		return failed
	}
	return errors.Join(b.summary.print(std.out, c.JSON), failed)
}

// take reads a file twice: once to find what is wrong with it, and once to keep
// it. Of a line it remembers its id, never the line.
func take[T any](ctx context.Context, b *bench, c importing, kind importKind[T]) error {
	b.summary.Kind = kind.name
	file, err := os.Open(c.File)
	if err != nil {
		return err
	}
	defer file.Close()
	refuse := func(line int, bad []callwheel.FieldError) {
		b.summary.Refused++
		for _, f := range bad {
			fmt.Fprintf(b.std.err, "line %d: %s: %s\n", line, f.Field, f.Message)
		}
	}
	checked, err := kind.checkFile(ctx, file, refuse)
	b.summary.Read += checked.right + b.summary.Refused
	switch {
	case err != nil:
		return err
	case b.summary.Refused > 0 && !c.KeepGoing:
		return fmt.Errorf("nothing was taken, because %d of %d lines were refused; --keep-going takes the others", b.summary.Refused, b.summary.Read)
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	err = kind.eachBatch(ctx, file, func(int, []callwheel.FieldError) {}, func(batch []T, numbers []int) error {
		batch, numbers = checked.leaveOut(batch, numbers)
		return keepBatch(ctx, b, c, kind, batch, numbers, refuse)
	})
	if err == nil && b.summary.Refused > 0 {
		err = fmt.Errorf("%d of %d lines were refused", b.summary.Refused, b.summary.Read)
	}
	return err
}

// checkedFile is what the check of a whole file found.
type checkedFile[T any] struct {
	right   int
	refused map[int]bool // numbers of lines that are right in themselves
}

// leaveOut takes the refused lines out of a batch.
func (f checkedFile[T]) leaveOut(batch []T, numbers []int) ([]T, []int) {
	if len(f.refused) == 0 {
		return batch, numbers
	}
	var left []T
	var of []int
	for i, n := range numbers {
		if !f.refused[n] {
			left, of = append(left, batch[i]), append(of, n)
		}
	}
	return left, of
}

// checkFile reads a file without keeping anything of it.
func (k importKind[T]) checkFile(ctx context.Context, file io.Reader, refuse func(int, []callwheel.FieldError)) (checkedFile[T], error) {
	f := checkedFile[T]{refused: map[int]bool{}}
	err := k.eachBatch(ctx, file, refuse, func(batch []T, numbers []int) error {
		f.right += len(batch)
		if k.check == nil {
			return nil
		}
		bad, err := k.check(ctx, batch)
		for _, i := range slices.Sorted(maps.Keys(bad)) {
			f.right--
			f.refused[numbers[i]] = true
			refuse(numbers[i], bad[i])
		}
		return err
	})
	return f, err
}

// eachBatch hands on the lines that are right, a batch at a time, with their
// numbers.
func (k importKind[T]) eachBatch(ctx context.Context, file io.Reader, refuse func(int, []callwheel.FieldError), fn func(batch []T, numbers []int) error) error {
	batch, numbers := make([]T, 0, importBatch), make([]int, 0, importBatch)
	err := eachLine(ctx, file, k, refuse, func(item T, number int) error {
		batch, numbers = append(batch, item), append(numbers, number)
		if len(batch) < importBatch {
			return nil
		}
		defer func() { batch, numbers = batch[:0], numbers[:0] }()
		return fn(batch, numbers)
	})
	if err == nil && len(batch) > 0 {
		err = fn(batch, numbers)
	}
	return err
}

// keepBatch hands a batch to its room. What the room, or the database, refuses is
// found by handing in the lines one by one.
func keepBatch[T any](ctx context.Context, b *bench, c importing, kind importKind[T], batch []T, numbers []int, refuse func(int, []callwheel.FieldError)) error {
	if len(batch) == 0 {
		return nil
	}
	done, err := kind.keep(ctx, batch)
	if err == nil {
		b.summary.count(done)
		return nil
	}
	if refusalOf(err) == nil {
		return fmt.Errorf("stopped in lines %d to %d; the lines before them are taken, and the file again makes up for the rest: %w", numbers[0], numbers[len(numbers)-1], err)
	}
	for i := range batch {
		done, err := kind.keep(ctx, batch[i:i+1])
		if err == nil {
			b.summary.count(done)
			continue
		}
		bad := refusalOf(err)
		if bad == nil {
			return fmt.Errorf("stopped in line %d; the lines before it are taken, and the file again makes up for the rest: %w", numbers[i], err)
		}
		refuse(numbers[i], bad)
		if !c.KeepGoing {
			return fmt.Errorf("line %d was refused; the lines before it are taken, and the file again changes nothing of them", numbers[i])
		}
	}
	return nil
}

// refusalOf lists what speaks against a line; nil for an error that does not speak
// against the line.
func refusalOf(err error) []callwheel.FieldError {
	var e *callwheel.Error
	switch {
	case callwheel.KindOf(err) == callwheel.Invalid && errors.As(err, &e):
		return e.Fields
	case store.IsRefused(err):
		return []callwheel.FieldError{{Field: "line", Message: "the database refuses it: " + err.Error()}}
	}
	return nil
}

// eachLine hands on the lines that are right. A line whose id stood in an
// earlier one is refused: one of them would be lost.
func eachLine[T any](ctx context.Context, file io.Reader, kind importKind[T], refuse func(line int, bad []callwheel.FieldError), fn func(item T, line int) error) error {
	lines, err := report.ReadLines(file, kind.name+" file", kind.columns)
	if err != nil {
		return err
	}
	seed := maphash.MakeSeed()
	seen := map[uint64]int{}
	for {
		line, err := lines.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		case line.Problem != "":
			refuse(line.Number, []callwheel.FieldError{{Field: "line", Message: line.Problem}})
			continue
		}
		item, bad := kind.read(line)
		if len(bad) > 0 {
			refuse(line.Number, bad)
			continue
		}
		key := maphash.String(seed, kind.id(item))
		if first, twice := seen[key]; twice {
			refuse(line.Number, []callwheel.FieldError{{Field: kind.columns[0].Name, Message: fmt.Sprintf("the same as in line %d", first)}})
			continue
		}
		seen[key] = line.Number
		if err := fn(item, line.Number); err != nil {
			return err
		}
	}
}
