package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/callwheel/callwheel/store"
)

func main() {
	database := flag.String("database", "", "address of the database")
	answers := flag.String("answers", "", "what visitors were told, one JSON object a line; optional")
	flag.Parse()
	if err := run(*database, *answers); err != nil {
		fmt.Fprintln(os.Stderr, "leasecheck:", err)
		os.Exit(1)
	}
}

// lease is a line of the history: a number was a session's in [From, Until).
type lease struct {
	ID      string     `db:"lease_id"`
	Account string     `db:"account_id"`
	Number  string     `db:"number"`
	Session string     `db:"session_id"`
	From    store.Time `db:"leased_from"`
	Beat    store.Time `db:"last_beat_at"`
	Until   store.Time `db:"leased_until"`
}

type answer struct {
	Session  string    `json:"session"`
	Number   string    `json:"number"`
	Asked    time.Time `json:"asked"`
	Told     time.Time `json:"told"`
	Until    time.Time `json:"until"`
	Overflow bool      `json:"overflow"`
}

func run(database, answers string) error {
	db, err := store.Open(database)
	if err != nil {
		return err
	}
	defer db.Close()
	var leases []lease
	err = db.Select(context.Background(), &leases, `
		SELECT lease_id, account_id, number, session_id, leased_from, last_beat_at, leased_until FROM leases WHERE account_id <> ''`)
	if err != nil {
		return err
	}
	cut, err := checkHistory(leases)
	if err != nil {
		return err
	}
	held := map[[2]string][]lease{}
	numbers := map[string]bool{}
	for _, l := range leases {
		key := [2]string{l.Session, l.Number}
		held[key] = append(held[key], l)
		numbers[l.Number] = true
	}
	told, err := checkAnswers(answers, held)
	if err != nil {
		return err
	}
	fmt.Printf("%d leases of %d numbers, %d of them cut by the next of the same session: no number on two live leases at any instant; %d answers, each in the history and none promised to two\n",
		len(leases), len(numbers), cut, told)
	return nil
}

// checkHistory sorts the leases by number and instant. Sorted so, two of them
// overlap if and only if some lease begins before the latest end so far.
func checkHistory(leases []lease) (cut int, err error) {
	slices.SortFunc(leases, func(a, b lease) int {
		return cmp.Or(cmp.Compare(a.Account, b.Account), cmp.Compare(a.Number, b.Number), a.From.Compare(b.From.Time), a.Until.Compare(b.Until.Time))
	})
	var last *lease // the one of this number that ends latest
	for i := range leases {
		l := &leases[i]
		if l.Until.Before(l.From.Time) {
			return 0, fmt.Errorf("lease %s ends before it begins", l.ID)
		}
		if last == nil || last.Number != l.Number || last.Account != l.Account {
			last = l
			continue
		}
		if l.From.Before(last.Until.Time) {
			return 0, fmt.Errorf("number %s is on two live leases at %s: %s of %s until %s, and %s of %s",
				l.Number, l.From, last.ID, last.Session, last.Until, l.ID, l.Session)
		}
		if l.Session == last.Session && l.From.Equal(last.Until.Time) {
			cut++
		}
		if !l.Until.Before(last.Until.Time) {
			last = l
		}
	}
	return cut, nil
}

// checkAnswers compares what visitors were told with the history, and the
// promises with each other: a number that is somebody's until an instant is told
// to nobody else before it.
func checkAnswers(path string, held map[[2]string][]lease) (int, error) {
	if path == "" {
		return 0, nil
	}
	file, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	var list []answer
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		var a answer
		if err := json.Unmarshal(lines.Bytes(), &a); err != nil {
			return 0, fmt.Errorf("read answer: %w", err)
		}
		if a.Overflow {
			continue
		}
		if !slices.ContainsFunc(held[[2]string{a.Session, a.Number}], func(l lease) bool { return l.From.Before(a.Told) && l.Until.After(a.Asked) }) {
			return 0, fmt.Errorf("%s was told %s at %s, which is not in the history", a.Session, a.Number, a.Told)
		}
		list = append(list, a)
	}
	slices.SortFunc(list, func(a, b answer) int { return cmp.Or(cmp.Compare(a.Number, b.Number), a.Told.Compare(b.Told)) })
	for i := range list {
		for _, next := range list[i+1:] {
			if next.Number != list[i].Number || !next.Told.Before(list[i].Until) {
				break
			}
			if next.Session != list[i].Session {
				return 0, fmt.Errorf("%s was promised to %s until %s and told to %s at %s", next.Number, list[i].Session, list[i].Until, next.Session, next.Told)
			}
		}
	}
	return len(list), lines.Err()
}
