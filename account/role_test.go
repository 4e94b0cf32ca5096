package account

import (
	"slices"
	"testing"
)

func TestTheTableOfRoles(t *testing.T) {
	all := func(r ...Role) []Role { return r }
	everyone := Roles()
	for _, tt := range []struct {
		permission Permission
		who        []Role
	}{
		{ReadAccount, everyone},
		{ManageAccount, all(Owner, Admin)},
		{ManageUsers, all(Owner, Admin)},
		{ReadNumbers, everyone},
		{ManageNumbers, all(Owner, Admin, Manager)},
		{ReadSources, everyone},
		{ManageSources, all(Owner, Admin, Manager, Marketer)},
		{ReadSpend, everyone},
		{ManageSpend, all(Owner, Admin, Manager, Marketer)},
		{ReadLists, everyone},
		{ManageLists, all(Owner, Admin, Manager)},
		{ReadCalls, everyone},
		{WriteDesk, all(Owner, Admin, Manager, Agent)},
		{SeeCallers, all(Owner, Admin, Manager, Agent)},
		{Recordings, all(Owner, Admin, Manager, Agent)},
		{ReadReports, everyone},
		{ExportCalls, all(Owner, Admin, Manager)},
	} {
		for _, role := range everyone {
			if got, want := role.May(tt.permission), slices.Contains(tt.who, role); got != want {
				t.Errorf("%s may %s: got %v, want %v", role, tt.permission, got, want)
			}
		}
	}
	if Role("boss").May(ReadAccount) || Role("").May(ReadAccount) {
		t.Error("an unknown role may something")
	}
}

func TestNobodyGivesAwayMoreThanTheyHave(t *testing.T) {
	for _, tt := range []struct {
		giver, given Role
		want         bool
	}{
		{Owner, Owner, true},
		{Owner, ReadOnly, true},
		{Admin, Owner, false},
		{Admin, Admin, true},
		{Admin, Marketer, true},
		{Manager, Admin, false},
		{Manager, Agent, true},
		{Agent, Marketer, false},
		{Marketer, Agent, false},
		{Owner, "boss", false},
		{"boss", ReadOnly, false},
	} {
		if got := tt.giver.Covers(tt.given); got != tt.want {
			t.Errorf("%s covers %s: got %v, want %v", tt.giver, tt.given, got, tt.want)
		}
	}
}
