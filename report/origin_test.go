package report_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/callwheel/callwheel/report"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
)

func (w *world) refer(referrer, referred, at string) {
	w.exec(`INSERT INTO referrals (account_id, referral_id, referrer, referred, referred_at, recorded_by) VALUES (?, ?, ?, ?, ?, 'u')`,
		acct, "ref_"+referrer+referred, referrer, referred, store.Micros(when(at)))
}

// Ann came by google in November and by mail in March; she buys twice. She sent
// Bob, who came by bing; he sent Cid, of whom nothing is known. Dee was sent by
// somebody unknown. Eve bought long before she is said to have been sent. Fay and
// Gus sent each other.
//
//	             first          repeat        referred              spend    roi
//	google       Ann 100.00     Ann 50.00     Bob 30.00, Cid 20.00  100.00   (200 − 100)/100 = 1
//	(none)                      Eve 7.00
//	(referral)                                Dee 10.00, Fay 5.00
func TestPurchasesAreToldByWhereTheirBuyersCameFrom(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		phone := func(n int) string { return fmt.Sprintf("+1312555000%d", n) }
		ann, bob, cid, dee, eve, fay, gus, nobody := phone(1), phone(2), phone(3), phone(4), phone(5), phone(6), phone(7), phone(9)
		w.touch("t1", ann, "2024-11-01T10:00:00Z", "", "google", "cpc", "")
		w.touch("t2", ann, "2025-03-01T10:00:00Z", "", "mail", "email", "")
		w.touch("t3", bob, "2025-03-03T10:00:00Z", "", "bing", "cpc", "")
		w.sell("s1", "", ann, "2025-03-02T10:00:00Z", 100_00, "USD")
		w.sell("s2", "", ann, "2025-03-05T10:00:00Z", 50_00, "USD")
		w.sell("s3", "", bob, "2025-03-04T10:00:00Z", 30_00, "USD")
		w.sell("s4", "", cid, "2025-03-06T10:00:00Z", 20_00, "USD")
		w.sell("s5", "", dee, "2025-03-06T10:00:00Z", 10_00, "USD")
		w.sell("s6", "", eve, "2025-01-01T10:00:00Z", 99_00, "USD")
		w.sell("s7", "", eve, "2025-03-07T10:00:00Z", 7_00, "USD")
		w.sell("s8", "", fay, "2025-03-07T10:00:00Z", 5_00, "USD")
		w.refer(ann, bob, "2025-03-04T20:00:00Z") // asked when he had bought
		w.refer(bob, cid, "2025-03-05T10:00:00Z")
		w.refer(nobody, dee, "2025-03-05T10:00:00Z")
		w.refer(ann, eve, "2025-03-06T10:00:00Z")
		w.refer(gus, fay, "2025-03-05T10:00:00Z")
		w.refer(fay, gus, "2025-03-05T10:00:00Z")
		w.spend("line 1", "google", "", "", "2025-03-01", "2025-04-01", 310_00)
		q := tenDays
		q.Origin = true
		a := w.roi(q)
		for name, want := range map[string]string{
			"google":      "1 100.00, 1 50.00, 2 50.00: 1",
			"(none)":      "0 0.00, 1 7.00, 0 0.00: n/a",
			"(referral)":  "0 0.00, 0 0.00, 2 15.00: n/a",
			"mail":        "0 0.00, 0 0.00, 0 0.00: n/a",
			"(returning)": "0 0.00, 0 0.00, 0 0.00: n/a",
		} {
			o := row(t, a, name).Origin
			got := fmt.Sprintf("%d %s, %d %s, %d %s: %s", o.FirstPurchases, amount(o.FirstRevenue), o.RepeatPurchases, amount(o.RepeatRevenue),
				o.ReferredPurchases, amount(o.ReferredRevenue), num(o.ROI))
			if got != want {
				t.Errorf("%s: got %s, want %s", name, got, want)
			}
		}
		// What triggered them stands beside: mail Ann's first, (returning) her second.
		for name, want := range map[string]string{"mail": "1 100.00", "(returning)": "2 57.00", "bing": "1 30.00", "google": "0 0.00", "(none)": "3 35.00"} {
			if r := row(t, a, name); fmt.Sprintf("%v %s", r.Credit, amount(r.Revenue)) != want {
				t.Errorf("%s triggered %v %s, want %s", name, r.Credit, amount(r.Revenue), want)
			}
		}
		o := a.Totals.Origin
		if n := o.FirstPurchases + o.RepeatPurchases + o.ReferredPurchases; float64(n) != a.Totals.Credit || o.FirstRevenue.Micros+o.RepeatRevenue.Micros+o.ReferredRevenue.Micros != a.Totals.Revenue.Micros {
			t.Errorf("%d purchases, %+v: want every sale and all its money", n, o)
		}
		q.GroupBy = []report.Dimension{report.Month, report.Medium}
		if o := row(t, w.roi(q), "2025-03", "cpc").Origin; amount(o.ReferredRevenue) != "50.00" {
			t.Errorf("by month and medium: got %s", amount(o.ReferredRevenue))
		}
		if w.roi(tenDays).Totals.Origin != nil {
			t.Error("origins without being asked for")
		}
		var asJSON, asCSV, asTable bytes.Buffer
		if err := errors.Join(report.WriteJSON(&asJSON, a), report.WriteCSV(&asCSV, a), report.WriteTable(&asTable, a)); err != nil {
			t.Fatal(err)
		}
		golden(t, "origin.json", asJSON.Bytes())
		golden(t, "origin.csv", asCSV.Bytes())
		golden(t, "origin.txt", asTable.Bytes())
		compareFigures(t, "origin", asJSON.Bytes(), asCSV.String(), asTable.String())
	})
}

// Ann sends Bob, who buys. Ann herself clicks an advertisement only a week later:
// nothing came of that, whatever the range of the report.
func TestAReferredPurchaseIsNotCreditedToWhatItsReferrerMetLater(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		ann, bob := "+13125550001", "+13125550002"
		w.sell("s1", "", bob, "2025-03-05T10:00:00Z", 30_00, "USD")
		w.refer(ann, bob, "2025-03-04T10:00:00Z")
		w.touch("t1", ann, "2025-03-12T10:00:00Z", "", "google", "cpc", "")
		for _, until := range []string{"2025-03-08", "2025-03-20"} {
			a := w.roi(report.Query{From: "2025-03-01", Until: until, Origin: true, GroupBy: []report.Dimension{report.Source}})
			for _, r := range a.Rows {
				if name := r.Name(report.Source); name != report.ReferralRow && r.Origin.ReferredPurchases != 0 {
					t.Errorf("until %s: %s brought %d referred purchases, want them from %s", until, name, r.Origin.ReferredPurchases, report.ReferralRow)
				}
			}
		}
	})
}
