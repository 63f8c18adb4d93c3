package server

import (
	"net/http"
	"net/http/pprof"
	"strings"

	"github.com/shardmill/shardmill/api/cloudwatch"
	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/metric"
)

func (s *Server) startMetrics(r *rooms) (err error) {
	r.metrics, err = metric.New(metric.Options{Local: r.store.Local(), Clock: s.clock, Log: s.log.With("room", "metric")})
	return err
}

func (s *Server) cloudWatch(r *rooms) wire.Service {
	return wire.Service{
		Name: cloudwatch.Name, Target: cloudwatch.Target,
		Handler: cloudwatch.New(cloudwatch.Options{Metrics: r.metrics, Log: s.log.With("room", "api/cloudwatch")}),
	}
}

// profile serves what go tool pprof reads. It needs the token: a profile tells what functions are called and costs time to take.
func (s *Server) profile(mux *http.ServeMux) {
	for name, handler := range map[string]http.HandlerFunc{
		"": pprof.Index, "cmdline": pprof.Cmdline, "profile": pprof.Profile, "symbol": pprof.Symbol, "trace": pprof.Trace,
	} {
		stripped := http.StripPrefix(strings.TrimSuffix(wire.ControlPrefix, "/"), handler) // pprof looks at its own path
		mux.Handle("GET "+PathProfile+name, s.guarded(func(w http.ResponseWriter, req *http.Request) error {
			stripped.ServeHTTP(w, req)
			return nil
		}))
	}
}
