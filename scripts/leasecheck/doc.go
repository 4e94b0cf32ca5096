// Command leasecheck reads the lease history of a database and proves that no number was
// on two live leases at any instant, and that every visitor who was told a number
// is in the history with it. It knows nothing of how numbers are lent.
package main
