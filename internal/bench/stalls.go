package main

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"time"
)

const (
	stallSample = 5 * time.Millisecond
	// A disk that completes nothing for so long while requests are under way stands still. Ours syncs in .2 ms; virtual
	// disks are held back by their host, for 50 to 300 ms at a time, whoever writes to them.
	stallLeast = 25 * time.Millisecond
)

// span is a stretch of time.
type span struct{ from, to time.Time }

// stretches are spans in order, without overlaps.
type stretches []span

// merge returns the time that any of spans takes.
func merge(spans []span) (merged stretches) {
	for _, s := range slices.SortedFunc(slices.Values(spans), func(a, b span) int { return a.from.Compare(b.from) }) {
		last := len(merged) - 1
		switch {
		case last < 0 || s.from.After(merged[last].to):
			merged = append(merged, s)
		case s.to.After(merged[last].to):
			merged[last].to = s.to
		}
	}
	return merged
}

// within returns how much of w they take.
func (s stretches) within(w span) (sum time.Duration) {
	i, _ := slices.BinarySearchFunc(s, w.from, func(x span, at time.Time) int { return x.to.Compare(at) })
	for ; i < len(s) && s[i].from.Before(w.to); i++ {
		from, to := s[i].from, s[i].to
		if from.Before(w.from) {
			from = w.from
		}
		if to.After(w.to) {
			to = w.to
		}
		sum += to.Sub(from)
	}
	return sum
}

// stalls knows when the machine did not get on, whatever the program under test did: its disk completed nothing, or
// others had its processors.
type stalls struct {
	stop  context.CancelFunc
	ended sync.WaitGroup
	spans []span // in order of their ends; read them after end
}

// watchMachine notes the stalls of the machine and of the disk under dir until end. Where the system does not tell
// what its disk does, there are only those of the processors.
func watchMachine(ctx context.Context, dir string) *stalls {
	ctx, stop := context.WithCancel(ctx)
	s := &stalls{stop: stop}
	s.ended.Go(func() { s.watch(ctx, dir) })
	return s
}

// end stops watching.
func (s *stalls) end() {
	s.stop()
	s.ended.Wait()
}

func (s *stalls) watch(ctx context.Context, dir string) {
	runtime.LockOSThread() // else a busy Go scheduler looks like a busy machine
	last, used := time.Now(), processTime()
	done, _, err := diskQueue(dir)
	moved := last // when the disk last completed something, or had nothing to do
	for ctx.Err() == nil {
		pause(stallSample)
		now, took := time.Now(), processTime()
		// Late, and not because this process kept the processors to itself.
		if gap := now.Sub(last); gap >= stallLeast && took-used < gap {
			s.spans = append(s.spans, span{last, now})
		}
		last, used = now, took
		if err != nil {
			continue
		}
		var n, open int64
		if n, open, err = diskQueue(dir); n != done || open == 0 {
			if now.Sub(moved) >= stallLeast {
				s.spans = append(s.spans, span{moved, now})
			}
			done, moved = n, now
		}
	}
}

// within returns how much of w the machine stood still.
func (s *stalls) within(w span) time.Duration { return merge(s.spans).within(w) }

// longest returns the longest stall.
func (s *stalls) longest() (most time.Duration) {
	for _, x := range s.spans {
		most = max(most, x.to.Sub(x.from))
	}
	return most
}
