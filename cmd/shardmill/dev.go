package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os/exec"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/shardmill/shardmill/function"
	"github.com/shardmill/shardmill/mapping"
	"github.com/shardmill/shardmill/server"
)

// serverFlags are what dev and serve have in common.
type serverFlags struct {
	reach     reachFlags
	fanout    fanoutFlags
	dev       bool
	data      string
	readyFile string
	python    string
	node      string
	host      *bool
	cpu       string
	isolation string
	network   string
	minFree   string
	loss      bool
	memory    string
	buffer    string
	bodies    string
	filters   int
	verbose   bool
	logLevel  string
	logFormat string
	companion map[string]*string // what serves it, by name
	keys      string             // the credentials file of proxies
	pace      string
	limits    limitsFlags
	cors      corsFlags
}

func (f *serverFlags) register(c *cobra.Command) {
	f.reach.register(c)
	f.fanout.register(c)
	f.limits.register(c)
	f.cors.register(c)
	c.Flags().StringVar(
		&f.readyFile, "ready-file", "", "file to write once everything answers: endpoint, token, pid, version as JSON",
	)
	c.Flags().StringVar(
		&f.python, "python", "", "interpreter for python3.x functions (default: $VIRTUAL_ENV, ./.venv, PATH)",
	)
	c.Flags().StringVar(&f.node, "node", "", "interpreter for nodejs functions (default: PATH)")
	f.host = hostPackagesFlag(c)
	c.Flags().StringVar(
		&f.cpu, "cpu", "off", "off, or weight: functions that compete share processors by their MemorySize (Linux)",
	)
	registerIsolation(c, &f.isolation, &f.network)
	f.companion = map[string]*string{}
	for _, name := range server.CompanionNames() {
		f.companion[name] = c.Flags().String(
			name, "embedded", "what serves the companion "+name+": embedded, off, or proxy:URL[,PROFILE]; see docs/companions.md",
		)
	}
	c.Flags().StringVar(
		&f.keys, "proxy-credentials", "",
		"file of keys that requests to proxied companions are signed with, as in ~/.aws/credentials",
	)
	c.Flags().StringVar(
		&f.minFree, "min-free", "",
		"with --data: disk space that puts leave free; below it they are refused (default: 1GiB, or a tenth of a smaller disk)",
	)
	c.Flags().BoolVar(
		&f.loss, "accept-loss", false,
		"with --data: go on with what is left where acknowledged changes are known to be lost",
	)
	c.Flags().StringVar(
		&f.memory, "memory-limit", "",
		"without --data: bytes of records, items and messages kept in memory; beyond it puts are refused (default: a quarter of RAM)",
	)
	c.Flags().StringVar(
		&f.buffer, "buffer-memory", "",
		"bytes of records that mappings read ahead; beyond it each shard holds one batch (default: an eighth of RAM)",
	)
	c.Flags().StringVar(
		&f.bodies, "body-memory", "",
		"bytes of the bodies of all requests under way; what is beyond is answered 503 (default: an eighth of RAM)",
	)
	c.Flags().IntVar(
		&f.filters, "max-filters", mapping.DefaultMaxFilters, "filters that a mapping may have: AWS's quota, raised up to 10",
	)
	c.Flags().BoolVarP(&f.verbose, "verbose", "v", false, "log everything: --log-level debug")
	c.Flags().StringVar(&f.logLevel, "log-level", "warn", "least severe of what is logged: debug, info, warn, error")
	c.Flags().StringVar(&f.logFormat, "log-format", "text", "how it is logged, to standard error: text, json")
	c.Flags().StringVar(
		&f.pace, "pace", server.PaceInstant,
		"instant, or aws: mappings poll once a second, and changes of streams, functions and mappings take five",
	)
}

func (f *serverFlags) config(c *cobra.Command) (server.Config, error) {
	if f.verbose && c.Flags().Changed("log-level") {
		return server.Config{}, usage(c, "--verbose and --log-level exclude each other")
	}
	if f.data != "" && c.Flags().Changed("memory-limit") {
		return server.Config{}, usage(
			c,
			"--memory-limit bounds a server in memory; with --data records are on disk, and --min-free says how much of it puts leave",
		)
	}
	for _, interpreter := range []struct{ flag, path string }{{"python", f.python}, {"node", f.node}} {
		if interpreter.path == "" {
			continue
		}
		if _, err := exec.LookPath(interpreter.path); err != nil {
			return server.Config{}, usage(c, "--%s: %s", interpreter.flag, err)
		}
	}
	if f.filters == 0 { // it would stand for the default
		return server.Config{}, usage(
			c, "max-filters 0 is outside %d to %d", mapping.DefaultMaxFilters, mapping.MaxMaxFilters,
		)
	}
	log, err := f.log(c.ErrOrStderr())
	if err != nil {
		return server.Config{}, usage(c, "%s", err)
	}
	cfg := server.Config{
		Dev: f.dev, Data: f.data, ReadyFile: f.readyFile, Python: f.python, Node: f.node, HostPackages: *f.host,
		CPU: f.cpu, MaxFilters: f.filters,
		Version: versionText(), Log: log, AcceptLoss: f.loss, Isolation: f.isolation, Network: f.network,
		Pace: f.pace,
	}
	if err := f.reach.into(c, &cfg); err != nil {
		return cfg, err
	}
	if err := f.fanout.into(c, &cfg); err != nil {
		return cfg, err
	}
	if err := f.limits.into(c, &cfg); err != nil {
		return cfg, err
	}
	if err := f.cors.into(c, &cfg); err != nil {
		return cfg, err
	}
	cfg.ProxyCredentials, cfg.Companions = f.keys, map[string]string{}
	for name, value := range f.companion {
		cfg.Companions[name] = *value
	}
	for _, size := range []struct {
		flag, text string
		into       *int64
	}{
		{"min-free", f.minFree, &cfg.MinFree},
		{"memory-limit", f.memory, &cfg.MemoryLimit},
		{"buffer-memory", f.buffer, &cfg.BufferMemory},
		{"body-memory", f.bodies, &cfg.BodyMemory},
	} {
		if size.text == "" {
			continue
		}
		var err error
		if *size.into, err = parseBytes(size.text); err != nil {
			return server.Config{}, usage(c, "--%s %s", size.flag, err)
		}
	}
	if err := cfg.Validate(); err != nil {
		return cfg, refused(c, err)
	}
	return cfg, nil
}

// registerIsolation adds the flags that say how functions are confined.
func registerIsolation(c *cobra.Command, isolation, network *string) {
	c.Flags().StringVar(
		isolation, "isolation", "",
		"of functions: none, or sandbox: a /tmp, a process list and a view of the files of their own (default: sandbox where it works)",
	)
	c.Flags().StringVar(
		network, "function-network", "host",
		"host, or private: functions reach this server and nothing else; needs isolation sandbox",
	)
}

// hideServer keeps functions that are not confined from reading this process.
func hideServer(s *server.Server) {
	if level, _ := s.Isolation(); level == "none" {
		function.HideServer()
	}
}

// isolationText returns one line about how functions are confined.
func isolationText(s *server.Server) string {
	level, why := s.Isolation()
	if level != "none" {
		return level
	}
	return "none, so they share /tmp, ports and the process list with this machine (" + why + ")"
}

// newLog returns a logger for what an operator must know.
func newLog(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(newTerminal(w).writer(), &slog.HandlerOptions{Level: slog.LevelWarn}))
}

// log returns the logger that the flags ask for.
func (f *serverFlags) log(to io.Writer) (*slog.Logger, error) {
	w := newTerminal(to).writer()
	levels := map[string]slog.Level{
		"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError,
	}
	level, ok := levels[f.logLevel]
	if !ok {
		return nil, fmt.Errorf("--log-level is %q; it must be debug, info, warn or error", f.logLevel)
	}
	if f.verbose {
		level = slog.LevelDebug
	}
	switch o := (&slog.HandlerOptions{Level: level}); f.logFormat {
	case "text":
		return slog.New(slog.NewTextHandler(w, o)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, o)), nil
	}
	return nil, fmt.Errorf("--log-format is %q; it must be text or json", f.logFormat)
}

func newDev() *cobra.Command {
	f := &serverFlags{dev: true}
	var seedFile, functionClock string
	c := &cobra.Command{
		Use:   "dev",
		Short: "Run a server for development and tests, in memory unless --data is given",
		Long: `A server for development and tests: ready in milliseconds, everything in memory unless --data is given, a clock that can be moved forward,
and a reset. Invocations and what functions print show on the terminal. With --seed it begins with the streams, tables, queues, functions and
mappings of a file, and a function whose directory changes is reloaded.`,
		Example: "  shardmill dev\n  shardmill dev --seed seed.yaml\n  shardmill dev --port 0 --ready-file /tmp/ready.json",
	}
	f.register(c)
	c.Flags().StringVar(&f.data, "data", "", "directory that keeps everything (default: memory)")
	c.Flags().StringVar(&seedFile, "seed", "", "YAML file with what to begin with; see docs/seed.md")
	functionClockFlag(c, &functionClock)
	c.RunE = func(c *cobra.Command, _ []string) error {
		cfg, err := f.config(c)
		if err != nil {
			return err
		}
		cfg.FunctionClock = functionClock
		if err := cfg.Validate(); err != nil {
			return usage(c, "%s", err)
		}
		return runServer(c, cfg, seedFile)
	}
	return c
}

// functionClockFlag adds the flag of commands whose clock can be moved.
func functionClockFlag(c *cobra.Command, into *string) {
	c.Flags().StringVar(
		into, "function-clock", server.ClockSteered,
		"steered: functions see the clock that can be moved; real: the machine's, for calls of real services",
	)
}

// hostPackagesFlag adds the flag of commands that run functions.
func hostPackagesFlag(c *cobra.Command) *bool {
	return c.Flags().Bool(
		"host-packages", false,
		"functions may import what is installed on this machine, beside what AWS bundles with their runtime",
	)
}

func newServe() *cobra.Command {
	f := &serverFlags{}
	c := &cobra.Command{
		Use:     "serve --data DIR",
		Short:   "Run a server that keeps everything in a directory, synced before it is acknowledged",
		Example: "  shardmill serve --data /var/lib/shardmill",
	}
	f.register(c)
	c.Flags().StringVar(&f.data, "data", "", "directory that keeps everything")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if f.data == "" {
			return &failure{
				code: exitUsage, text: "serve needs --data DIR, the directory that keeps everything",
				hint: "for a server in memory: shardmill dev",
			}
		}
		cfg, err := f.config(c)
		if err != nil {
			return err
		}
		return runServer(c, cfg, "")
	}
	return c
}

// runServer runs until it is interrupted or fails. seedFile may be "".
func runServer(c *cobra.Command, cfg server.Config, seedFile string) error {
	feed := newFeed(newTerminal(c.OutOrStdout()))
	cfg.Observe, cfg.LogLines, cfg.Hinted = feed.observe, feed.logLines, newHints(feed).hinted
	watch := func(context.Context) {}
	var seeding *seeder
	if seedFile != "" {
		var err error
		if seeding, err = loadSeed(c.Context(), seedFile, feed.say); err != nil {
			return err
		}
		w, err := newWatcher(c.Context(), seeding)
		if err != nil {
			return err
		}
		cfg.Prepare = seeding.apply
		if w != nil {
			watch = w.run
		}
	}
	s, err := server.New(cfg)
	if err != nil {
		return err
	}
	if seeding != nil {
		seeding.secret = s.Token()
	}
	feed.start()
	if err := s.Start(c.Context()); err != nil {
		feed.stop()
		return startFailure(err)
	}
	feed.hello(s, cfg)
	hideServer(s)
	stopReloading := reloadOnHangup(cfg.Auth)
	defer stopReloading()
	watching, stopWatching := context.WithCancel(c.Context())
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		watch(watching)
	}()
	var failed error
	select {
	case <-c.Context().Done():
		feed.say("stopping: waiting for invocations in flight; interrupt again to leave at once")
	case failed = <-s.Failed():
	}
	stopWatching()
	<-watched
	s.Stop(context.WithoutCancel(c.Context()))
	feed.stop()
	if failed != nil {
		return fmt.Errorf("the server ended: %w", failed)
	}
	return nil
}

// startFailure says what to do about a server that cannot start.
func startFailure(err error) error {
	var port *server.PortInUse
	if errors.As(err, &port) {
		return &failure{
			code: exitPort, text: port.Error(),
			hint: "another shardmill or emulator runs there; stop it, or choose another port: --port 4567 (0 takes any free one)",
		}
	}
	var certificate *server.CertificateError
	if errors.As(err, &certificate) {
		return &failure{code: exitUsage, text: certificate.Error()}
	}
	var address *server.ListenError
	if errors.As(err, &address) {
		return &failure{text: address.Error(), hint: address.Hint}
	}
	var impossible *function.Impossible
	if errors.As(err, &impossible) {
		return &failure{
			code: exitUsage, text: impossible.Error(),
			hint: "see docs/isolation.md for what it needs; without the option functions are confined as far as this machine allows",
		}
	}
	var explained *failure
	if errors.As(err, &explained) {
		return explained
	}
	var data *server.DataError
	if errors.As(err, &data) {
		return &failure{code: exitData, text: data.Error(), hint: data.Hint}
	}
	return fmt.Errorf("starting: %w", err)
}

// units of sizes. Powers of two only: GB could mean either.
var units = map[string]int64{"": 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}

// parseBytes parses sizes such as 64MiB, 1GiB or 1000000, at least 1 byte: 0 would mean a default.
func parseBytes(s string) (int64, error) {
	digits := strings.TrimRight(s, "BiKMGT")
	n, err := strconv.ParseInt(digits, 10, 64)
	factor, ok := units[s[len(digits):]]
	if err != nil || !ok || n < 1 || n > math.MaxInt64/factor || digits[0] == '+' {
		return 0, fmt.Errorf("%q is not a size such as 64MiB or 1GiB", s)
	}
	return n * factor, nil
}
