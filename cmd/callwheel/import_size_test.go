package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
)

// A value below what was given back is known to the database alone. It is found
// before anything of the file is taken; and with --keep-going the line is left out
// altogether: not the value alone.
func TestWhatOnlyTheDatabaseRefusesIsFoundBeforeAnythingIsTaken(t *testing.T) {
	storetest.EachURL(t, func(t *testing.T, databaseURL string) {
		b := newBrought(t, databaseURL)
		line := func(i int, talk int, value string) string {
			return fmt.Sprintf("c%d,2026-10-01T10:00:00Z,+1212555%04d,+13125550171,answered,5,%d,google,cpc,,Ann,,Lead,%s,USD", i, i, talk, value)
		}
		lines := []string{callColumns}
		for i := range 250 {
			lines = append(lines, line(i, 60, "10.00"))
		}
		b.file("calls", lines).ok(t)
		db, err := store.Open(databaseURL)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		err = db.InTx(context.Background(), func(ctx context.Context, tx *store.Tx) error {
			n, err := tx.Exec(ctx, `UPDATE sales SET refunded_micros = 5000000 WHERE call_id = (SELECT call_id FROM calls WHERE from_e164 = '+12125550150')`)
			if n != 1 {
				t.Errorf("%d sales have something given back, want 1", n)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		// Told anew: every call lasted longer and sold for less, one for too little.
		lines = lines[:1]
		for i := range 250 {
			lines = append(lines, line(i, 90, map[bool]string{true: "4.00", false: "9.00"}[i == 150]))
		}
		longer := func() (n int) {
			t.Helper()
			if err := db.Get(context.Background(), &n, `SELECT count(*) FROM calls c JOIN sales s ON s.account_id = c.account_id AND s.call_id = c.call_id
				WHERE c.talk_seconds = 90 AND s.value_micros = 9000000`); err != nil {
				t.Fatal(err)
			}
			return n
		}
		told := func() (n int) {
			t.Helper()
			if err := db.Get(context.Background(), &n, `SELECT count(*) FROM calls WHERE talk_seconds = 90`); err != nil {
				t.Fatal(err)
			}
			return n
		}
		none := b.file("calls", lines)
		if none.code != exitFailed || !strings.Contains(none.err, "line 152: value: 5.00 USD was given back of the sale: it cannot become 4.00 USD") ||
			!strings.Contains(none.err, "nothing was taken, because 1 of 250 lines were refused") ||
			none.out != "calls: 250 lines read, 0 new, 0 unchanged, 0 corrected, 1 refused\n" {
			t.Errorf("got exit code %d, %q and\n%s", none.code, none.out, none.err)
		}
		if n := told(); n != 0 {
			t.Errorf("%d calls were changed, want none", n)
		}
		some := b.file("calls", lines, "--keep-going")
		if some.code != exitFailed || some.out != "calls: 250 lines read, 0 new, 0 unchanged, 249 corrected, 1 refused\n" {
			t.Errorf("--keep-going: got exit code %d, %q and\n%s", some.code, some.out, some.err)
		}
		if n, all := longer(), told(); n != 249 || all != 249 {
			t.Errorf("%d calls were corrected, and of them %d with their value; want 249: a refused line is left out altogether", all, n)
		}
	})
}

// A file of any length is taken with little memory. IMPORT_LINES says how many
// lines.
func TestALongFileIsTakenWithLittleMemory(t *testing.T) {
	n, err := strconv.Atoi(os.Getenv("IMPORT_LINES"))
	if err != nil {
		t.Skip("left out: IMPORT_LINES names no number of lines")
	}
	for _, kind := range []string{"touches", "calls"} {
		t.Run(kind, func(t *testing.T) {
			b := newBrought(t, storetest.SQLiteURL(t))
			name := filepath.Join(b.dir, kind+".csv")
			writeLong(t, name, kind, n)
			for _, round := range []string{"new", "again"} {
				peak := heapGrowth()
				began := time.Now()
				out := command(t, b.environ, "import", kind, name).ok(t)
				t.Logf("%s: %v, %d MB of heap at most; %s", round, time.Since(began), peak()>>20, out)
			}
		})
	}
}

func writeLong(t *testing.T, name, kind string, n int) {
	file, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	w := bufio.NewWriter(file)
	at := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	if kind == "touches" {
		fmt.Fprintln(w, "touch_id,person,touched_at,source,medium,campaign,landing_page")
	} else {
		fmt.Fprintln(w, callColumns)
	}
	for i := range n {
		at = at.Add(30 * time.Second)
		if kind == "touches" {
			fmt.Fprintf(w, "t%d,visitor-%d,%s,google,cpc,Campaign %d,https://shop.example/offers\n", i, i%(n/2+1), at.Format(time.RFC3339), i%40)
		} else {
			fmt.Fprintf(w, "c%d,%s,+1312%07d,+13125550171,answered,5,60,google,cpc,Campaign %d,Ann,,Lead,,\n", i, at.Format(time.RFC3339), 2000000+i%(n/2+1), i%40)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
}

// heapGrowth looks at the heap until the returned function is called, which says
// by how much it had grown at most.
func heapGrowth() func() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	base, top := m.HeapAlloc, uint64(0)
	done, stopped := make(chan bool), make(chan bool)
	go func() {
		defer close(stopped)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				runtime.ReadMemStats(&m)
				top = max(top, m.HeapAlloc)
			}
		}
	}()
	return func() uint64 {
		close(done)
		<-stopped
		return top - min(top, base)
	}
}
