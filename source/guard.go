package source

import (
	"context"

	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
)

// Guard returns a source that is read only while a reader may: may is asked before each read, and its fault is what the
// read returns. Who may not read keeps no place of a reader either.
func Guard(s Source, may func(ctx context.Context) error) Source { return guarded{s, may} }

type guarded struct {
	Source

	may func(ctx context.Context) error
}

// Read visits durable records, if that is allowed now.
func (g guarded) Read(
	ctx context.Context, shard record.ShardID, from record.Position, limit storage.Limit, visit func(record.Record),
) (record.Position, storage.End, error) {
	if err := g.may(ctx); err != nil {
		g.Release(shard)
		return from, storage.End{}, err
	}
	return g.Source.Read(ctx, shard, from, limit, visit)
}

var closed = func() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// Changed returns a channel that is closed at the next change of the shard; at once, if it may not be read.
func (g guarded) Changed(shard record.ShardID) <-chan struct{} {
	if g.may(context.Background()) != nil { // it is in memory
		return closed
	}
	return g.Source.Changed(shard)
}

// Again returns the source for reading once more what may have been read before.
func (g guarded) Again() Source { return Guard(Again(g.Source), g.may) }
