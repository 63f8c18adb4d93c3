package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/stream"
)

// How often a shard is asked for more at its tip, where GetRecords does not wait: less often with many shards. So many
// requests are under way at once.
const (
	pollEvery    = 250 * time.Millisecond
	pollShards   = 500 // from so many on, all together are asked as often as that many would be
	pollRequests = 32
)

// tailer reads the shards of a stream, and shows their records.
type tailer struct {
	c      *client
	stream string // name or ARN
	from   origin
	follow bool
	began  time.Time // by the server's clock, as far as it is known
	show   func(keys *record.HashKeyRange, r tailRecord) error

	requests chan struct{}
	mu       sync.Mutex
	next     *succession
	reading  int // shards that are being read
	wg       sync.WaitGroup
}

// all reads every shard, children after their parents, until ctx ends, or all that is there has been read.
func (t *tailer) all(ctx context.Context) error {
	list, err := t.c.shards(ctx, t.stream)
	if err != nil {
		return err
	}
	var first []child
	t.next, first = newSuccession(list, t.from.kind == stream.IterLatest)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	t.requests = make(chan struct{}, pollRequests)
	t.mu.Lock()
	for _, sh := range first {
		t.begin(ctx, cancel, sh, t.from)
	}
	t.mu.Unlock()
	t.wg.Wait()
	if err := context.Cause(ctx); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// begin reads a shard in a goroutine of its own, and after it the children that have waited for it. t.mu is held.
func (t *tailer) begin(ctx context.Context, cancel context.CancelCauseFunc, sh child, from origin) {
	reader := &shardReader{tailer: t, id: sh.ShardId, from: from}
	if keys, ok := sh.HashKeyRange.keys(); ok {
		reader.keys = &keys
	}
	t.reading++
	t.wg.Go(func() {
		children, over, err := reader.read(ctx)
		if err != nil {
			cancel(err)
		}
		t.mu.Lock()
		defer t.mu.Unlock()
		t.reading--
		if err != nil || !over || ctx.Err() != nil {
			return
		}
		from := t.from
		if from.kind == stream.IterLatest {
			from = origin{kind: stream.IterTrimHorizon} // all of a child is later than its parent
		}
		for _, c := range t.next.ended(sh.ShardId, children) {
			t.begin(ctx, cancel, c, from)
		}
	})
}

// pause is how long a shard at its tip waits before it is asked again.
func (t *tailer) pause() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	return pollEvery * time.Duration(max(t.reading, pollShards)) / pollShards
}

// one reads a single shard to its end, and returns its children.
func (t *tailer) one(ctx context.Context, id string) ([]child, error) {
	t.requests = make(chan struct{}, 1)
	list, err := t.c.shards(ctx, t.stream)
	if err != nil {
		return nil, err
	}
	reader := &shardReader{tailer: t, id: id, from: t.from}
	for i := range list {
		if keys, ok := list[i].HashKeyRange.keys(); ok && list[i].ShardId == id {
			reader.keys = &keys
		}
	}
	children, _, err := reader.read(ctx)
	return children, err
}

// shardReader reads one shard.
type shardReader struct {
	*tailer
	id       string
	keys     *record.HashKeyRange // nil: not known
	from     origin               // of the next iterator
	iterator string
	refused  resend
}

// gotRecords is what GetRecords answers.
type gotRecords struct {
	Records            []tailRecord
	NextShardIterator  string
	MillisBehindLatest int64
	ChildShards        []child
}

// read shows the records of the shard. over: it has come to its end, and children follow it. Without an error that is
// not so if ctx has ended, or all that is there has been read and more is not waited for.
func (r *shardReader) read(ctx context.Context) (children []child, over bool, err error) {
	for {
		var got gotRecords
		switch err := r.ask(ctx, &got); {
		case ctx.Err() != nil:
			return nil, false, nil
		case isCode(err, fault.CodeNotFound):
			return r.gone(ctx, err)
		case isCode(err, codeExpired):
			r.iterator = "" // the clock was moved, or this process was stopped for minutes
			continue
		case transient(err):
			if err := r.refused.wait(ctx, err); err != nil && ctx.Err() == nil {
				return nil, false, err
			}
			continue
		case err != nil:
			return nil, false, err
		}
		r.refused = resend{}
		for _, rec := range got.Records {
			rec.Shard = r.id
			if err := r.show(r.keys, rec); err != nil {
				return nil, false, err
			}
			r.from = origin{kind: stream.IterAfter, sequence: rec.SequenceNumber}
		}
		if r.iterator = got.NextShardIterator; r.iterator == "" {
			return got.ChildShards, true, nil
		}
		if len(got.Records) > 0 || got.MillisBehindLatest > 0 {
			continue
		}
		if !r.follow {
			return nil, false, nil
		}
		select {
		case <-time.After(r.pause()):
		case <-ctx.Done():
			return nil, false, nil
		}
	}
}

// ask gets the next records, with an iterator if there is none yet.
func (r *shardReader) ask(ctx context.Context, got *gotRecords) error {
	select {
	case r.requests <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-r.requests }()
	if r.iterator == "" {
		var it struct{ ShardIterator string }
		if err := r.c.kinesis(ctx, "GetShardIterator", of(r.stream, r.from.members(r.id)), &it); err != nil {
			return err
		}
		r.iterator = it.ShardIterator
		if r.from.kind == stream.IterLatest { // another one would leave out what comes in between
			r.from = origin{kind: stream.IterAtTimestamp, at: r.began}
		}
	}
	in := map[string]any{"ShardIterator": r.iterator}
	if strings.HasPrefix(r.stream, "arn:") {
		in["StreamARN"] = r.stream
	}
	return r.c.kinesis(ctx, "GetRecords", in, got)
}

// gone tells a shard whose records and name retention has taken, which has ended, from a stream that is not there.
func (r *shardReader) gone(ctx context.Context, why error) (children []child, over bool, err error) {
	list, err := r.c.shards(ctx, r.stream)
	if err != nil {
		return nil, false, why
	}
	for i := range list {
		if list[i].ShardId == r.id {
			return nil, false, why
		}
		if slices.Contains(list[i].parents(), r.id) {
			children = append(children, list[i].asChild())
		}
	}
	if children == nil {
		return nil, false, why
	}
	return children, true, nil
}

const codeExpired = "ExpiredIteratorException"
