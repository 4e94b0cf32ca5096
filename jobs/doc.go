// Package jobs runs background work: it knows when, rooms know what.
//
// A [Step] is one bounded batch of work that lives in the room that owns it:
// it gets the time as an argument, says how much it did, and may be repeated
// without harm. A [Runner] calls steps at their intervals, one replica at a
// time per job (a row in job_locks that expires), counts and times them, and
// stops between batches.
//
// Work that must survive a restart is a row with a due time in its room, never
// a message in here.
package jobs
