// Package server builds every room from one Config, starts and stops them in order, and serves them on one port.
//
// It is the value that the command line and end-to-end tests start, and the one package meant for embedding in Go
// tests. Wiring happens here and nowhere else: rooms that may not import each other meet in adapters.go.
package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/shardmill/shardmill/api/front"
	"github.com/shardmill/shardmill/api/wire"
	"github.com/shardmill/shardmill/auth"
	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/function"
	"github.com/shardmill/shardmill/internal/clock"
	"github.com/shardmill/shardmill/internal/ram"
	"github.com/shardmill/shardmill/mapping"
)

// DefaultPort is the port that AWS emulators use.
const DefaultPort = 4566

// Values of Config.Pace.
const (
	PaceInstant = "instant"
	PaceAWS     = "aws"
)

// Values of Config.FunctionClock.
const (
	ClockSteered = "steered"
	ClockReal    = "real"
)

// Config is everything that can be set. The zero value is a server in memory on any free port.
type Config struct {
	Port         int    // 0: any free one
	Data         string // directory that keeps everything; "": memory
	Dev          bool   // the clock may be moved and everything reset
	MinFree      int64  // bytes of disk that puts leave free; 0: 1 GiB, or a tenth of a smaller disk
	AcceptLoss   bool   // go on with what is left if acknowledged changes are known to be lost
	MemoryLimit  int64  // bytes of records in memory; 0: a quarter of RAM
	BodyMemory   int64  // bytes of the bodies of all requests under way; 0: an eighth of RAM
	BufferMemory int64  // bytes of records that mappings hold between reading and settling; 0: an eighth of RAM
	MaxFilters   int    // of a mapping, 5 to 10; 0: AWS's quota of 5
	Python       string // interpreter for python3.x functions; "": $VIRTUAL_ENV, ./.venv, PATH
	Node         string // interpreter for nodejs functions; "": PATH
	HostPackages bool   // functions may import packages of this machine that AWS does not bundle
	CPU          string // "" or off; weight: functions share processors by their MemorySize
	// Isolation says how functions are confined: none or sandbox; "": sandbox where it works. Network is "" or host, or
	// private: they reach this server and nothing else. Show names files and directories of this machine that every
	// function sees, read-only.
	Isolation, Network string
	Show               []string
	// FunctionClock says which time functions see with Dev: "" or steered, the server's; real, the machine's, as calls
	// of real services need. Without Dev it is real.
	FunctionClock string
	// Pace is "" or instant: what is put is read at once, and transitions are over before they matter; aws: mappings
	// poll once a second, and transitions of streams, functions and mappings stay visible for five seconds.
	Pace string
	// Limits is "" or off, or aws: shards have AWS's rates of records and reads, calls have AWS's rates, and what AWS
	// counts for a day is counted. ShardLimit is how many open shards of provisioned streams an account may have in a
	// region; 0: 20,000.
	Limits     string
	ShardLimit int
	// IteratorLife is how long a shard iterator is valid; 0: AWS's five minutes.
	IteratorLife time.Duration
	// KinesisCORS is the origin of web pages that may call Kinesis; "*": of all; "": none may.
	KinesisCORS string
	// TakeOverAfter is how long a subscription to a shard keeps out another one of its consumer; 0: AWS's five seconds;
	// negative: not at all.
	TakeOverAfter time.Duration
	ReadyFile     string // written once everything answers
	Version       string
	Log           *slog.Logger                                         // nil: nothing is logged
	Observe       func(engine.Observation)                             // what happens in mappings; see engine.Options
	LogLines      func(owner function.Ref, events []function.LogEvent) // what functions print; must not block
	Hinted        func(c wire.Caller, hint string)                     // advice that an answer carries; must not block
	DrainLimit    time.Duration                                        // how long Stop waits for invocations; 0: 30 s

	// Companions says what serves each companion, by its name: embedded, off or proxy:URL; see proxy.ParseSetting. What
	// is not named is embedded. ProxyCredentials is the file of keys that forwarded requests are signed with.
	Companions       map[string]string
	ProxyCredentials string

	// Auth are the keys with which requests must be signed: signatures are verified, and each key may do what its role
	// says. nil: signatures must only be there, and whoever reaches the server may do everything.
	Auth *auth.Keys

	// Prepare is called at the start and after every reset, when every API answers at the endpoint and before the
	// server counts as ready. A failure ends the server. nil: nothing to prepare.
	Prepare func(ctx context.Context, endpoint string) error

	// Listen is where the server listens: addresses with or without a port, Port being that of the others, and
	// unix:PATH. nil: 127.0.0.1. An address beyond loopback needs verified signatures, or AuthOff, which is for Dev.
	Listen  []string
	AuthOff bool
	// Advertise is the scheme://host:port that URLs in answers have; "": those that the client has used. AllowHosts are
	// further names by which clients may call, *.NAME for all below one.
	Advertise  string
	AllowHosts []string
	// TLSCert and TLSKey are files of a certificate and its key, which may be replaced at any time. TLSSelfSigned is a
	// directory for an authority of its own that signs certificates, for tests. Without them there is no TLS.
	TLSCert, TLSKey, TLSSelfSigned string
}

// Validate names the first field that cannot be.
func (c *Config) Validate() error {
	switch {
	case c.Port < 0 || c.Port > 65535:
		return fmt.Errorf("port %d is outside 0 to 65535", c.Port)
	case c.MinFree < 0:
		return fmt.Errorf("min-free %d is negative", c.MinFree)
	case c.MemoryLimit < 0:
		return fmt.Errorf("memory-limit %d is negative", c.MemoryLimit)
	case c.BodyMemory < 0:
		return fmt.Errorf("body-memory %d is negative", c.BodyMemory)
	case c.BufferMemory < 0:
		return fmt.Errorf("buffer-memory %d is negative", c.BufferMemory)
	}
	if c.MaxFilters != 0 && (c.MaxFilters < mapping.DefaultMaxFilters || c.MaxFilters > mapping.MaxMaxFilters) {
		return fmt.Errorf(
			"max-filters %d is outside %d to %d", c.MaxFilters, mapping.DefaultMaxFilters, mapping.MaxMaxFilters,
		)
	}
	if c.FunctionClock != "" && c.FunctionClock != ClockSteered && c.FunctionClock != ClockReal {
		return fmt.Errorf("function-clock %q is neither steered nor real", c.FunctionClock)
	}
	if c.Pace != "" && c.Pace != PaceInstant && c.Pace != PaceAWS {
		return fmt.Errorf("pace %q is neither instant nor aws", c.Pace)
	}
	if c.Network == function.NetworkPrivate && c.Isolation == "none" {
		return errors.New("function-network private needs isolation sandbox")
	}
	if _, err := c.arrange(); err != nil {
		return err
	}
	if err := c.checkReach(); err != nil {
		return err
	}
	if err := c.checkLimits(); err != nil {
		return err
	}
	if err := c.checkPages(); err != nil {
		return err
	}
	return errors.Join(function.CheckIsolation(c.Isolation), function.CheckNetwork(c.Network), function.CheckCPU(c.CPU))
}

// Server is one running shardmill.
type Server struct {
	cfg   Config
	log   *slog.Logger
	clock *clock.Clock
	token string

	tokenFiles []tokenFile // of this start

	listeners []*listener
	inner     string // 127.0.0.1:port, by which functions reach us

	connections int64 // at most, of all listeners
	intake      *wire.Intake
	front       *front.Server
	served      chan struct{}
	handler     atomic.Pointer[http.Handler] // of the rooms; replaced by a reset
	ready       atomic.Bool
	starting    atomic.Bool
	copying     atomic.Bool           // a backup is under way
	broken      atomic.Pointer[error] // why the store failed
	failed      chan error
	patience    time.Duration // see idlePatience
	began       time.Time     // when this value was made

	hosts *wire.Hosts // the names by which clients may call
	tls   *tls.Config // nil: without
	ca    string      // see CA

	unwatchKeys func() // ends what watchKeys began

	companions []row // the services that functions and destinations call

	mu    sync.Mutex // start, stop, reset
	rooms *rooms
}

// New returns a server that has not started. It fails when the configuration cannot be.
func New(cfg Config) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	companions, err := cfg.arrange()
	if err != nil {
		return nil, err
	}
	hosts, err := cfg.hosts()
	if err != nil {
		return nil, err
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.DrainLimit == 0 {
		cfg.DrainLimit = 30 * time.Second
	}
	if cfg.BufferMemory == 0 {
		cfg.BufferMemory = ram.Bytes() / 8
	}
	if cfg.BodyMemory == 0 {
		cfg.BodyMemory = ram.Bytes() / 8
	}
	intake := &wire.Intake{Memory: cfg.BodyMemory, Log: cfg.Log, GiveBack: debug.FreeOSMemory}
	return &Server{
		intake: intake, cfg: cfg, log: cfg.Log, clock: clock.New(0), token: newToken(), failed: make(chan error, 1),
		patience: idlePatience, hosts: hosts, connections: maxConnections(), companions: companions, began: time.Now(),
	}, nil
}

// Start returns when every API answers. On a running server it does nothing. Faults: *PortInUse, *ListenError,
// *CertificateError, *DataError.
func (s *Server) Start(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rooms != nil {
		return nil
	}
	if err := s.secure(); err != nil {
		return err
	}
	if err := s.listen(ctx); err != nil {
		return err
	}
	s.front = front.New(s.newHTTP())
	s.front.MayBePlain, s.front.Hello, s.front.GiveBack = mayBePlain, s.hello(), debug.FreeOSMemory
	s.starting.Store(true)
	defer s.starting.Store(false)
	r, err := s.build(ctx)
	if err != nil {
		s.closeListeners()
		return err
	}
	s.rooms = r
	s.use(r)
	s.watchKeys()
	s.serve()
	err = s.prepare(ctx)
	s.starting.Store(false)
	if broken := s.whole(); broken != nil {
		err = broken
	}
	if err == nil {
		err = s.announce()
	}
	if err != nil {
		s.stop(ctx)
		return err
	}
	s.ready.Store(true)
	return nil
}

func (s *Server) prepare(ctx context.Context) error {
	if s.cfg.Prepare == nil {
		return nil
	}
	return s.cfg.Prepare(ctx, s.Inside())
}

// maxStreams is how many requests one HTTP/2 connection may have under way; clients that have more open another
// connection. SDKs put all their subscriptions and long polls on one.
const maxStreams = 1000

// maxHeader is how many bytes the head of a request may have. AWS's clients need some 10 KiB at most; of streams that
// are opened and reset at once, net/http keeps the heads of up to four times maxStreams.
const maxHeader = 32 << 10

// Patience with clients of HTTP/2: how long one may take nothing of what is sent, and how long it may be silent before
// it is asked whether it is still there.
const (
	takesNothing = 30 * time.Second
	isSilent     = time.Minute
)

// newHTTP returns a server for HTTP/1.1 and for HTTP/2 with prior knowledge or, over TLS, by agreement.
func (s *Server) newHTTP() *http.Server {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	protocols.SetHTTP2(s.tls != nil)
	return &http.Server{
		Handler:   http.HandlerFunc(s.answer),
		Protocols: &protocols,
		TLSConfig: s.tls,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: maxStreams, WriteByteTimeout: takesNothing, SendPingTimeout: isSilent,
		},
		ReadHeaderTimeout: 30 * time.Second,
		IdleTimeout:       10 * time.Minute,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
}

func (s *Server) answer(w http.ResponseWriter, r *http.Request) {
	h := s.handler.Load()
	if h == nil { // a function in a private network is faster than we are
		wire.RefuseUnrouted(w, r, &fault.Error{
			Code: fault.CodeUnavailable, Status: http.StatusServiceUnavailable, Message: "shardmill is starting.",
		})
		return
	}
	(*h).ServeHTTP(w, r)
}

// serveInside serves a listener in a function's network until it is closed.
func (s *Server) serveInside(l net.Listener) {
	server := s.front
	go func() { _ = server.Serve(l) }() // ends with the listener
}

// serve serves the listeners.
func (s *Server) serve() {
	s.served = make(chan struct{})
	var all sync.WaitGroup
	for _, l := range s.listeners {
		all.Go(func() {
			if err := s.front.Serve(l); err != nil && !errors.Is(err, http.ErrServerClosed) {
				s.fail(err)
			}
		})
	}
	go func() {
		defer close(s.served)
		all.Wait()
	}()
}

func (s *Server) fail(err error) {
	select {
	case s.failed <- err:
	default:
	}
}

// Failed gets the error that ends the server from within, if one does.
func (s *Server) Failed() <-chan error { return s.failed }

// announce writes the token where commands find it, and the ready file. A server with a data directory needs nothing
// outside of it: a service may have no home. A server in memory still works if its user has no place for the token;
// then the command line must be given the token.
func (s *Server) announce() error {
	if s.cfg.Data != "" {
		if err := writePrivate(DataTokenFile(s.cfg.Data), []byte(s.token+"\n")); err != nil {
			return &DataError{
				s.cfg.Data, "make it writable for the user of the server", fmt.Errorf("writing the token: %w", err),
			}
		}
	}
	err := s.keepTokens()
	switch {
	case err != nil && s.cfg.Data == "":
		s.log.Warn(
			"the token of this server is kept nowhere; commands need it from --ready-file in SHARDMILL_TOKEN", "error",
			err,
		)
	case err != nil:
		s.log.Info(
			"the token of this server is in its data directory alone; commands find it with --data", "error", err,
		)
	}
	if s.cfg.ReadyFile == "" {
		return nil
	}
	ready := Ready{
		Endpoint: s.Endpoint(), Token: s.token, PID: os.Getpid(), Version: s.cfg.Version, Addresses: s.Addresses(),
		CA: s.ca,
	}
	if err := writePrivate(s.cfg.ReadyFile, ready.bytes()); err != nil {
		return fmt.Errorf("writing the ready file: %w", err)
	}
	return nil
}

// Token returns the control API's token.
func (s *Server) Token() string { return s.token }

// Isolation returns the level at which functions are confined, as it is: sandbox, or none and why it is not more. It
// may have to wait for a trial process.
func (s *Server) Isolation() (level, why string) {
	if f := s.functions(); f != nil {
		return f.Isolation()
	}
	return "none", "no function can run"
}

func (s *Server) functions() *function.Functions {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rooms == nil {
		return nil
	}
	return s.rooms.functions
}

// CPU returns how processors are shared among functions, as it is.
func (s *Server) CPU() string {
	if f := s.functions(); f != nil {
		return f.CPU()
	}
	return "off"
}

// Stop drains: attempts in flight end, checkpoints are saved, then everything closes. When ctx ends first, attempts are
// abandoned; their records come again at the next start. Twice is harmless.
func (s *Server) Stop(ctx context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stop(ctx)
}

func (s *Server) stop(ctx context.Context) {
	if s.rooms == nil {
		return
	}
	s.ready.Store(false)
	ctx, cancel := context.WithTimeout(ctx, s.cfg.DrainLimit)
	defer cancel()
	s.rooms.drain(ctx) // functions may still call us while they finish
	closing, done := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer done()
	s.rooms.wake()
	if s.front.Shutdown(closing) != nil {
		_ = s.front.Close() // a client that holds its request open does not keep us
	}
	<-s.served
	if s.cfg.Data != "" { // the directory is still ours
		_ = os.Remove(DataTokenFile(s.cfg.Data))
	}
	if err := s.rooms.close(); err != nil {
		s.log.Error("closing the store", "error", err)
	}
	s.rooms = nil
	s.unwatchKeys()
	s.dropTokens()
	if s.cfg.ReadyFile != "" {
		dropReady(s.cfg.ReadyFile, s.token)
	}
}
