package queue

import (
	"context"
	"maps"
	"math"
	"strings"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/storage"
)

// Create makes a queue, durably. Creating one again is harmless unless a given setting differs from the queue's, or
// tags are given that are not exactly the queue's. Faults: QueueNameExists; InvalidAttributeValue,
// also for its policy; InvalidParameterValueException (the name, the tags).
func (qs *Queues) Create(ctx context.Context, name Name, given Given) error {
	stop, leave, err := qs.enter()
	if err != nil {
		return err
	}
	defer leave()
	if !validName(name) {
		return invalid(textInvalidQueueName)
	}
	settings := given.over(Defaults())
	if err := settings.Validate(); err != nil {
		return err
	}
	if err := checkTags(given.Tags); err != nil {
		return err
	}
	tags, err := merge(name, nil, given.Tags)
	if err != nil {
		return err
	}
	document, err := checkPolicy(given.Policy)
	if err != nil {
		return err
	}
	done, err := qs.alone(ctx, stop)
	if err != nil {
		return err
	}
	defer done()

	switch q, err := qs.find(name); {
	case err == nil:
		if attribute := given.differs(q.meta.settings); attribute != "" {
			return fault.New(CodeNameExists, textDifferentAttribute, attribute)
		}
		if given.Policy != "" && given.Policy != q.meta.policy {
			return fault.New(CodeNameExists, textDifferentAttribute, "Policy")
		}
		if len(tags) > 0 && !maps.Equal(tags, q.meta.tags) {
			return fault.New(CodeNameExists, textDifferentTags)
		}
		return nil
	case fault.CodeOf(err) != CodeNoSuchQueue:
		return err
	}
	now := qs.now()
	m := meta{id: qs.nextID, created: now, modified: now, settings: settings, tags: tags,
		policy: given.Policy, document: document}
	err = qs.local.Apply(context.WithoutCancel(ctx), storage.Sync,
		storage.LocalOp{Key: []byte(prefixNext), Value: encodeNextID(m.id + 1)},
		storage.LocalOp{Key: metaKey(name), Value: encodeMeta(m), Refusable: len(tags)+len(given.Policy) > 0})
	if err != nil {
		return storageFault("create queue "+name.ARN(), err)
	}
	qs.nextID++
	q := qs.adopt(name, m)
	q.mu.Lock()
	q.loaded = true // it must be empty
	q.mu.Unlock()
	return nil
}

// alone waits until no other create, delete or change of tags of a queue is under way; it guards nextID and tags, and
// keeps map and store consistent.
func (qs *Queues) alone(ctx context.Context, stop <-chan struct{}) (done func(), err error) {
	select {
	case qs.create <- struct{}{}:
		return func() { <-qs.create }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-stop:
		return nil, ErrStopped
	}
}

// own begins an operation that changes an existing queue itself, alone. The caller calls release when it has ended.
func (qs *Queues) own(ctx context.Context, name Name) (q *queue, release func(), err error) {
	stop, leave, err := qs.enter()
	if err != nil {
		return nil, nil, err
	}
	if !validName(name) {
		leave()
		return nil, nil, noSuchQueue()
	}
	done, err := qs.alone(ctx, stop)
	if err != nil {
		leave()
		return nil, nil, err
	}
	release = func() { done(); leave() }
	if q, err = qs.find(name); err != nil {
		release()
		return nil, nil, err
	}
	return q, release, nil
}

// Find returns nil if the queue exists, else the fault QueueDoesNotExist.
func (qs *Queues) Find(_ context.Context, name Name) error {
	_, leave, err := qs.enter()
	if err != nil {
		return err
	}
	defer leave()
	if !validName(name) {
		return noSuchQueue()
	}
	_, err = qs.find(name)
	return err
}

// List returns up to n names of an account's queues in a region that begin with prefix and sort behind after, in byte
// order. n ≤ 0: all.
func (qs *Queues) List(_ context.Context, account, region, prefix, after string, n int) ([]string, error) {
	_, leave, err := qs.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	if n <= 0 {
		n = math.MaxInt
	}
	base := string(metaKey(Name{Account: account, Region: region}))
	from := prefix
	if after >= prefix {
		from = after
	}
	var names []string
	err = qs.local.Scan([]byte(base+from), nil, false, func(k, _ []byte) bool {
		name, ok := strings.CutPrefix(string(k), base)
		if !ok || !strings.HasPrefix(name, prefix) || len(names) == n {
			return false
		}
		if name != after {
			names = append(names, name)
		}
		return true
	})
	if err != nil {
		return nil, storageFault("list queues", err)
	}
	return names, nil
}

// DeleteQueue deletes a queue with everything in it and returns when that is durable. The name can be used again at
// once; the new queue inherits nothing. Long polls end with QueueDoesNotExist. Faults: QueueDoesNotExist.
func (qs *Queues) DeleteQueue(ctx context.Context, name Name) error {
	q, release, err := qs.own(ctx, name)
	if err != nil {
		return err
	}
	defer release()
	q.mu.Lock()
	q.deleted = true
	q.disarm()
	q.mu.Unlock()
	q.writes.Wait() // nothing may be written behind the range deletes
	id := q.meta.id
	ops := []storage.LocalOp{{Key: metaKey(name)}}
	for _, prefix := range []string{prefixState, prefixContent, prefixDedup, prefixDue} {
		ops = append(ops, storage.LocalOp{Key: numbers(prefix, id), Until: numbers(prefix, id+1)})
	}
	if err := qs.local.Apply(context.WithoutCancel(ctx), storage.Sync, ops...); err != nil {
		q.mu.Lock()
		q.deleted = false
		q.rearm()
		q.mu.Unlock()
		return storageFault("delete queue "+name.ARN(), err)
	}
	qs.mu.Lock()
	delete(qs.queues, name)
	qs.mu.Unlock()
	q.mu.Lock()
	for _, w := range q.waiters {
		w.got <- nil
	}
	q.waiters = nil
	q.mu.Unlock()
	return nil
}
