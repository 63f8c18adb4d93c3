package function

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/shardmill/shardmill/function/fleet"
)

// generation is a function's code and configuration at one moment.
type generation struct {
	f      *Functions
	conf   *Configuration   // immutable
	number fleet.Generation // in the fleet

	left    atomic.Bool            // advice on a call of AWS itself has been given
	pending atomic.Pointer[string] // advice that no result has carried yet

	mu          sync.Mutex // guards what follows
	directories []string   // of processes that are gone, for the next ones
	failures    int        // failed init phases in a row
	retryAt     time.Time  // no start before
	lastInit    failure    // what callers get until then
	said        []string   // advice that the log has
}

// newGeneration holds on to the code of conf until the fleet lets the generation go, which follows once it is retired.
func (f *Functions) newGeneration(conf *Configuration) *generation {
	f.code.retain(conf.CodeSHA256)
	g := &generation{f: f, conf: conf}
	f.fleet.open(g)
	return g
}

// release lets go of code and directories once nothing runs on the generation any more.
func (g *generation) release() {
	g.mu.Lock()
	directories := g.directories
	g.directories = nil
	g.mu.Unlock()
	for _, dir := range directories {
		_ = removeAll(dir)
	}
	g.f.code.release(g.conf.CodeSHA256)
}

// takeDirectory returns a private directory: one whose process was replaced, so that /tmp outlives a timeout as on AWS,
// or a new one.
func (g *generation) takeDirectory() (string, error) {
	g.mu.Lock()
	if n := len(g.directories); n > 0 {
		dir := g.directories[n-1]
		g.directories = g.directories[:n-1]
		g.mu.Unlock()
		return dir, nil
	}
	g.mu.Unlock()
	return g.f.code.directory()
}

// keepDirectory leaves a directory for the next process.
func (g *generation) keepDirectory(dir string) {
	g.mu.Lock()
	g.directories = append(g.directories, dir)
	g.mu.Unlock()
}
