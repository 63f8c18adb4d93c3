package pebble_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
	"github.com/shardmill/shardmill/storage/pebble"
)

// seeds returns how many random runs a crash test makes: SHARDMILL_SEEDS, else few enough for every build.
func seeds(t *testing.T) uint64 {
	text := os.Getenv("SHARDMILL_SEEDS")
	if text == "" {
		return 12
	}
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil || n == 0 {
		t.Fatalf("SHARDMILL_SEEDS is %q; want a number of runs", text)
	}
	return n
}

// Wherever the power fails, nothing acknowledged is lost and nothing that a reader saw disappears: at the log, and
// while memtables are rotated, flushed and compacted. Small memtables in every other run make that happen all the time.
func TestPowerLossLosesNothingAcknowledgedOrSeen(t *testing.T) {
	t.Parallel()
	var flushes atomic.Int64
	t.Run("runs", func(t *testing.T) {
		for seed := range seeds(t) {
			t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
				t.Parallel()
				wrong, flushed := crashRun(t, seed, false)
				if flushes.Add(flushed); len(wrong) > 0 {
					t.Fatalf("seed %d:\n%s", seed, strings.Join(wrong, "\n"))
				}
			})
		}
	})
	if n := flushes.Load(); n < int64(seeds(t)) {
		t.Errorf("%d memtables were flushed in all runs, which is too few to lose the power at one", n)
	}
}

// The control: a reader that ignores the watermark sees records that a power loss takes away, and the same checker
// reports it. If this test fails, the one above proves nothing.
func TestTheCheckerCatchesAReaderWhoIgnoresTheWatermark(t *testing.T) {
	t.Parallel()
	for seed := range max(seeds(t), 12) {
		if wrong, _ := crashRun(t, seed, true); len(wrong) > 0 {
			return
		}
	}
	t.Fatal("a reader who ignores the watermark was caught in no run")
}

const (
	crashShards  = 3
	crashBatches = 40
	crashKeys    = 2
)

// ledger is what the outside world knows of a store.
type ledger struct {
	acked     [crashShards]map[record.Position]string
	seen      [crashShards]map[record.Position]string
	trimAsked [crashShards]record.Position
	trimAcked [crashShards]record.Position
	closed    [crashShards]bool // acknowledged or seen
	last      [crashShards]record.Position
	coord     [crashKeys]storage.Entry // the newest acknowledged or seen
}

func (l *ledger) clone() *ledger {
	c := *l
	for i := range crashShards {
		c.acked[i], c.seen[i] = map[record.Position]string{}, map[record.Position]string{}
		for p, d := range l.acked[i] {
			c.acked[i][p] = d
		}
		for p, d := range l.seen[i] {
			c.seen[i][p] = d
		}
	}
	return &c
}

// crash is a file system after a power loss, and what had been promised until then.
type crash struct {
	fs *vfs.MemFS
	l  *ledger
}

// crasher cuts the power at random moments of a run: at writes, and just before syncs of the log or of other files.
type crasher struct {
	fs  *vfs.MemFS
	mu  sync.Mutex // guards all below
	rng *rand.Rand
	l   *ledger
	out []crash
	// look, if set, reads just before the power fails.
	look  func(*ledger)
	armed bool
	// flushed: fail at tables, blobs and the manifest, not at the log.
	flushed bool
}

func (c *crasher) MaybeError(op errorfs.Op) error {
	if strings.HasSuffix(op.Path, ".log") == c.flushed {
		return nil
	}
	switch op.Kind {
	case errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo, errorfs.OpFileWrite, errorfs.OpFileWriteAt,
		errorfs.OpCreate, errorfs.OpRename, errorfs.OpRemove:
	default:
		return nil
	}
	c.mu.Lock()
	hit := c.armed && len(c.out) < 4 && c.rng.IntN(12) == 0
	wait, kept := c.rng.IntN(200), 50*c.rng.IntN(3)
	c.mu.Unlock()
	if !hit {
		return nil
	}
	for range wait { // let the records become visible in Pebble and readers look
		runtime.Gosched()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.look != nil {
		c.look(c.l)
		kept = 0
	}
	l := c.l.clone() // first: promises made after this point are not part of this crash
	c.out = append(c.out, crash{c.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: kept, RNG: c.rng}), l})
	return nil
}

func (c *crasher) String() string { return "power loss" }

// note changes the ledger.
func (c *crasher) note(f func(*ledger)) {
	c.mu.Lock()
	f(c.l)
	c.mu.Unlock()
}

func crashShard(i int) storage.Shard { return storage.Shard{Stream: 1, Index: record.ShardID(2 * i)} }

// crashRun works on a store, cuts the power a few times, opens what is left and returns everything that is wrong with
// it. flushed counts the memtables it filled.
func crashRun(t *testing.T, seed uint64, ungated bool) (wrong []string, flushed int64) {
	ctx := t.Context()
	c := &crasher{fs: vfs.NewCrashableMem(), rng: rand.New(rand.NewPCG(seed, 0)), l: new(ledger).clone()}
	o := pebble.Options{Dir: "store", FS: errorfs.Wrap(c.fs, c), Fatal: func(err error) { t.Errorf("fatal: %v", err) }}
	if seed%3 != 0 {
		// so that the power fails between a sync and its mark, and in the middle of a mark
		o = o.WithMarkEvery(time.Millisecond)
	}
	if seed%2 == 1 {
		o, c.flushed = o.WithMemTable(64<<10), seed%4 == 3 && !ungated
	}
	s := open(t, o)
	pebble.SetTailBytes(s, int(seed%3)*1000) // nothing, little, some
	if ungated {
		c.look = func(l *ledger) {
			for i := range crashShards {
				if err := pebble.ReadUngated(s, crashShard(i), func(r record.Record) {
					l.seen[i][r.Pos] = string(r.Data)
				}); err != nil {
					t.Errorf("read: %v", err)
				}
			}
		}
	}
	for i := range crashShards {
		if err := s.Log().Create(ctx, crashShard(i), 0); err != nil {
			t.Fatal(err)
		}
	}
	c.note(func(*ledger) { c.armed = true })
	var all sync.WaitGroup
	for i := range crashShards {
		rng := rand.New(rand.NewPCG(seed, uint64(i)+1))
		all.Go(func() { crashWriter(ctx, t, s, c, i, rng) })
		if !ungated {
			all.Go(func() { crashReader(ctx, t, s, c, i) })
		}
	}
	for k := range crashKeys {
		all.Go(func() { crashCoord(ctx, t, s, c, k) })
	}
	all.Wait()
	flushed = pebble.DB(s).Metrics().Flush.Count
	if err := s.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	c.note(func(l *ledger) { c.out = append(c.out, crash{c.fs.CrashClone(vfs.CrashCloneCfg{}), l.clone()}) })
	for n, crash := range c.out {
		for _, w := range checkCrash(t, crash) {
			wrong = append(wrong, fmt.Sprintf("power loss %d: %s", n, w))
		}
	}
	return wrong, flushed
}

// crashWriter appends numbered batches to one shard, trims now and then, and closes some shards at the end.
func crashWriter(ctx context.Context, t *testing.T, s *pebble.Store, c *crasher, i int, rng *rand.Rand) {
	w, _, err := s.Log().Acquire(ctx, crashShard(i))
	if err != nil {
		t.Errorf("acquire: %v", err)
		return
	}
	pad := strings.Repeat("x", 90_000)
	for n := range crashBatches {
		rs := make([]record.Record, 1+rng.IntN(4))
		for j := range rs {
			rs[j] = record.Record{
				Key:  "k",
				Data: fmt.Appendf(nil, "%d.%d.%d/%s", n, j, len(rs), pad[:rng.IntN(10)*rng.IntN(10)*rng.IntN(2)*1000]),
			}
		}
		if err := s.Log().Append(ctx, []storage.Batch{{Writer: w, Records: rs}})[0]; err != nil {
			t.Errorf("append: %v", err)
			return
		}
		c.note(func(l *ledger) {
			for _, r := range rs {
				l.acked[i][r.Pos] = string(r.Data)
			}
		})
		if rng.IntN(10) == 0 {
			before := rs[0].Pos
			c.note(func(l *ledger) { l.trimAsked[i] = before })
			if err := s.Log().Trim(ctx, crashShard(i), before); err != nil {
				t.Errorf("trim: %v", err)
				return
			}
			c.note(func(l *ledger) { l.trimAcked[i] = before })
		}
	}
	last, err := s.Log().Close(ctx, crashShard(i))
	if err != nil {
		t.Errorf("close: %v", err)
		return
	}
	c.note(func(l *ledger) { l.closed[i], l.last[i] = true, last })
}

// crashReader follows one shard to its end and remembers what it saw.
func crashReader(ctx context.Context, t *testing.T, s *pebble.Store, c *crasher, i int) {
	for next := record.Position(1); ; {
		changed := s.Log().Changed(crashShard(i))
		var got []record.Record
		n, end, err := s.Log().Scan(
			ctx, crashShard(i), next, storage.Limit{Records: 5}, func(r record.Record) { got = append(got, r) },
		)
		if err != nil {
			t.Errorf("scan: %v", err)
			return
		}
		next = n
		c.note(func(l *ledger) {
			for _, r := range got {
				l.seen[i][r.Pos] = string(r.Data)
			}
			switch end.Kind {
			case storage.Trimmed:
				l.trimAcked[i] = max(l.trimAcked[i], end.Oldest)
			case storage.ShardEnd:
				l.closed[i], l.last[i] = true, next-1
			default: // nothing more to check
			}
		})
		switch end.Kind {
		case storage.Trimmed:
			next = end.Oldest
		case storage.Tail:
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
		case storage.ShardEnd:
			return
		default: // nothing more to check
		}
	}
}

// crashCoord counts in one key and reads it meanwhile, as another process would.
func crashCoord(ctx context.Context, t *testing.T, s *pebble.Store, c *crasher, k int) {
	key := fmt.Sprint("count/", k)
	begun := make(chan struct{}, crashBatches) // one for each commit, so that a reader looks while it is under way
	done := make(chan struct{})
	defer func() { <-done }()
	defer close(begun)
	go func() {
		defer close(done)
		for range begun {
			e, err := s.Coord().Get(ctx, key)
			if err != nil {
				t.Errorf("get: %v", err)
				return
			}
			c.note(func(l *ledger) {
				if e.Revision > l.coord[k].Revision {
					l.coord[k] = e
				}
			})
			runtime.Gosched()
		}
	}()
	revision := storage.Absent
	for n := range crashBatches {
		value := fmt.Append(nil, n)
		for range 5 {
			select {
			case begun <- struct{}{}:
			default:
			}
		}
		next, err := s.Coord().Commit(ctx, "count/", storage.Op{Key: key, Value: value, Expect: revision})
		if err != nil {
			t.Errorf("commit: %v", err)
			return
		}
		revision = next
		c.note(func(l *ledger) {
			if next > l.coord[k].Revision {
				l.coord[k] = storage.Entry{Key: key, Value: value, Revision: next}
			}
		})
	}
}

// checkCrash opens what a power loss left and returns everything wrong with it.
func checkCrash(t *testing.T, crash crash) (wrong []string) {
	bad := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	ctx, l := t.Context(), crash.l
	for _, f := range findings(t, crash.fs) {
		bad("the check takes what a power loss leaves for damage: %s: %s", f.Where, f.What)
	}
	s, err := pebble.Open(pebble.Options{
		Dir: "store", FS: crash.fs, Fatal: func(err error) { t.Errorf("fatal: %v", err) },
	})
	if err != nil {
		return []string{fmt.Sprintf("does not open: %v", err)}
	}
	defer s.Close()
	for i := range crashShards {
		id := crashShard(i)
		oldest, _, closed, err := s.Log().Bounds(ctx, id)
		if err != nil {
			bad("shard %d: %v", i, err)
			continue
		}
		if oldest > max(l.trimAsked[i], 1) {
			bad("shard %d begins at %d; asked for %d", i, oldest, l.trimAsked[i])
		}
		there := map[record.Position]string{}
		var last record.Position
		wantBatch, wantRecord := -1, 0
		_, _, err = s.Log().Scan(ctx, id, oldest, storage.Limit{}, func(r record.Record) {
			var batch, number, size int
			if _, err := fmt.Sscanf(string(r.Data), "%d.%d.%d/", &batch, &number, &size); err != nil {
				bad("shard %d position %d: %v", i, r.Pos, err)
			}
			if r.Pos < l.trimAcked[i] {
				bad("shard %d position %d is back: trimmed to %d", i, r.Pos, l.trimAcked[i])
			}
			if wantBatch < 0 {
				wantBatch, wantRecord = batch, number
			}
			if r.Pos <= last || batch != wantBatch || number != wantRecord {
				bad(
					"shard %d: a hole before position %d: batch %d record %d, want %d, %d", i, r.Pos, batch, number,
					wantBatch, wantRecord,
				)
			}
			if wantRecord++; wantRecord == size {
				wantBatch, wantRecord = wantBatch+1, 0
			}
			there[r.Pos], last = string(r.Data), r.Pos
		})
		if err != nil {
			bad("shard %d: %v", i, err)
		}
		if wantRecord != 0 {
			bad("shard %d ends within batch %d", i, wantBatch)
		}
		for what, records := range map[string]map[record.Position]string{
			"acknowledged": l.acked[i], "seen by a reader": l.seen[i],
		} {
			for p, data := range records {
				if got, ok := there[p]; p >= oldest && (!ok || got != data) {
					bad("shard %d position %d was %s and is gone", i, p, what)
				}
			}
		}
		if l.closed[i] && (!closed || last != l.last[i]) {
			bad("shard %d was closed at %d; now closed %v, last %d", i, l.last[i], closed, last)
		}
		if !closed {
			w, end, err := s.Log().Acquire(ctx, id)
			rs := []record.Record{{Key: "k", Data: []byte("after")}}
			if err := errors.Join(err, s.Log().Append(ctx, []storage.Batch{{Writer: w, Records: rs}})[0]); err != nil ||
				rs[0].Pos < end || rs[0].Pos <= last {
				bad("shard %d: appending behind %d (end %d) gave %d, %v", i, last, end, rs[0].Pos, err)
			}
		}
	}
	for k := range crashKeys {
		want := l.coord[k]
		got, err := s.Coord().Get(ctx, fmt.Sprint("count/", k))
		if err != nil || got.Revision < want.Revision || got.Revision == want.Revision &&
			string(got.Value) != string(want.Value) {
			bad("value %d: %+v, %v; %+v was acknowledged or seen", k, got, err, want)
		}
		if next, err := s.Coord().Commit(ctx, "", storage.Op{
			Key: "next", Value: []byte("x"), Expect: storage.Any,
		}); err != nil ||
			next <= want.Revision {
			bad("revision %d after %d: %v", next, want.Revision, err)
		}
	}
	return wrong
}
