package simshell

import (
	"context"
	"log/slog"
	"time"

	"github.com/shardmill/shardmill/checkpoint"
	"github.com/shardmill/shardmill/destination"
	"github.com/shardmill/shardmill/engine"
	"github.com/shardmill/shardmill/engine/enginetest"
	"github.com/shardmill/shardmill/function"
	"github.com/shardmill/shardmill/internal/arn"
	"github.com/shardmill/shardmill/mapping"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/source"
	"github.com/shardmill/shardmill/storage"
	"github.com/shardmill/shardmill/stream"
)

// node is one engine of a process, with rooms of its own over the store that all share. Most worlds have one, which
// owns everything; where there are two, the world hands shards out, and not every owner is told that it is none any
// more.
type node struct {
	p           *process
	n           int // of all nodes that ever were
	grants      *enginetest.Grants
	streams     *stream.Streams // the process's, which writes, or one that follows it
	mappings    *mapping.Mappings
	checkpoints *checkpoint.Store
	engine      *engine.Engine
}

// newNode makes an engine over a process's store. It does not run yet.
func (p *process) newNode(store storage.Store, log *slog.Logger) (*node, error) {
	w := p.w
	w.nodes++
	n := &node{p: p, n: w.nodes, streams: p.streams}
	if len(p.nodes) > 0 {
		n.streams = stream.New(stream.Options{Store: store, Clock: p.clock, Log: log, Pace: w.streamPace()})
		if err := n.streams.Start(context.Background()); err != nil {
			return nil, err
		}
	}
	faulty := store.Coord()
	n.mappings = mapping.New(mapping.Options{
		Coord: faulty, Clock: p.clock, Sources: sources{n.streams}, Functions: names{}, Log: log,
		NewUUID: w.uuid, MaxFilters: w.quota, AWSPace: w.knobs.paced,
	})
	n.checkpoints = checkpoint.New(faulty)
	ownership := engine.Everything(1)
	if w.knobs.owners > 1 {
		n.grants = &enginetest.Grants{}
		n.grants.Decide(len(p.nodes) == 0)
		ownership = n.grants
	}
	n.engine = engine.New(engine.Options{
		Mappings: n.mappings, Functions: &room{p.functions, n}, Checkpoints: n.checkpoints, Clock: p.clock, Log: log,
		Destinations: destination.Table{{Service: "sqs", Open: func(arn.ARN) destination.Sender { return sender{p} }}},
		Source: func(m mapping.Mapping) source.Source {
			if m.Consumer() {
				return &reader{
					Source: source.NewConsumer(n.streams, m.Stream, m.EventSourceARN, m.Region, m.UUID), p: p,
				}
			}
			return &reader{Source: source.NewKinesis(n.streams, m.Stream, m.EventSourceARN, m.Region), p: p}
		},
		Ownership: ownership, BufferMemory: w.memory, Trace: w.recorder.machine, AbandonAfter: 30 * time.Second,
		Pace: w.pace(),
	})
	p.nodes = append(p.nodes, n)
	return n, nil
}

// room is the function room as one engine sees it.
type room struct {
	*functions
	n *node
}

// Invoke runs the code for the node.
func (c *room) Invoke(ctx context.Context, inv function.Invocation) function.Result {
	res := c.call(ctx, inv, c.n.invoked)
	if res.Class == function.NotAdmitted {
		c.n.throttled(inv)
	}
	return res
}

// owners says which node was granted a shard last, of the process that runs.
type owners struct{ of map[record.ShardID]*node }

// untold is how long an owner may go on that was not told that it is none any more, and zombies is how long what it
// began then takes.
const (
	untold  = 5 * time.Second
	zombies = untold + attempts
)

// give hands a shard to a node, under an epoch above every one before. Who had it is told, or is not for a while.
func (w *world) give(id record.ShardID, to *node) {
	p := w.p
	from := w.owners.of[id]
	key := storage.Shard{Stream: w.stream, Index: id}
	late := from != nil && w.rng.IntN(2) == 0 && !w.calm.Load()
	wait := upTo(w.rng, untold)
	if from != nil && !late {
		from.grants.Revoke(key)
	}
	epoch, err := to.checkpoints.RaiseEpoch(context.Background())
	for err != nil && !p.dead.Load() {
		pause(50 * time.Millisecond)
		epoch, err = to.checkpoints.RaiseEpoch(context.Background())
	}
	if err != nil {
		return
	}
	w.mu.Lock()
	w.logf("shard %d goes to node %d under epoch %d; told %t", id, to.n, epoch, !late)
	if sh := w.shards[id]; sh != nil && from != nil {
		sh.forgiven = w.now().Add(zombies)
	}
	w.unsettle(zombies)
	w.owners.of[id] = to
	w.mu.Unlock()
	to.grants.Grant(key, engine.Grant{Epoch: epoch})
	if late && from != to {
		w.pending.Go(func() {
			pause(wait)
			w.mu.Lock()
			again := w.owners.of[id] == from // it has got the shard back
			w.mu.Unlock()
			if !again {
				from.grants.Revoke(key)
			}
		})
	}
}

// distribute gives every shard without an owner to a node.
func (w *world) distribute(info *stream.Info) {
	if w.knobs.owners < 2 {
		return
	}
	for i := range info.Shards {
		if id := info.Shards[i].ID; w.owners.of[id] == nil {
			w.give(id, w.p.nodes[w.rng.IntN(len(w.p.nodes))])
		}
	}
}

// handOver gives some shards to other nodes, and may let another one decide.
func (w *world) handOver() {
	if w.rng.IntN(4) == 0 {
		first := w.rng.IntN(len(w.p.nodes))
		for i, n := range w.p.nodes {
			n.grants.Decide(i == first)
		}
		w.note("node %d decides", w.p.nodes[first].n)
	}
	w.mu.Lock()
	n := len(w.shards)
	w.mu.Unlock()
	for id := record.ShardID(0); int(id) < n; id++ {
		if w.rng.IntN(2) == 0 && w.owners.of[id] != nil {
			w.give(id, w.p.nodes[w.rng.IntN(len(w.p.nodes))])
		}
	}
}
