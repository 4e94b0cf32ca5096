package api

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/callwheel/callwheel/account"
)

type accountBody struct {
	ID                     string      `json:"id"`
	Name                   string      `json:"name"`
	TZ                     string      `json:"tz" doc:"IANA time zone; the days of reports" example:"America/New_York"`
	Currency               string      `json:"currency" doc:"ISO 4217; reports are in it" example:"USD"`
	MarginRate             *float64    `json:"margin_rate" doc:"Share of revenue that is margin, 0 to 1; null: not known"`
	Destination            *wireNumber `json:"destination" doc:"Who is rung when a number has no plan of its own"`
	RecordingPolicy        string      `json:"recording_policy" enum:"announce,silent" doc:"announce: a recorded call begins with an announcement"`
	RecordingRetentionDays int64       `json:"recording_retention_days"`
	JournalRetentionDays   int64       `json:"journal_retention_days"`
	ProviderAccount        *string     `json:"provider_account" doc:"Its own account at the telephony provider; null: the installation's"`
	CreatedAt              stamp       `json:"created_at"`
}

func accountOut(a account.Account) *found[accountBody] {
	b := accountBody{
		ID:                     a.ID,
		Name:                   a.Name,
		TZ:                     a.TZ,
		Currency:               a.Currency,
		Destination:            number(a.Destination),
		RecordingPolicy:        a.RecordingPolicy,
		RecordingRetentionDays: a.RecordingRetentionDays,
		JournalRetentionDays:   a.JournalRetentionDays,
		CreatedAt:              at(a.CreatedAt),
	}
	if a.MarginPPM != nil {
		rate := float64(*a.MarginPPM) / 1e6
		b.MarginRate = &rate
	}
	if a.ProviderAccount != "" {
		b.ProviderAccount = &a.ProviderAccount
	}
	return &found[accountBody]{ETag: etag(a.Version), Body: b}
}

type accountPatch struct {
	Precondition
	Body struct {
		Name                   *string           `json:"name,omitempty"`
		TZ                     *string           `json:"tz,omitempty"`
		Currency               *string           `json:"currency,omitempty"`
		MarginRate             optional[float64] `json:"margin_rate,omitempty" doc:"Share of revenue that is margin, 0 to 1 (0.35 for 35 %), or null: not known"`
		Destination            optional[string]  `json:"destination,omitempty" doc:"E.164, or null for none"`
		RecordingPolicy        *string           `json:"recording_policy,omitempty" enum:"announce,silent"`
		RecordingRetentionDays *int64            `json:"recording_retention_days,omitempty" minimum:"1" maximum:"3650"`
		JournalRetentionDays   *int64            `json:"journal_retention_days,omitempty" minimum:"30" maximum:"3650"`
	}
}

func (in *accountPatch) change() (account.AccountChange, error) {
	ch := account.AccountChange{
		Name:                   in.Body.Name,
		TZ:                     in.Body.TZ,
		Currency:               in.Body.Currency,
		RecordingPolicy:        in.Body.RecordingPolicy,
		RecordingRetentionDays: in.Body.RecordingRetentionDays,
		JournalRetentionDays:   in.Body.JournalRetentionDays,
	}
	if in.Body.MarginRate.Present {
		ppm, err := account.MarginPPM(in.Body.MarginRate.Value)
		if err != nil {
			return ch, err
		}
		ch.MarginPPM = &ppm
	}
	if in.Body.Destination.Present {
		e164 := ""
		if v := in.Body.Destination.Value; v != nil {
			var err error
			if e164, err = phone("destination", *v); err != nil {
				return ch, err
			}
		}
		ch.Destination = &e164
	}
	return ch, nil
}

type providerPut struct {
	Precondition
	Body struct {
		ProviderAccount string   `json:"provider_account" maxLength:"64" doc:"The provider's id of the account; empty removes the credentials" example:"AC0123456789abcdef0123456789abcdef"`
		Tokens          []string `json:"tokens,omitempty" maxItems:"5" doc:"Auth tokens, the newest first; several while rotating. They are never shown again"`
	}
}

func (s *Server) accountDoors() {
	handle(s, op{
		Method: http.MethodGet, Path: "/v1/account", ID: "get-account", Tag: "account",
		Summary: "The account", Need: account.ReadAccount,
	}, func(ctx context.Context, who account.Identity, _ *struct{}) (*found[accountBody], error) {
		a, err := s.accounts.Get(ctx, who.AccountID)
		if err != nil {
			return nil, err
		}
		return accountOut(a), nil
	})
	handle(s, op{
		Method: http.MethodPatch, Path: "/v1/account", ID: "update-account", Tag: "account",
		Summary: "Change the account", Need: account.ManageAccount,
	}, func(ctx context.Context, who account.Identity, in *accountPatch) (*found[accountBody], error) {
		ch, err := in.change()
		if err != nil {
			return nil, err
		}
		if ch.Destination != nil && *ch.Destination != "" {
			if err := s.numbers.MayRing(ctx, *ch.Destination); err != nil {
				return nil, err
			}
		}
		a, err := s.accounts.Update(ctx, who, ch, in.Version())
		if err != nil {
			return nil, err
		}
		s.refreshRoutes(ctx)
		return accountOut(a), nil
	})
	handle(s, op{
		Method: http.MethodPut, Path: "/v1/account/provider", ID: "set-provider-credentials", Tag: "account",
		Summary: "Use an own account at the telephony provider; If-Match speaks of the account's ETag", Status: http.StatusNoContent, Need: account.ManageAccount,
	}, func(ctx context.Context, who account.Identity, in *providerPut) (*done, error) {
		if err := s.accounts.SetProvider(ctx, who, in.Body.ProviderAccount, in.Body.Tokens, in.Version()); err != nil {
			return nil, err
		}
		s.refreshRoutes(ctx)
		return nil, nil //nolint:nilnil // 204
	})
}

// refreshRoutes makes a change of routing count from the next call on; other
// replicas learn of it by themselves.
func (s *Server) refreshRoutes(ctx context.Context) {
	if s.switchboard == nil {
		return
	}
	if err := s.switchboard.Refresh(context.WithoutCancel(ctx)); err != nil {
		s.log.WarnContext(ctx, "routes not refreshed yet", "error", err)
	}
}

type userBody struct {
	ID        string       `json:"id"`
	Email     string       `json:"email"`
	Name      string       `json:"name"`
	Role      account.Role `json:"role" enum:"owner,admin,manager,agent,marketer,read-only"`
	AgentID   *string      `json:"agent_id" doc:"The agent this person is; null for none"`
	Disabled  bool         `json:"disabled"`
	CreatedAt stamp        `json:"created_at"`
}

func userOut(u account.User) userBody {
	return userBody{
		ID:        u.ID,
		Email:     u.Email,
		Name:      u.Name,
		Role:      u.Role,
		AgentID:   orNil(u.AgentID),
		Disabled:  u.DisabledAt != nil,
		CreatedAt: at(u.CreatedAt),
	}
}

type userPost struct {
	Body struct {
		Email    string       `json:"email" maxLength:"254"`
		Name     string       `json:"name"`
		Password string       `json:"password" doc:"At least 10 characters"`
		Role     account.Role `json:"role" enum:"owner,admin,manager,agent,marketer,read-only"`
		AgentID  string       `json:"agent_id,omitempty"`
	}
}

type userPatch struct {
	ChangeByID
	Body struct {
		Name     *string       `json:"name,omitempty"`
		Password *string       `json:"password,omitempty"`
		Role     *account.Role `json:"role,omitempty" enum:"owner,admin,manager,agent,marketer,read-only"`
		AgentID  *string       `json:"agent_id,omitempty"`
		Disabled *bool         `json:"disabled,omitempty"`
	}
}

func (s *Server) userDoors() {
	handle(s, op{
		Method: http.MethodGet, Path: "/v1/users", ID: "list-users", Tag: "users",
		Summary: "Everybody who signs in", Need: account.ManageUsers,
	}, func(ctx context.Context, who account.Identity, in *struct{ Paging }) (*listed[userBody], error) {
		after := ""
		if _, err := s.readCursor(who, "users", in.Paging, &after); err != nil {
			return nil, err
		}
		users, err := s.accounts.Users(ctx, who.AccountID, after, in.Limit+1)
		if err != nil {
			return nil, err
		}
		return newPage(s, who, "users", users, in.Paging, userOut, func(u account.User) any { return u.ID }), nil
	})
	handle(s, op{
		Method: http.MethodPost, Path: "/v1/users", ID: "create-user", Tag: "users",
		Summary: "Add somebody", Need: account.ManageUsers,
	}, func(ctx context.Context, who account.Identity, in *userPost) (*created[userBody], error) {
		if err := s.checkAgent(ctx, who, in.Body.AgentID); err != nil {
			return nil, err
		}
		u, err := s.accounts.CreateUser(ctx, who, account.UserParams{
			Email: in.Body.Email, Name: in.Body.Name, Password: in.Body.Password, Role: in.Body.Role, AgentID: in.Body.AgentID,
		})
		if err != nil {
			return nil, err
		}
		return &created[userBody]{Location: "/v1/users/" + u.ID, ETag: etag(u.Version), Body: userOut(u)}, nil
	})
	handle(s, op{
		Method: http.MethodGet, Path: "/v1/users/{id}", ID: "get-user", Tag: "users",
		Summary: "One user", Need: account.ManageUsers,
	}, func(ctx context.Context, who account.Identity, in *struct{ ByID }) (*found[userBody], error) {
		u, err := s.accounts.GetUser(ctx, who.AccountID, in.ID)
		if err != nil {
			return nil, err
		}
		return &found[userBody]{ETag: etag(u.Version), Body: userOut(u)}, nil
	})
	handle(s, op{
		Method: http.MethodPatch, Path: "/v1/users/{id}", ID: "update-user", Tag: "users",
		Summary: "Change or disable a user", Need: account.ManageUsers,
		Doc: "A new password, another role and disabling end the user's sessions.",
	}, func(ctx context.Context, who account.Identity, in *userPatch) (*found[userBody], error) {
		if in.Body.AgentID != nil {
			if err := s.checkAgent(ctx, who, *in.Body.AgentID); err != nil {
				return nil, err
			}
		}
		u, err := s.accounts.UpdateUser(ctx, who, in.ID, account.UserChange{
			Name: in.Body.Name, Password: in.Body.Password, Role: in.Body.Role, AgentID: in.Body.AgentID, Disabled: in.Body.Disabled,
		}, in.Version())
		if err != nil {
			return nil, err
		}
		return &found[userBody]{ETag: etag(u.Version), Body: userOut(u)}, nil
	})
}

// checkAgent refuses an agent that the account does not have; "" is none. Users
// and tokens belong to account, which knows no agents.
func (s *Server) checkAgent(ctx context.Context, who account.Identity, agentID string) error {
	if agentID == "" {
		return nil
	}
	_, err := s.desk.AgentByID(ctx, who.AccountID, agentID)
	return notOurs(err, "agent_id", "is not an agent of this account")
}

type tokenBody struct {
	ID         string       `json:"id"`
	Name       string       `json:"name"`
	Prefix     string       `json:"prefix" doc:"The first characters, to recognise it by"`
	Role       account.Role `json:"role" enum:"owner,admin,manager,agent,marketer,read-only"`
	AgentID    *string      `json:"agent_id"`
	CreatedBy  string       `json:"created_by"`
	CreatedAt  stamp        `json:"created_at"`
	LastUsedAt *stamp       `json:"last_used_at" doc:"To the minute"`
	ExpiresAt  *stamp       `json:"expires_at" doc:"null: never"`
	RevokedAt  *stamp       `json:"revoked_at"`
	Token      string       `json:"token,omitempty" doc:"The token itself: only in the answer to the request that made it"`
}

func tokenOut(t account.Token) tokenBody {
	return tokenBody{
		ID:         t.ID,
		Name:       t.Name,
		Prefix:     t.Prefix,
		Role:       t.Role,
		AgentID:    orNil(t.AgentID),
		CreatedBy:  t.CreatedBy,
		CreatedAt:  at(t.CreatedAt),
		LastUsedAt: atPtr(t.LastUsedAt),
		ExpiresAt:  atPtr(t.ExpiresAt),
		RevokedAt:  atPtr(t.RevokedAt),
	}
}

type tokenPost struct {
	Body struct {
		Name      string       `json:"name"`
		Role      account.Role `json:"role" enum:"owner,admin,manager,agent,marketer,read-only" doc:"Not above your own"`
		AgentID   string       `json:"agent_id,omitempty"`
		ExpiresAt *stamp       `json:"expires_at,omitempty" doc:"Without it: never, or with the token that makes it"`
	}
}

func (s *Server) tokenDoors() {
	handle(s, op{
		Method: http.MethodGet, Path: "/v1/tokens", ID: "list-tokens", Tag: "tokens",
		Summary: "Every API token, also revoked ones", Need: account.ManageUsers,
	}, func(ctx context.Context, who account.Identity, in *struct{ Paging }) (*listed[tokenBody], error) {
		after := ""
		if _, err := s.readCursor(who, "tokens", in.Paging, &after); err != nil {
			return nil, err
		}
		tokens, err := s.accounts.Tokens(ctx, who.AccountID, after, in.Limit+1)
		if err != nil {
			return nil, err
		}
		return newPage(s, who, "tokens", tokens, in.Paging, tokenOut, func(t account.Token) any { return t.ID }), nil
	})
	handle(s, op{
		Method: http.MethodPost, Path: "/v1/tokens", ID: "create-token", Tag: "tokens",
		Summary: "Make a token; it is shown once", Need: account.ManageUsers,
		Doc: "A token that is made with a token ends when that one does, and stands for the same person: when they are disabled or their role no longer covers it, it does not count.",
	}, func(ctx context.Context, who account.Identity, in *tokenPost) (*created[tokenBody], error) {
		if err := s.checkAgent(ctx, who, in.Body.AgentID); err != nil {
			return nil, err
		}
		t, text, err := s.accounts.CreateToken(ctx, who, account.TokenParams{
			Name: in.Body.Name, Role: in.Body.Role, AgentID: in.Body.AgentID, ExpiresAt: in.Body.ExpiresAt.ptr(),
		})
		if err != nil {
			return nil, err
		}
		body := tokenOut(t)
		body.Token = text
		return &created[tokenBody]{Location: "/v1/tokens/" + t.ID, Body: body}, nil
	})
	handle(s, op{
		Method: http.MethodGet, Path: "/v1/tokens/{id}", ID: "get-token", Tag: "tokens",
		Summary: "One token", Need: account.ManageUsers,
	}, func(ctx context.Context, who account.Identity, in *struct{ ByID }) (*found[tokenBody], error) {
		t, err := s.accounts.GetToken(ctx, who.AccountID, in.ID)
		if err != nil {
			return nil, err
		}
		return &found[tokenBody]{Body: tokenOut(t)}, nil
	})
	handle(s, op{
		Method: http.MethodDelete, Path: "/v1/tokens/{id}", ID: "revoke-token", Tag: "tokens",
		Summary: "Revoke a token at once, with every token that was made with it", Need: account.ManageUsers,
	}, func(ctx context.Context, who account.Identity, in *struct{ ByID }) (*done, error) {
		return nil, s.accounts.RevokeToken(ctx, who, in.ID)
	})
}

type auditBody struct {
	ID     string          `json:"id"`
	At     stamp           `json:"at"`
	Actor  string          `json:"actor" doc:"user_…, token_…, or operator for the command line"`
	Action string          `json:"action" example:"number.update"`
	Object string          `json:"object"`
	Detail json.RawMessage `json:"detail"`
}

func auditOut(e account.AuditEntry) auditBody {
	return auditBody{ID: e.ID, At: at(e.At), Actor: e.Actor, Action: e.Action, Object: e.Object, Detail: e.Detail}
}

func (s *Server) auditDoors() {
	type input struct {
		Paging
		Object string `query:"object" maxLength:"200" doc:"Only what was done to this id"`
	}
	handle(s, op{
		Method: http.MethodGet, Path: "/v1/audit", ID: "list-audit", Tag: "account",
		Summary: "Who changed what, newest first", Need: account.ManageAccount,
	}, func(ctx context.Context, who account.Identity, in *input) (*listed[auditBody], error) {
		q := account.AuditQuery{Object: in.Object, Limit: in.Limit + 1}
		if _, err := s.readCursor(who, "audit", in.Paging, &q.Before); err != nil {
			return nil, err
		}
		entries, err := s.accounts.AuditLog(ctx, who.AccountID, q)
		if err != nil {
			return nil, err
		}
		return newPage(s, who, "audit", entries, in.Paging, auditOut, func(e account.AuditEntry) any { return e.ID }), nil
	})
}

// orNil is null for a text that is not there.
func orNil(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
