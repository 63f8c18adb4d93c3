package server

import (
	"context"
	"net/http"
	"slices"

	"github.com/shardmill/shardmill/api/iam"
	"github.com/shardmill/shardmill/api/logs"
	"github.com/shardmill/shardmill/api/sts"
	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/companion/identity"
)

// logsAndIdentity are the services that clients call around functions: what they logged, and who they are.
func (s *Server) logsAndIdentity(r *rooms) []wire.Service {
	identities := identity.New(identity.Options{Coord: r.store.Coord(), Clock: s.clock})
	session := func(ctx context.Context, accessKey string) (sts.Session, bool) {
		ref, role, ok := r.functions.Holder(accessKey)
		if !ok {
			return sts.Session{}, false
		}
		return sts.Session{RoleARN: role, RoleID: identities.RoleID(ctx, role), Function: ref.Name}, true
	}
	return []wire.Service{
		logs.Service(wire.Lazy(func() http.Handler {
			return logs.New(logs.Options{Store: r.logs, Clock: s.clock, Log: s.log.With("room", "api/logs")})
		})),
		iam.Service(wire.Lazy(func() http.Handler {
			return iam.New(iam.Options{Identities: identities, Log: s.log.With("room", "api/iam")})
		})),
		sts.Service(wire.Lazy(func() http.Handler {
			return sts.New(sts.Options{Session: session, Log: s.log.With("room", "api/sts")})
		})),
	}
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
