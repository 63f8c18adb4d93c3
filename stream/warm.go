package stream

import (
	"cmp"
	"container/heap"
	"context"
	"errors"
	"math/big"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/record"
)

// MostWarm is the largest warm throughput of a stream, in MiB a second: 10 GiB.
const MostWarm = 10240

// WarmThroughput returns the throughput that an on-demand stream is to take at once and the one that it takes by now,
// in MiB a second; 0: none was asked for.
func (i *Info) WarmThroughput() (target, current int) {
	if i.Status == Active {
		return i.Warm, i.Warm
	}
	return i.Warm, i.WarmBefore
}

// SetWarm has an on-demand stream take a throughput at once, in MiB a second: it gets a shard for each, if it has
// fewer; it never loses one. 0: none. It returns the throughputs as WarmThroughput does, when that is durable. Faults:
// ResourceNotFoundException; InvalidArgumentException for a provisioned stream, an account without a commitment or too
// large a number; ResourceInUseException unless ACTIVE. Source: Kinesis API Reference, UpdateStreamWarmThroughput.
func (s *Streams) SetWarm(ctx context.Context, name Name, warm int) (target, current int, err error) {
	if _, err := s.find(ctx, name); err != nil {
		return 0, 0, err
	}
	if err := s.checkWarm(ctx, name, OnDemand, warm); err != nil {
		return 0, 0, err
	}
	err = s.reshapeWith(ctx, name, func(info *Info, r *streamRecord) ([]step, error) {
		switch {
		case r.Status != Active:
			return nil, notActive(name, r.Status)
		case r.Mode != OnDemand:
			return nil, coldMode(name)
		case r.Warm == warm:
			return nil, errUnchanged
		}
		r.Warm, r.WarmBefore = warm, r.Warm
		return widen(info.Shards, warm), nil
	})
	if err != nil && !errors.Is(err, errUnchanged) {
		return 0, 0, err
	}
	info, err := s.Lookup(ctx, name)
	if err != nil {
		return 0, 0, err
	}
	target, current = info.WarmThroughput()
	return target, current, nil
}

// checkWarm refuses a warm throughput that a stream of a mode cannot have.
func (s *Streams) checkWarm(ctx context.Context, name Name, mode Mode, warm int) error {
	if mode != OnDemand {
		return coldMode(name)
	}
	if warm > MostWarm {
		return fault.New(codeInvalid, "WarmThroughputMiBps is at most %d; %d was given.", MostWarm, warm)
	}
	c, err := s.Commitment(ctx, name.Account, name.Region)
	if err == nil && !c.Active() {
		err = fault.New(codeInvalid,
			"WarmThroughputMiBps needs an account whose MinimumThroughputBillingCommitment is enabled; account %s has it disabled.",
			name.Account)
	}
	return err
}

func coldMode(name Name) error {
	return fault.New(codeInvalid,
		"Only on-demand streams have a warm throughput; stream %s under account %s is provisioned.", name.Name, name.Account)
}

// widen returns the steps that lead to a number of open shards, if there are fewer: the widest are halved first.
func widen(shards []ShardInfo, target int) (steps []step) {
	var open openShards
	for i := range shards {
		if shards[i].Closed == 0 {
			open = append(open, newOpenShard(shards[i].ID, shards[i].Range))
		}
	}
	heap.Init(&open)
	for next := record.ShardID(len(shards)); len(open) < target; next += 2 {
		widest := open[0]
		at, ok := middle(widest.keys)
		if !ok {
			break // no shard has keys enough for two
		}
		left, right := cut(widest.keys, at)
		steps = append(steps, split(widest.id, left, right))
		open[0] = newOpenShard(next, left)
		heap.Fix(&open, 0)
		heap.Push(&open, newOpenShard(next+1, right))
	}
	return steps
}

// openShard is an open shard on the way to more shards.
type openShard struct {
	id    record.ShardID
	keys  record.HashKeyRange
	width *big.Int
}

func newOpenShard(id record.ShardID, keys record.HashKeyRange) openShard {
	return openShard{id, keys, new(big.Int).Sub(keys.End.Big(), keys.Start.Big())}
}

// openShards is a heap with the widest openShard on top; of openShards as wide as each other, the oldest.
type openShards []openShard

func (p openShards) Len() int      { return len(p) }
func (p openShards) Swap(i, j int) { p[i], p[j] = p[j], p[i] }
func (p openShards) Less(i, j int) bool {
	return cmp.Or(p[j].width.Cmp(p[i].width), cmp.Compare(p[i].id, p[j].id)) < 0
}
func (p *openShards) Push(x any) { *p = append(*p, x.(openShard)) }
func (p *openShards) Pop() any {
	last := len(*p) - 1
	x := (*p)[last]
	*p = (*p)[:last]
	return x
}
