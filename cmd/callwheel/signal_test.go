package main

import (
	"bufio"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// asProgram makes the test binary be the program, for tests that need a process.
const asProgram = "TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	os.Exit(m.Run())
}

// Whoever asks a second time means now.
func TestASecondSignalEndsTheProgramAtOnce(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	server := exec.CommandContext(t.Context(), program, "serve", "--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0")
	server.Env = append(os.Environ(), asProgram+"=1", "CALLWHEEL_SERVING_DRAIN_DELAY=1h",
		"CALLWHEEL_DATABASE_URL=sqlite:"+filepath.Join(t.TempDir(), "callwheel.db"))
	log, err := server.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	stuck := time.AfterFunc(30*time.Second, func() { server.Process.Kill() }) //nolint:errcheck // the test fails by it
	defer stuck.Stop()
	lines := bufio.NewScanner(log)
	said := func(word string) string {
		t.Helper()
		for lines.Scan() {
			if strings.Contains(lines.Text(), word) {
				return lines.Text()
			}
		}
		t.Fatalf("the server ended without saying %q", word)
		return ""
	}
	signal := func() {
		t.Helper()
		if err := server.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
	}
	ops := regexp.MustCompile(`ops=(\S+)`).FindStringSubmatch(said("msg=listening"))[1]
	eventually(t, "the server is ready", time.Minute, func() bool {
		return send(t, http.DefaultClient, http.MethodGet, "http://"+ops+"/readyz/api", "").status == http.StatusOK
	})
	signal()
	said("msg=stopping")
	signal()
	for lines.Scan() {
	}
	server.Wait() //nolint:errcheck // the code says it
	is(t, "exit code", server.ProcessState.ExitCode(), exitFailed)
}
