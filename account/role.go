package account

import "slices"

// Role says what somebody may do in one account. A user and a token each have
// exactly one.
type Role string

// The roles. Owner and Admin may do the same things, except that only an owner
// can make another owner.
const (
	Owner    Role = "owner"
	Admin    Role = "admin"
	Manager  Role = "manager"
	Agent    Role = "agent"
	Marketer Role = "marketer"
	ReadOnly Role = "read-only"
)

// Roles lists every role, the mightiest first.
func Roles() []Role { return []Role{Owner, Admin, Manager, Agent, Marketer, ReadOnly} }

// Permission is one thing that a role may or may not do. Every door of the API
// names the one it needs.
type Permission string

// The permissions.
const (
	ReadAccount   Permission = "account.read"   // the account's name, zone and currency
	ManageAccount Permission = "account.manage" // its settings, provider credentials and audit log
	ManageUsers   Permission = "users.manage"   // users and tokens
	ReadNumbers   Permission = "numbers.read"   // numbers, pools, sites, routes
	ManageNumbers Permission = "numbers.manage"
	ReadSources   Permission = "sources.read" // sources and what they cost
	ManageSources Permission = "sources.manage"
	ReadSpend     Permission = "spend.read"
	ManageSpend   Permission = "spend.manage"
	ReadLists     Permission = "lists.read" // tags, dispositions, scorecards, agents
	ManageLists   Permission = "lists.manage"
	ReadCalls     Permission = "calls.read"  // calls and callers, their numbers perhaps masked: see SeeCallers
	WriteDesk     Permission = "desk.write"  // tag, dispose, score, sell, note, feedback, call back, refer
	SeeCallers    Permission = "callers.see" // callers' numbers and names unmasked
	Recordings    Permission = "recordings"  // hear them
	ReadReports   Permission = "reports.read"
	ExportCalls   Permission = "calls.export" // calls as CSV or NDJSON
)

var everybody = []Permission{ReadAccount, ReadNumbers, ReadSources, ReadSpend, ReadLists, ReadCalls, ReadReports}

var (
	agents    = append(slices.Clone(everybody), WriteDesk, SeeCallers, Recordings)
	marketers = append(slices.Clone(everybody), ManageSources, ManageSpend)
	managers  = append(slices.Clone(agents), ManageNumbers, ManageSources, ManageSpend, ManageLists, ExportCalls)
	owners    = append(slices.Clone(managers), ManageAccount, ManageUsers)
)

// permissions is the whole table of who may do what.
var permissions = map[Role][]Permission{
	Owner:    owners,
	Admin:    owners,
	Manager:  managers,
	Agent:    agents,
	Marketer: marketers,
	ReadOnly: everybody,
}

// May says whether the role has the permission. An unknown role has none.
func (r Role) May(p Permission) bool { return slices.Contains(permissions[r], p) }

// Known says whether r is one of Roles.
func (r Role) Known() bool {
	_, ok := permissions[r]
	return ok
}

// Covers says whether somebody with role r may give role other away: it has
// everything that other has, and nobody but an owner makes owners.
func (r Role) Covers(other Role) bool {
	if !r.Known() || !other.Known() || (other == Owner && r != Owner) {
		return false
	}
	for _, p := range permissions[other] {
		if !r.May(p) {
			return false
		}
	}
	return true
}

// Identity is who is asking, taken from a verified credential and never from
// what a request says about itself.
type Identity struct {
	AccountID string
	Actor     string // user_…, token_…, or "operator" for the command line
	Role      Role
	AgentID   string // the agent this person or program is, "" when none
}

// May says whether this identity has the permission.
func (id Identity) May(p Permission) bool { return id.Role.May(p) }

// operator is the actor of Operator.
const operator = "operator"

// Operator is whoever runs the program on the machine itself: an owner of the
// account, named "operator" in the audit log.
func Operator(accountID string) Identity {
	return Identity{AccountID: accountID, Actor: operator, Role: Owner}
}
