package queue

import (
	"context"

	"github.com/google/uuid"
	"github.com/shardmill/shardmill/storage"
)

// Sent is the result of a Send.
type Sent struct {
	MessageID string // UUID; of the first copy when Duplicate
	Duplicate bool   // dropped: a message with the same DedupID was sent before
}

// Send stores a message and returns when it is durable. Waiting receives are woken before Send returns.
//
// A message whose DedupID was sent before is acknowledged and not stored, until the queue's retention has passed since
// the first copy. That holds even if the copy was received and deleted, and after a restart. Cancelling ctx undoes
// nothing: the message may exist. Faults: QueueDoesNotExist; InvalidMessageContents (characters);
// InvalidParameterValueException (size, delay, attributes); MissingRequiredParameterException (empty body);
// InternalFailure with a hint when no space is left.
func (qs *Queues) Send(ctx context.Context, name Name, m Message) (Sent, error) {
	stop, leave, err := qs.enter()
	if err != nil {
		return Sent{}, err
	}
	defer leave()
	q, err := qs.lookup(name)
	if err != nil {
		return Sent{}, err
	}
	if err := m.validate(q.meta.settings); err != nil {
		return Sent{}, err
	}
	if m.Sender == "" {
		m.Sender = name.Account
	}
	if m.DedupID == "" {
		return q.store(ctx, m)
	}

	release, err := q.claim(ctx, stop, m.DedupID)
	if err != nil {
		return Sent{}, err
	}
	defer release()
	value, ok, err := qs.local.Get(dedupKey(q.meta.id, m.DedupID))
	if err != nil {
		return Sent{}, storageFault("read deduplication id of queue "+name.ARN(), err)
	}
	if ok {
		d, err := decodeDedup(value)
		if err != nil {
			return Sent{}, storageFault("read deduplication id of queue "+name.ARN(), err)
		}
		if qs.now() < d.due {
			return Sent{MessageID: d.id.String(), Duplicate: true}, nil
		}
	}
	return q.store(ctx, m)
}

// claim waits until no other Send with the same deduplication id is running.
func (q *queue) claim(ctx context.Context, stop <-chan struct{}, id string) (release func(), err error) {
	for {
		q.mu.Lock()
		other := q.sending[id]
		if other == nil {
			mine := make(chan struct{})
			q.sending[id] = mine
			q.mu.Unlock()
			return func() {
				q.mu.Lock()
				delete(q.sending, id)
				q.mu.Unlock()
				close(mine)
			}, nil
		}
		q.mu.Unlock()
		select {
		case <-other:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-stop:
			return nil, ErrStopped
		}
	}
}

// store gives the message its place, writes it, and makes it visible.
func (q *queue) store(ctx context.Context, m Message) (Sent, error) {
	q.mu.Lock()
	if err := q.begin(); err != nil {
		q.mu.Unlock()
		return Sent{}, err
	}
	defer q.writes.Done()
	now := q.qs.now()
	q.last = max(q.last, now) // the order of sending is the order of expiry, whatever the wall clock does
	t := taken{seq: q.next, sent: q.last}
	q.next++
	q.mu.Unlock()

	delay := q.meta.settings.Delay
	set(&delay, m.Delay)
	t.visible = now + millis(delay)
	c := content{id: uuid.New(), sender: m.Sender, body: m.Body, attributes: m.Attributes}
	id := q.meta.id
	ops := []storage.LocalOp{
		{Key: contentKey(id, t.seq), Value: encodeContent(c), Refusable: true},
		{Key: stateKey(id, t.seq), Value: encodeState(t)},
	}
	due := t.sent + millis(q.meta.settings.Retention)
	if m.DedupID != "" {
		ops = append(ops,
			storage.LocalOp{Key: dedupKey(id, m.DedupID), Value: encodeDedup(dedup{due: due, id: c.id})},
			storage.LocalOp{Key: dueKey(id, due, m.DedupID), Value: []byte{formatVersion}})
	}
	if err := q.apply(ctx, storage.Sync, ops...); err != nil {
		return Sent{}, storageFault("send to queue "+q.name.ARN(), err)
	}
	if !q.show(t, m.DedupID != "", due) {
		// A purge came in between and missed this message: delete it now. If this deletion is lost, the message is
		// delivered after a restart.
		if err := q.apply(ctx, storage.Soon, q.erase(t.seq)...); err != nil {
			return Sent{}, storageFault("purge queue "+q.name.ARN(), err)
		}
	}
	return Sent{MessageID: c.id.String()}, nil
}

// show puts a durable message into the index. It returns false when the message has been purged meanwhile.
func (q *queue) show(t taken, dedup bool, due int64) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if dedup && (q.forget == 0 || due < q.forget) {
		q.forget = due
	}
	kept := t.seq >= q.floor
	now := q.qs.now()
	if kept {
		q.index.add(&entry{seq: t.seq, sent: t.sent, visible: t.visible}, now)
	}
	q.advance(now)
	q.rearm()
	return kept
}

// erase deletes one message from the store.
func (q *queue) erase(seq uint64) []storage.LocalOp {
	return []storage.LocalOp{{Key: contentKey(q.meta.id, seq)}, {Key: stateKey(q.meta.id, seq)}}
}
