package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jmoiron/sqlx"

	"github.com/callwheel/callwheel"
)

// groupSize bounds how many transactions share one commit: enough to make the
// commit cheap, few enough that the last one does not wait long.
const groupSize = 256

// group is SQLite's one writer. Transactions queue; one goroutine runs what is
// there, each in its own savepoint, commits once, and answers them all.
type group struct {
	db    *DB
	queue chan *task
	quit  chan struct{}
	done  chan struct{}
	once  sync.Once
}

type task struct {
	ctx    context.Context
	since  time.Time
	fn     func(context.Context, *Tx) error
	err    error
	answer chan error
}

// patience is how long a transaction without a deadline of its own waits for
// another process to let go of the database.
const patience = 5 * time.Second

var errClosed = &callwheel.Error{Kind: callwheel.Unavailable, Message: "database closed"}

func newGroup(db *DB) *group {
	g := &group{
		db:    db,
		queue: make(chan *task, 4*groupSize),
		quit:  make(chan struct{}),
		done:  make(chan struct{}),
	}
	go g.run()
	return g
}

// do queues one transaction and waits for its commit or for the end of ctx.
func (g *group) do(ctx context.Context, fn func(context.Context, *Tx) error) error {
	t := &task{ctx: ctx, since: time.Now(), fn: fn, answer: make(chan error, 1)}
	select {
	case g.queue <- t:
	case <-g.quit:
		return errClosed
	case <-ctx.Done():
		return away(ctx.Err())
	}
	select {
	case err := <-t.answer:
		return err
	case <-ctx.Done():
		// A result that is already there is truer than the clock.
		select {
		case err := <-t.answer:
			return err
		default:
			return away(ctx.Err())
		}
	case <-g.done:
		select {
		case err := <-t.answer:
			return err
		default:
			return errClosed
		}
	}
}

func away(err error) error {
	return &callwheel.Error{Kind: callwheel.Unavailable, Message: "database too slow", Err: err}
}

// stop lets the queued transactions finish and ends the writer.
func (g *group) stop() {
	g.once.Do(func() { close(g.quit) })
	<-g.done
}

func (g *group) run() {
	defer close(g.done)
	batch := make([]*task, 0, groupSize)
	for {
		batch = batch[:0]
		select {
		case t := <-g.queue:
			batch = append(batch, t)
		case <-g.quit:
			select {
			case t := <-g.queue: // queued before the end: still served
				batch = append(batch, t)
			default:
				return
			}
		}
	more:
		for len(batch) < groupSize {
			select {
			case t := <-g.queue:
				batch = append(batch, t)
			default:
				break more
			}
		}
		err := g.commit(batch)
		for _, t := range batch {
			if t.err == nil {
				t.err = err
			}
			g.db.forgetReadOnly(t.err)
			t.answer <- t.err
		}
	}
}

// commit runs the batch in one transaction. Its error is about the whole; a
// task's own error stands in the task.
func (g *group) commit(batch []*task) error {
	tx, err := g.begin(batch)
	if err != nil {
		return err
	}
	for _, t := range batch {
		if t.err = g.runOne(tx, t); errors.Is(t.err, errBroken) {
			tx.Rollback() //nolint:errcheck // the transaction is gone already
			return t.err
		}
	}
	return wrap(tx.Commit())
}

// begin takes the write lock. While another process holds it, begin tries again
// for as long as anybody in the batch still waits.
func (g *group) begin(batch []*task) (*sqlx.Tx, error) {
	for {
		// No task's context: a cancelled statement makes SQLite undo the whole
		// transaction (mattn/go-sqlite3 issue 769).
		tx, err := g.db.write.BeginTxx(context.Background(), nil)
		if err == nil {
			return tx, nil
		}
		if !isBusy(err) || !anyWaits(batch) {
			return nil, wrap(err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// forgetReadOnly closes SQLite's write connection when err says that it was
// opened while the file could only be read, or that the file has been replaced: it
// would stay that way. The next transaction opens the file anew.
func (db *DB) forgetReadOnly(err error) {
	if db.group != nil && isReadOnly(err) {
		db.write.SetMaxIdleConns(0)
		db.write.SetMaxIdleConns(1)
	}
}

func anyWaits(batch []*task) bool {
	for _, t := range batch {
		if _, ok := t.ctx.Deadline(); t.ctx.Err() == nil && (ok || time.Since(t.since) < patience) {
			return true
		}
	}
	return false
}

var errBroken = errors.New("the shared transaction broke")

func (g *group) runOne(tx *sqlx.Tx, t *task) error {
	if t.ctx.Err() != nil {
		return away(t.ctx.Err()) // nobody waits for it any more
	}
	if _, err := tx.Exec("SAVEPOINT one"); err != nil {
		return fmt.Errorf("%w: %w", errBroken, wrap(err))
	}
	err := guard(context.WithoutCancel(t.ctx), &Tx{tx: tx, re: g.db.re, dialect: g.db.dialect}, t.fn)
	end := "RELEASE one"
	if err != nil {
		end = "ROLLBACK TO one; RELEASE one"
	}
	if _, endErr := tx.Exec(end); endErr != nil {
		return fmt.Errorf("%w: %w", errBroken, wrap(endErr))
	}
	return err
}
