package source_test

import (
	"context"
	"errors"
	"testing"

	"github.com/shardmill/shardmill/internal/clock"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/source"
	"github.com/shardmill/shardmill/source/sourcetest"
	"github.com/shardmill/shardmill/storage"
	"github.com/shardmill/shardmill/storage/memory"
)

// released counts how often a place is given up.
type released struct {
	source.Source

	times *int
}

func (r released) Release(record.ShardID) { *r.times++ }

// Who may read finds the source as it is, and who may not is told so at each read, keeps no place and waits for
// nothing.
func TestAGuardedSourceIsReadByThoseWhoMay(t *testing.T) {
	t.Parallel()
	var denied error
	c := clock.New(0)
	b := sourcetest.Kinesis(t, memory.New(memory.Options{Clock: c}), c)
	b.Put(record.Record{Key: "k", Data: []byte("d")})
	times := 0
	s := source.Guard(released{b.Source, &times}, func(context.Context) error { return denied })
	read := func(s source.Source) (n int, err error) {
		limit := storage.Limit{Records: 10, Bytes: 1 << 20}
		next, _, err := s.Read(t.Context(), 0, 1, limit, func(record.Record) { n++ })
		if err != nil && next != 1 {
			t.Errorf("a read from 1 that is refused goes on at %d", next)
		}
		return n, err
	}
	for _, s := range []source.Source{s, source.Again(s)} {
		denied = nil
		if n, err := read(s); n != 1 || err != nil || times != 0 {
			t.Errorf("read %d, %v, released %d", n, err, times)
		}
		waits := s.Changed(0)
		select {
		case <-waits:
			t.Error("something has changed")
		default:
		}

		denied = errors.New("no")
		if n, err := read(s); n != 0 || !errors.Is(err, denied) || times != 1 {
			t.Errorf("read %d, %v, released %d", n, err, times)
		}
		select {
		case <-s.Changed(0):
		default:
			t.Error("who may not read waits for a change")
		}
		times = 0
	}
}

func TestAGuardedSourceIsASource(t *testing.T) {
	t.Parallel()
	sourcetest.Run(t, func(t *testing.T) *sourcetest.Bench {
		c := clock.New(0)
		b := sourcetest.Kinesis(t, memory.New(memory.Options{Clock: c}), c)
		b.Source = source.Guard(b.Source, func(context.Context) error { return nil })
		return b
	})
}
