package telephony

import (
	"cmp"
	"slices"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/language"

	"github.com/callwheel/callwheel"
)

// speakable says whether a text can be handed to a voice: short, valid UTF-8,
// no control characters.
func speakable(text string) bool {
	return utf8.ValidString(text) && utf8.RuneCountInString(text) <= maxSpoken &&
		!slices.ContainsFunc([]rune(text), unicode.IsControl)
}

// languageTag says whether tag is empty or a well-formed BCP 47 tag.
func languageTag(tag string) bool {
	if tag == "" {
		return true
	}
	_, err := language.Parse(tag)
	return err == nil && len(tag) <= 35
}

// sortFields puts refused fields in the order of their names, because a map
// was walked to find them.
func sortFields(fields []callwheel.FieldError) {
	slices.SortStableFunc(fields, func(a, b callwheel.FieldError) int { return cmp.Compare(a.Field, b.Field) })
}
