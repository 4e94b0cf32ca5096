package callwheel

import (
	"crypto/sha256"
	"encoding/base32"
	"strings"

	"github.com/google/uuid"
)

// idAlphabet is Crockford's base 32 in lower case: its order is the byte
// order, so ids made later sort later, and it has no letter that reads as a
// digit.
var idAlphabet = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// NewID makes an opaque id such as "pool_06f3…": the prefix says what it
// names, the rest is a version 7 UUID, so ids of one kind sort by the time at
// which they were made. Ids are made here and never by a database.
func NewID(prefix string) string {
	u := uuid.Must(uuid.NewV7())
	return prefix + "_" + idAlphabet.EncodeToString(u[:])
}

// DerivedID makes the id of a thing that somebody else already named, such as
// a provider's call: the same parts always give the same id. Rebuilding from
// the journal, and two replicas that see one call at once, therefore agree.
func DerivedID(prefix string, parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return prefix + "_" + idAlphabet.EncodeToString(sum[:16])
}
