package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/report"
)

type rateBody struct {
	ID        string `json:"id"`
	Day       string `json:"day" format:"date"`
	Currency  string `json:"currency"`
	To        string `json:"to" doc:"What the rate converts into: the account's currency when it was given"`
	Rate      string `json:"rate" doc:"What one unit of currency is worth, a plain decimal text"`
	CreatedAt stamp  `json:"created_at"`
	UpdatedAt stamp  `json:"updated_at"`
}

func rateOut(r report.Rate) rateBody {
	return rateBody{ID: r.ID, Day: r.Day, Currency: r.Currency, To: r.To, Rate: r.Rate, CreatedAt: at(r.CreatedAt), UpdatedAt: at(r.UpdatedAt)}
}

// rateItem is a rate as it is put.
type rateItem struct {
	Day      string `json:"day" format:"date"`
	Currency string `json:"currency" pattern:"^[A-Z]{3}$" patternDescription:"ISO 4217 code" example:"EUR"`
	To       string `json:"to,omitempty" doc:"The account's currency, which it is without it" example:"USD"`
	Rate     string `json:"rate" doc:"What one unit of currency is worth in the account's" example:"1.0837"`
}

func (i rateItem) item(at string) report.RateItem {
	return report.RateItem{At: at, Day: i.Day, Currency: i.Currency, To: i.To, Rate: i.Rate}
}

// rateBatch is several at once: all are taken or none.
type rateBatch struct {
	Items []rateItem `json:"items"`
}

type ratePut struct {
	ContentType string `header:"Content-Type"`
	RawBody     []byte
}

type rateList struct {
	Paging
	From     string `query:"from" format:"date" doc:"Only days from here on"`
	Until    string `query:"until" format:"date" doc:"Only days before"`
	Currency string `query:"currency"`
}

// ratePosition is where a page of rates ends.
type ratePosition struct{ Day, Currency, To string }

// rateDoors are what other currencies are worth.
func (s *Server) rateDoors() {
	handle(s, op{
		Method: http.MethodGet, Path: "/v1/rates", ID: "list-rates", Tag: "spend",
		Summary: "Exchange rates into the account's currency, the latest day first", Need: account.ReadSpend,
	}, func(ctx context.Context, who account.Identity, in *rateList) (*listed[rateBody], error) {
		var after ratePosition
		if _, err := s.readCursor(who, "rates", in.Paging, &after); err != nil {
			return nil, err
		}
		rows, err := s.reports.ListRates(ctx, who.AccountID, report.RatePage{
			From: in.From, Until: in.Until, Currency: in.Currency,
			AfterDay: after.Day, AfterCurrency: after.Currency, AfterTo: after.To, Limit: in.Limit + 1,
		})
		if err != nil {
			return nil, err
		}
		return newPage(s, who, "rates", rows, in.Paging, rateOut, func(r report.Rate) any { return ratePosition{r.Day, r.Currency, r.To} }), nil
	})
	put := op{
		Method: http.MethodPut, Path: "/v1/rates", ID: "put-rates", Tag: "spend", CSV: true, MaxBody: maxSpendBody,
		Summary: "Say what other currencies are worth, by day", Need: account.ManageSpend,
		Doc: "One rate, or {\"items\":[…]}, or CSV with the columns day, currency, to and rate. The same currency and day again correct the rate. All are taken or none. Reports convert an amount at the rate of its day, or of the latest of the seven days before that has one; without one it is not available.",
	}
	handle(s, put, func(ctx context.Context, who account.Identity, in *ratePut) (*found[report.RatesTaken], error) {
		items, err := readRates(in)
		if err != nil {
			return nil, err
		}
		taken, err := s.reports.PutRates(ctx, who.AccountID, items)
		if err != nil {
			return nil, err
		}
		return &found[report.RatesTaken]{Body: taken}, nil
	})
	registry := s.api.OpenAPI().Components.Schemas
	s.describedBy(put).RequestBody = &huma.RequestBody{
		Required: true,
		Content: map[string]*huma.MediaType{
			"application/json": {Schema: &huma.Schema{OneOf: []*huma.Schema{
				registry.Schema(reflect.TypeFor[rateItem](), true, "RateItem"),
				registry.Schema(reflect.TypeFor[rateBatch](), true, "RateBatch"),
			}}},
			"text/csv": {Schema: &huma.Schema{Type: huma.TypeString}},
		},
	}
}

// readRates reads what was put: CSV, a batch, or one rate alone.
func readRates(in *ratePut) ([]report.RateItem, error) {
	if mediaType(in.ContentType) == "text/csv" {
		items, bad, err := report.ReadRatesCSV(bytes.NewReader(in.RawBody))
		if err == nil {
			err = callwheel.InvalidFields(bad)
		}
		if err == nil && len(items) == 0 {
			err = callwheel.InvalidField("items", "must not be empty: the file has a header and no line")
		}
		return items, err
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(in.RawBody, &keys); err != nil {
		return nil, malformed("the body is not a JSON object")
	}
	if _, batch := keys["items"]; !batch {
		var one rateItem
		if err := decodeExactly(in.RawBody, &one); err != nil {
			return nil, err
		}
		return []report.RateItem{one.item("")}, nil
	}
	var batch rateBatch
	if err := decodeExactly(in.RawBody, &batch); err != nil {
		return nil, err
	}
	if len(batch.Items) == 0 {
		return nil, callwheel.InvalidField("items", "must not be empty")
	}
	items := make([]report.RateItem, len(batch.Items))
	for i, one := range batch.Items {
		items[i] = one.item(fmt.Sprintf("items[%d]", i))
	}
	return items, nil
}
