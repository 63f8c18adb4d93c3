package pebble_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
	"github.com/shardmill/shardmill/storage/pebble"
)

// shapes of a put: how many producers put at once, each waiting for its result, and how many records of 1 KB a call
// has.
var shapes = []struct{ producers, records int }{{1, 1}, {64, 1}, {8, 100}}

const recordSize = 1000

// BenchmarkDurableAppend sets the store beside the limit of its disk, with the same bytes in the same shapes: pre
// writes into a preallocated file and app into a growing one; both group waiting writes as the committer does.
// Interleave rounds with -count.
func BenchmarkDurableAppend(b *testing.B) {
	for _, shape := range shapes {
		name := fmt.Sprintf("%dx%d", shape.producers, shape.records)
		b.Run(name+"/pre", func(b *testing.B) { benchFile(b, shape.producers, shape.records, true) })
		b.Run(name+"/app", func(b *testing.B) { benchFile(b, shape.producers, shape.records, false) })
		b.Run(name+"/store", func(b *testing.B) { benchStore(b, shape.producers, shape.records) })
	}
}

// produce calls put b.N times in all, from several producers at once.
func produce(b *testing.B, producers, records int, put func(producer int) error) {
	b.SetBytes(int64(records * recordSize))
	b.ReportAllocs()
	b.ResetTimer()
	var all sync.WaitGroup
	for p := range producers {
		n := b.N / producers
		if p < b.N%producers {
			n++
		}
		all.Go(func() {
			for range n {
				if err := put(p); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N*records)/b.Elapsed().Seconds(), "rec/s")
}

// noise returns n bytes that do not compress.
func noise(n int) []byte {
	data := make([]byte, n)
	_, _ = io.ReadFull(rand.NewChaCha8([32]byte{1}), data)
	return data
}

// benchDir returns a directory on the disk that holds the working directory, since the one for temporary files may lie
// in memory.
func benchDir(b *testing.B) string {
	dir, err := os.MkdirTemp(".", "bench-") //nolint:usetesting // b.TempDir may lie in memory
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func benchStore(b *testing.B, producers, records int) {
	ctx := context.Background()
	s := open(b, pebble.Options{Dir: benchDir(b), MinFree: -1, Ballast: -1})
	defer s.Close()
	batches := make([][]storage.Batch, producers)
	for p := range producers {
		shard := storage.Shard{Stream: 1, Index: record.ShardID(p % 4)}
		if p < 4 {
			if err := s.Log().Create(ctx, shard, 0); err != nil {
				b.Fatal(err)
			}
		}
		batches[p] = []storage.Batch{{Writer: storage.Writer{Shard: shard}, Records: make([]record.Record, records)}}
		for i := range batches[p][0].Records {
			batches[p][0].Records[i] = record.Record{Key: "key", Data: noise(recordSize)}
		}
	}
	writers := map[storage.Shard]storage.Writer{}
	for p := range min(producers, 4) {
		shard := batches[p][0].Writer.Shard
		w, _, err := s.Log().Acquire(ctx, shard)
		if err != nil {
			b.Fatal(err)
		}
		writers[shard] = w
	}
	for p := range batches {
		batches[p][0].Writer = writers[batches[p][0].Writer.Shard]
	}
	produce(b, producers, records, func(p int) error { return s.Log().Append(ctx, batches[p])[0] })
}

// rawLog does the least that a durable append needs: copy the waiting writes together, pwrite, fdatasync.
type rawLog struct {
	mu      sync.Mutex
	waiting []rawPut
	busy    bool
	file    *os.File
	at      int64
	wrap    int64 // a preallocated file is overwritten from its beginning here
	buffer  []byte
}

type rawPut struct {
	data []byte
	done chan error
}

func (l *rawLog) put(data []byte, done chan error) error {
	l.mu.Lock()
	l.waiting = append(l.waiting, rawPut{data, done})
	lead := !l.busy
	l.busy = true
	l.mu.Unlock()
	for lead {
		l.mu.Lock()
		group := l.waiting
		l.waiting = nil
		if len(group) == 0 {
			l.busy = false
			l.mu.Unlock()
			break
		}
		l.mu.Unlock()
		err := l.write(group)
		for _, p := range group {
			p.done <- err
		}
	}
	return <-done
}

func (l *rawLog) write(group []rawPut) error {
	l.buffer = l.buffer[:0]
	for _, p := range group {
		l.buffer = append(l.buffer, p.data...)
	}
	if l.wrap > 0 && l.at+int64(len(l.buffer)) > l.wrap {
		l.at = 0
	}
	if _, err := l.file.WriteAt(l.buffer, l.at); err != nil {
		return err
	}
	l.at += int64(len(l.buffer))
	return datasync(l.file)
}

func benchFile(b *testing.B, producers, records int, preallocated bool) {
	f, err := os.Create(filepath.Join(benchDir(b), "raw"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	l := &rawLog{file: f}
	if preallocated {
		l.wrap = 256 << 20
		zeros := make([]byte, 1<<20)
		for at := int64(0); at < l.wrap; at += int64(len(zeros)) {
			if _, err := f.WriteAt(zeros, at); err != nil {
				b.Fatal(err)
			}
		}
		if err := f.Sync(); err != nil {
			b.Fatal(err)
		}
	}
	data, done := noise(records*recordSize), make([]chan error, producers)
	for p := range done {
		done[p] = make(chan error, 1)
	}
	produce(b, producers, records, func(p int) error { return l.put(data, done[p]) })
}

// BenchmarkScan reads a backlog of 1 KB records, by the thousand, from the database and from memory.
func BenchmarkScan(b *testing.B) {
	for _, tail := range []int{0, 256 << 20} {
		b.Run(fmt.Sprintf("memory=%v", tail > 0), func(b *testing.B) {
			ctx := context.Background()
			s := open(b, pebble.Options{Dir: benchDir(b), MinFree: -1, Ballast: -1})
			defer s.Close()
			pebble.SetTailBytes(s, tail)
			shard := storage.Shard{Stream: 1}
			if err := s.Log().Create(ctx, shard, 0); err != nil {
				b.Fatal(err)
			}
			w, _, err := s.Log().Acquire(ctx, shard)
			if err != nil {
				b.Fatal(err)
			}
			const n = 100_000
			rs := make([]record.Record, 1000)
			for i := range rs {
				rs[i] = record.Record{Key: "key", Data: noise(recordSize)}
			}
			for range n / len(rs) {
				if err := s.Log().Append(ctx, []storage.Batch{{Writer: w, Records: rs}})[0]; err != nil {
					b.Fatal(err)
				}
			}
			b.SetBytes(n * recordSize)
			b.ReportAllocs()
			for b.Loop() {
				seen := 0
				for next := record.Position(1); seen < n; {
					if next, _, err = s.Log().Scan(
						ctx, shard, next, storage.Limit{Records: 1000}, func(record.Record) { seen++ },
					); err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(b.N*n)/b.Elapsed().Seconds(), "rec/s")
		})
	}
}
