package queue

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/shardmill/shardmill/internal/clock"
	"github.com/shardmill/shardmill/storage"
)

// queue is one queue in memory. mu is held for a few lines at a time; only load reads from the store under it, once.
type queue struct {
	qs   *Queues
	name Name
	meta meta

	mu      sync.Mutex
	loaded  bool
	deleted bool
	writes  sync.WaitGroup // store changes under way; DeleteQueue waits for them
	index   index
	waiters []*waiter // long polls, the longest waiting first; empty unless nothing is visible
	next    uint64    // place of the next message, from 1
	last    int64     // when the newest message was sent
	floor   uint64    // all messages before this place are purged or expired
	trimmed uint64    // how far they are deleted in the store as well
	sending map[string]chan struct{}
	forget  int64 // when the first deduplication id expires; 0: there is none
	timer   *clock.Timer
	armed   int64 // the instant for which timer is set
}

// waiter is a Receive that waits for a first message.
type waiter struct {
	want int
	hide int64
	got  chan []taken // capacity 1: one hand-over, after the waiter has left the list; nil: the queue is deleted
}

// taken is a message handed to a receive: a copy of its entry at that moment.
type taken struct {
	seq         uint64
	sent, first int64
	visible     int64
	receives    uint32
}

func newQueue(qs *Queues, name Name, m meta) *queue {
	return &queue{qs: qs, name: name, meta: m, index: newIndex(), next: 1, sending: make(map[string]chan struct{})}
}

// load reads the entries of all messages, once. Entries are small; bodies stay in the store.
func (q *queue) load() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.loaded {
		return nil
	}
	now := q.qs.now()
	var bad error
	err := q.qs.local.Scan(stateKey(q.meta.id, 0), stateKey(q.meta.id+1, 0), false, func(k, v []byte) bool {
		var e *entry
		if e, bad = decodeState(k, v); bad != nil {
			return false
		}
		q.index.add(e, now)
		q.next, q.last = max(q.next, e.seq+1), max(q.last, e.sent)
		return true
	})
	if err == nil {
		err = bad
	}
	if err != nil {
		q.index = newIndex()
		return storageFault("read messages of queue "+q.name.ARN(), err)
	}
	err = q.qs.local.Scan(dueKey(q.meta.id, 0, ""), dueKey(q.meta.id+1, 0, ""), false, func(k, _ []byte) bool {
		q.forget, _ = splitDueKey(k)
		return false
	})
	if err != nil {
		q.index = newIndex()
		return storageFault("read deduplication ids of queue "+q.name.ARN(), err)
	}
	q.loaded = true
	q.advance(now)
	q.rearm()
	return nil
}

// begin counts a change of the store; the caller calls q.writes.Done when it is stored. mu is held.
func (q *queue) begin() error {
	if q.deleted {
		return noSuchQueue()
	}
	q.writes.Add(1)
	return nil
}

// apply changes the store. It finishes even if the caller's context ends: memory must agree with the store.
func (q *queue) apply(ctx context.Context, d storage.Durability, ops ...storage.LocalOp) error {
	return q.qs.local.Apply(context.WithoutCancel(ctx), d, ops...)
}

// advance brings the queue up to now: it drops what has expired, reveals what has become visible, and hands it to
// waiting receives. mu is held.
func (q *queue) advance(now int64) {
	for e := q.index.oldest; e != nil && e.sent+millis(q.meta.settings.Retention) <= now; e = q.index.oldest {
		q.floor = max(q.floor, e.seq+1)
		q.index.remove(e)
	}
	q.index.reveal(now)
	for len(q.waiters) > 0 && q.index.ready.Len() > 0 && q.index.hiddenFlights < q.qs.inFlightLimit {
		w := q.waiters[0]
		q.waiters = slices.Delete(q.waiters, 0, 1)
		w.got <- q.take(w.want, now, w.hide)
	}
}

// take hands out visible messages, up to the limit of messages in flight. mu is held.
func (q *queue) take(n int, now, hide int64) []taken {
	entries := q.index.take(min(n, max(0, q.qs.inFlightLimit-q.index.hiddenFlights)), now, hide)
	out := make([]taken, len(entries))
	for i, e := range entries {
		out[i] = taken{seq: e.seq, sent: e.sent, first: e.first, visible: e.visible, receives: e.receives}
	}
	return out
}

// giveBack makes messages visible again that were handed to a receive that has ended. mu is held.
func (q *queue) giveBack(got []taken, now int64) {
	for _, t := range got {
		e := q.index.bySeq[t.seq]
		if e == nil || e.gone || e.receives != t.receives {
			continue
		}
		q.index.displace(e)
		e.visible = now
		if e.receives--; e.receives == 0 {
			e.first = 0
		}
		q.index.place(e, now)
	}
	q.advance(now)
}

// rearm sets the timer for the next instant at which something happens without a call: a message expires, a
// deduplication id expires, or a message becomes visible that a receive waits for. mu is held.
func (q *queue) rearm() {
	at := int64(0)
	sooner := func(t int64) {
		if at == 0 || t < at {
			at = t
		}
	}
	if q.index.oldest != nil {
		sooner(q.index.oldest.sent + millis(q.meta.settings.Retention))
	}
	if q.forget != 0 {
		sooner(q.forget)
	}
	if len(q.waiters) > 0 && q.index.hidden.Len() > 0 {
		sooner(q.index.hidden.entries[0].visible)
	}
	if q.floor > q.trimmed {
		sooner(q.qs.now())
	}
	if q.timer != nil && at == q.armed && !q.deleted {
		return
	}
	q.disarm()
	if at != 0 && !q.deleted {
		q.armed = at
		q.timer = q.qs.clock.At(time.UnixMilli(at), q.tick)
	}
}

// disarm stops the timer. mu is held.
func (q *queue) disarm() {
	if q.timer != nil {
		q.timer.Stop()
		q.timer, q.armed = nil, 0
	}
}

// tick runs when the timer fires.
func (q *queue) tick() {
	_, leave, err := q.qs.enter()
	if err != nil {
		return // stopped: the next start continues from the store
	}
	defer leave()
	q.mu.Lock()
	q.disarm()
	now := q.qs.now()
	q.advance(now)
	trimmed, floor := q.trimmed, q.floor
	forget := q.forget != 0 && q.forget <= now
	work := (floor > trimmed || forget) && q.begin() == nil
	switch {
	case !work:
		q.rearm()
	case forget:
		q.forget = 0 // expire finds out what comes next; a Send may set it meanwhile
	}
	q.mu.Unlock()
	if !work {
		return
	}
	defer q.writes.Done()
	if err := q.expire(trimmed, floor, forget, now); err != nil {
		// The next call that changes the queue arms the timer again; until then expired messages use space but are not
		// delivered.
		q.qs.log.Error("delete expired messages", "queue", q.name.ARN(), "error", err)
		q.mu.Lock()
		if forget {
			q.forget = now
		}
		q.mu.Unlock()
		return
	}
	q.mu.Lock()
	q.rearm()
	q.mu.Unlock()
}
