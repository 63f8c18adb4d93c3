package simshell

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/shardmill/shardmill/destination"
	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/function"
	"github.com/shardmill/shardmill/mapping"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/source"
	"github.com/shardmill/shardmill/storage"
	"github.com/shardmill/shardmill/storage/storagetest"
	"github.com/shardmill/shardmill/stream"
)

// sources finds streams for mappings, as the server does.
type sources struct{ streams *stream.Streams }

func (s sources) Lookup(ctx context.Context, arn, account, region string) (mapping.Source, error) {
	if id, _, err := stream.ParseConsumerARN(arn, account); err == nil {
		if _, err := s.streams.Consumer(ctx, id); err != nil {
			return mapping.Source{}, err
		}
		found, err := s.Lookup(ctx, id.Stream.ARN(), account, region)
		found.ARN = arn
		return found, err
	}
	info, err := s.streams.LookupARN(ctx, arn, account, region)
	if fault.CodeOf(err) == fault.CodeNotFound {
		return mapping.Source{}, fault.New(fault.CodeInvalidParameter, "Stream not found: %s", arn)
	}
	if err != nil {
		return mapping.Source{}, err
	}
	return mapping.Source{ID: info.ID, ARN: info.ARN}, nil
}

func (s sources) Starts(
	ctx context.Context, id uint32, position string, at record.Millis,
) (map[record.ShardID]record.Position, error) {
	info, ok, err := s.streams.LookupID(ctx, id)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, fault.New(fault.CodeInvalidParameter,
			"Stream not found: it was deleted while the mapping was created.")
	}
	kind := stream.TrimHorizon
	switch position {
	case mapping.Latest:
		kind = stream.Latest
	case mapping.AtTimestamp:
		kind = stream.AtTimestamp
	}
	out := map[record.ShardID]record.Position{}
	for _, sh := range info.Shards {
		if out[sh.ID], err = s.streams.Resolve(ctx, id, sh.ID, stream.Start{Kind: kind, At: at}); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// names finds functions for mappings: every name is one.
type names struct{}

func (names) Lookup(_ context.Context, name, account, region string) (arn, short, hint string, ok bool, err error) {
	n, err := function.ParseName(name, function.Caller{Account: account, Region: region})
	return n.ARN(), n.Ref.Name, "", true, err
}

// reader is a source whose reads are late and fail by seed.
type reader struct {
	source.Source
	p *process
}

func (r *reader) Read(
	ctx context.Context, shard record.ShardID, from record.Position, limit storage.Limit, visit func(record.Record),
) (record.Position, storage.End, error) {
	w := r.p.w
	d := w.dice.roll("read", fmt.Sprintf("%d from %d", shard, from))
	if !w.calm.Load() && d.IntN(100) < w.knobs.readFails {
		return from, storage.End{}, errors.New("the read went wrong")
	}
	if w.knobs.lateReads && d.IntN(3) == 0 {
		wait(ctx, upTo(d, 20*time.Millisecond))
	}
	next, end, err := r.Source.Read(ctx, shard, from, limit, visit)
	if w.knobs.lateReads && d.IntN(3) == 0 { // what it says may be old by the time it is heard
		wait(ctx, upTo(d, 20*time.Millisecond))
	}
	return next, end, err
}

func (r *reader) Shards(ctx context.Context) ([]source.Shard, error) {
	if w := r.p.w; !w.calm.Load() && w.dice.roll("list shards", "").IntN(100) < w.knobs.readFails {
		return nil, errors.New("the listing went wrong")
	}
	return r.Source.Shards(ctx)
}

func (r *reader) Oldest(ctx context.Context, shard record.ShardID) (record.Position, error) {
	if w := r.p.w; !w.calm.Load() && w.dice.roll("oldest", shard.String()).IntN(100) < w.knobs.readFails {
		return 0, errors.New("the question went wrong")
	}
	return r.Source.Oldest(ctx, shard)
}

// wait is a pause that ends with a context.
func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// commitFault decides what becomes of a commit of small values.
func (p *process) commitFault(ops []storage.Op) storagetest.Fault {
	w := p.w
	if w.knobs.commitFails == 0 || !p.ready.Load() || p.gentle.Load() || w.calm.Load() {
		return storagetest.None
	}
	r := w.dice.roll("commit", ops[0].Key)
	if r.IntN(100) >= w.knobs.commitFails {
		return storagetest.None
	}
	return pick(r, storagetest.LoseIt, storagetest.LoseWord, storagetest.Refuse)
}

// coord looks at the checkpoints that are committed, on their way to the store and back.
type coord struct {
	storage.Coord
	p *process
}

func (c *coord) Commit(ctx context.Context, group string, ops ...storage.Op) (storage.Revision, error) {
	if !strings.HasPrefix(group, "checkpoint/") || len(ops) == 0 || ops[0].Value == nil ||
		!strings.Contains(ops[0].Key, c.p.w.uuid()) {
		return c.Coord.Commit(ctx, group, ops...)
	}
	shard, cp, epoch := c.p.w.judgeSave(c.p, ops)
	revision, err := c.Coord.Commit(ctx, group, ops...)
	if err == nil && cp != nil {
		c.p.w.judgeDurable(c.p, shard, cp, epoch, revision)
	}
	return revision, err
}

// sender is the destination: it drops a notice that it has, refuses, fails, and takes its time, by seed.
type sender struct{ p *process }

func (sender) Payload() bool { return false }

func (s sender) Send(ctx context.Context, n destination.Sending) error {
	id, body := n.ID, n.Body
	p, w := s.p, s.p.w
	r := w.dice.roll("send", id)
	refused, faulty, dies := r.IntN(100) < 20, r.IntN(100) < 10, r.IntN(2) == 0
	if w.calm.Load() {
		refused, faulty = false, false
	}
	w.judgeNotice(p, id, body)
	pause(upTo(r, 300*time.Millisecond)) // whether or not anything waits for it
	if p.dead.Load() && dies {
		return ctx.Err()
	}
	switch {
	case refused:
		w.refused(p, id)
		return fault.New(fault.CodeNotFound, "There is no such queue.")
	case faulty:
		return errors.New("the queue cannot be reached")
	}
	w.noticed(id)
	return nil
}

// core is a mapping's configuration as the judge and the world draw it.
func core(k mapping.Knobs) esm.Config {
	c := mapping.Settings{
		Filters:   k.Filters,
		BatchSize: int(*k.BatchSize), BatchingWindow: time.Duration(*k.BatchingWindowSeconds) * time.Second,
		ParallelizationFactor: int(*k.ParallelizationFactor), MaxRetries: int(*k.MaxRetries), Bisect: *k.Bisect,
		TumblingWindow: time.Duration(*k.TumblingWindowSeconds) * time.Second,
	}
	if *k.MaxAgeSeconds > 0 {
		c.MaxAge = time.Duration(*k.MaxAgeSeconds) * time.Second
	}
	if k.Destination.OnFailure != "" {
		c.Destination = deadARN
	}
	return c.Core()
}
