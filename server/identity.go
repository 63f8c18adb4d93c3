package server

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"net/http"
	"slices"
	"sync"

	"github.com/shardmill/shardmill/api/iam"
	"github.com/shardmill/shardmill/api/logs"
	"github.com/shardmill/shardmill/api/sts"
	"github.com/shardmill/shardmill/api/wire"
)

// logsAndIdentity are the services that clients call around functions: what they logged, and who they are.
func (s *Server) logsAndIdentity(r *rooms) []wire.Service {
	roles := sync.OnceValue(func() *iam.Handler {
		return iam.New(iam.Options{Coord: r.store.Coord(), Clock: s.clock, Log: s.log.With("room", "api/iam")})
	})
	session := func(ctx context.Context, accessKey string) (sts.Session, bool) {
		ref, role, ok := r.functions.Holder(accessKey)
		if !ok {
			return sts.Session{}, false
		}
		id, made := roles().RoleID(ctx, role)
		if !made {
			id = impliedRoleID(role)
		}
		return sts.Session{RoleARN: role, RoleID: id, Function: ref.Name}, true
	}
	return []wire.Service{
		logs.Service(wire.Lazy(func() http.Handler {
			return logs.New(logs.Options{Store: r.logs, Clock: s.clock, Log: s.log.With("room", "api/logs")})
		})),
		iam.Service(wire.Lazy(func() http.Handler { return roles() })),
		sts.Service(wire.Lazy(func() http.Handler {
			return sts.New(sts.Options{Session: session, Log: s.log.With("room", "api/sts")})
		})),
	}
}

// impliedRoleID returns the id of a role that nobody created: functions may run under any. It is always the same for
// the same ARN.
func impliedRoleID(arn string) string {
	sum := sha256.Sum256([]byte(arn))
	return "AROA" + base32.StdEncoding.EncodeToString(sum[:])[:17]
}

// names are the names of services, in order.
func names(services []wire.Service) []string {
	var out []string
	for _, s := range services {
		out = append(out, s.Name)
	}
	slices.Sort(out)
	return out
}
