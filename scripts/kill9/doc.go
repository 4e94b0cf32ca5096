// Command kill9 proves promise number one of the data path: what was
// acknowledged is on disk. It starts the server, lets many callers at once send
// signed provider requests, notes every 2xx, kills the server with SIGKILL at a
// random moment, starts it again on the same files, and compares: every
// acknowledged event is in the journal exactly once, and every call of which
// one was acknowledged has exactly one row.
package main
