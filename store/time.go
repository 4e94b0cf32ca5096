package store

import (
	"database/sql/driver"
	"fmt"
	"time"
)

// Time is an instant as both databases keep it: BIGINT microseconds since 1970
// UTC. The zero Time is NULL. It reads and writes as a column of a row struct.
type Time struct{ time.Time }

// At makes a Time, cut to the microsecond and in UTC, as it will be read back.
func At(t time.Time) Time {
	if t.IsZero() {
		return Time{}
	}
	return Time{t.UTC().Truncate(time.Microsecond)}
}

// AtPtr is At for an optional instant: nil is NULL.
func AtPtr(t *time.Time) Time {
	if t == nil {
		return Time{}
	}
	return At(*t)
}

// Ptr returns the instant, or nil for NULL.
func (t Time) Ptr() *time.Time {
	if t.IsZero() {
		return nil
	}
	v := t.Time
	return &v
}

// Value writes the column.
func (t Time) Value() (driver.Value, error) {
	if t.IsZero() {
		return nil, nil
	}
	return t.UnixMicro(), nil
}

// Scan reads the column.
func (t *Time) Scan(src any) error {
	switch v := src.(type) {
	case nil:
		*t = Time{}
	case int64:
		*t = Time{time.UnixMicro(v).UTC()}
	default:
		return fmt.Errorf("read instant: %T is not BIGINT microseconds", src)
	}
	return nil
}

// Micros returns the instant as a statement's parameter.
func Micros(t time.Time) int64 { return t.UnixMicro() }

// FromMicros returns the instant of a column.
func FromMicros(us int64) time.Time { return time.UnixMicro(us).UTC() }
