package destinationtest

import (
	"errors"
	"testing"

	"github.com/shardmill/shardmill/storage"
	"github.com/shardmill/shardmill/storage/storagetest"
)

// ErrDisk is the error of a bench's failing store.
var ErrDisk = errors.New("the disk is on fire")

// over sets the verbs of a bench that are the same for every companion: it runs over a store that fresh makes, and
// that can crash, fail and hold. start begins the companion over the store of its life, and returns what stops it.
func (b *Bench) over(t *testing.T, fresh func() storage.Local, start func(storage.Local) (stop func())) {
	local := storagetest.NewCrashable(fresh)
	stop := start(local)
	t.Cleanup(func() { stop() })
	b.Stop = func() { stop() }
	b.Crash = func() {
		was := stop
		local = local.Kill()
		stop = start(local)
		was()
	}
	b.Fail = func(on bool) {
		if local.FailWith(nil); on {
			local.FailWith(ErrDisk)
		}
	}
	b.Hold = func() (<-chan struct{}, func()) { return local.HoldNext() }
}
