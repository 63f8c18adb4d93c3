package server

import (
	"net/http"

	"github.com/shardmill/shardmill/api/cloudwatch"
	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/metric"
)

func (s *Server) startMetrics(r *rooms) (err error) {
	r.metrics, err = metric.New(metric.Options{
		Local: r.store.Local(), Clock: s.clock, Log: s.log.With("room", "metric"),
	})
	return err
}

func (s *Server) cloudWatch(r *rooms) wire.Service {
	return cloudwatch.Service(wire.Lazy(func() http.Handler {
		return cloudwatch.New(cloudwatch.Options{Metrics: r.metrics, Log: s.log.With("room", "api/cloudwatch")})
	}))
}
