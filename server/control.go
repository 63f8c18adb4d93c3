package server

import (
	"context"
	"net/http"
	"time"

	"github.com/shardmill/shardmill/api/control"
	"github.com/shardmill/shardmill/api/wire"
)

// control returns our own API, in front of rooms.
func (s *Server) control(r *rooms) http.Handler {
	return control.New(control.Options{
		Token: s.token, Dev: s.cfg.Dev, Version: s.cfg.Version, Began: s.began, Clock: s.clock,
		Server:    controlled{s, r},
		Functions: r.functions, Mappings: r.mappings, Streams: r.streams, Replayer: r.engine,
		Statuses: r.engine, Logs: r.logs().printed,
		Sink: logTee{r.logs().lines, s.cfg.LogLines}, Metrics: r.metrics,
	})
}

// controlled shows a server and its rooms to package control.
type controlled struct {
	*Server
	rooms *rooms
}

// Ready reports whether every API answers.
func (c controlled) Ready() bool { return c.ready.Load() }

// Usage returns what requests hold.
func (c controlled) Usage() wire.Usage { return c.intake.Usage() }

// Retries returns how often the store has tried something again; ok is false for one in memory.
func (c controlled) Retries() (n int64, ok bool) {
	store, ok := c.rooms.store.(interface{ Retries() int64 })
	if !ok {
		return 0, false
	}
	return store.Retries(), true
}

// idlePatience is how long, in real time, one step of an advance waits for work to come to rest.
const idlePatience = 30 * time.Second

// Advance moves the clock forward, and keeps where it is.
func (c controlled) Advance(ctx context.Context, by time.Duration) error {
	_, err := c.clock.Advance(ctx, by, func(ctx context.Context) error { return c.rooms.idle(ctx, c.patience) })
	// The clock has moved, whether or not the client still waits for it.
	if serr := c.rooms.saveOffset(context.WithoutCancel(ctx), c.clock.Offset()); serr != nil && err == nil {
		err = serr
	}
	return err
}
