package stream

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strconv"

	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
)

// check compares what is stored of streams.
type check struct {
	s    *Streams
	tell func(where, what string)
}

// Check compares the metadata of all streams with itself and with the shards that the store has records of, which the
// caller lists in kept. It changes nothing, so the store may be open for reading only; no Streams may be at work on it.
// What a crash leaves in the middle of a change, and the next start completes, is fine. tell is called for each
// finding. An error means that the check did not come to its end.
func Check(ctx context.Context, store storage.Store, kept []storage.Shard, tell func(where, what string)) error {
	c := check{New(Options{Store: store}), tell}
	names, err := c.s.coord.List(ctx, prefixName, "", 0)
	if err != nil {
		return err
	}
	shards, err := c.shards(ctx)
	if err != nil {
		return err
	}
	plans, err := c.s.coord.List(ctx, prefixPlan, "", 0)
	if err != nil {
		return err
	}
	reshards := map[string]bool{}
	for _, e := range plans {
		reshards[e.Key] = true
	}
	highest, err := c.counter(ctx)
	if err != nil {
		return err
	}
	records := map[uint32][]record.ShardID{}
	for _, k := range kept {
		records[k.Stream] = append(records[k.Stream], k.Index)
	}
	seen := map[uint32]string{}
	for _, e := range names {
		r, err := decodeStream(e)
		if err != nil {
			tell(e.Key, err.Error())
			continue
		}
		if other, ok := seen[r.ID]; ok {
			tell(e.Key, fmt.Sprintf("it has the id %d, which is that of %s", r.ID, other))
		}
		if seen[r.ID] = e.Key; uint64(r.ID) > highest {
			tell(e.Key, fmt.Sprintf("it has the id %d, and the last one given out is %d", r.ID, highest))
		}
		if e.Key != nameKey(Name{r.Account, r.Region, r.Name}) {
			tell(e.Key, "it is the record of another stream, "+r.Name)
		}
		changing := r.Status != Active || reshards[planKey(r.ID)]
		if err := c.stream(ctx, r, shards[r.ID], records[r.ID], changing); err != nil {
			return err
		}
	}
	for id := range shards {
		if _, ok := seen[id]; !ok {
			tell(shardKey(id, 0), "its stream does not exist")
		}
	}
	for id, of := range records {
		if _, ok := seen[id]; !ok {
			tell(
				fmt.Sprintf("stream %d", id), fmt.Sprintf("there are records of %d shards, and no such stream", len(of)),
			)
		}
	}
	return c.consumers(ctx, seen)
}

// shards returns the stored shards by stream.
func (c *check) shards(ctx context.Context) (map[uint32][]ShardInfo, error) {
	entries, err := c.s.coord.List(ctx, prefixShard, "", 0)
	if err != nil {
		return nil, err
	}
	shards := map[uint32][]ShardInfo{}
	for _, e := range entries {
		id, info, err := decodeShard(e)
		if err != nil {
			c.tell(e.Key, err.Error())
			continue
		}
		next := record.ShardID(0)
		if n := len(shards[id]); n > 0 {
			next = shards[id][n-1].ID + 1
		}
		if info.ID != next {
			c.tell(e.Key, fmt.Sprintf("%s, which must come before it, is missing", next))
		}
		shards[id] = append(shards[id], info)
	}
	return shards, nil
}

// counter returns the last stream id that was given out.
func (c *check) counter(ctx context.Context) (uint64, error) {
	e, err := c.s.coord.Get(ctx, keyID)
	if err != nil || e.Revision == 0 {
		return 0, err
	}
	n, err := strconv.ParseUint(string(e.Value), 10, 32)
	if err != nil {
		c.tell(e.Key, fmt.Sprintf("%q is no number", e.Value))
	}
	token, err := c.s.coord.Get(ctx, keyToken)
	if err == nil && token.Revision != 0 && len(token.Value) != tokenKeyBytes {
		c.tell(keyToken, fmt.Sprintf("it has %d bytes, not %d", len(token.Value), tokenKeyBytes))
	}
	return n, err
}

// stream compares a stream's shards with each other and with those that have records. changing: a crash may have come
// in the middle of a change.
func (c *check) stream(
	ctx context.Context, r streamRecord, shards []ShardInfo, kept []record.ShardID, changing bool,
) error {
	name := "stream " + r.Name + " of " + r.Account + " in " + r.Region
	if len(shards) == 0 {
		c.tell(name, "it has no shards")
	}
	for i := range shards {
		sh := &shards[i]
		where := sh.ID.String() + " of " + name
		for _, parent := range []*record.ShardID{sh.Parent, sh.AdjacentParent} {
			if parent == nil {
				continue
			}
			at, ok := find(shards, *parent)
			if !ok || *parent >= sh.ID || shards[at].Closed == 0 {
				c.tell(where, fmt.Sprintf("its parent %s is open or does not exist", *parent))
			}
		}
		_, _, closed, err := c.s.log.Bounds(ctx, storage.Shard{Stream: r.ID, Index: sh.ID})
		switch {
		case errors.Is(err, storage.ErrNotFound):
			if !changing {
				c.tell(where, "nothing is kept of it: it was created and never made, or lost")
			}
		case errors.Is(err, storage.ErrCorrupt): // found already
		case err != nil:
			return err
		case closed != (sh.Closed != 0) && !changing:
			c.tell(where, fmt.Sprintf("its stream says that it is %s, and its records that it is %s",
				openness(sh.Closed != 0), openness(closed)))
		}
	}
	for _, id := range kept {
		if _, ok := find(shards, id); !ok && !changing {
			c.tell(id.String()+" of "+name, "there are records of it, and its stream does not have it")
		}
	}
	c.ranges(name, shards)
	return nil
}

func find(shards []ShardInfo, id record.ShardID) (int, bool) {
	return slices.BinarySearchFunc(shards, id, func(s ShardInfo, id record.ShardID) int {
		return cmp.Compare(s.ID, id)
	})
}

func openness(closed bool) string {
	if closed {
		return "closed"
	}
	return "open"
}

// ranges finds hash keys that no open shard has, or two.
func (c *check) ranges(name string, shards []ShardInfo) {
	var open []*ShardInfo
	for i := range shards {
		if shards[i].Closed == 0 {
			open = append(open, &shards[i])
		}
	}
	slices.SortFunc(open, func(a, b *ShardInfo) int { return a.Range.Start.Compare(b.Range.Start) })
	for i, sh := range open {
		switch {
		case i == 0 && sh.Range.Start != record.HashKey{}:
			c.tell(name, "no shard has the hash keys below "+sh.Range.Start.String())
		case i > 0 && !follows(open[i-1].Range.End, sh.Range.Start):
			c.tell(name, fmt.Sprintf("%s ends at hash key %s, and the next, %s, begins at %s", open[i-1].ID,
				open[i-1].Range.End, sh.ID, sh.Range.Start))
		}
	}
	if n := len(open); n > 0 && open[n-1].Range.End != record.MaxHashKey {
		c.tell(name, "no shard has the hash keys above "+open[n-1].Range.End.String())
	}
}

// follows reports whether b is the hash key after a.
func follows(a, b record.HashKey) bool {
	return new(big.Int).Add(a.Big(), big.NewInt(1)).Cmp(b.Big()) == 0
}

// consumers finds consumers of streams that do not exist.
func (c *check) consumers(ctx context.Context, streams map[uint32]string) error {
	all, err := c.s.listConsumers(ctx, prefixConsumer)
	if errors.Is(err, storage.ErrCorrupt) {
		c.tell("the consumers of streams", err.Error())
		return nil
	}
	if err != nil {
		return err
	}
	for id := range all {
		if _, ok := streams[id]; !ok {
			c.tell(fmt.Sprintf("the consumers of stream %d", id), "their stream does not exist")
		}
	}
	return nil
}
