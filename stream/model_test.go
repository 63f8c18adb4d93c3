package stream

import (
	"context"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/internal/clock"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
	"github.com/shardmill/shardmill/storage/memory"
)

// margin is the time around the trim horizon that the test leaves out, because real time passes while it runs. Its own
// steps are hours.
const margin = 10 * 60 * 1000

// sent is one acknowledged record of the model.
type sent struct {
	at  record.Millis
	seq *big.Int
}

// R-17 and the promise of the room: whatever happens to a stream's shards, clock and process, open ranges cover the
// hash key space, and a reader of all shards, parents first, sees every acknowledged record inside the retention period
// once and in order per key, and none that had ever expired.
func TestAStreamAgreesWithItsModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		ctx := context.Background()
		c := clock.New(0)
		store := memory.New(memory.Options{Clock: c})
		open := func() *Streams { return New(Options{Store: store, Clock: c}) }
		s := open()
		must := func(err error) {
			if err != nil {
				t.Fatal(err)
			}
		}
		must(s.Create(ctx, orders, CreateInput{Shards: rapid.IntRange(1, 7).Draw(t, "shards")}))
		model := map[string][]sent{}
		hours, gone := 24, record.Millis(0) // the retention period, and what had expired when it was made longer
		total := 0

		openShards := func() []ShardInfo {
			info, err := s.Lookup(ctx, orders)
			must(err)
			shards := slices.DeleteFunc(slices.Clone(info.Shards), func(s ShardInfo) bool { return s.Closed != 0 })
			slices.SortFunc(shards, func(a, b ShardInfo) int { return a.Range.Start.Compare(b.Range.Start) })
			return shards
		}
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				recs := make([]record.Record, rapid.IntRange(1, 8).Draw(t, "n"))
				for i := range recs {
					total++
					recs[i] = record.Record{
						Key: fmt.Sprint("k", rapid.IntRange(0, 9).Draw(t, "key")), Data: fmt.Append(nil, total),
					}
				}
				placed, err := s.PutRecords(ctx, orders, recs)
				must(err)
				for i, p := range placed {
					if p.Fault != nil {
						t.Fatal(p.Fault)
					}
					n, _ := new(big.Int).SetString(string(p.AppendSequenceNumber(nil)), 10)
					before := model[recs[i].Key]
					if len(before) > 0 && before[len(before)-1].seq.Cmp(n) >= 0 {
						t.Fatalf("key %s: %d follows %d", recs[i].Key, n, before[len(before)-1].seq)
					}
					model[recs[i].Key] = append(before, sent{p.Arrival, n})
				}
			},
			"split": func(t *rapid.T) {
				shards := openShards()
				sh := shards[rapid.IntRange(0, len(shards)-1).Draw(t, "shard")]
				width := new(big.Int).Sub(sh.Range.End.Big(), sh.Range.Start.Big())
				if len(shards) > 12 || width.BitLen() < 100 {
					return
				}
				at := new(big.Int).Add(sh.Range.Start.Big(), width.Rsh(width, 1))
				low, high := sh.Range, sh.Range
				at.FillBytes(low.End[:])
				high.Start = successor(low.End)
				must(s.Reshard(ctx, orders, []record.ShardID{sh.ID}, []record.HashKeyRange{low, high}))
			},
			"merge": func(t *rapid.T) {
				shards := openShards()
				if len(shards) < 2 {
					return
				}
				i := rapid.IntRange(0, len(shards)-2).Draw(t, "shard")
				must(s.Reshard(
					ctx, orders, []record.ShardID{shards[i].ID, shards[i+1].ID},
					[]record.HashKeyRange{{Start: shards[i].Range.Start, End: shards[i+1].Range.End}},
				))
			},
			"rescale": func(t *rapid.T) {
				n := len(openShards())
				_, err := s.UpdateShardCount(ctx, orders, rapid.IntRange((n+1)/2, min(2*n, 16)).Draw(t, "target"))
				must(err)
			},
			"time passes": func(t *rapid.T) {
				c.SetOffset(c.Offset() + time.Duration(rapid.IntRange(1, 13).Draw(t, "hours"))*time.Hour)
			},
			"retention": func(t *rapid.T) {
				now := s.now()
				n := rapid.IntRange(24, 60).Draw(t, "hours")
				if n >= hours {
					must(s.IncreaseRetention(ctx, orders, n))
					gone = max(gone, now-record.Millis(hours)*3_600_000)
				} else {
					must(s.DecreaseRetention(ctx, orders, n))
				}
				hours = n
			},
			"sweep":   func(*rapid.T) { s.sweep(ctx) },
			"restart": func(*rapid.T) { s = open() },
			"": func(t *rapid.T) {
				shards := openShards()
				next := record.HashKey{}
				for i, sh := range shards {
					if i > 0 {
						next = successor(shards[i-1].Range.End)
					}
					if sh.Range.Start != next {
						t.Fatalf("the open ranges have a gap or overlap: %+v", shards)
					}
				}
				if shards[len(shards)-1].Range.End != record.MaxHashKey {
					t.Fatalf("the open ranges end early: %+v", shards)
				}
				horizon := max(s.now()-record.Millis(hours)*3_600_000, gone)
				want := map[string][]string{}
				for key, all := range model {
					for _, r := range all {
						if r.at >= horizon+margin { // records that may expire during the check are left out
							want[key] = append(want[key], r.seq.String())
						}
					}
				}
				got := readAll(t, ctx, s, horizon, horizon+margin)
				if !maps.EqualFunc(want, got, slices.Equal) {
					t.Fatalf("readable are %v\nwant %v", got, want)
				}
			},
		})
	})
}

// readAll reads every listed shard, in id order: parents come before their children. Records that arrived before
// expired must not be there, and those that arrived before since are left out.
func readAll(t *rapid.T, ctx context.Context, s *Streams, expired, since record.Millis) map[string][]string {
	info, err := s.Lookup(ctx, orders)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string][]string{}
	for _, sh := range info.Shards {
		from, err := s.Resolve(ctx, info.ID, sh.ID, Start{Kind: TrimHorizon})
		for err == nil {
			var end storage.End
			from, end, err = s.Read(ctx, info.ID, sh.ID, from, storage.Limit{Records: 3}, func(r record.Record) {
				if r.Arrival < expired {
					t.Fatalf("%s of key %s arrived %d ms before the horizon", r.Data, r.Key, expired-r.Arrival)
				}
				if r.Arrival >= since {
					got[r.Key] = append(got[r.Key], info.SequenceNumber(sh.ID, r.Pos, r.Arrival))
				}
			})
			if end.Kind == storage.Trimmed {
				from = end.Oldest
			} else if end.Kind != storage.More {
				break
			}
		}
		if sh.Closed != 0 && sh.Closed < since && fault.CodeOf(err) == codeNotFound {
			continue // it has expired since it was listed
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return got
}
