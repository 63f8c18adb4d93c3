package main

import (
	"context"
	"errors"
	"slices"

	"github.com/shardmill/shardmill/internal/kpl"
	"github.com/shardmill/shardmill/record"
)

// Sizes of packing: bytes of one aggregate, which is the KPL's default, and records that are packed at once.
const (
	packBytes   = 51200
	packRecords = 10000
)

// packing packs records into aggregates, each for one shard, as the KPL does. A reshard in between is noticed: what
// went to a shard that not all of an aggregate belongs to is put again, because a KCL application does not deliver it.
type packing struct {
	list func(context.Context) ([]shard, error) // of all shards

	shards []packShard // that are open, in the order of their hash keys; nil: not known
	keys   map[string]record.HashKeyRange
	stray  []strayed // aggregates that went elsewhere
}

type packShard struct {
	id     string
	keys   record.HashKeyRange
	packer kpl.Packer
	held   []record.Record // in packer
}

type strayed struct {
	e     putEntry
	shard string // where it went
}

// entries packs records.
func (k *packing) entries(ctx context.Context, records []putEntry) (out []putEntry, err error) {
	if err := k.learn(ctx); err != nil {
		return nil, err
	}
	for i := range records {
		r := record.Record{Key: records[i].PartitionKey, Data: records[i].Data}
		sh := k.shardOf(r.HashKeyOf())
		if !sh.packer.Add(r, packBytes) {
			out = append(out, sh.take())
			sh.packer.Add(r, packBytes)
		}
		sh.held = append(sh.held, r)
	}
	for i := range k.shards {
		if sh := &k.shards[i]; len(sh.held) > 0 {
			out = append(out, sh.take())
		}
	}
	return out, nil
}

// take empties a packer.
func (s *packShard) take() putEntry {
	r := s.packer.Record()
	e := putEntry{Data: r.Data, PartitionKey: r.Key, packed: s.held, shard: s.id}
	if r.Explicit {
		e.ExplicitHashKey = r.Hash.String()
	}
	s.held = nil
	return e
}

// learn asks for the shards, if they are not known or have turned out to be other ones.
func (k *packing) learn(ctx context.Context) error {
	if k.shards != nil {
		return nil
	}
	list, err := k.list(ctx)
	if err != nil {
		return err
	}
	k.keys = map[string]record.HashKeyRange{}
	for i := range list {
		if keys, ok := list[i].HashKeyRange.keys(); ok {
			k.keys[list[i].ShardId] = keys
			if list[i].open() {
				k.shards = append(k.shards, packShard{id: list[i].ShardId, keys: keys})
			}
		}
	}
	if k.shards == nil {
		return errors.New("the stream has no open shard")
	}
	slices.SortFunc(k.shards, func(a, b packShard) int { return a.keys.Start.Compare(b.keys.Start) })
	return nil
}

// shardOf returns the shard with a hash key. During a reshard there may be none: then any will do, as it will turn out
// to be another one.
func (k *packing) shardOf(hash record.HashKey) *packShard {
	i, _ := slices.BinarySearchFunc(k.shards, hash, func(s packShard, h record.HashKey) int {
		return s.keys.End.Compare(h)
	})
	return &k.shards[min(i, len(k.shards)-1)]
}

// acknowledge takes the shard that a record went to.
func (k *packing) acknowledge(e *putEntry, shard string) {
	if shard != e.shard {
		k.shards = nil
		if len(e.packed) > 1 {
			k.stray = append(k.stray, strayed{*e, shard})
		}
	}
}

// lost returns the records of aggregates that a KCL application will not deliver, to be put again.
func (k *packing) lost(ctx context.Context) (again []putEntry, err error) {
	if len(k.stray) == 0 {
		return nil, nil
	}
	if err := k.learn(ctx); err != nil {
		return nil, err
	}
	for _, stray := range k.stray {
		keys, known := k.keys[stray.shard]
		outside := func(r record.Record) bool { return !keys.Contains(r.HashKeyOf()) }
		if known && !slices.ContainsFunc(stray.e.packed, outside) {
			continue
		}
		for _, r := range stray.e.packed {
			again = append(again, putEntry{Data: r.Data, PartitionKey: r.Key})
		}
	}
	k.stray = nil
	return again, nil
}
