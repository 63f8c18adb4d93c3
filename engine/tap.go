package engine

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/function"
	"github.com/shardmill/shardmill/record"
)

// Bounds of a tap.
const (
	// tapSize is how many observations wait to be told. With their copies they take about 400 bytes each.
	tapSize = 16_384
	// tapKept is how many of these places a tap holds on to that has nothing to tell.
	tapKept = 512
	// tapPatience is how long a stop that is out of time still waits for what is to be told, in real time.
	tapPatience = time.Second
)

// tap tells what happens in all shards of an engine, in order, on a goroutine of its own. Shards put what they observe
// in and go on: no code but the tap's runs on their goroutines, and a listener that takes its time holds none of them
// up. What does not fit is lost, counted for each shard, and told in its place as esm.Missed. Safe for concurrent use.
//
// What must not be lost, such as metrics and the last result of a mapping, is counted by the shards themselves.
type tap struct {
	size   int
	active *activity // everything that waits to be told counts
	to     []func(Observation)
	hinted func(of function.Ref, hint string)

	mu      sync.Mutex
	queue   []told
	losses  map[lossOf]loss // that no later observation of the shard has brought with it yet
	closed  bool            // nothing is put in any more
	running bool
	pending atomic.Int64  // observations put in and not told
	news    chan struct{} // has room for one
	done    chan struct{} // closed when everything has been told
}

// told is an entry of the queue: an observation with what was lost before it, or a hint.
type told struct {
	o    Observation
	lost loss
	hint *hint
}

type hint struct {
	of   function.Ref
	text string
}

// lossOf names what lost observations are counted by.
type lossOf struct {
	mapping string
	shard   record.ShardID
}

// loss is how many observations of one shard in a row were lost.
type loss struct {
	of    Identity
	count uint64
	since time.Time // when the first of them happened
	at    time.Time // and the last
}

func newTap(active *activity, observe func(Observation), hinted func(function.Ref, string)) *tap {
	t := &tap{
		size: tapSize, active: active, hinted: hinted, losses: map[lossOf]loss{},
		news: make(chan struct{}, 1), done: make(chan struct{}),
	}
	if observe != nil {
		t.to = append(t.to, observe)
	}
	return t
}

// listens reports whether there is a listener.
func (t *tap) listens() bool { return len(t.to) > 0 }

// put takes a copy of an observation, to be told. It does not wait.
func (t *tap) put(o Observation) {
	if len(t.to) == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return
	}
	of := lossOf{o.Mapping, o.Shard}
	if t.pending.Load() >= int64(t.size) {
		l := t.losses[of]
		if l.count == 0 {
			l.of, l.since = o.Identity, o.At
			t.active.begin()
		}
		l.count++
		l.at = o.At
		t.losses[of] = l
		return
	}
	o.What = o.What.Copy()
	entry := told{o: o}
	if len(t.losses) > 0 {
		if l, ok := t.losses[of]; ok {
			entry.lost = l
			delete(t.losses, of)
		}
	}
	t.add(entry)
}

// hint takes a hint to be told. It reports false, and takes nothing, when there is no room.
func (t *tap) hint(of function.Ref, text string) bool {
	if t.hinted == nil {
		return true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed || t.pending.Load() >= int64(t.size) {
		return false
	}
	t.add(told{hint: &hint{of, text}})
	return true
}

// add puts an entry into the queue. t.mu is held.
func (t *tap) add(entry told) {
	t.active.begin()
	t.pending.Add(1)
	t.queue = append(t.queue, entry)
	select {
	case t.news <- struct{}{}:
	default: // there is some already
	}
}

// start begins to tell.
func (t *tap) start() {
	t.mu.Lock()
	t.running = true
	t.mu.Unlock()
	go t.run()
}

// run tells what is put in, until the tap is closed and empty.
func (t *tap) run() {
	defer close(t.done)
	var spare []told
	for {
		entries, rest := t.takeAndTellLosses(spare)
		for i := range entries {
			t.tell(&entries[i])
		}
		switch spare = entries; rest {
		case tapMore:
		case tapEmpty:
			<-t.news
		case tapClosed:
			return
		}
	}
}

// tapRest is what a tap has when it was looked at.
type tapRest uint8

const (
	tapMore   tapRest = iota // there was something to tell
	tapEmpty                 // there was nothing
	tapClosed                // there was nothing, and nothing will come
)

// takeAndTellLosses takes all that is to be told now, and leaves spare to be filled. When that is nothing, it tells the
// losses that no observation has brought with it.
func (t *tap) takeAndTellLosses(spare []told) ([]told, tapRest) {
	entries, lost, closed := t.take(spare)
	for _, l := range lost {
		t.tellLoss(l, l.at)
		t.active.end()
	}
	switch {
	case len(entries)+len(lost) > 0:
		return entries, tapMore
	case closed:
		return nil, tapClosed
	}
	return nil, tapEmpty
}

// take returns all that is to be told now, and leaves spare to be filled. When nothing waits, it returns the losses
// that no observation will bring with it.
func (t *tap) take(spare []told) (entries []told, lost []loss, closed bool) {
	clear(spare)
	if cap(spare) > tapKept {
		spare = nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.queue) > 0 {
		entries, t.queue = t.queue, spare[:0]
		return entries, nil, t.closed
	}
	if cap(t.queue) > tapKept {
		t.queue = nil
	}
	for of, l := range t.losses {
		lost = append(lost, l)
		delete(t.losses, of)
	}
	slices.SortFunc(lost, func(a, b loss) int {
		first := a.since.Compare(b.since)
		return cmp.Or(first, cmp.Compare(a.of.Mapping, b.of.Mapping), cmp.Compare(a.of.Shard, b.of.Shard))
	})
	return nil, lost, t.closed
}

// tell passes one entry on.
func (t *tap) tell(entry *told) {
	defer t.active.end()
	defer t.pending.Add(-1)
	if h := entry.hint; h != nil {
		t.hinted(h.of, h.text)
		return
	}
	if entry.lost.count > 0 {
		t.tellLoss(entry.lost, entry.o.At)
		t.active.end()
	}
	for _, f := range t.to {
		f(entry.o)
	}
}

func (t *tap) tellLoss(l loss, at time.Time) {
	o := Observation{Identity: l.of, At: at, What: &esm.Missed{Count: l.count, Since: l.since}}
	for _, f := range t.to {
		f(o)
	}
}

// stop ends the tap once everything has been told. When ctx has ended, it waits for a moment only: a listener that does
// not return is left behind.
func (t *tap) stop(ctx context.Context) {
	t.mu.Lock()
	t.closed = true
	running := t.running
	select {
	case t.news <- struct{}{}:
	default:
	}
	t.mu.Unlock()
	if !running {
		return
	}
	select {
	case <-t.done:
		return
	case <-ctx.Done():
	}
	last := time.NewTimer(tapPatience)
	defer last.Stop()
	select {
	case <-t.done:
	case <-last.C:
	}
}
