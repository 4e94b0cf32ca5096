package scoring

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/account"
)

// maxName is the longest name of a list's item, in characters.
const maxName = 100

// Fold returns the form by which names are compared: NFC, Unicode case folding,
// single spaces. Two names with the same folded form are the same name.
func Fold(name string) string {
	folded := cases.Fold().String(norm.NFC.String(name))
	return norm.NFC.String(strings.Join(strings.Fields(folded), " "))
}

// cleanName returns the name as it is kept: NFC, single spaces, none at the
// ends. It reports what is wrong with it, or "".
func cleanName(name string) (clean, problem string) {
	if !utf8.ValidString(name) {
		return "", "must be valid UTF-8"
	}
	clean = strings.Join(strings.Fields(norm.NFC.String(name)), " ")
	switch {
	case clean == "":
		return "", "must not be empty"
	case utf8.RuneCountInString(clean) > maxName:
		return "", fmt.Sprintf("must have at most %d characters", maxName)
	case !account.Legible(clean):
		return "", "must be visible, and hold no control or invisible characters"
	case clean == "." || clean == "..":
		// Names stand in paths, where browsers take these two away.
		return "", "must contain more than dots"
	}
	return clean, ""
}

// checkText reports what is wrong with a longer text, or "".
func checkText(text string, most int) string {
	switch {
	case !utf8.ValidString(text):
		return "must be valid UTF-8"
	case strings.ContainsRune(text, 0):
		return "must not contain NUL"
	case utf8.RuneCountInString(text) > most:
		return fmt.Sprintf("must have at most %d characters", most)
	}
	return ""
}

// unknownName is the refusal of a name that is not in a list, with the nearest
// names that are.
func unknownName(field, what, name string, known []string) error {
	name = cut(name)
	if len(known) == 0 {
		return callwheel.InvalidField(field, "%q is not a %s of this account, which has none yet", name, what)
	}
	return callwheel.InvalidField(field, "%q is not a %s of this account; nearest: %s", name, what, quoted(nearest(name, known, 3)))
}

// cut shortens a name that is too long to be repeated whole.
func cut(name string) string {
	if r := []rune(name); len(r) > maxName {
		return string(r[:maxName]) + "…"
	}
	return name
}

func quoted(names []string) string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = fmt.Sprintf("%q", n)
	}
	return strings.Join(out, ", ")
}

// nearest returns up to n of the names, those with the smallest edit distance
// to name first and equals in alphabetical order.
func nearest(name string, names []string, n int) []string {
	folded := []rune(Fold(name))
	if len(folded) > maxName {
		folded = folded[:maxName]
	}
	type candidate struct {
		name     string
		distance int
	}
	all := make([]candidate, len(names))
	for i, other := range names {
		all[i] = candidate{other, distance(folded, []rune(Fold(other)))}
	}
	slices.SortFunc(all, func(a, b candidate) int {
		if a.distance != b.distance {
			return a.distance - b.distance
		}
		return strings.Compare(a.name, b.name)
	})
	out := make([]string, 0, n)
	for _, c := range all[:min(n, len(all))] {
		out = append(out, c.name)
	}
	return out
}

// distance counts the insertions, deletions, substitutions and swaps of
// neighbours that turn a into b.
func distance(a, b []rune) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
