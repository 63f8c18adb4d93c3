package bucket

import (
	"context"
	"errors"
	"sync"

	"github.com/shardmill/shardmill/storage"
)

// uses counts who is using content at this moment, beside what the store refers to: objects that are being written,
// copied or read. Content goes when it is neither used nor referred to.
//
// A name is used before its content can be found, and given up only after what refers to it is stored. So whoever finds
// it unused, holding mu, sees every reference that will ever be made.
type uses struct {
	mu     sync.Mutex
	count  map[blob]int
	doomed map[blob]bool // to be looked at once the last use ends
	holds  int           // how many want all content to stay
	later  []blob        // to be looked at when the last hold ends
}

// Hold keeps all content that there is, whatever is deleted meanwhile, until release, which is called once: who copies
// the store and then the files finds every file that the copy refers to.
func (bs *Buckets) Hold() (release func()) {
	u := &bs.uses
	u.mu.Lock()
	defer u.mu.Unlock()
	u.holds++
	return func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		if u.holds--; u.holds > 0 {
			return
		}
		later := u.later
		u.later = nil
		for _, n := range later {
			if u.count[n] == 0 {
				u.remove(bs, n)
			} else {
				u.doomed[n] = true
			}
		}
	}
}

func (u *uses) begin(names ...blob) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, n := range names {
		u.count[n]++
	}
}

// end ends uses. Names that may have lost their last reference are removed if they have.
func (u *uses) end(bs *Buckets, lost bool, names ...blob) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, n := range names {
		u.doomed[n] = u.doomed[n] || lost
		if u.count[n]--; u.count[n] > 0 {
			continue
		}
		delete(u.count, n)
		doomed := u.doomed[n]
		delete(u.doomed, n)
		if doomed {
			u.remove(bs, n)
		}
	}
}

// replace applies changes, durably, by which names may lose their last reference, and removes those that have. They
// are in use until the changes are durable: changes can be seen before that, and what a crash brings back needs its
// content. Where nobody knows whether they are durable, names stay in use; the next start looks at them again.
func (bs *Buckets) replace(ctx context.Context, lost []blob, ops ...storage.LocalOp) error {
	bs.uses.begin(lost...)
	err := bs.local.Apply(context.WithoutCancel(ctx), storage.Sync, ops...)
	if !errors.Is(err, storage.ErrUnknown) {
		bs.uses.end(bs, err == nil, lost...)
	}
	return err
}

// remove removes content that nothing refers to. u.mu is held. What stays because of an error goes with the next sweep.
func (u *uses) remove(bs *Buckets, n blob) {
	if u.holds > 0 {
		u.later = append(u.later, n)
		return
	}
	referred, err := bs.referred(n)
	if err == nil && !referred {
		err = bs.content.remove(n)
	}
	if err != nil {
		bs.log.Warn("remove content of an object that is gone", "error", err)
	}
}

// removeUnused removes content that nothing uses or refers to, and reports whether it did.
func (u *uses) removeUnused(bs *Buckets, n blob) (bool, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.count[n] > 0 {
		return false, nil
	}
	if u.holds > 0 {
		u.later = append(u.later, n)
		return false, nil
	}
	referred, err := bs.referred(n)
	if err != nil || referred {
		return false, err
	}
	return true, bs.content.remove(n)
}

// referred reports whether the store refers to a name.
func (bs *Buckets) referred(n blob) (found bool, err error) {
	lo := referenceKey(n, owner{})
	hi := referenceKey(n, owner{0xff}) // no owner begins with that
	err = bs.local.Scan(lo, hi, false, func([]byte, []byte) bool {
		found = true
		return false
	})
	return found, err
}
