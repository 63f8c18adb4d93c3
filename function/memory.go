package function

import (
	"sync"
	"time"

	"github.com/shardmill/shardmill/function/sandbox"
)

// memoryGuard enforces MemorySize without control groups: it reads the memory of busy environments and kills those
// beyond their limit. A fast allocator can overshoot between two readings. Its timer stops while nothing is busy.
type memoryGuard struct {
	mu      sync.Mutex
	watched map[*environment]struct{}
	armed   bool
	tick    int
}

// The main process is read often and cheaply; all that the environment has started, which takes a walk through /proc,
// less often.
const (
	memoryTick     = 50 * time.Millisecond
	ticksPerWalk   = 10
	bytesPerMemory = 1 << 20
)

func (m *memoryGuard) watch(e *environment) {
	if sandbox.MemoryWatch == "off" {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.watched == nil {
		m.watched = map[*environment]struct{}{}
	}
	m.watched[e] = struct{}{}
	if !m.armed {
		m.armed = true
		time.AfterFunc(memoryTick, m.check)
	}
}

func (m *memoryGuard) unwatch(e *environment) {
	m.mu.Lock()
	delete(m.watched, e)
	m.mu.Unlock()
}

// check reads everything that works now.
func (m *memoryGuard) check() {
	m.mu.Lock()
	if len(m.watched) == 0 {
		m.armed = false
		m.mu.Unlock()
		return
	}
	m.tick++
	walk := m.tick%ticksPerWalk == 0
	all := make([]*environment, 0, len(m.watched))
	for e := range m.watched {
		all = append(all, e)
	}
	m.mu.Unlock()

	var suspects []*environment
	for _, e := range all {
		now := e.proc.Resident()
		e.note(now)
		if walk || now > e.limit() {
			suspects = append(suspects, e)
		}
	}
	if len(suspects) > 0 {
		procs := make([]*sandbox.Process, len(suspects))
		for i, e := range suspects {
			procs[i] = e.proc
		}
		for i, bytes := range sandbox.Memory(procs) {
			if e := suspects[i]; bytes > e.limit() {
				e.note(bytes)
				e.outOfMemory()
			}
		}
	}
	m.mu.Lock()
	time.AfterFunc(memoryTick, m.check)
	m.mu.Unlock()
}

func (e *environment) limit() int64 { return int64(e.g.conf.MemoryMB) * bytesPerMemory }

// outOfMemory kills an environment beyond its limit, unless its invocation has just ended.
func (e *environment) outOfMemory() {
	e.mu.Lock()
	hit := e.phase == working || e.phase == initialising
	e.oom = e.oom || hit
	e.mu.Unlock()
	if hit {
		e.proc.Kill()
	}
}
