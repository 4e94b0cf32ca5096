package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/callwheel/callwheel/attribution"
	"github.com/callwheel/callwheel/report"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/telephony"
)

type accuracyCmd struct {
	Truth  string `required:"" help:"File that simulate wrote." type:"existingfile" placeholder:"FILE"`
	URL    string `name:"url" help:"Public address of the server; default what the file says." placeholder:"URL"`
	Token  string `help:"API token of a manager; needed when the server is asked over HTTP." placeholder:"TOKEN"`
	JSON   bool   `name:"json" help:"Print a JSON object."`
	Strict bool   `help:"Exit with 1 when a call is missing, doubled, made up, not attributed, has the wrong outcome or talk time, or was attributed wrongly on a source number; of a plain world also when a band of 200 calls or more is off by more than three standard errors."`
}

// Help shows an example.
func (accuracyCmd) Help() string { return "Example: callwheel accuracy --truth truth.jsonl --strict" }

// attributed is what the server says of one call.
type attributed struct {
	ProviderCallID    string
	Outcome           telephony.Outcome
	TalkSeconds       int64
	Method            string // "" when it says nothing of who called
	Source            string
	Medium            string
	Campaign          string
	VisitorID         string
	Confidence        float64 // that the source is right; that nobody it knows called when VisitorID and Source are ""
	VisitorConfidence float64
}

// untracked says whether the server says that nobody it knows called.
func (a attributed) untracked() bool { return a.VisitorID == "" && a.Source == "" }

// verdict is how one attribution compares with the truth.
type verdict string

const (
	right   verdict = "right"
	wrong   verdict = "wrong"
	unknown verdict = "unknown"
)

// accuracy is the comparison.
type accuracy struct {
	Calls         int `json:"calls"`
	Missing       int `json:"missing"`        // the server does not know them
	Twice         int `json:"twice"`          // it has them more than once
	WrongOutcome  int `json:"wrong_outcome"`  // another outcome than what happened
	WrongDuration int `json:"wrong_duration"` // another length of the conversation
	Unexpected    int `json:"unexpected"`     // calls that nobody made, on a server of the simulation's own
	Unattributed  int `json:"unattributed"`   // the server says nothing of who made them

	SourceNumbers tally `json:"source_numbers"` // dialled from print
	Pool          tally `json:"pool"`           // dialled from a page, while it was open or soon after
	Late          tally `json:"late"`           // dialled long after the visit, when the number may be somebody else's
	Strangers     tally `json:"strangers"`      // dialled by somebody who saw no page

	Source  calibration `json:"source"`  // how sure the server was of the source, or that nobody it knows called
	Visitor calibration `json:"visitor"` // the same of the visitor
	Latest  latest      `json:"latest_holder"`

	details []string
}

// tally counts verdicts.
type tally struct {
	Right   int `json:"right"`
	Wrong   int `json:"wrong"`
	Unknown int `json:"unknown"`
}

func (t *tally) add(v verdict) {
	switch v {
	case right:
		t.Right++
	case wrong:
		t.Wrong++
	default:
		t.Unknown++
	}
}

// Run compares and prints.
func (c accuracyCmd) Run(ctx context.Context, s *settings, std stdio) error {
	file, err := os.Open(c.Truth)
	if err != nil {
		return err
	}
	defer file.Close()
	truth, err := readTruth(file)
	if err != nil {
		return err
	}
	if len(truth) == 0 || truth[0].Kind != "server" {
		return errors.New("the truth file does not begin with a line about its server")
	}
	known, err := c.known(ctx, s, truth[0])
	if err != nil {
		return err
	}
	a := compare(truth, known)
	if c.own(truth[0]) {
		a.unexpected(truth, known)
	}
	if c.JSON {
		err = json.NewEncoder(std.out).Encode(a)
	} else {
		a.print(std.out)
	}
	if !c.Strict || err != nil {
		return err
	}
	if truth[0].Plain != nil {
		a.calibrated()
	}
	if len(a.details) > 0 {
		for _, line := range a.details {
			fmt.Fprintln(std.err, line)
		}
		return errors.New("the server does not agree with the truth")
	}
	return nil
}

// own says whether the server was the simulation's own: nobody else called there.
func (c accuracyCmd) own(server truthLine) bool { return c.URL == "" && server.DatabaseURL != "" }

// known reads what the server says: from its database when the file names one,
// else over the API.
func (c accuracyCmd) known(ctx context.Context, s *settings, server truthLine) ([]attributed, error) {
	if c.own(server) {
		return fromDatabase(ctx, server)
	}
	if c.URL == "" {
		c.URL = server.URL
	}
	if c.Token == "" {
		return nil, fmt.Errorf("a token of a %s is needed: --token", roleOfAccuracy)
	}
	client := &apiClient{base: c.URL, token: c.Token, http: &http.Client{Timeout: time.Minute}}
	var list []attributed
	for cursor := ""; ; {
		var page struct {
			Items []struct {
				ProviderCallID string            `json:"provider_call_id"`
				Outcome        telephony.Outcome `json:"outcome"`
				TalkSeconds    *int64            `json:"talk_seconds"`
				Attribution    *struct {
					Method            string  `json:"method"`
					Source            string  `json:"source"`
					Medium            string  `json:"medium"`
					Campaign          string  `json:"campaign"`
					VisitorID         string  `json:"visitor_id"`
					Confidence        float64 `json:"confidence"`
					VisitorConfidence float64 `json:"visitor_confidence"`
				} `json:"attribution"`
			} `json:"items"`
			NextCursor *string `json:"next_cursor"`
		}
		if err := client.call(ctx, http.MethodGet, "/v1/calls?limit=500"+cursor, nil, &page); err != nil {
			return nil, err
		}
		for _, item := range page.Items {
			call := attributed{ProviderCallID: item.ProviderCallID, Outcome: item.Outcome}
			if item.TalkSeconds != nil {
				call.TalkSeconds = *item.TalkSeconds
			}
			if a := item.Attribution; a != nil {
				call.Method, call.Source, call.Medium, call.Campaign = a.Method, a.Source, a.Medium, a.Campaign
				call.VisitorID, call.Confidence, call.VisitorConfidence = a.VisitorID, a.Confidence, a.VisitorConfidence
			}
			list = append(list, call)
		}
		if page.NextCursor == nil {
			return list, nil
		}
		cursor = "&cursor=" + *page.NextCursor
	}
}

func fromDatabase(ctx context.Context, server truthLine) ([]attributed, error) {
	db, err := store.Open(server.DatabaseURL)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	if err := db.MustBeCurrent(ctx); err != nil {
		return nil, err
	}
	var list []attributed
	err = report.NewCalls(db).Each(ctx, server.AccountID, report.CallQuery{}, func(r report.CallRow) error {
		call := attributed{ProviderCallID: r.ProviderCallID, Outcome: r.Outcome}
		if r.TalkSeconds != nil {
			call.TalkSeconds = *r.TalkSeconds
		}
		if a := r.Attribution; a != nil {
			call.Method, call.Source, call.Medium, call.Campaign = a.Method, a.Source, a.Medium, a.Campaign
			call.VisitorID, call.Confidence, call.VisitorConfidence = a.VisitorID, a.Confidence, a.VisitorConfidence
		}
		list = append(list, call)
		return nil
	})
	return list, err
}

// compare judges every call of the truth.
func compare(truth []truthLine, known []attributed) *accuracy {
	byID := map[string][]attributed{}
	for _, call := range known {
		byID[call.ProviderCallID] = append(byID[call.ProviderCallID], call)
	}
	a := &accuracy{}
	for _, line := range truth {
		switch line.Kind {
		case "server":
			a.Latest.expect(line.Plain)
		case "call":
			a.add(line, byID[line.ProviderCallID])
		}
	}
	a.Source.finish()
	a.Visitor.finish()
	a.Latest.finish()
	return a
}

// unexpected counts the calls that the truth does not know.
func (a *accuracy) unexpected(truth []truthLine, known []attributed) {
	made := map[string]bool{}
	for _, line := range truth {
		made[line.ProviderCallID] = made[line.ProviderCallID] || line.Kind == "call"
	}
	for _, call := range known {
		if !made[call.ProviderCallID] {
			a.Unexpected++
			a.tell(truthLine{ProviderCallID: call.ProviderCallID}, "was never made, the server says %q", call.Outcome)
		}
	}
}

func (a *accuracy) add(line truthLine, rows []attributed) {
	a.Calls++
	if len(rows) == 0 {
		a.Missing++
		a.tell(line, "is missing")
		return
	}
	if len(rows) > 1 {
		a.Twice++
		a.tell(line, "is there %d times", len(rows))
	}
	call := rows[0]
	if call.Outcome != line.Outcome {
		a.WrongOutcome++
		a.tell(line, "was %q, the server says %q", line.Outcome, call.Outcome)
	} else if line.Outcome == telephony.Answered && call.TalkSeconds != line.TalkSeconds {
		a.WrongDuration++
		a.tell(line, "talked for %d s, the server says %d s", line.TalkSeconds, call.TalkSeconds)
	}
	if call.Method == "" {
		a.Unattributed++
		a.tell(line, "was not attributed")
	}
	if line.Dialled == dialledGiven {
		return // nothing to compare with
	}
	v := judgeAttribution(line, call)
	switch {
	case line.Offline:
		a.SourceNumbers.add(v)
		if v == wrong {
			a.tell(line, "was dialled from print for %q, the server says %q", line.Source, call.Source)
		}
	case line.stranger():
		a.Strangers.add(v)
	case line.Late:
		a.Late.add(v)
	default:
		a.Pool.add(v)
	}
	a.Latest.add(line)
	a.weigh(line, call)
}

// weigh compares what the server claims with the truth: a source, a visitor, or
// that it was nobody it knows. The overflow number claims nothing. Neither do
// calls that came when nobody came any more who calls: the world was another
// one then.
func (a *accuracy) weigh(line truthLine, call attributed) {
	if call.Method == "" || call.Method == string(attribution.MethodOverflow) || line.After {
		return
	}
	if call.untracked() {
		a.Source.add(call.Confidence, line.stranger())
		a.Visitor.add(call.Confidence, line.stranger())
		return
	}
	a.Source.add(call.Confidence, !line.stranger() && isFold(call.Source, line.Source) && (line.Offline || isFold(call.Medium, cmp.Or(line.Medium, attribution.None))))
	if call.VisitorID != "" {
		a.Visitor.add(call.VisitorConfidence, call.VisitorID == line.VisitorID)
	}
}

// judgeAttribution says whether the server named the right source (of a printed
// number) or the right visitor (of a number on a page), or nobody where it was
// a stranger. Naming a source without a visitor, as an overflow number does,
// claims nothing about who called.
func judgeAttribution(line truthLine, call attributed) verdict {
	switch {
	case line.Offline && call.Source == "":
		return unknown
	case line.Offline && isFold(call.Source, line.Source) && isFold(call.Campaign, line.Campaign):
		return right
	case line.Offline:
		return wrong
	case line.stranger() && call.Method != "" && call.untracked():
		return right
	case call.VisitorID == "":
		return unknown
	case call.VisitorID == line.VisitorID:
		return right
	}
	return wrong
}

func (a *accuracy) tell(line truthLine, format string, args ...any) {
	if len(a.details) < 20 {
		a.details = append(a.details, line.ProviderCallID+" "+fmt.Sprintf(format, args...))
	}
}

func (a *accuracy) print(w io.Writer) {
	fmt.Fprintf(w, "%d calls: %d missing, %d twice, %d never made, %d with the wrong outcome, %d with another talk time, %d not attributed\n\n",
		a.Calls, a.Missing, a.Twice, a.Unexpected, a.WrongOutcome, a.WrongDuration, a.Unattributed)
	fmt.Fprintf(w, "%-34s %7s %7s %7s\n", "attributed", "right", "wrong", "unknown")
	for _, row := range []struct {
		name string
		t    tally
	}{{"source numbers", a.SourceNumbers}, {"pool, during the visit or its tail", a.Pool}, {"pool, long after the visit", a.Late}, {"pool, by strangers", a.Strangers}} {
		fmt.Fprintf(w, "%-34s %7d %7d %7d\n", row.name, row.t.Right, row.t.Wrong, row.t.Unknown)
	}
	a.Source.print(w, "source")
	a.Visitor.print(w, "visitor")
	a.Latest.print(w)
}
