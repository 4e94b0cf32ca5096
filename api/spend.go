package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/account"
	"github.com/callwheel/callwheel/report"
)

// maxSpendBody is how large an import may be.
const maxSpendBody = 8 << 20

type spendBody struct {
	ID        string          `json:"id"`
	Source    string          `json:"source"`
	Medium    string          `json:"medium"`
	Campaign  string          `json:"campaign"`
	From      string          `json:"from" format:"date" doc:"Date in the account's zone"`
	Until     string          `json:"until" format:"date" doc:"The day after the last"`
	Cost      callwheel.Money `json:"cost"`
	CreatedAt stamp           `json:"created_at"`
	UpdatedAt stamp           `json:"updated_at"`
}

func spendOut(r report.Spend) spendBody {
	return spendBody{
		ID: r.ID, Source: r.Source, Medium: r.Medium, Campaign: r.Campaign, From: r.From, Until: r.Until, Cost: r.Cost,
		CreatedAt: at(r.CreatedAt), UpdatedAt: at(r.UpdatedAt),
	}
}

// spendItem is spend as it is posted.
type spendItem struct {
	Source   string    `json:"source"`
	Medium   string    `json:"medium,omitempty"`
	Campaign string    `json:"campaign,omitempty"`
	From     string    `json:"from" format:"date" doc:"Date in the account's zone"`
	Until    string    `json:"until" format:"date" doc:"The day after the last"`
	Cost     wireMoney `json:"cost"`
}

// spendBatch is several at once: all are taken or none.
type spendBatch struct {
	Items []spendItem `json:"items"`
}

type spendPost struct {
	ContentType string `header:"Content-Type"`
	RawBody     []byte
}

// spendPosted says what became of a post. One alone is also answered as it is
// now.
type spendPosted struct {
	*spendBody
	report.SpendImported
}

type spendCreated struct {
	Location string `header:"Location"`
	Body     spendPosted
}

type spendList struct {
	Paging
	From   string `query:"from" format:"date" doc:"Only what touches the dates from here on"`
	Until  string `query:"until" format:"date" doc:"Only what touches the dates before"`
	Source string `query:"source"`
}

// spendPosition is where a page of spend ends.
type spendPosition struct{ From, ID string }

// spendDoors are what sources cost.
func (s *Server) spendDoors() {
	handle(s, op{
		Method: http.MethodGet, Path: "/v1/spend", ID: "list-spend", Tag: "spend",
		Summary: "What sources cost, the latest dates first", Need: account.ReadSpend,
	}, func(ctx context.Context, who account.Identity, in *spendList) (*listed[spendBody], error) {
		var after spendPosition
		if _, err := s.readCursor(who, "spend", in.Paging, &after); err != nil {
			return nil, err
		}
		rows, err := s.reports.ListSpend(ctx, who.AccountID, report.SpendPage{
			From: in.From, Until: in.Until, Source: in.Source, AfterFrom: after.From, AfterID: after.ID, Limit: in.Limit + 1,
		})
		if err != nil {
			return nil, err
		}
		return newPage(s, who, "spend", rows, in.Paging, spendOut, func(r report.Spend) any { return spendPosition{r.From, r.ID} }), nil
	})
	post := op{
		Method: http.MethodPost, Path: "/v1/spend", ID: "record-spend", Tag: "spend", CSV: true, MaxBody: maxSpendBody,
		Summary: "Record what a source cost, or correct it", Need: account.ManageSpend,
		Doc: "One item, or {\"items\":[…]}, or CSV with the columns source, medium, campaign, from, until, amount, currency. The same source, medium, campaign and dates again correct the cost. All items are taken or none.",
	}
	handle(s, post, func(ctx context.Context, who account.Identity, in *spendPost) (*spendCreated, error) {
		return s.recordSpend(ctx, who, in)
	})
	s.describeSpend(post)
	handle(s, op{
		Method: http.MethodGet, Path: "/v1/spend/{id}", ID: "get-spend", Tag: "spend",
		Summary: "One line of spend", Need: account.ReadSpend,
	}, func(ctx context.Context, who account.Identity, in *struct{ ByID }) (*found[spendBody], error) {
		r, err := s.reports.SpendByID(ctx, who.AccountID, in.ID)
		if err != nil {
			return nil, err
		}
		return &found[spendBody]{Body: spendOut(r)}, nil
	})
	handle(s, op{
		Method: http.MethodDelete, Path: "/v1/spend/{id}", ID: "delete-spend", Tag: "spend",
		Summary: "Take a line of spend back", Need: account.ManageSpend,
	}, func(ctx context.Context, who account.Identity, in *struct{ ByID }) (*done, error) {
		return nil, s.reports.DeleteSpend(ctx, who.AccountID, in.ID)
	})
}

// describeSpend tells the document what the raw body may be.
func (s *Server) describeSpend(o op) {
	registry := s.api.OpenAPI().Components.Schemas
	s.describedBy(o).RequestBody = &huma.RequestBody{
		Required: true,
		Content: map[string]*huma.MediaType{
			"application/json": {Schema: &huma.Schema{OneOf: []*huma.Schema{
				registry.Schema(reflect.TypeFor[spendItem](), true, "SpendItem"),
				registry.Schema(reflect.TypeFor[spendBatch](), true, "SpendBatch"),
			}}},
			"text/csv": {Schema: &huma.Schema{Type: huma.TypeString}},
		},
	}
}

func (s *Server) recordSpend(ctx context.Context, who account.Identity, in *spendPost) (*spendCreated, error) {
	items, alone, err := readSpend(in)
	if err != nil {
		return nil, err
	}
	imported, err := s.reports.ImportSpend(ctx, who.AccountID, items)
	if err != nil {
		return nil, err
	}
	out := &spendCreated{Location: "/v1/spend", Body: spendPosted{SpendImported: imported}}
	if !alone {
		return out, nil
	}
	r, err := s.reports.SpendByKey(ctx, who.AccountID, items[0])
	if err != nil {
		return nil, err
	}
	body := spendOut(r)
	out.Location, out.Body.spendBody = "/v1/spend/"+r.ID, &body
	return out, nil
}

// readSpend reads what was posted: CSV, a batch, or one item alone.
func readSpend(in *spendPost) (items []report.SpendItem, alone bool, err error) {
	if mediaType(in.ContentType) == "text/csv" {
		items, bad, err := report.ReadSpendCSV(bytes.NewReader(in.RawBody))
		if err == nil {
			err = callwheel.InvalidFields(bad)
		}
		if err == nil && len(items) == 0 {
			err = callwheel.InvalidField("items", "must not be empty: the file has a header and no line")
		}
		return items, false, err
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(in.RawBody, &keys); err != nil {
		return nil, false, malformed("the body is not a JSON object")
	}
	if _, batch := keys["items"]; !batch {
		var one spendItem
		if err := decodeExactly(in.RawBody, &one); err != nil {
			return nil, false, err
		}
		item, bad := one.item("")
		return []report.SpendItem{item}, true, callwheel.InvalidFields(bad)
	}
	var batch spendBatch
	if err := decodeExactly(in.RawBody, &batch); err != nil {
		return nil, false, err
	}
	if len(batch.Items) == 0 {
		return nil, false, callwheel.InvalidField("items", "must not be empty")
	}
	var bad []callwheel.FieldError
	for i, one := range batch.Items {
		item, wrong := one.item(fmt.Sprintf("items[%d]", i))
		items, bad = append(items, item), append(bad, wrong...)
	}
	return items, false, callwheel.InvalidFields(bad)
}

// item is the room's item; what is wrong with its cost is listed.
func (i spendItem) item(at string) (report.SpendItem, []callwheel.FieldError) {
	item := report.SpendItem{At: at, Source: i.Source, Medium: i.Medium, Campaign: i.Campaign, From: i.From, Until: i.Until}
	var bad []callwheel.FieldError
	item.Cost, bad = i.Cost.money(join(at, "cost"))
	return item, bad
}

// decodeExactly decodes JSON that was found well-formed and refuses, with kind
// Invalid, fields that are not there, wrong types and null.
func decodeExactly(body []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	err := d.Decode(into)
	var wrong *json.UnmarshalTypeError
	switch {
	case errors.As(err, &wrong):
		return callwheel.InvalidField(wrong.Field, "must be %s, not %s", wrong.Type, wrong.Value)
	case err != nil:
		if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
			return callwheel.InvalidField(clip(strings.Trim(name, `"`)), "is not a field of this")
		}
		return malformed("the body is not JSON")
	}
	return nil
}
