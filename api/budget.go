package api

import (
	"context"
	"net/http"
	"time"

	"github.com/go-chi/httprate"
)

// budget is a limit per minute and key, on this replica, of which the outside is
// not told what is left.
type budget struct {
	limiter *httprate.RateLimiter
	limit   float64
}

func newBudget(perMinute int) budget {
	return budget{
		limiter: httprate.NewRateLimiter(perMinute, time.Minute, httprate.WithResponseHeaders(httprate.ResponseHeaders{})),
		limit:   float64(perMinute),
	}
}

// spend takes one from the key's budget, or returns false when nothing is left.
func (b budget) spend(ctx context.Context, key string) bool {
	// Without headers to set the limiter writes nowhere.
	return !b.limiter.OnLimit(nil, (&http.Request{}).WithContext(ctx), key)
}

// spent says whether nothing is left of the key's budget.
func (b budget) spent(key string) bool {
	_, rate, err := b.limiter.Status(key)
	return err == nil && rate >= b.limit
}
