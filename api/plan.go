package api

import (
	"context"
	"math"
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/attribution"
)

type planQuery struct {
	ByID
	VisitorsPerHour asked[float64] `query:"visitors_per_hour" minimum:"0.001" maximum:"10000" doc:"Who want a number in a busy hour; without it the 95th percentile of the pool's hours of the last 28 days"`
	SessionMinutes  asked[float64] `query:"session_minutes" minimum:"0" maximum:"1440" doc:"From the first to the last sign of a page; without it the mean of the pool's sessions"`
	TailMinutes     asked[float64] `query:"tail_minutes" minimum:"0" maximum:"10080" doc:"How long a number is held after that; without it what the pool does: silence, tail and rest"`
	TargetAccuracy  asked[float64] `query:"target_accuracy" minimum:"0" maximum:"0.9999" doc:"Share of calls to be credited to whom saw the number last; without it 0.8"`
	Numbers         asked[int]     `query:"numbers" minimum:"0" maximum:"100000" doc:"What if the pool had so many; without it those that it lends"`
	NumberCost      string         `query:"number_cost" maxLength:"20" doc:"What one number costs in a month, in the account's currency" example:"1.15"`
}

// asked is a query parameter that may be left out: its zero value means
// something.
type asked[T any] struct {
	Value T
	set   bool
}

// Receiver is where huma puts the value.
func (a *asked[T]) Receiver() reflect.Value { return reflect.ValueOf(a).Elem().Field(0) }

// OnParamSet is told whether there was one.
func (a *asked[T]) OnParamSet(set bool, _ any) { a.set = set }

// Schema describes the parameter as a T.
func (a asked[T]) Schema(r huma.Registry) *huma.Schema {
	return huma.SchemaFromType(r, reflect.TypeFor[T]())
}

func (a asked[T]) ptr() *T {
	if !a.set {
		return nil
	}
	return &a.Value
}

type planInputBody struct {
	Input  string  `json:"input"`
	Value  float64 `json:"value"`
	From   string  `json:"from" enum:"asked,measured,assumed,pool,fitted"`
	Detail string  `json:"detail"`
}

type planRowBody struct {
	Numbers          int        `json:"numbers"`
	Overflow         float64    `json:"overflow" doc:"Share of visitors who find no number free (Erlang-B)"`
	ExpectedAccuracy float64    `json:"expected_accuracy" doc:"Share of calls that come before their number is shown to somebody else"`
	ReuseGapMinutes  float64    `json:"reuse_gap_minutes" doc:"From a visitor's last look until the next one is shown the number, on average"`
	Cost             *wireMoney `json:"cost" doc:"In a month; null without number_cost"`
}

type planTailBody struct {
	TailMinutes        float64 `json:"tail_minutes"`
	OfferedErlangs     float64 `json:"offered_erlangs"`
	Overflow           float64 `json:"overflow"`
	NumbersForOverflow *int    `json:"numbers_for_overflow"`
}

type oneMoreBody struct {
	AccuracyGained  float64    `json:"accuracy_gained"`
	OverflowAvoided float64    `json:"overflow_avoided"`
	Cost            *wireMoney `json:"cost" doc:"In a month; null without number_cost"`
	CostPerPoint    *wireMoney `json:"cost_per_point" doc:"Of one percentage point of accuracy, in a month"`
}

type planBody struct {
	PoolID             string          `json:"pool_id"`
	OfferedErlangs     float64         `json:"offered_erlangs" doc:"Numbers held at a time: visitors per hour × (session + tail)"`
	Overflow           float64         `json:"overflow" doc:"Share of visitors who find no number free (Erlang-B)"`
	ExpectedAccuracy   float64         `json:"expected_accuracy" doc:"Share of calls that come before their number is shown to somebody else"`
	ReuseGapMinutes    float64         `json:"reuse_gap_minutes"`
	Numbers            int             `json:"numbers" doc:"What the figures above are of: numbers_now, unless asked otherwise"`
	NumbersNow         int             `json:"numbers_now" doc:"What the pool lends"`
	NumbersForOverflow *int            `json:"numbers_for_overflow" doc:"The smallest pool in which at most one visitor of a hundred finds none free"`
	NumbersForAccuracy *int            `json:"numbers_for_accuracy" doc:"The smallest pool of the wanted accuracy; null when four times the numbers do not reach it"`
	NumbersNeeded      *int            `json:"numbers_needed" doc:"The larger of the two"`
	NoNumberHelps      *string         `json:"no_number_helps" doc:"Why numbers_for_accuracy is null"`
	NumbersForFive     *int            `json:"numbers_for_five_points" doc:"Numbers to add for five more points of accuracy; null when four times the numbers do not bring them"`
	TargetOverflow     float64         `json:"target_overflow"`
	TargetAccuracy     float64         `json:"target_accuracy"`
	OneMore            oneMoreBody     `json:"one_more" doc:"What one more number buys"`
	ByNumbers          []planRowBody   `json:"by_numbers"`
	ByTail             []planTailBody  `json:"by_tail"`
	ComputedFrom       []planInputBody `json:"computed_from"`
	Advice             []string        `json:"advice" doc:"For a person to read"`
}

func planOut(p attribution.Plan, cost *callwheel.Money) planBody {
	b := planBody{
		PoolID: p.Pool.ID, OfferedErlangs: tidy(p.Erlangs), Overflow: tidy(p.Overflow), ExpectedAccuracy: tidy(p.Accuracy),
		ReuseGapMinutes: tidy(p.ReuseGapMinutes), Numbers: p.Numbers, NumbersNow: p.Now, NumbersForOverflow: p.ForOverflow,
		NumbersForAccuracy: p.ForAccuracy, NumbersNeeded: p.Needed, NoNumberHelps: orNil(p.Hopeless), NumbersForFive: p.ForFivePoints,
		TargetOverflow: attribution.TargetOverflow, TargetAccuracy: p.Target, Advice: p.Advice,
		OneMore: oneMoreBody{
			AccuracyGained: tidy(p.OneMore.Accuracy), OverflowAvoided: tidy(p.OneMore.Overflow),
			Cost: money(cost), CostPerPoint: money(p.OneMore.CostPerPoint),
		},
	}
	b.ByNumbers = each(p.ByNumbers, func(r attribution.PlanRow) planRowBody {
		return planRowBody{r.Numbers, tidy(r.Overflow), tidy(r.Accuracy), tidy(r.ReuseGapMinutes), money(r.Cost)}
	})
	b.ByTail = each(p.ByTail, func(r attribution.PlanTail) planTailBody {
		return planTailBody{tidy(r.TailMinutes), tidy(r.Erlangs), tidy(r.Overflow), r.Numbers}
	})
	b.ComputedFrom = each(p.Inputs, func(in attribution.PlanInput) planInputBody {
		return planInputBody{in.Name, tidy(in.Value), in.From, in.Detail}
	})
	return b
}

// tidy rounds a figure to twelve digits after the point: what is beyond is noise
// of the arithmetic.
func tidy(x float64) float64 { return math.Round(x*1e12) / 1e12 }

func (s *Server) planDoor() {
	handle(s, op{
		Method: http.MethodGet, Path: "/v1/pools/{id}/plan", ID: "plan-pool", Tag: "pools",
		Summary: "How many numbers a pool needs, and what they buy", Need: account.ReadReports,
		Doc: "Computed from the pool's own visitors of the last 28 days, or from what the query says instead; computed_from tells which. Size for accuracy: a pool that loses no visitor may still credit every second call to the wrong one.",
	}, func(ctx context.Context, who account.Identity, in *planQuery) (*struct{ Body planBody }, error) {
		q := attribution.PlanQuery{
			VisitorsPerHour: in.VisitorsPerHour.ptr(), SessionMinutes: in.SessionMinutes.ptr(), TailMinutes: in.TailMinutes.ptr(),
			TargetAccuracy: in.TargetAccuracy.ptr(), Numbers: in.Numbers.ptr(),
		}
		for name, x := range map[string]*float64{
			"visitors_per_hour": q.VisitorsPerHour, "session_minutes": q.SessionMinutes, "tail_minutes": q.TailMinutes, "target_accuracy": q.TargetAccuracy,
		} {
			if x != nil && math.IsNaN(*x) {
				return nil, callwheel.InvalidField(name, "must be a number")
			}
		}
		var err error
		if q.NumberCost, err = s.monthly(ctx, who, in.NumberCost); err != nil {
			return nil, err
		}
		p, err := s.ledger.Plan(ctx, who.AccountID, in.ID, q, s.now())
		if err != nil {
			return nil, err
		}
		return &struct{ Body planBody }{planOut(p, q.NumberCost)}, nil
	})
}

// money writes an amount, null for none.
func money(m *callwheel.Money) *wireMoney {
	if m == nil {
		return nil
	}
	return &wireMoney{Amount: m.Amount(), Currency: m.Currency}
}

// monthly reads the price of a number in the account's currency, nil for none.
func (s *Server) monthly(ctx context.Context, who account.Identity, text string) (*callwheel.Money, error) {
	if text == "" {
		return nil, nil //nolint:nilnil // not asked
	}
	a, err := s.accounts.Get(ctx, who.AccountID)
	if err != nil {
		return nil, err
	}
	m, err := callwheel.ParseMoney(text, a.Currency)
	if err != nil || m.Micros < 0 {
		return nil, callwheel.InvalidField("number_cost", "must be a plain amount in %s such as 1.15", a.Currency)
	}
	return &m, nil
}
