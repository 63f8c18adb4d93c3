package server

import (
	"slices"

	"github.com/shardmill/shardmill/api/logs"
	"github.com/shardmill/shardmill/api/wire"
)

// logsAndIdentity are the services that clients call around functions: what they logged, and who they are.
func (s *Server) logsAndIdentity(r *rooms) []wire.Service {
	return []wire.Service{
		{Name: "logs", Target: logs.Target, Handler: logs.New(logs.Options{Store: r.logs, Clock: s.clock, Log: s.log.With("room", "api/logs")})},
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
