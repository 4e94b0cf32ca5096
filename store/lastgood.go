package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/callwheel/callwheel"
)

// WriteLastGood keeps a value for a start without the database: as JSON on one
// line of a file, and the SHA-256 of that line on the next. After a crash there
// is the old file or the new one, whole. Only its owner can read it.
func WriteLastGood(path string, v any) error {
	if err := writeLastGood(path, v); err != nil {
		return fmt.Errorf("write %s: %w", filepath.Base(path), err)
	}
	return nil
}

func writeLastGood(path string, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(text)
	text = append(append(append(text, '\n'), hex.EncodeToString(sum[:])...), '\n')
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	temp, err := os.CreateTemp(dir, filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name()) //nolint:errcheck // gone after the rename
	_, writeErr := temp.Write(text)
	if err := errors.Join(writeErr, temp.Sync(), temp.Close()); err != nil {
		return err
	}
	if err := os.Rename(temp.Name(), path); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// ReadLastGood reads into v what WriteLastGood kept. It fails with kind NotFound
// when there is no such file and with kind Conflict when it is damaged.
func ReadLastGood(path string, v any) error {
	name := filepath.Base(path)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return callwheel.Errorf(callwheel.NotFound, "there is no %s", name)
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	line, rest, _ := bytes.Cut(text, []byte("\n"))
	sum := sha256.Sum256(line)
	if string(bytes.TrimSpace(rest)) != hex.EncodeToString(sum[:]) {
		return callwheel.Errorf(callwheel.Conflict, "%s is damaged", name)
	}
	if err := json.Unmarshal(line, v); err != nil {
		return callwheel.Errorf(callwheel.Conflict, "read %s: %w", name, err)
	}
	return nil
}
