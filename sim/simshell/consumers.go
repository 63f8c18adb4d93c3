package simshell

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/stream"
)

// consumers are the registered consumers of a world: some come and go, one reads a shard and then its children by
// SubscribeToShard, and one may be the source of the mapping. It is drawn and decided apart from all else, so that a
// world is the same with and without them.
type consumers struct {
	r      *rand.Rand // the root goroutine's alone
	source string     // the ARN by which the mapping reads; "": it reads the stream itself
	known  map[string]*registered
	reader string // the ARN of the consumer that reads

	leave   context.CancelFunc // ends the subscriber of the process that runs
	reading sync.WaitGroup

	// under world.mu
	shard record.ShardID
	last  record.Position  // of what the subscriber got of the shard
	after string           // where its next subscription continues; "": at the oldest record
	of    map[uint64]place // the numbers of the records that it got, and where they were
}

// place is where a record is.
type place struct {
	shard record.ShardID
	pos   record.Position
}

// registered is what is known of a consumer that comes and goes.
type registered struct {
	arn    string // "": there is none
	unsure bool   // a change may or may not have been made
	tag    string
}

// register makes the consumers that stay.
func (w *world) register(p *process) bool {
	names := []string{"reader"}
	if w.consumers.r.IntN(2) == 0 {
		names = append(names, "source")
	}
	for _, name := range names {
		made, err := p.streams.RegisterConsumer(context.Background(), orders, name, nil)
		if err != nil {
			w.say("register consumer %s: %v", name, err)
			return false
		}
		if name == "source" {
			w.count("mappings by a consumer")
			w.consumers.source = made.ARN()
		} else {
			w.consumers.reader = made.ARN()
		}
	}
	return true
}

// sourceARN is what the mapping reads.
func (w *world) sourceARN() string {
	if w.consumers.source != "" {
		return w.consumers.source
	}
	return orders.ARN()
}

// consume registers a consumer, changes one, or lets one go.
func (w *world) consume() {
	c, p := &w.consumers, w.p
	name := fmt.Sprint("c", c.r.IntN(4))
	k := c.known[name]
	if k == nil {
		k = &registered{}
		c.known[name] = k
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	id := stream.ConsumerNamed(orders, name)
	var err error
	next, refused := *k, ""
	switch c.r.IntN(4) {
	case 0, 1:
		var made stream.Consumer
		tag := fmt.Sprint(c.r.IntN(100))
		made, err = p.streams.RegisterConsumer(ctx, orders, name, map[string]string{"t": tag})
		next, refused = registered{arn: made.ARN(), tag: tag}, "ResourceInUseException"
		if err == nil && k.arn == made.ARN() && !p.dead.Load() {
			w.say("consumer %s is registered again as %s", name, made.ARN())
		}
		if err == nil && k.arn != "" && !k.unsure && !p.dead.Load() {
			w.say("consumer %s is registered twice", name)
		}
		if fault.CodeOf(err) == refused && k.arn == "" && !k.unsure && !w.knobs.paced {
			w.say("consumer %s is refused although there is none: %v", name, err)
		}
	case 2:
		err = p.streams.DeregisterConsumer(ctx, id)
		next, refused = registered{}, fault.CodeNotFound
		if fault.CodeOf(err) == refused && k.arn != "" && !k.unsure && !p.dead.Load() {
			w.say("consumer %s is unknown: %v", name, err)
		}
	default:
		next.tag = fmt.Sprint(c.r.IntN(100))
		refused = fault.CodeNotFound
		err = p.streams.SetConsumerTags(ctx, id, func(tags map[string]string) error {
			tags["t"] = next.tag
			return nil
		})
	}
	switch code := fault.CodeOf(err); {
	case p.dead.Load():
		k.unsure = true // it may be behind the moment that the crash keeps
	case err == nil:
		*k = next
		w.count("a consumer changes")
	case code == refused, code == "ResourceInUseException", code == fault.CodeNotFound: // nothing was changed
	default:
		k.unsure = true
	}
}

// judgeConsumers checks that a process finds the consumers that were there, as they were.
func (w *world) judgeConsumers(p *process) {
	for name, k := range w.consumers.known {
		found, err := p.streams.Consumer(context.Background(), stream.ConsumerNamed(orders, name))
		there := err == nil && found.Status != stream.Deleting
		if err != nil && fault.CodeOf(err) != fault.CodeNotFound {
			w.say("consumer %s cannot be looked up: %v", name, err)
			continue
		}
		var tags map[string]string
		if there {
			if tags, err = p.streams.ConsumerTags(context.Background(), found.ID); err != nil {
				w.say("the tags of consumer %s cannot be read: %v", name, err)
			}
		}
		if !k.unsure && (there != (k.arn != "") || there && (found.ARN() != k.arn || tags["t"] != k.tag)) {
			w.say("consumer %s was %+v, and after a start it is %s with %v (there: %t)", name, *k, found.ARN(), tags, there)
		}
		*k = registered{}
		if there {
			*k = registered{arn: found.ARN(), tag: tags["t"]}
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rep.Events["consumers are found again"]++
}

// subscriber reads by SubscribeToShard for as long as the process lives, and goes on where the one before has ended.
func (w *world) subscriber(p *process) {
	if !w.knobs.consumed {
		return
	}
	ctx, leave := context.WithCancel(context.Background())
	w.consumers.leave = leave
	w.consumers.reading.Go(func() {
		for ctx.Err() == nil && !p.dead.Load() && !w.red.Load() {
			if err := w.subscribe(ctx, p); err != nil && !errors.Is(err, io.EOF) {
				wait(ctx, time.Second) // a young subscription before, or a disk that fails
			}
		}
	})
	w.consumers.reading.Go(func() {
		select {
		case <-p.died:
			leave()
		case <-ctx.Done():
		}
	})
}

// dismiss ends the subscriber and waits for it.
func (w *world) dismiss() {
	if w.consumers.leave != nil {
		w.consumers.leave()
		w.consumers.reading.Wait()
	}
}

// subscribe is one subscription of the subscriber.
func (w *world) subscribe(ctx context.Context, p *process) error {
	id, _, err := stream.ParseConsumerARN(w.consumers.reader, account)
	if err != nil {
		return err
	}
	w.mu.Lock()
	shard := w.consumers.shard
	in := stream.IteratorInput{Shard: shard.String(), Type: stream.IterTrimHorizon}
	if w.consumers.after != "" {
		in.Type, in.Sequence = stream.IterAfter, w.consumers.after
	}
	w.mu.Unlock()
	sub, err := p.streams.Subscribe(ctx, id, in)
	if err != nil {
		return err
	}
	defer sub.Close()
	for {
		var recs []record.Record
		ev, err := sub.Next(ctx, func() int { return 1 << 20 }, func(r record.Record) { recs = append(recs, r) })
		if err != nil {
			return err
		}
		w.mu.Lock()
		if p.dead.Load() { // nothing that it shows now counts
			w.mu.Unlock()
			return nil
		}
		for i := range recs {
			w.pushed(shard, &recs[i])
		}
		w.consumers.after = ev.Continuation
		if len(ev.Children) > 0 {
			w.rep.Events["a subscriber goes on with a child"]++
			w.consumers.shard, w.consumers.last = ev.Children[0].ID, 0
		}
		w.mu.Unlock()
	}
}

// pushed judges one record that the subscriber gets. w.mu is held.
func (w *world) pushed(shard record.ShardID, r *record.Record) {
	c := &w.consumers
	n, err := idOf(r.Data)
	if err != nil {
		w.complain("the subscriber gets something else from shard %d at %d: %v", shard, r.Pos, err)
		return
	}
	if r.Pos <= c.last {
		w.complain("the subscriber gets shard %d at %d after %d", shard, r.Pos, c.last)
	}
	if before, again := c.of[n]; again {
		w.complain("the subscriber gets record %d twice, of %v and of shard %d at %d", n, before, shard, r.Pos)
	}
	c.last = r.Pos
	c.of[n] = place{shard, r.Pos}
	w.rep.Events["a record is pushed"]++
}

// judgePushed checks that what the subscriber got is there after a start.
func (w *world) judgePushed(shard record.ShardID, oldest record.Position, there map[record.Position]uint64) {
	for n, at := range w.consumers.of {
		if at.shard == shard && at.pos >= oldest && there[at.pos] != n {
			w.complain("shard %d: record %d was pushed and is gone", shard, at.pos)
		}
	}
}

// judgeComplete checks that the subscriber has missed nothing of what it went past, unless records expired meanwhile.
// w.mu is held.
func (w *world) judgeComplete() {
	c := &w.consumers
	if w.offset.Load() > 0 {
		return
	}
	far := map[record.ShardID]record.Position{}
	for _, at := range c.of {
		far[at.shard] = max(far[at.shard], at.pos)
	}
	for n, s := range w.sent {
		sh := w.shards[s.shard]
		if !s.acked || s.pos == 0 || sh == nil || sh.trimmed > 0 || s.pos > far[s.shard] {
			continue
		}
		if _, ok := c.of[n]; !ok {
			w.complain("the subscriber has missed record %d of shard %d at %d", n, s.shard, s.pos)
		}
	}
}
