package server

import (
	"cmp"
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/companion/logstore"
	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/function"
)

// Paths of the control API.
const (
	PathLive  = wire.ControlPrefix + "health/live"
	PathReady = wire.ControlPrefix + "health/ready"
	PathClock = wire.ControlPrefix + "clock"
	PathReset = wire.ControlPrefix + "reset"
	PathLogs  = wire.ControlPrefix + "logs"

	PathMetrics = wire.ControlPrefix + "metrics"      // for Prometheus
	PathProfile = wire.ControlPrefix + "debug/pprof/" // for go tool pprof
)

// ClockState is what GET and POST of the clock answer.
type ClockState struct {
	Now          time.Time `json:"now"`
	OffsetMillis int64     `json:"offsetMillis"` // how far it is ahead of real time
}

// ClockChange is what POST of the clock takes.
type ClockChange struct {
	AdvanceMillis int64 `json:"advanceMillis"`
}

// LogLine is one line of GET logs, newline-delimited JSON.
type LogLine struct {
	At      time.Time `json:"at"`
	Stream  string    `json:"stream"`
	Message string    `json:"message"`
}

// problem is an answer of the control API that is not a success.
type problem struct {
	status int
	text   string
}

func (p *problem) Error() string { return p.text }

// control serves our own API. Health and metrics need nothing; everything else needs the token of this start. Pages in
// a browser get nothing at all.
func (s *Server) control(r *rooms) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+PathLive, func(w http.ResponseWriter, _ *http.Request) {
		wire.WriteJSON(w, 200, jsonType, map[string]bool{"live": true})
	})
	mux.HandleFunc("GET "+PathReady, func(w http.ResponseWriter, _ *http.Request) {
		if !s.ready.Load() {
			wire.WriteJSON(w, http.StatusServiceUnavailable, jsonType, map[string]bool{"ready": false})
			return
		}
		wire.WriteJSON(w, 200, jsonType, map[string]bool{"ready": true})
	})
	mux.Handle(
		"GET "+PathClock, s.guarded(func(w http.ResponseWriter, req *http.Request) error { return s.showClock(w) }),
	)
	mux.Handle(
		"POST "+PathClock,
		s.guarded(func(w http.ResponseWriter, req *http.Request) error { return s.moveClock(w, req, r) }),
	)
	mux.Handle(
		"POST "+PathReset,
		s.guarded(func(w http.ResponseWriter, req *http.Request) error { return s.resetNow(w, req) }),
	)
	mux.Handle(
		"POST "+PathReplay,
		s.guarded(func(w http.ResponseWriter, req *http.Request) error { return s.replay(w, req, r) }),
	)
	mux.Handle(
		"GET "+PathLogs,
		s.guarded(func(w http.ResponseWriter, req *http.Request) error { return r.streamLogs(w, req) }),
	)
	mux.HandleFunc("GET "+PathMetrics, func(w http.ResponseWriter, _ *http.Request) { s.showMetrics(w, r) })
	s.profile(mux)
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if wire.FromPage(req) {
			answerProblem(w, &problem{http.StatusForbidden, "the control API does not answer web pages"})
			return
		}
		mux.ServeHTTP(w, req)
	})
}

const jsonType = "application/json"

func (s *Server) guarded(h func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		token, _ := strings.CutPrefix(req.Header.Get("Authorization"), "Bearer ")
		if subtle.ConstantTimeCompare([]byte(token), []byte(s.token)) != 1 {
			answerProblem(w, &problem{
				http.StatusUnauthorized,
				"the control API needs the token of this start: it is in the ready file, and the command line finds it by itself",
			})
			return
		}
		if err := h(w, req); err != nil {
			answerProblem(w, err)
		}
	})
}

func answerProblem(w http.ResponseWriter, err error) {
	var p *problem
	var f *fault.Error
	switch {
	case errors.As(err, &p):
	case errors.As(err, &f) && f.Status == http.StatusServiceUnavailable: // of the request's body
		p = &problem{f.Status, f.Message + " " + f.Hint + "."}
	default:
		p = &problem{http.StatusInternalServerError, err.Error()}
	}
	wire.WriteJSON(w, p.status, jsonType, map[string]string{"message": p.text})
}

func (s *Server) showClock(w http.ResponseWriter) error {
	wire.WriteJSON(w, 200, jsonType, ClockState{
		Now: s.clock.Now().UTC(), OffsetMillis: s.clock.Offset().Milliseconds(),
	})
	return nil
}

// idlePatience is how long, in real time, one step of an advance waits for work to come to rest.
const idlePatience = 30 * time.Second

func (s *Server) moveClock(w http.ResponseWriter, req *http.Request, r *rooms) error {
	if !s.cfg.Dev {
		return &problem{http.StatusForbidden, "serve runs on real time; the clock can be moved under shardmill dev"}
	}
	var c ClockChange
	if err := json.NewDecoder(http.MaxBytesReader(w, req.Body, 4096)).Decode(&c); fault.CodeOf(err) != "" {
		return err
	} else if err != nil || c.AdvanceMillis < 0 {
		return &problem{
			http.StatusBadRequest,
			`the body must be {"advanceMillis": n} with n of 0 or more; the clock only moves forward`,
		}
	}
	const century = 100 * 365 * 24 * time.Hour
	if c.AdvanceMillis > century.Milliseconds() {
		return &problem{http.StatusBadRequest, "the clock moves by a century at most"}
	}
	_, err := s.clock.Advance(
		req.Context(), time.Duration(c.AdvanceMillis)*time.Millisecond,
		func(ctx context.Context) error { return r.idle(ctx, s.patience) },
	)
	// The clock has moved, whether or not the client still waits for it.
	if serr := r.saveOffset(context.WithoutCancel(req.Context()), s.clock.Offset()); serr != nil && err == nil {
		err = serr
	}
	if err != nil {
		return err
	}
	return s.showClock(w)
}

func (s *Server) resetNow(w http.ResponseWriter, req *http.Request) error {
	if !s.cfg.Dev {
		return &problem{http.StatusForbidden, "reset deletes everything, so it works under shardmill dev only"}
	}
	if err := s.Reset(req.Context()); err != nil {
		return fmt.Errorf("reset: %w", err)
	}
	wire.WriteJSON(w, 200, jsonType, map[string]bool{"reset": true})
	return nil
}

// loggedBy finds out which function of which account and region a request for logs means, and the group that it logs
// to. One that was deleted is still known by the group that it had unless it was told otherwise.
func (r *rooms) loggedBy(q url.Values) (ref function.Ref, group logstore.Group, err error) {
	c := function.Caller{
		Account: cmp.Or(q.Get("account"), wire.DefaultAccount), Region: cmp.Or(q.Get("region"), wire.DefaultRegion),
	}
	name, err := function.ParseName(q.Get("function"), c)
	if err != nil {
		return ref, group, err
	}
	ref = name.Ref
	group = logstore.Group{Account: ref.Account, Region: ref.Region, Name: function.DefaultLogGroup(ref.Name)}
	if conf, ok := r.functions.Lookup(ref); ok {
		group.Name = conf.LogGroup
		return ref, group, nil
	}
	if err = r.logs.Exists(group, ""); err == nil {
		return ref, group, nil
	}
	text := fmt.Sprintf(
		"there is no function %s in account %s, %s, and nothing is left that one has logged", ref.Name, ref.Account,
		ref.Region,
	)
	if others := r.functions.Named(ref.Name); len(others) > 0 {
		text += fmt.Sprintf("; there is one in account %s, %s", others[0].Account, others[0].Region)
	}
	return ref, group, &problem{http.StatusNotFound, text}
}

// streamLogs writes a function's log lines, and with follow=1 those that come, until the client goes.
func (r *rooms) streamLogs(w http.ResponseWriter, req *http.Request) error {
	q := req.URL.Query()
	if q.Get("function") == "" {
		return &problem{http.StatusBadRequest, "the query parameter function is missing"}
	}
	ref, group, err := r.loggedBy(q)
	var refused *fault.Error
	if errors.As(err, &refused) {
		return &problem{http.StatusBadRequest, refused.Message}
	}
	if err != nil {
		return err
	}
	var since time.Time
	if v := q.Get("since"); v != "" {
		d, err := time.ParseDuration(v)
		if err != nil {
			return &problem{http.StatusBadRequest, fmt.Sprintf("since is %q; it must be a duration such as 10m", v)}
		}
		since = r.clock.Now().Add(-d)
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	flush := http.NewResponseController(w)
	enc := json.NewEncoder(w)
	w.WriteHeader(http.StatusOK)
	_ = flush.Flush() // a follower learns at once that it is connected
	query := logstore.Query{Group: group, Since: since, Follow: q.Get(
		"follow",
	) == "1", Stream: func(stream string) bool {
		return function.LogsTo(group.Name, stream, ref.Name)
	}}
	if err := r.logs.Read(req.Context(), query, func(e logstore.Event) bool {
		return enc.Encode(LogLine{e.At, e.Stream, strings.TrimSuffix(e.Message, "\n")}) == nil && flush.Flush() == nil
	}); err != nil && req.Context().Err() == nil {
		s := err.Error()
		_ = enc.Encode(LogLine{Message: "reading the log: " + s}) // the status is already sent
	}
	return nil
}
