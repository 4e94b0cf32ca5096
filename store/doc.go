// Package store is the database as a mechanism: opening, reading, writing,
// migrating. It knows no call and no campaign; rooms bring their own SQL.
//
// # Two databases, one text
//
// SQLite is the default, PostgreSQL serves several replicas. Statements are
// written once, with ? for parameters, in the words both understand; they are
// rebound in one place. Every difference that remains has a name and a reason
// in dialect.go.
//
// # Writing
//
// [DB.InTx] runs one write transaction. On PostgreSQL that is all. SQLite has
// one writer, so transactions queue for it: one goroutine runs those that wait
// back to back, each in its own savepoint, inside one outer transaction, and
// answers them all after a single commit at synchronous=FULL. There is no
// timer: whatever arrives during a commit is the next batch. When InTx returns
// nil the data is on disk.
//
// A function given to InTx gets a *Tx and must use only that: a call to the DB
// from inside would wait for itself. It may run more than once (a deadlock on
// PostgreSQL), so it must have no effect but its statements.
//
// # Reading
//
// [DB.Get], [DB.Select] and [DB.Rows] read outside any transaction, on SQLite
// through a pool of read-only connections that never wait for the writer.
//
// # Values on which the databases agree
//
// Ids are TEXT made in Go. Instants are BIGINT microseconds UTC ([Time]).
// Money is BIGINT micros beside a currency code. JSON is TEXT that only Go
// looks into. Calendar bounds are computed in Go and passed as parameters.
package store
