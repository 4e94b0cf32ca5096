package api

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/labstack/echo/v4"

	"github.com/callwheel/callwheel"
	"github.com/callwheel/callwheel/account"
)

// op is one operation below /v1, as a door file declares it.
type op struct {
	Method  string
	Path    string // whole, with {parameters}: "/v1/calls/{id}"
	ID      string // "list-calls"; unique, stable, in the OpenAPI document
	Summary string
	Doc     string // more words for the OpenAPI document
	Tag     string // groups operations in the document: "calls"

	Need   account.Permission // every operation names one
	Export account.Permission // needed besides Need for CSV and NDJSON; "" for none

	Status  int   // of success; 0: 201 for POST, 204 for DELETE, else 200
	MaxBody int64 // bytes; 0: 256 kB
	CSV     bool  // the body may also be text/csv: the input then has RawBody []byte
	Stream  bool  // answers for as long as it takes (media, server-sent events): no deadline
	Report  bool  // looks at many facts: waits for its turn, and may take as long as reports may
}

// operation is what the server knows of a registered op.
type operation struct {
	op
	query  []string // names of the query parameters
	list   string   // "items", "rows" or "periods" when the body is a list, else ""
	fields []string // what ?fields= may name; nil: no selection
	header []string // the columns of CSV that are known from the type
	body   *huma.Schema
}

// requestTimeout bounds the work of one operation that does not stream, and of
// an answer that is no export. Reports have a limit of their own; see turns.go.
const requestTimeout = 30 * time.Second

// handle registers an operation. In and Out are huma's input and output
// structs; fn gets who is asking besides. Errors of fn carry kinds; see
// errors.go for what becomes of them.
func handle[In, Out any](s *Server, o op, fn func(ctx context.Context, who account.Identity, in *In) (*Out, error)) {
	if o.Need == "" || !strings.HasPrefix(o.Path, "/v1/") {
		panic("operation " + o.ID + " names no permission or is not below /v1")
	}
	if o.Status == 0 {
		o.Status = map[string]int{http.MethodPost: http.StatusCreated, http.MethodDelete: http.StatusNoContent}[o.Method]
	}
	if o.Status == 0 {
		o.Status = http.StatusOK
	}
	known := &operation{op: o}
	key := o.Method + " " + echoPath(o.Path)
	if s.ops[key] != nil {
		panic("operation " + key + " is registered twice")
	}
	s.ops[key] = known
	described := huma.Operation{
		OperationID:      o.ID,
		Method:           o.Method,
		Path:             o.Path,
		Summary:          o.Summary,
		Description:      o.Doc,
		Tags:             []string{o.Tag},
		DefaultStatus:    o.Status,
		MaxBodyBytes:     -1, // readBody has looked already
		BodyReadTimeout:  -1,
		SkipValidateBody: false,
		Security:         []map[string][]string{{"token": {}}, {"session": {}}},
		Extensions:       map[string]any{"x-permission": string(o.Need)},
	}
	huma.Register(s.api, described, func(ctx context.Context, in *In) (*Out, error) {
		ask := func(ctx context.Context, in *In) (*Out, error) { return fn(ctx, identity(ctx), in) }
		if o.Report {
			ask = inTurn(s, ask)
		}
		out, err := wholeList(ctx, in, func(ctx context.Context, in *In) (*Out, error) { return anyMatch(ctx, in, ask) })
		if err != nil {
			err = s.late(ctx, known, err)
			if callwheel.KindOf(err) == callwheel.Forbidden {
				s.noteRefusal(ctx, identity(ctx), o)
			}
			p := problemOf(ctx, err)
			s.logProblem(ctx, p, err)
			return nil, p
		}
		return out, nil
	})
	s.learn(known, reflect.TypeFor[Out]())
}

// learn notes what the request and the answer of an operation look like, and
// completes its description.
func (s *Server) learn(o *operation, out reflect.Type) {
	described := s.describedBy(o.op)
	if body, ok := out.FieldByName("Body"); ok && body.Type.Kind() != reflect.Func && body.Type != reflect.TypeFor[[]byte]() {
		o.list, o.fields, o.header = shapeOf(body.Type)
	}
	if o.Method == http.MethodGet && o.fields != nil {
		described.Parameters = append(described.Parameters, &huma.Param{
			Name: "fields", In: "query", Description: "Names of the fields to answer with, separated by commas",
			Schema: &huma.Schema{Type: huma.TypeString},
		})
	}
	if rb := described.RequestBody; rb != nil && rb.Content["application/json"] != nil {
		o.body = rb.Content["application/json"].Schema
	}
	for _, p := range described.Parameters {
		if p.In == "query" {
			o.query = append(o.query, p.Name)
		}
	}
	if o.Method == http.MethodPost {
		described.Parameters = append(described.Parameters, &huma.Param{
			Name: "Idempotency-Key", In: "header", Description: "The same key again gives the same answer and does the work once",
			Schema: &huma.Schema{Type: huma.TypeString},
		})
	}
	if o.list != "" && o.Method == http.MethodGet {
		content := described.Responses["200"].Content
		if o.list == "items" {
			described.Description = strings.TrimSpace(described.Description + " As text/csv or application/x-ndjson it gives the whole list, unless a limit is given.")
		}
		content["text/csv"] = &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString}}
		content["application/x-ndjson"] = &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString}}
	}
}

// describedBy returns the operation's entry in the OpenAPI document.
func (s *Server) describedBy(o op) *huma.Operation {
	item := s.api.OpenAPI().Paths[o.Path]
	switch o.Method {
	case http.MethodGet:
		return item.Get
	case http.MethodPost:
		return item.Post
	case http.MethodPut:
		return item.Put
	case http.MethodPatch:
		return item.Patch
	case http.MethodDelete:
		return item.Delete
	}
	panic("operation " + o.ID + " has method " + o.Method)
}

// echoPath is a path with {parameters} as echo writes it.
func echoPath(path string) string {
	return strings.NewReplacer("{", ":", "}", "").Replace(path)
}

// admit checks parameters and body, then runs the operation, once for its
// Idempotency-Key.
func (s *Server) admit(c echo.Context, who account.Identity, o *operation, next echo.HandlerFunc) error {
	if err := cleanPath(c); err != nil {
		return err
	}
	if err := checkQuery(c.Request().URL, o); err != nil {
		return err
	}
	if err := o.checkFields(c.QueryParam("fields")); err != nil {
		return err
	}
	body, err := readBody(c.Request(), o.op)
	if err != nil {
		return err
	}
	if err := s.checkNulls(o, body); err != nil {
		return err
	}
	r := c.Request()
	if o.bounded(r) {
		ctx, cancel := context.WithTimeoutCause(r.Context(), s.limit(o), errLate)
		defer cancel()
		r = r.WithContext(ctx)
	}
	if o.Report {
		if err := waitFor(c.Response(), s.limit(o)); err != nil {
			return err
		}
	}
	// A list may come in several lines; huma reads the first.
	if lines := r.Header.Values("If-Match"); len(lines) > 1 {
		r.Header.Set("If-Match", strings.Join(lines, ", "))
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	c.SetRequest(r)
	return s.once(c, who, body, next)
}

// bounded says whether a request must be answered within a limit. Media,
// events and a list that is written as it is read last as long as somebody takes
// them.
func (o *operation) bounded(r *http.Request) bool {
	return !o.Stream && !(o.list == "items" && isExport(r.Header, r.URL.Query()))
}

var errNoSuchPath = newProblem(http.StatusNotFound, "", "")

// cleanPath unescapes the path's parameters, which echo leaves as they came
// when the path has escapes, and answers 404 where one could not be an id.
func cleanPath(c echo.Context) error {
	values := slices.Clone(c.ParamValues())
	for i, v := range values {
		if c.Request().URL.RawPath != "" {
			var err error
			if v, err = url.PathUnescape(v); err != nil {
				return errNoSuchPath
			}
		}
		if !isText(v) || len(v) > 500 {
			return errNoSuchPath
		}
		values[i] = v
	}
	c.SetParamValues(values...)
	return nil
}

// ByID is embedded in the input of an operation on one thing.
type ByID struct {
	ID string `path:"id" doc:"The thing's id"`
}

// created is the output of a POST that made something.
type created[T any] struct {
	Location string `header:"Location"`
	ETag     string `header:"ETag"`
	Body     T
}

// found is the output of an operation that answers with one thing. ETag is for
// things that people edit.
type found[T any] struct {
	ETag string `header:"ETag"`
	Body T
}

// done is the output of an operation that answers with nothing (204).
type done struct{}

// isProblem says whether v is an error on its way out.
func isProblem(v any) bool {
	err, ok := v.(error)
	var p *problem
	return ok && errors.As(err, &p)
}
