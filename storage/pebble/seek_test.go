package pebble_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/shardmill/shardmill/internal/clock"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
	"github.com/shardmill/shardmill/storage/pebble"
)

// The time index only saves work: at every arrival, just before and after it, and sometimes in between, Seek finds what
// a scan from the beginning finds. The arrivals are those that a careless index gets wrong: several groups in one
// millisecond, seconds with and without an entry, a clock that was set back.
func TestSeekFindsWhatAScanFinds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fs, c := vfs.NewMem(), clock.New(0)
		o := pebble.Options{
			Dir: "store", FS: fs, Clock: c, MinFree: -1, Ballast: -1,
			Fatal: func(err error) { t.Errorf("fatal: %v", err) },
		}
		s := open(t, o)
		defer func() { _ = s.Close() }()
		pebble.SetTailBytes(s, 0)
		id := storage.Shard{Stream: 1}
		if err := s.Log().Create(t.Context(), id, 0); err != nil {
			t.Fatal(err)
		}
		acquire := func() storage.Writer {
			w, _, err := s.Log().Acquire(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			return w
		}
		w := acquire()
		check := func(when string) {
			t.Helper()
			var all []record.Record
			if _, _, err := s.Log().Scan(
				t.Context(), id, 1, storage.Limit{}, func(r record.Record) { all = append(all, r) },
			); err != nil {
				t.Fatal(err)
			}
			_, end, _, _ := s.Log().Bounds(t.Context(), id)
			lo, hi := all[0].Arrival, all[0].Arrival
			for _, r := range all {
				lo, hi = min(lo, r.Arrival), max(hi, r.Arrival)
			}
			for at := lo - 2; at <= hi+2; at++ {
				if near := slices.ContainsFunc(all, func(r record.Record) bool {
					return max(at-r.Arrival, r.Arrival-at) <= 2
				}); !near &&
					at%101 != 0 {
					continue
				}
				want := end
				for _, r := range all {
					if r.Arrival >= at {
						want = r.Pos
						break
					}
				}
				if got, err := s.Log().Seek(t.Context(), id, at); err != nil || got != want {
					t.Fatalf("%s: seek to %d ms after the first: position %d, %v; want %d", when, at-lo, got, err, want)
				}
			}
		}
		for i, wait := range []time.Duration{
			0, 0, 1, 998, 1, 0, 0, 1, 1000, 0, 0, 2500, 0, 1, 1, 999, 1, 0, -1700, 0, 300, 1400, 0, 1, 5, 1000, 0, 300,
			-900,
		} {
			if wait < 0 {
				c.SetOffset(c.Offset() + wait*time.Millisecond)
			} else {
				pass(wait * time.Millisecond)
			}
			for n := range 2 { // two commits
				if _, err := put(t, s, w, fmt.Sprintf("%d/%d", i, n)); err != nil {
					t.Fatal(err)
				}
			}
		}
		check("written")

		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = open(t, o)
		pebble.SetTailBytes(s, 0)
		w = acquire()
		check("opened again")
		for range 3 {
			if _, err := put(t, s, w, "in the last millisecond of before"); err != nil {
				t.Fatal(err)
			}
			pass(400 * time.Millisecond)
		}
		check("written again")
	})
}
