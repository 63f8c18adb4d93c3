package pebble_test

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/shardmill/shardmill/internal/clock"
	"github.com/shardmill/shardmill/storage"
	"github.com/shardmill/shardmill/storage/pebble"
	"github.com/shardmill/shardmill/storage/storagetest"
)

func TestPebbleKeepsTheContract(t *testing.T) {
	t.Parallel()
	keepsTheContract(t, 64<<20)
}

// Readers that are behind find everything in the database, and race with writers there.
func TestPebbleKeepsTheContractWithoutBlocksInMemory(t *testing.T) {
	t.Parallel()
	keepsTheContract(t, 0)
}

func keepsTheContract(t *testing.T, tail int) {
	storagetest.Run(t, func(t testing.TB) storagetest.Harness {
		o := pebble.Options{
			Dir: "store", FS: vfs.NewMem(), Clock: clock.New(0), Fatal: func(err error) { t.Errorf("fatal: %v", err) },
		}
		now := open(t, o)
		pebble.SetTailBytes(now, tail)
		h := storagetest.Harness{Store: now, Clock: o.Clock}
		h.Reopen = func() storage.Store {
			if err := now.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
			now = open(t, o)
			pebble.SetTailBytes(now, tail)
			return now
		}
		return h
	})
}

func open(t testing.TB, o pebble.Options) *pebble.Store {
	t.Helper()
	s, err := pebble.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
