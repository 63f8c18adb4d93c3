// Package control serves our own API, under /_shardmill/ of the shared port: health, the clock, reset, logs, replay,
// metrics for Prometheus and profiles.
//
// In flow requests that wire.Router has taken for /_shardmill/; out flow JSON, lines and text. What they do is decided
// in the rooms that it fronts and in the server around it, which it sees through small interfaces. Health and metrics
// need nothing; everything else needs the token of this start. Pages in a browser get nothing at all. docs/cli.md
// describes what commands make of it.
package control

import (
	"cmp"
	"context"
	"crypto/subtle"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/companion/logstore"
	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/function"
	"github.com/shardmill/shardmill/internal/clock"
	"github.com/shardmill/shardmill/mapping"
	"github.com/shardmill/shardmill/metric"
	"github.com/shardmill/shardmill/stream"
)

// Paths of the control API.
const (
	PathLive   = wire.ControlPrefix + "health/live"
	PathReady  = wire.ControlPrefix + "health/ready"
	PathClock  = wire.ControlPrefix + "clock"
	PathReset  = wire.ControlPrefix + "reset"
	PathLogs   = wire.ControlPrefix + "logs"
	PathReach  = wire.ControlPrefix + "reach"  // answers a Reach
	PathBackup = wire.ControlPrefix + "backup" // takes a BackupRequest by POST and answers a BackupAnswer
	PathReplay = wire.ControlPrefix + "replay" // takes a ReplayRequest by POST and answers a ReplayAnswer

	// takes a ChaosRequest by POST, answers a ChaosList to GET and DELETE (of ?stream=, or of all)
	PathChaos = wire.ControlPrefix + "chaos"

	PathMetrics = wire.ControlPrefix + "metrics"      // for Prometheus
	PathProfile = wire.ControlPrefix + "debug/pprof/" // for go tool pprof
)

// Server is what the control API needs from the server around it.
type Server interface {
	// Ready reports whether every API answers.
	Ready() bool

	// Advance moves the clock forward, from deadline to deadline, and waits at each for work to come to rest. A
	// *Problem says what keeps it from moving on.
	Advance(ctx context.Context, by time.Duration) error

	// Reset deletes everything and starts afresh.
	Reset(ctx context.Context) error

	// Backup copies everything that the server keeps to a directory of its machine, which must not exist or be empty. A
	// *Problem says why it does not.
	Backup(ctx context.Context, to string) (BackupAnswer, error)

	// Usage returns what requests hold, and what became of those that were not served.
	Usage() wire.Usage

	// Reach returns how the server is reached.
	Reach() Reach

	// Retries returns how often the store has tried something again; ok is false for one in memory.
	Retries() (n int64, ok bool)
}

// Functions is what it needs from functions.
type Functions interface {
	Lookup(ref function.Ref) (*function.Configuration, bool)
	Named(name string) []function.Ref
}

// Mappings is what it needs from event source mappings.
type Mappings interface {
	All(ctx context.Context) ([]mapping.Mapping, error)
}

// Streams is what it needs from streams.
type Streams interface {
	LookupID(ctx context.Context, id uint32) (info *stream.Info, ok bool, err error)
}

// Replayer invokes the function of a mapping with records that it has had, or not had.
type Replayer interface {
	Replay(
		ctx context.Context, uuid string, in engine.ReplayRange, each func(engine.Replayed),
	) (next string, err error)
}

// Statuses says what mappings do right now.
type Statuses interface {
	Statuses(ctx context.Context) []engine.MappingStatus
}

// Logs holds what functions have printed.
type Logs interface {
	Exists(group logstore.Group, stream string) error
	Read(ctx context.Context, q logstore.Query, each func(logstore.Event) bool) error
}

// LogsOff is what Logs implements that keeps nothing: Off says why.
type LogsOff interface{ Off() error }

// Metrics holds what is measured.
type Metrics interface {
	Each(visit func(id metric.ID, unit string, total metric.Total))
}

// Options are what the handler needs. Everything is required.
type Options struct {
	Token   string // of this start
	Dev     bool   // the clock may be moved and everything reset
	Version string
	Began   time.Time // when the server was made
	Clock   *clock.Clock

	Server    Server
	Functions Functions
	Mappings  Mappings
	Streams   Streams
	Replayer  Replayer
	Statuses  Statuses
	Chaos     Chaos
	Logs      Logs
	Sink      function.LogSink // gets a line for each batch of a replay
	Metrics   Metrics

	// Admit judges a request that carries a signature instead of the token: whether it is right, and whether the key
	// may call the operation. nil: nothing but the token counts.
	Admit func(r *http.Request, operation string) error
}

// Problem is an answer that is not a success.
type Problem struct {
	Status int
	Text   string
}

func (p *Problem) Error() string { return p.Text }

type handler struct{ Options }

// New returns the handler of the control API.
func New(o Options) http.Handler {
	h := &handler{o}
	mux := http.NewServeMux()
	for _, open := range []struct {
		pattern string
		serve   http.HandlerFunc
	}{
		{"GET " + PathLive, h.live},
		{"GET " + PathReady, h.ready},
		{"GET " + PathMetrics, h.metrics},
	} {
		mux.Handle(open.pattern, open.serve)
	}
	for _, guarded := range []struct {
		pattern   string
		operation string // as auth/operations.go lists it
		serve     func(http.ResponseWriter, *http.Request) error
	}{
		{"GET " + PathClock, "ShowClock", h.showClock},
		{"POST " + PathClock, "MoveClock", h.moveClock},
		{"GET " + PathReach, "ShowReach", h.reach},
		{"POST " + PathReset, "Reset", h.reset},
		{"POST " + PathReplay, "Replay", h.replay},
		{"POST " + PathBackup, "Backup", h.backup},
		{"GET " + PathLogs, "ShowLogs", h.logs},
		{"GET " + PathChaos, "ListChaos", h.listChaos},
		{"POST " + PathChaos, "SetChaos", h.setChaos},
		{"DELETE " + PathChaos, "StopChaos", h.stopChaos},
		{"GET " + PathProfile + "{$}", "TakeProfile", listProfiles},
		{"GET " + PathProfile + "{name}", "TakeProfile", takeProfile},
	} {
		mux.Handle(guarded.pattern, h.guarded(guarded.operation, guarded.serve))
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if wire.FromPage(r) {
			answerProblem(w, &Problem{http.StatusForbidden, "the control API does not answer web pages"})
			return
		}
		mux.ServeHTTP(w, r)
	})
}

const jsonType = "application/json"

// guarded serves only requests with the token, or with a signature that is admitted.
func (h *handler) guarded(operation string, serve func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := h.admit(r, operation)
		if err == nil {
			err = serve(w, r)
		}
		if err != nil {
			answerProblem(w, err)
		}
	})
}

// admit judges who calls. The token is compared in constant time.
func (h *handler) admit(r *http.Request, operation string) error {
	header := r.Header.Get("Authorization")
	token, bearer := strings.CutPrefix(header, "Bearer ")
	if bearer && subtle.ConstantTimeCompare([]byte(token), []byte(h.Token)) == 1 {
		return nil
	}
	if h.Admit == nil || bearer || header == "" {
		return &Problem{
			http.StatusUnauthorized,
			"the control API needs the token of this start: it is in the ready file, and the command line finds it by itself",
		}
	}
	return refusal(h.Admit(r, operation))
}

// refusal returns a fault of a signature, or of what its key may not do, in our own form.
func refusal(err error) error {
	if f := (*fault.Error)(nil); errors.As(err, &f) {
		return &Problem{cmp.Or(f.Status, http.StatusForbidden), f.Code + ": " + f.Message}
	}
	return err
}

// within refuses a request that is signed with a key of another account than the one it is about. The token stands
// above accounts.
func within(r *http.Request, account string) error {
	c := wire.CallerOf(r.Context())
	if c.Rights() == nil || c.Account == account {
		return nil
	}
	return &Problem{
		http.StatusForbidden, "the key is one of account " + c.Account + ", and the request is about account " + account,
	}
}

func answerProblem(w http.ResponseWriter, err error) {
	var p *Problem
	var f *fault.Error
	switch {
	case errors.As(err, &p):
	case errors.As(err, &f) && f.Status == http.StatusServiceUnavailable: // of the request's body
		p = &Problem{f.Status, f.Message + " " + f.Hint + "."}
	default:
		p = &Problem{http.StatusInternalServerError, err.Error()}
	}
	wire.WriteJSON(w, p.Status, jsonType, map[string]string{"message": p.Text})
}
