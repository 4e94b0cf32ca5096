package telephony

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/callwheel/callwheel"
)

// spool is the file in which events wait while the database is away. An event
// is on disk before Append returns. A record is
//
//	magic "CWS1" · length · CRC-32C of the body · body (JSON)
//
// with both figures as big-endian 32 bits. What a power cut or a bad disk left
// half-written is passed over: reading goes on at the next magic. A nil spool
// takes nothing.
//
// A file belongs to the process that holds its lock. A second process on the
// same folder takes a file of its own, and whoever drains takes over the files
// of processes that ended.
type spool struct {
	syncing sync.Mutex // held during fsync; taken before mu
	mu      sync.Mutex
	file    *os.File
	dir     string
	size    int64     // end of the last whole record
	synced  int64     // records before it are on disk
	failed  int64     // records before it may not be, because an fsync failed
	done    int64     // records before it are in the database
	oldest  time.Time // receipt of the first record that is not; zero when none

	writing chan struct{} // one token per record that is being appended

	leaving sync.Mutex            // held while left is drained or closed
	left    atomic.Pointer[spool] // a file that another process left behind
}

// spooled is one event that waits.
type spooled struct {
	Entry Entry `json:"entry"`
	Own   bool  `json:"own,omitempty"` // signed with the account's own secret
}

var (
	spoolMagic   = []byte("CWS1")
	spoolTable   = crc32.MakeTable(crc32.Castagnoli)
	errNoSpool   = &callwheel.Error{Kind: callwheel.Unavailable, Message: "no spool"}
	errNotSynced = &callwheel.Error{Kind: callwheel.Unavailable, Message: "the disk did not take it"}
	errSlowSpool = &callwheel.Error{Kind: callwheel.Unavailable, Message: "spool too slow"}
	errTaken     = &callwheel.Error{Kind: callwheel.Unavailable, Message: "another process holds the spool"}
)

const (
	spoolHeader = 12
	// maxRecord bounds a damaged length: a body of 1 MB is at most 1.4 MB in
	// JSON, the target less than that, an answer of 64 kB at most six times as
	// much.
	maxRecord = 4 << 20
	// maxWriting bounds the records that wait for a disk that hangs.
	maxWriting = 1024
)

// The first process on a folder takes the first name, the next one the second.
const (
	firstSpool  = "events.spool"
	maxSpools   = 64
	refusedName = "events.refused"
)

func spoolName(n int) string {
	if n == 1 {
		return firstSpool
	}
	return fmt.Sprintf("events.%d.spool", n)
}

// openSpool opens or creates the spool in dir: the first file that no other
// process holds. Events that wait in it since an earlier run are found again,
// and events that were set aside are tried once more.
func openSpool(dir string) (*spool, error) {
	if dir == "" {
		return nil, nil //nolint:nilnil // a nil spool takes nothing
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("open spool: %w", err)
	}
	for n := 1; n <= maxSpools; n++ {
		s, err := openSpoolFile(dir, spoolName(n), os.O_CREATE)
		if errors.Is(err, errTaken) {
			continue
		}
		if err == nil && n == 1 {
			err = s.takeBack()
		}
		return s, err
	}
	return nil, fmt.Errorf("open spool: %w", errTaken)
}

// openSpoolFile takes one file; errTaken when another process holds it.
func openSpoolFile(dir, name string, flags int) (*spool, error) {
	file, err := openLocked(filepath.Join(dir, name), os.O_RDWR|flags, syscall.LOCK_NB)
	if err != nil {
		return nil, fmt.Errorf("open spool: %w", err)
	}
	s := &spool{file: file, dir: dir, writing: make(chan struct{}, maxWriting)}
	info, err := file.Stat()
	if err := errors.Join(err, syncDir(dir)); err != nil {
		file.Close()
		return nil, fmt.Errorf("open spool: %w", err)
	}
	// A torn tail stays where it is: appending after it is safe, because
	// reading looks for the next magic.
	s.size = info.Size()
	if _, rec, err := s.next(0); err == nil {
		s.oldest = rec.Entry.ReceivedAt.Time
	}
	return s, nil
}

// openLocked opens a file and takes its lock, which ends with the file or with
// the process. With LOCK_NB it does not wait: errTaken.
func openLocked(path string, flags, wait int) (*os.File, error) {
	for {
		file, err := os.OpenFile(path, flags, 0o600)
		if err != nil {
			return nil, err
		}
		err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|wait)
		if err == nil && isAt(file, path) {
			return file, nil
		}
		file.Close()
		switch {
		case err == nil, errors.Is(err, syscall.EINTR): // whoever held it removed it meanwhile
		case errors.Is(err, syscall.EWOULDBLOCK):
			return nil, errTaken
		default:
			return nil, fmt.Errorf("lock %s: %w", filepath.Base(path), err)
		}
	}
}

// isAt says whether the open file is still the one at the path.
func isAt(file *os.File, path string) bool {
	open, openErr := file.Stat()
	there, err := os.Stat(path)
	return openErr == nil && err == nil && os.SameFile(open, there)
}

// Append keeps the event and returns once it is on disk.
func (s *spool) Append(rec spooled) error {
	if s == nil {
		return errNoSpool
	}
	body, err := json.Marshal(rec)
	if err != nil {
		return fmt.Errorf("spool an event: %w", err)
	}
	end, err := s.write(frame(body), rec.Entry.ReceivedAt.Time)
	if err == nil {
		err = s.sync(end)
	}
	if err != nil {
		return fmt.Errorf("spool an event: %w", err)
	}
	return nil
}

// AppendWithin is Append that waits no longer than the budget for a disk that
// hangs. The event may then still have been kept.
func (s *spool) AppendWithin(budget time.Duration, rec spooled) error {
	if s == nil {
		return errNoSpool
	}
	select {
	case s.writing <- struct{}{}:
	default:
		return errSlowSpool
	}
	written := make(chan error, 1)
	go func() {
		defer func() { <-s.writing }()
		written <- s.Append(rec)
	}()
	patience := time.NewTimer(budget)
	defer patience.Stop()
	select {
	case err := <-written:
		return err
	case <-patience.C:
		return errSlowSpool
	}
}

// write adds a record and returns where it ends.
func (s *spool) write(record []byte, receivedAt time.Time) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.file.WriteAt(record, s.size); err != nil {
		return 0, err
	}
	s.size += int64(len(record))
	if s.oldest.IsZero() {
		s.oldest = receivedAt
	}
	return s.size, nil
}

// sync returns once everything before end is on disk. Records that were written
// while another was on its way there share the next fsync.
func (s *spool) sync(end int64) error {
	s.syncing.Lock()
	defer s.syncing.Unlock()
	s.mu.Lock()
	size, synced, failed := s.size, s.synced, s.failed
	s.mu.Unlock()
	switch {
	case failed >= end:
		return errNotSynced
	case synced >= end:
		return nil
	}
	err := s.file.Sync()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		// The kernel forgets what it could not write, and the next fsync
		// succeeds without it.
		s.failed = size
		return err
	}
	s.synced = size
	return nil
}

func frame(body []byte) []byte {
	out := make([]byte, spoolHeader, spoolHeader+len(body))
	copy(out, spoolMagic)
	binary.BigEndian.PutUint32(out[4:], uint32(len(body)))
	binary.BigEndian.PutUint32(out[8:], crc32.Checksum(body, spoolTable))
	return append(out, body...)
}

// Drain hands up to limit waiting events to keep, oldest first, and forgets
// those that it takes. It stops at the first that the database does not take;
// one that the database refuses for what it is goes to a file of its own, so
// that it cannot hold up the others. When nothing waits any more the file is
// emptied.
func (s *spool) Drain(limit int, keep func(spooled) error) (int, error) {
	if s == nil {
		return 0, nil
	}
	n := 0
	for n < limit {
		s.mu.Lock()
		at, rec, err := s.next(s.done)
		s.mu.Unlock()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return n, err
		}
		if err := keep(rec); err != nil {
			if callwheel.KindOf(err) == callwheel.Unavailable {
				return n, err
			}
			if err := s.setAside(rec); err != nil {
				return n, err
			}
		}
		n++
		s.advance(at)
	}
	return n, s.empty()
}

// DrainLeft is Drain for a file that another process left behind: one that has
// events in it and whose lock nobody holds.
func (s *spool) DrainLeft(limit int, keep func(spooled) error) (int, error) {
	if s == nil {
		return 0, nil
	}
	s.leaving.Lock()
	defer s.leaving.Unlock()
	left := s.left.Load()
	if left == nil {
		var err error
		if left, err = s.findLeft(); left == nil || err != nil {
			return 0, err
		}
		s.left.Store(left)
	}
	n, err := left.Drain(limit, keep)
	if err == nil && left.Bytes() == 0 {
		s.left.Store(nil)
		err = left.Close()
	}
	return n, err
}

// findLeft takes the first file that has been left behind; nil when there is
// none.
func (s *spool) findLeft() (*spool, error) {
	names, _ := filepath.Glob(filepath.Join(s.dir, "events*.spool")) //nolint:errcheck // the pattern is good
	for _, path := range names {
		info, err := os.Stat(path)
		if err != nil || info.Size() == 0 || path == s.file.Name() {
			continue
		}
		left, err := openSpoolFile(s.dir, filepath.Base(path), 0)
		if errors.Is(err, errTaken) || errors.Is(err, fs.ErrNotExist) {
			continue
		}
		return left, err
	}
	return nil, nil //nolint:nilnil // none was left
}

// next reads the first whole record at or after an offset and returns where it
// ends; io.EOF when there is none.
func (s *spool) next(from int64) (end int64, rec spooled, err error) {
	header := make([]byte, spoolHeader)
	for at := from; ; {
		if at, err = s.findMagic(at); err != nil {
			return 0, spooled{}, err
		}
		if at+spoolHeader > s.size {
			return 0, spooled{}, io.EOF
		}
		if _, err := s.file.ReadAt(header, at); err != nil {
			return 0, spooled{}, fmt.Errorf("read spool: %w", err)
		}
		length := int64(binary.BigEndian.Uint32(header[4:]))
		end := at + spoolHeader + length
		if length > maxRecord || end > s.size {
			at++
			continue
		}
		body := make([]byte, length)
		if _, err := s.file.ReadAt(body, at+spoolHeader); err != nil {
			return 0, spooled{}, fmt.Errorf("read spool: %w", err)
		}
		var rec spooled
		if crc32.Checksum(body, spoolTable) != binary.BigEndian.Uint32(header[8:]) || json.Unmarshal(body, &rec) != nil {
			at++
			continue
		}
		return end, rec, nil
	}
}

// findMagic returns where the next record may begin.
func (s *spool) findMagic(from int64) (int64, error) {
	buf := make([]byte, 64<<10)
	for at := from; at < s.size; {
		n, err := s.file.ReadAt(buf[:min(int64(len(buf)), s.size-at)], at)
		if err != nil && !errors.Is(err, io.EOF) {
			return 0, fmt.Errorf("read spool: %w", err)
		}
		if i := bytes.Index(buf[:n], spoolMagic); i >= 0 {
			return at + int64(i), nil
		}
		if n < len(spoolMagic) {
			break
		}
		at += int64(n - len(spoolMagic) + 1) // the magic may lie across two reads
	}
	return 0, io.EOF
}

func (s *spool) advance(to int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done = to
	s.oldest = time.Time{}
	if _, rec, err := s.next(to); err == nil {
		s.oldest = rec.Entry.ReceivedAt.Time
	}
}

// empty truncates the file once everything in it is in the database. Until
// then a restart drains from the start again, which is harmless.
func (s *spool) empty() error {
	s.syncing.Lock()
	defer s.syncing.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.size == 0 {
		return nil
	}
	if _, _, err := s.next(s.done); !errors.Is(err, io.EOF) {
		return err
	}
	if err := s.file.Truncate(0); err != nil {
		return fmt.Errorf("empty spool: %w", err)
	}
	s.size, s.synced, s.failed, s.done, s.oldest = 0, 0, 0, 0, time.Time{}
	if err := s.file.Sync(); err != nil {
		return fmt.Errorf("empty spool: %w", err)
	}
	return nil
}

// setAside keeps an event that the database refuses where a person can look at
// it, until the next start tries it again.
func (s *spool) setAside(rec spooled) error {
	body, err := json.Marshal(rec)
	if err != nil {
		return fmt.Errorf("set an event aside: %w", err)
	}
	file, err := openLocked(filepath.Join(s.dir, refusedName), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0)
	if err != nil {
		return fmt.Errorf("set an event aside: %w", err)
	}
	defer file.Close()
	if _, err := file.Write(append(body, '\n')); err != nil {
		return fmt.Errorf("set an event aside: %w", err)
	}
	if err := file.Sync(); err != nil {
		return fmt.Errorf("set an event aside: %w", err)
	}
	return nil
}

// takeBack lets the events that were set aside wait once more: what refused them
// may have been mended since. One that was written only in part is still in the
// spool, from which it had not been taken. Events may then wait twice, which is
// harmless.
func (s *spool) takeBack() error {
	path := filepath.Join(s.dir, refusedName)
	file, err := openLocked(path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("take back refused events: %w", err)
	}
	defer file.Close()
	text, err := io.ReadAll(file)
	if err != nil {
		return fmt.Errorf("take back refused events: %w", err)
	}
	for line := range bytes.Lines(text) {
		var rec spooled
		if json.Unmarshal(line, &rec) != nil {
			continue
		}
		if err := s.Append(rec); err != nil {
			return fmt.Errorf("take back refused events: %w", err)
		}
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("take back refused events: %w", err)
	}
	return nil
}

// Refused returns how many events have been set aside in the folder.
func (s *spool) Refused() int {
	if s == nil {
		return 0
	}
	text, err := os.ReadFile(filepath.Join(s.dir, refusedName))
	if err != nil {
		return 0 // usually there is no such file
	}
	return bytes.Count(text, []byte("\n"))
}

// seedBytes is how much of the end of a spool is read for the answers in it: a
// provider asks again within a minute, not after thousands of events.
const seedBytes = 16 << 20

// recentEntries hands over the last events that wait in dir, also in files of
// other processes. What cannot be read is passed over.
func recentEntries(dir string, yield func(Entry)) {
	names, _ := filepath.Glob(filepath.Join(dir, "events*.spool")) //nolint:errcheck // the pattern is good
	for _, path := range names {
		file, err := os.Open(path)
		if err != nil {
			continue
		}
		if info, err := file.Stat(); err == nil {
			s := &spool{file: file, size: info.Size()}
			at, rec, err := s.next(max(0, s.size-seedBytes))
			for err == nil {
				yield(rec.Entry)
				at, rec, err = s.next(at)
			}
		}
		file.Close()
	}
}

// Bytes returns how much waits.
func (s *spool) Bytes() int64 {
	if s == nil {
		return 0
	}
	left := s.left.Load().Bytes()
	s.mu.Lock()
	defer s.mu.Unlock()
	return left + s.size - s.done
}

// Age returns how long the oldest event has waited.
func (s *spool) Age(now time.Time) time.Duration {
	if s == nil {
		return 0
	}
	left := s.left.Load().Age(now)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.oldest.IsZero() {
		return left
	}
	return max(left, now.Sub(s.oldest))
}

// Close closes the file. What waits in it waits for the next start; an empty one
// that only a second process needed is removed.
func (s *spool) Close() error {
	if s == nil {
		return nil
	}
	s.leaving.Lock()
	defer s.leaving.Unlock()
	err := s.left.Swap(nil).Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	if path := s.file.Name(); s.size == 0 && filepath.Base(path) != firstSpool && isAt(s.file, path) {
		err = errors.Join(err, os.Remove(path))
	}
	return errors.Join(err, s.file.Close())
}

// syncDir makes a rename or a new file in dir survive a power cut.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
