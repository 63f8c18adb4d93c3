package server

import (
	"context"
	"net/http"
	"time"

	"github.com/shardmill/shardmill/api/control"
	"github.com/shardmill/shardmill/api/wire"
)

// control returns our own API, in front of rooms.
func (s *Server) control(r *rooms, gate *wire.Gate) http.Handler {
	var admit func(r *http.Request, operation string) error
	if gate != nil {
		admit = gate.AdmitControl
	}
	return control.New(control.Options{
		Admit: admit,
		Token: s.token, Dev: s.cfg.Dev, Version: s.cfg.Version, Began: s.began, Clock: s.clock,
		Server:    controlled{s, r},
		Functions: r.functions, Mappings: r.mappings, Streams: r.streams, Replayer: r.engine,
		Chaos: r.streams, Statuses: r.engine, Logs: r.logs().printed,
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

// Reach returns how the server is reached.
func (c controlled) Reach() control.Reach {
	return control.Reach{
		Addresses: c.Addresses(), Advertise: c.hosts.Advertised(), Open: c.Open(), Verified: c.cfg.Auth != nil,
		CA: c.ca,
	}
}

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
	steps := steps{rooms: c.rooms, patience: c.patience}
	_, err := c.clock.Advance(ctx, by, steps.idle)
	if err == nil {
		err = c.rooms.idle(ctx, c.patience) // for what clients did meanwhile
	}
	// The clock has moved, whether or not the client still waits for it.
	if serr := c.rooms.saveOffset(context.WithoutCancel(ctx), c.clock.Offset()); serr != nil && err == nil {
		err = serr
	}
	return err
}

// steps are the stops of one advance of the clock.
type steps struct {
	rooms    *rooms
	patience time.Duration
	begun    bool
	fired    uint64 // of the clock, when the last full look began
	reads    uint64 // of the engine, at that moment
}

// idle waits until the work of a stop is done. What a full look waits for, that whatever has just been woken is seen,
// takes some milliseconds. It is left out where it cannot matter: if only polls were due since the last one, and all
// have found nothing, nothing was woken. At AWS's pace that is nearly every stop, and there is one each second.
func (s *steps) idle(ctx context.Context) error {
	if s.begun && s.polled(ctx) {
		return nil
	}
	s.begun = true
	s.fired, s.reads = s.rooms.clock.Fired(), s.rooms.engine.Reads()
	return s.rooms.idle(ctx, s.patience)
}

// polled waits for the polls of a stop, and reports whether nothing else was due and they have found nothing.
func (s *steps) polled(ctx context.Context) bool {
	same := func() bool { return s.rooms.clock.Fired() == s.fired && s.rooms.engine.Reads() == s.reads }
	for same() && !s.rooms.ending.Load() {
		if s.rooms.engine.Idle() {
			return s.rooms.still() && same() // what is counted is counted before the engine is idle
		}
		soon := time.NewTimer(time.Millisecond) // to look whether something else goes on as well
		select {
		case <-s.rooms.engine.Rested():
		case <-soon.C:
		case <-ctx.Done():
		}
		soon.Stop()
		if ctx.Err() != nil {
			return false
		}
	}
	return false
}
