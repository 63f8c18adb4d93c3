package identity

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/internal/clock"
	"github.com/shardmill/shardmill/storage"
	"github.com/shardmill/shardmill/storage/memory"
)

const (
	trust = `{"Statement":{"Effect":"Allow","Action":"sts:AssumeRole","Principal":"*"}}`
	allow = `{"Statement":{"Effect":"Allow","Action":"a:b","Resource":"*"}}`
	basic = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
)

var (
	mine  = Account{ID: "111122223333", Partition: "aws"}
	yours = Account{ID: "444455556666", Partition: "aws"}
)

// bench is a Store at noon of 2026-01-05.
type bench struct {
	*testing.T
	*Store
	coord storage.Coord
}

func setup(t *testing.T) *bench {
	noon := time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC)
	coord := memory.New(memory.Options{}).Coord()
	return &bench{t, New(Options{Coord: coord, Clock: clock.New(time.Until(noon))}), coord}
}

func (b *bench) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func (b *bench) fails(err error, code string) {
	b.Helper()
	if got := fault.CodeOf(err); got != code {
		b.Errorf("%v, want %s", err, code)
	}
}

func (b *bench) newRole(name string) Role {
	b.Helper()
	r, err := b.CreateRole(b.Context(), mine, Role{Name: name, Path: "/a/", Trust: trust, MaxSession: 3600})
	b.must(err)
	return r
}

func (b *bench) newPolicy(name string) string {
	b.Helper()
	p, err := b.CreatePolicy(b.Context(), mine, Policy{Name: name, Path: "/"}, allow)
	b.must(err)
	return p.ARN(mine)
}

// Stored values are there for the next Store over the same Coord, byte for byte, and belong to one account.
func TestRolesAndPoliciesOutliveTheirStore(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	b.newRole("Reader")
	arn := b.newPolicy("p")
	b.must(b.PutRolePolicy(ctx, mine, "reader", "inline", allow))
	b.must(b.AttachPolicy(ctx, mine, "READER", basic))
	b.must(b.AttachPolicy(ctx, mine, "Reader", arn))
	b.must(b.TagRole(ctx, mine, "Reader", []Tag{{"team", "a"}, {"stage", "dev"}}))
	want, err := b.Role(ctx, mine, "Reader")
	b.must(err)

	got, err := New(Options{Coord: b.coord}).Role(ctx, mine, "reader")

	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Errorf("%v\n%s", err, d)
	}
	if got.Name != "Reader" || got.Inline["inline"] != allow || !cmp.Equal(got.Attached, []string{arn, basic}) ||
		!cmp.Equal(got.Tags, []Tag{{"stage", "dev"}, {"team", "a"}}) || got.Created.Second() != want.Created.Second() {
		t.Errorf("%+v", got)
	}
	_, err = b.Role(ctx, yours, "Reader")
	b.fails(err, CodeNoSuchEntity)
	if all, err := b.Roles(ctx, yours); len(all) != 0 || err != nil {
		t.Errorf("another account has %v, %v", all, err)
	}
}

// A name is taken once, whatever its case.
func TestNamesDifferInMoreThanCase(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.newRole("r")
	_, err := b.CreateRole(t.Context(), mine, Role{Name: "R", Path: "/", Trust: trust})
	b.fails(err, CodeExists)
	b.newPolicy("p")
	_, err = b.CreatePolicy(t.Context(), mine, Policy{Name: "P", Path: "/other/"}, allow)
	b.fails(err, CodeExists)
	_, err = b.CreateRole(t.Context(), yours, Role{Name: "r", Path: "/", Trust: trust})
	b.must(err)
}

// A role or policy that is still in use is not deleted.
func TestWhatIsHeldStays(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	arn := b.newPolicy("p")
	_, err := b.CreateRole(ctx, mine, Role{Name: "bound", Path: "/", Trust: trust, Boundary: arn})
	b.must(err)
	b.fails(b.DeletePolicy(ctx, mine, arn), CodeConflict)
	b.must(b.DeleteRole(ctx, mine, "bound"))
	b.newRole("r")
	b.must(b.AttachPolicy(ctx, mine, "r", arn))
	if uses, err := b.Uses(ctx, mine); err != nil || !cmp.Equal(uses, map[string]Uses{arn: {Attached: 1}}) {
		t.Errorf("%v, %v", uses, err)
	}
	b.fails(b.DeletePolicy(ctx, mine, arn), CodeConflict)
	b.fails(b.DeleteRole(ctx, mine, "r"), CodeConflict)
	b.must(b.DetachPolicy(ctx, mine, "r", arn))
	b.fails(b.DetachPolicy(ctx, mine, "r", arn), CodeNoSuchEntity)
	b.must(b.PutRolePolicy(ctx, mine, "r", "inline", allow))
	b.fails(b.DeleteRole(ctx, mine, "r"), CodeConflict)
	b.must(b.DeleteRolePolicy(ctx, mine, "r", "inline"))
	b.must(b.DeleteRole(ctx, mine, "r"))
	_, err = b.AddVersion(ctx, mine, arn, allow, false)
	b.must(err)
	b.fails(b.DeletePolicy(ctx, mine, arn), CodeConflict)
	b.fails(b.DeleteVersion(ctx, mine, arn, "v1"), CodeConflict) // it is in force
	b.must(b.DeleteVersion(ctx, mine, arn, "v2"))
	b.must(b.DeletePolicy(ctx, mine, arn))
	_, err = b.Policy(ctx, mine, arn)
	b.fails(err, CodeNoSuchEntity)
}

// Quotas hold at their limit: reaching one is accepted, exceeding it changes nothing.
func TestQuotasHoldAtTheirEdge(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	b.newRole("r")
	var tags []Tag
	for i := range MaxTags {
		tags = append(tags, Tag{fmt.Sprint("k", i), ""})
	}
	b.must(b.TagRole(ctx, mine, "r", tags))
	b.must(b.TagRole(ctx, mine, "r", []Tag{{"K0", "again"}}))
	b.fails(b.TagRole(ctx, mine, "r", []Tag{{"one more", ""}}), CodeLimit)
	for i := range maxAttached {
		b.must(b.AttachPolicy(ctx, mine, "r", fmt.Sprint("arn:aws:iam::aws:policy/p", i)))
	}
	b.must(b.AttachPolicy(ctx, mine, "r", "arn:aws:iam::aws:policy/p0"))
	b.fails(b.AttachPolicy(ctx, mine, "r", "arn:aws:iam::aws:policy/p20"), CodeLimit)
	sized := func(n int) string { return strings.Replace(allow, "a:b", strings.Repeat("x", n-len(allow)+3), 1) }
	b.must(b.PutRolePolicy(ctx, mine, "r", "whole", sized(maxInlineBytes)+" \n\t"))
	b.fails(b.PutRolePolicy(ctx, mine, "r", "whole", sized(maxInlineBytes+1)), CodeLimit)
	b.fails(b.PutRolePolicy(ctx, mine, "r", "other", allow), CodeLimit)
	_, err := b.CreatePolicy(ctx, mine, Policy{Name: "large", Path: "/"}, sized(maxPolicyBytes+1))
	b.fails(err, CodeLimit)
	p, err := b.CreatePolicy(ctx, mine, Policy{Name: "large", Path: "/"}, sized(maxPolicyBytes))
	b.must(err)
	for range maxPolicyVersions - 1 {
		_, err := b.AddVersion(ctx, mine, p.ARN(mine), allow, true)
		b.must(err)
	}
	_, err = b.AddVersion(ctx, mine, p.ARN(mine), allow, true)
	b.fails(err, CodeLimit)
	r, err := b.Role(ctx, mine, "r")
	b.must(err)
	if len(r.Tags) != MaxTags || len(r.Attached) != maxAttached || len(r.Inline) != 1 {
		t.Errorf("%d tags, %d policies, %d inside", len(r.Tags), len(r.Attached), len(r.Inline))
	}
}

// A created role has the id it was created with, under its whole ARN; any other ARN has an id derived from it.
func TestRoleID(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	made := b.newRole("r")
	if got := b.RoleID(ctx, "arn:aws:iam::111122223333:role/a/r"); got != made.ID || len(got) != 21 {
		t.Errorf("%q, want %q", got, made.ID)
	}
	seen := map[string]string{made.ID: "the role that was made"}
	for _, arn := range []string{
		"", "arn:", "arn:aws:iam::111122223333:role/r", "arn:aws:iam::000000000000:role/a/r",
		"arn:aws:iam::111122223333:user/r",
	} {
		id := b.RoleID(ctx, arn)
		if other := seen[id]; other != "" || len(id) != 21 || !strings.HasPrefix(id, "AROA") ||
			id != b.RoleID(ctx, arn) {
			t.Errorf("%q has the id %s, as has %s", arn, id, other)
		}
		seen[id] = arn
	}
}

// Concurrent changes are made one after the other: none is lost, and none conflicts.
func TestChangesTakeTurns(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.newRole("r")
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			if err := b.TagRole(t.Context(), mine, "r", []Tag{{fmt.Sprint(i), "x"}}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if r, err := b.Role(t.Context(), mine, "r"); err != nil || len(r.Tags) != 20 {
		t.Errorf("%d tags, %v", len(r.Tags), err)
	}
}

// Values of a newer release are not misread.
func TestANewerFormatIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	k := key(mine.ID, kindRole, "r")
	for value, want := range map[string]string{`{"v":2,"name":"r"}`: "newer release", `{"v":`: "corrupt"} {
		_, err := b.coord.Commit(t.Context(), k, storage.Op{Key: k, Value: []byte(value), Expect: storage.Any})
		b.must(err)
		if _, err := b.Role(t.Context(), mine, "r"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s is read: %v", value, err)
		}
		if _, err := b.Roles(t.Context(), mine); err == nil {
			t.Errorf("%s is listed", value)
		}
	}
}

// closed is a store that is closed.
type closed struct{ storage.Coord }

func (closed) Get(context.Context, string) (storage.Entry, error) {
	return storage.Entry{}, storage.ErrClosed
}

func (closed) List(context.Context, string, string, int) ([]storage.Entry, error) {
	return nil, storage.ErrBusy
}

func TestAStoreThatStopsIsUnavailable(t *testing.T) {
	t.Parallel()
	s := New(Options{Coord: closed{memory.New(memory.Options{}).Coord()}})
	_, one := s.Role(t.Context(), mine, "r")
	_, many := s.Roles(t.Context(), mine)
	if !errors.Is(one, ErrUnavailable) || !errors.Is(many, ErrUnavailable) {
		t.Errorf("%v, %v", one, many)
	}
}

// Version numbers go on whatever is deleted; the last change decides which version is in force.
func TestVersionsAreNumberedOn(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	arn := b.newPolicy("p")
	second, err := b.AddVersion(ctx, mine, arn, allow, true)
	b.must(err)
	b.must(b.SetDefaultVersion(ctx, mine, arn, "v1"))
	b.must(b.DeleteVersion(ctx, mine, arn, second.ID))
	third, err := b.AddVersion(ctx, mine, arn, allow+" ", false)
	b.must(err)
	p, err := b.Policy(ctx, mine, arn)
	b.must(err)
	found, err := p.Version("v3")
	if second.ID != "v2" || third.ID != "v3" || p.Default != "v1" || err != nil || found.Document != allow+" " {
		t.Errorf("%s, then %s, of %+v; %v", second.ID, third.ID, p, err)
	}
	_, err = p.Version("v2")
	b.fails(err, CodeNoSuchEntity)
	b.fails(b.SetDefaultVersion(ctx, mine, arn, "v2"), CodeNoSuchEntity)
	b.fails(b.DeleteVersion(ctx, mine, arn, "v2"), CodeNoSuchEntity)
}

// A policy is found only by its whole ARN, and ARNs of AWS's policies count as existing.
func TestAPolicyIsItsWholeARN(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.newRole("r")
	arn := b.newPolicy("p")
	for _, other := range []string{
		"p", "arn:aws:iam::111122223333:policy/path/p", "arn:aws:iam::444455556666:policy/p",
	} {
		_, err := b.Policy(t.Context(), mine, other)
		b.fails(err, CodeNoSuchEntity)
		b.fails(b.AttachPolicy(t.Context(), mine, "r", other), CodeNoSuchEntity)
	}
	for policy, aws := range map[string]bool{
		arn: false, basic: true, "arn:aws-cn:iam::aws:policy/x": true, "x" + basic: false,
	} {
		if OwnedByAWS(policy) != aws {
			t.Errorf("%s is AWS's: %v", policy, !aws)
		}
	}
}

// A refused change leaves a role as it was; a partial change leaves the rest.
func TestChangesAreWholeOrNone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	before := b.newRole("r")
	b.fails(b.UpdateTrust(ctx, mine, "r", allow), CodeMalformed)
	b.fails(b.PutRolePolicy(ctx, mine, "r", "inline", trust), CodeMalformed)
	b.fails(b.DeleteRolePolicy(ctx, mine, "r", "inline"), CodeNoSuchEntity)
	b.must(b.UntagRole(ctx, mine, "r", []string{"none"}))
	after, err := b.Role(ctx, mine, "r")
	b.must(err)
	before.Tags = after.Tags // nil and empty are the same
	if d := cmp.Diff(before, after); d != "" || len(after.Tags) > 0 {
		t.Error(d)
	}
	b.must(b.UpdateRole(ctx, mine, "r", new("new"), nil))
	b.must(b.UpdateRole(ctx, mine, "r", nil, new(7200)))
	b.must(b.TagRole(ctx, mine, "r", []Tag{{"Team", "a"}, {"stage", "b"}}))
	b.must(b.UntagRole(ctx, mine, "r", []string{"TEAM"}))
	if r, err := b.Role(ctx, mine, "r"); err != nil || r.Description != "new" || r.MaxSession != 7200 ||
		r.Trust != trust ||
		!cmp.Equal(r.Tags, []Tag{{"stage", "b"}}) {
		t.Errorf("%+v, %v", r, err)
	}
}

// stale is a store whose reads are out of date, as after a change by another process.
type stale struct {
	storage.Coord
	as storage.Entry
}

func (s stale) Get(context.Context, string) (storage.Entry, error) { return s.as, nil }

// What another process has stored meanwhile is not overwritten.
func TestAStaleReadOverwritesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	b.newRole("r")
	old, err := b.coord.Get(ctx, key(mine.ID, kindRole, "r"))
	b.must(err)
	b.must(b.TagRole(ctx, mine, "r", []Tag{{"a", "b"}}))

	late := New(Options{Coord: stale{b.coord, storage.Entry{}}})
	if _, err := late.CreateRole(ctx, mine, Role{Name: "r", Path: "/", Trust: trust}); err == nil {
		t.Error("a role is created over another one")
	}
	late = New(Options{Coord: stale{b.coord, old}})
	for name, err := range map[string]error{
		"changed": late.UpdateTrust(ctx, mine, "r", trust), "deleted": late.DeleteRole(ctx, mine, "r"),
	} {
		if err == nil {
			t.Errorf("a role is %s that has changed since", name)
		}
	}
	if r, err := b.Role(ctx, mine, "r"); err != nil || len(r.Tags) != 1 {
		t.Errorf("%+v, %v", r, err)
	}
}
