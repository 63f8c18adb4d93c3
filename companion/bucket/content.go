package bucket

import (
	"context"
	"errors"
	"io"
)

// blob names the bytes of an object or of a part: their SHA-256 where they are a file.
type blob [32]byte

// content keeps bytes under names. What it holds is durable once a draft is kept.
type content interface {
	prepare() error // before anything else, once per start
	create() (draft, error)
	open(blob, int64) (reader, error) // errDamaged if there are not so many bytes
	remove(blob) error                // of what is not there is no error
	// each calls visit for every name that there is, in no order, until it returns false
	each(visit func(blob) bool) error
}

// draft is a content that is being written. It ends with keep or with drop, and drop after keep does nothing.
type draft interface {
	io.Writer
	// keep returns when what was written is durable. named is called with its name before it can be found under it.
	keep(sum [32]byte, named func(blob)) error
	drop()
}

type reader interface {
	io.ReaderAt
	io.Closer
}

var errDamaged = errors.New("its content is damaged: it does not have the size that it was written with")

// sweepPause is how many names the sweep looks at before it lets others in. It holds the lock of uses for one at a
// time.
func (bs *Buckets) sweep(ctx context.Context) {
	removed := 0
	err := bs.content.each(func(n blob) bool {
		gone, err := bs.uses.removeUnused(bs, n)
		if err != nil {
			bs.log.Warn("remove content that nothing refers to", "error", err)
		}
		if gone {
			removed++
		}
		return ctx.Err() == nil
	})
	if err != nil {
		bs.log.Warn("look for content that nothing refers to", "error", err)
	}
	if removed > 0 {
		bs.log.Info("removed content that a crash had left behind", "files", removed)
	}
}
