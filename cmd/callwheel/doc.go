// Command callwheel is the product: one binary that serves, demonstrates,
// simulates, reports and administers.
//
// serve.go reads as the architecture: [assemble] wires the rooms in the order
// in which a call walks through them (facts, conclusion, judgement, knowledge,
// doors), start opens the doors before anything else so that callers get
// through, stop goes the other way. jobs.go is the table of background work.
//
// stage.go puts that same program and a pretend phone network on one clock,
// with nothing but HTTP between them; play.go plays a made-up business on it
// through the public doors, and writes the truth beside. The demo, the
// simulation and the end-to-end tests are three ways to use the stage.
//
// main.go reads the command, runs it and sets the exit code: 0 done, 1 failed,
// 2 wrong usage, 78 bad configuration.
package main
