package attribution_test

import (
	"context"
	"slices"
	"testing"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/attribution"
	"github.com/callwheel/callwheel/store"
	"github.com/callwheel/callwheel/store/storetest"
)

func TestANumberStandsOnlyForWhatItsAccountHas(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		h := newHouse(t, db)
		ctx := context.Background()
		source := h.newSource(attribution.SourceDraft{Name: "Bing"})
		pool, err := h.ledger.CreatePool(ctx, h.who(), attribution.PoolDraft{Name: "Website", Destination: "+13125550100"})
		if err != nil {
			t.Fatal(err)
		}
		err = db.InTx(ctx, func(ctx context.Context, tx *store.Tx) error {
			for _, c := range []struct {
				account, source, pool string
				rings, field          string
			}{
				{h.account, "", "", "", ""},
				{h.account, source.ID, pool.ID, "+13125550100", ""},
				{h.account, "src_of_nobody", pool.ID, "", "source_id"},
				{h.account, source.ID, "pool_of_nobody", "", "pool_id"},
				{"acct_other", source.ID, "", "", "source_id"},
				{"acct_other", "", pool.ID, "", "pool_id"},
			} {
				rings, err := h.ledger.Rings(ctx, tx, c.account, c.source, c.pool)
				if rings != c.rings || (err == nil) != (c.field == "") || (err != nil && (callwheel.KindOf(err) != callwheel.Invalid || !slices.Contains(refused(err), c.field))) {
					t.Errorf("%+v: got %q, %v", c, rings, err)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}
