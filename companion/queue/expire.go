package queue

import (
	"context"

	"github.com/shardmill/shardmill/storage"
)

// forgetAtOnce is how many expired deduplication ids one change deletes.
const forgetAtOnce = 1000

// expire deletes from the store what advance dropped (the places from trimmed to floor) and, if forget is set, expired
// deduplication ids.
func (q *queue) expire(trimmed, floor uint64, forget bool, now int64) error {
	id := q.meta.id
	var ops []storage.LocalOp
	if floor > trimmed {
		ops = append(ops,
			storage.LocalOp{Key: stateKey(id, trimmed), Until: stateKey(id, floor)},
			storage.LocalOp{Key: contentKey(id, trimmed), Until: contentKey(id, floor)})
	}
	next := int64(0)
	if forget {
		forgets, later, release, err := q.forgets(now)
		if err != nil {
			return err
		}
		defer release()
		ops, next = append(ops, forgets...), later
	}
	if err := q.apply(context.Background(), storage.Soon, ops...); err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.trimmed = max(q.trimmed, floor)
	if next != 0 && (q.forget == 0 || next < q.forget) {
		q.forget = next
	}
	return nil
}

// dueID is a deduplication id and when it expires.
type dueID struct {
	due int64
	id  string
}

// forgets returns ops that delete the expired deduplication ids, up to forgetAtOnce, and when to look again (0: none is
// left). Until release is called no Send can use these ids, so that an id that is sent again is not deleted with its
// old message.
func (q *queue) forgets(now int64) (ops []storage.LocalOp, next int64, release func(), err error) {
	var due []dueID
	err = q.qs.local.Scan(dueKey(q.meta.id, 0, ""), dueKey(q.meta.id+1, 0, ""), false, func(k, _ []byte) bool {
		at, id := splitDueKey(k)
		if at > now || len(due) == forgetAtOnce {
			next = at
			return false
		}
		due = append(due, dueID{at, id})
		return true
	})
	if err != nil {
		return nil, 0, nil, err
	}
	mine, release := q.claimDue(due)
	for _, d := range due {
		if !mine[d.id] { // in use by a Send now: look again a second later
			next = now + 1000
			continue
		}
		ops = append(ops, storage.LocalOp{Key: dueKey(q.meta.id, d.due, d.id)})
		value, ok, err := q.qs.local.Get(dedupKey(q.meta.id, d.id))
		if err != nil {
			release()
			return nil, 0, nil, err
		}
		if current, err := decodeDedup(value); ok && (err != nil || current.due <= now) {
			ops = append(ops, storage.LocalOp{Key: dedupKey(q.meta.id, d.id)})
		}
	}
	return ops, next, release, nil
}

// claimDue claims the ids that no Send is using now, so that none can until release.
func (q *queue) claimDue(due []dueID) (mine map[string]bool, release func()) {
	mine = make(map[string]bool, len(due))
	done := make(chan struct{})
	q.mu.Lock()
	for _, d := range due {
		if q.sending[d.id] == nil {
			q.sending[d.id] = done
			mine[d.id] = true
		}
	}
	q.mu.Unlock()
	return mine, func() {
		q.mu.Lock()
		for id := range mine {
			delete(q.sending, id)
		}
		q.mu.Unlock()
		close(done)
	}
}
