// Package identity keeps the roles and managed policies of accounts, as AWS Identity and Access Management does.
//
// Changes of a role or policy come in, by account; roles and policies go out. What is created is stored and returned so
// that tools that create roles work; no policy is ever evaluated, and no other room checks whether a role exists.
// iam:PassRole and other actions are text inside policy documents. What IAM does is described in the IAM API Reference;
// docs/format/iam.md lists what is stored.
package identity

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/shardmill/shardmill/internal/clock"
	"github.com/shardmill/shardmill/storage"
)

// Account is the owner of roles and policies, and the partition of their ARNs.
type Account struct {
	ID        string // 12 digits
	Partition string // for example aws
}

func (a Account) arn(kind, path, name string) string {
	return "arn:" + a.Partition + ":iam::" + a.ID + ":" + kind + path + name
}

// Tag is a key and a value.
type Tag struct {
	Key   string `json:"k"`
	Value string `json:"v"`
}

// Options are what a Store needs. Coord is required; a nil Clock is real time.
type Options struct {
	Coord storage.Coord // the keys under "iam/" are ours
	Clock *clock.Clock
}

// ErrUnavailable is returned while the store is closed or too busy.
var ErrUnavailable = errors.New("identity: the store is closed or busy")

// Store keeps roles and policies. Every change is durable when its method returns. Safe for concurrent use.
type Store struct {
	coord storage.Coord
	clock *clock.Clock

	change sync.Mutex // one change at a time; held across the commit
}

// New returns a Store over o.Coord. It reads nothing yet.
func New(o Options) *Store {
	if o.Clock == nil {
		o.Clock = clock.New(0)
	}
	return &Store{coord: storage.Sure(o.Coord), clock: o.Clock}
}

// now returns the steered time in whole seconds, the precision of answers.
func (s *Store) now() time.Time { return s.clock.Now().UTC().Truncate(time.Second) }

// newID returns a unique id: AROA for roles, ANPA for policies, and 17 letters and digits.
func newID(kind string) string { return kind + rand.Text()[:17] }

// RoleID returns the id of the role with an ARN. A role that was never created also has one, because functions may run
// under any role: the same ARN always gives the same id.
func (s *Store) RoleID(ctx context.Context, arn string) string {
	rest, isRole := strings.CutPrefix(arn, "arn:")
	partition, rest, _ := strings.Cut(rest, ":iam::")
	account, path, found := strings.Cut(rest, ":role")
	if !isRole || !found {
		return impliedID(arn)
	}
	ro, _, ok, err := load[Role](ctx, s, key(account, kindRole, path[strings.LastIndexByte(path, '/')+1:]))
	if err != nil || !ok || ro.ARN(Account{account, partition}) != arn {
		return impliedID(arn)
	}
	return ro.ID
}
