// Command leases is the load of the proof that two servers on one PostgreSQL never lend
// one number twice: it starts both, lets 64 visitors at a time ask each of them
// for one of 20 numbers, and writes down what was answered. Leasecheck then reads
// the history. See scripts/leases.sh.
package main
