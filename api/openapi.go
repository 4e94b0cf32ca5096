package api

import (
	"encoding/json"
	"io"
	"net/http"
	"reflect"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humaecho"
	"github.com/labstack/echo/v4"

	"github.com/callwheel/callwheel"
)

// newHuma makes the part that validates and describes the operations of /v1.
func (s *Server) newHuma() huma.API {
	registry := huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer)
	registry.RegisterTypeAlias(reflect.TypeFor[callwheel.Money](), reflect.TypeFor[wireMoney]())
	format := huma.Format{Marshal: writeJSON, Unmarshal: json.Unmarshal}
	return humaecho.NewV4(s.echo, huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{
				Title:       "callwheel",
				Version:     "1",
				Description: "Calls, the sources that earned them, what they were worth, and the reports. Everything below /v1 takes and gives JSON.",
				License:     &huma.License{Name: "Apache-2.0", Identifier: "Apache-2.0"},
			},
			Components: &huma.Components{
				Schemas: registry,
				SecuritySchemes: map[string]*huma.SecurityScheme{
					"token":   {Type: "http", Scheme: "bearer", Description: "An API token, cw_…"},
					"session": {Type: "apiKey", In: "cookie", Name: s.cookieName(), Description: "The dashboard's session"},
				},
			},
		},
		// The document and its page are served by us: huma's pages load
		// scripts from elsewhere, and its hooks add links to every answer.
		Formats:       map[string]huma.Format{"application/json": format, "json": format},
		DefaultFormat: "application/json",
		Transformers:  []huma.Transformer{s.transform},
	})
}

func writeJSON(w io.Writer, v any) error {
	if write, ok := v.(streamed); ok {
		return write(w)
	}
	text, ok := v.(rawBody)
	if !ok {
		var err error
		if text, err = marshal(v); err != nil {
			return err
		}
	}
	_, err := w.Write(text)
	return err
}

// markNullable tells the document the truth about pointers: what is not left
// out when it is nil is null. huma does so for texts and numbers only.
func (s *Server) markNullable() {
	registry := s.api.OpenAPI().Components.Schemas
	for name, schema := range registry.Map() {
		t := registry.TypeFromRef("#/components/schemas/" + name)
		if t == nil || deref(t).Kind() != reflect.Struct {
			continue
		}
		for _, f := range reflect.VisibleFields(deref(t)) {
			field, options, _ := strings.Cut(f.Tag.Get("json"), ",")
			property := schema.Properties[field]
			if property == nil || f.Type.Kind() != reflect.Pointer || strings.Contains(options, "omit") {
				continue
			}
			if property.Ref == "" {
				property.Nullable = true
				continue
			}
			schema.Properties[field] = &huma.Schema{
				Description: property.Description,
				OneOf:       []*huma.Schema{{Ref: property.Ref}, {Type: "null"}},
			}
		}
	}
}

// OpenAPI returns the document of every door, as JSON.
func (s *Server) OpenAPI() ([]byte, error) {
	return json.MarshalIndent(s.api.OpenAPI(), "", "  ")
}

// openAPIDoor serves the document.
func (s *Server) openAPIDoor() {
	document := sync.OnceValues(s.OpenAPI)
	s.echo.GET("/v1/openapi.json", func(c echo.Context) error {
		text, err := document()
		if err != nil {
			return err
		}
		c.Response().Header().Set("Cache-Control", "no-cache")
		return c.Blob(http.StatusOK, "application/openapi+json", text)
	})
}

// providerDoors are documented by hand: telephony answers them, in the
// provider's language, and no huma stands before it.
var providerDoors = []struct{ path, summary, answer string }{
	{"voice", "An incoming call: what shall happen?", "xml"},
	{"status", "The call ended (the number's status callback)", ""},
	{"voice/next", "The Dial action: what now?", "xml"},
	{"voice/whisper", "The agent's leg, before the bridge", "xml"},
	{"voice/keys", "Keys were pressed (a Gather action)", "xml"},
	{"voice/voicemail", "A message was left (a Record action)", "xml"},
	{"leg", "The status of an agent's leg", ""},
	{"recording", "A recording is ready", ""},
	{"transcription", "A transcription is ready", ""},
	{"message", "A text came in", ""},
	{"message/status", "The status of a text", ""},
}

// documentProviderDoors adds them to the document.
func (s *Server) documentProviderDoors() {
	doc := s.api.OpenAPI()
	doc.Components.SecuritySchemes["signature"] = &huma.SecurityScheme{
		Type: "apiKey", In: "header", Name: "X-Twilio-Signature",
		Description: "The provider signs the URL that it was given and the parameters with its auth token. Of a number that is set up with GET the voice doors are asked with GET, their parameters in the URL",
	}
	for _, d := range providerDoors {
		answer := &huma.Response{Description: "Kept"}
		status := "204"
		if d.answer == "xml" {
			status = "200"
			answer = &huma.Response{Description: "TwiML", Content: map[string]*huma.MediaType{"text/xml": {Schema: &huma.Schema{Type: huma.TypeString}}}}
		}
		doc.AddOperation(&huma.Operation{
			OperationID: "twilio-" + strings.ReplaceAll(d.path, "/", "-"),
			Method:      http.MethodPost,
			Path:        "/webhooks/twilio/" + d.path,
			Summary:     d.summary,
			Tags:        []string{"provider"},
			Security:    []map[string][]string{{"signature": {}}},
			RequestBody: &huma.RequestBody{Content: map[string]*huma.MediaType{"application/x-www-form-urlencoded": {Schema: &huma.Schema{Type: huma.TypeObject}}}},
			Responses:   map[string]*huma.Response{status: answer, "403": {Description: "The signature is wrong; nothing changed"}},
		})
	}
}

// documentBrowserDoors adds the doors of pages on customers' sites.
func (s *Server) documentBrowserDoors() {
	doc := s.api.OpenAPI()
	key := &huma.Param{Name: "site_key", In: "path", Required: true, Schema: &huma.Schema{Type: huma.TypeString}}
	text := func() *huma.Schema { return &huma.Schema{Type: huma.TypeString} }
	flag := func() *huma.Schema { return &huma.Schema{Type: huma.TypeBoolean} }
	numbers := func() *huma.Schema { return &huma.Schema{Type: huma.TypeArray, Items: text()} }
	object := func(p map[string]*huma.Schema) *huma.Schema {
		return &huma.Schema{Type: huma.TypeObject, Properties: p}
	}
	body := func(schema *huma.Schema) *huma.RequestBody {
		return &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{"application/json": {Schema: schema}, "text/plain": {Schema: schema}}}
	}
	refusals := func(more map[string]*huma.Response) map[string]*huma.Response {
		more["403"] = &huma.Response{Description: "The page's origin is not one of the site's"}
		more["404"] = &huma.Response{Description: "No such site"}
		return more
	}
	failed := object(map[string]*huma.Schema{"number": text(), "why": text()})
	lent := object(map[string]*huma.Schema{"e164": text(), "national": text()})
	doc.AddOperation(&huma.Operation{
		OperationID: "dni-visit", Method: http.MethodPost, Path: "/dni/v1/{site_key}/visits", Tags: []string{"browser"},
		Summary:    "A page was opened: which numbers shall it show?",
		Parameters: []*huma.Param{key},
		RequestBody: body(object(map[string]*huma.Schema{
			"visitor": text(), "session": text(), "page": text(), "referrer": text(), "numbers": numbers(),
			"consent": {Type: huma.TypeBoolean, Nullable: true}, "debug": flag(),
		})),
		Responses: refusals(map[string]*huma.Response{"200": {
			Description: "The visitor, the session and the numbers",
			Content: map[string]*huma.MediaType{"application/json": {Schema: object(map[string]*huma.Schema{
				"visitor": text(), "session": text(),
				"swap":   {Type: huma.TypeObject, AdditionalProperties: lent},
				"lease":  {Type: huma.TypeObject, Nullable: true, Properties: map[string]*huma.Schema{"until": {Type: huma.TypeString, Format: "date-time"}, "beat_seconds": {Type: huma.TypeInteger}, "for_seconds": {Type: huma.TypeInteger}}},
				"reason": {Type: huma.TypeString, Enum: []any{"leased", "source_number", "overflow", "no_target", "excluded", "no_consent", "bot"}},
				"debug":  object(map[string]*huma.Schema{"source": text(), "medium": text(), "campaign": text(), "rule": text()}),
			})}},
		}}),
	})
	doc.AddOperation(&huma.Operation{
		OperationID: "dni-beat", Method: http.MethodPost, Path: "/dni/v1/{site_key}/beats", Tags: []string{"browser"},
		Summary:    "The page is still open: keep the lease",
		Parameters: []*huma.Param{key},
		RequestBody: body(object(map[string]*huma.Schema{
			"session": text(), "swapped": {}, "found": {}, "failed": {Type: huma.TypeArray, Items: failed}, "visible": flag(), "page": text(),
		})),
		Responses: refusals(map[string]*huma.Response{"204": {Description: "Kept"}}),
	})
	s.documentScriptDoors(key, object, text, lent)
}

// documentScriptDoors adds the script and what stands in for it.
func (s *Server) documentScriptDoors(key *huma.Param, object func(map[string]*huma.Schema) *huma.Schema, text func() *huma.Schema, lent *huma.Schema) {
	doc := s.api.OpenAPI()
	answer := func(kind string, schema *huma.Schema) map[string]*huma.Response {
		return map[string]*huma.Response{
			"200": {Description: "It", Content: map[string]*huma.MediaType{kind: {Schema: schema}}},
			"404": {Description: "No such site or version"},
		}
	}
	for _, d := range []struct{ id, path, summary string }{
		{"dni-script", "/dni/v1/{site_key}.js", "The swapping script with the site's settings in it"},
		{"dni-frozen-script", "/dni/v1/dni-{version}.js", "A version of the script whose bytes never change"},
	} {
		name := "site_key"
		if d.id == "dni-frozen-script" {
			name = "version"
		}
		doc.AddOperation(&huma.Operation{
			OperationID: d.id, Method: http.MethodGet, Path: d.path, Tags: []string{"browser"}, Summary: d.summary,
			Parameters: []*huma.Param{{Name: name, In: "path", Required: true, Schema: text()}},
			Responses:  answer("text/javascript", text()),
		})
	}
	doc.AddOperation(&huma.Operation{
		OperationID: "dni-frozen-scripts", Method: http.MethodGet, Path: "/dni/v1/scripts.json", Tags: []string{"browser"},
		Summary: "The frozen versions of the script and the integrity of each",
		Responses: answer("application/json", object(map[string]*huma.Schema{"items": {Type: huma.TypeArray, Items: object(map[string]*huma.Schema{
			"version": text(), "path": text(), "integrity": text(), "bytes": {Type: huma.TypeInteger},
		})}})),
	})
	doc.AddOperation(&huma.Operation{
		OperationID: "dni-settings", Method: http.MethodGet, Path: "/dni/v1/{site_key}/settings", Tags: []string{"browser"},
		Summary: "The site's settings, for the frozen script", Parameters: []*huma.Param{key},
		Responses: answer("application/json", &huma.Schema{Type: huma.TypeObject}),
	})
	number := &huma.Operation{
		OperationID: "dni-number", Method: http.MethodGet, Path: "/dni/v1/{site_key}/number", Tags: []string{"browser"},
		Summary:     "The number alone: for AMP, for pages without a DOM, for servers that write pages",
		Description: "Asked by a page of the site, an AMP cache that shows one (__amp_source_origin), or a server with a token of the site's account.",
		Parameters:  []*huma.Param{key},
		Responses: answer("application/json", object(map[string]*huma.Schema{
			"phoneNumber": text(), "formattedPhoneNumber": text(), "number": lent, "printed": lent, "visitor": text(), "session": text(),
			"lease": {Type: huma.TypeObject, Nullable: true}, "reason": text(),
		})),
	}
	number.Responses["403"] = &huma.Response{Description: "Neither an origin of the site nor a token of its account"}
	for _, name := range []string{"page", "referrer", "visitor", "session", "number", "consent", "gpc", "user_agent"} {
		number.Parameters = append(number.Parameters, &huma.Param{Name: name, In: "query", Schema: text()})
	}
	doc.AddOperation(number)
}
