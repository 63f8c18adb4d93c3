package server

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/shardmill/shardmill/companion/bucket"
	"github.com/shardmill/shardmill/function"
	"github.com/shardmill/shardmill/storage/pebble"
	"github.com/shardmill/shardmill/stream"
)

// Check reads everything in a data directory that no server uses, and compares what must agree: checksums, positions,
// the index, metadata with records, files with what refers to them. Nothing in it changes, but for its lock. tell is
// called for each finding. A *DataError says why the directory cannot be checked.
func Check(ctx context.Context, dir string, log *slog.Logger, tell func(pebble.Finding)) (pebble.Contents, error) {
	s := &Server{cfg: Config{Data: dir}}
	if _, err := os.Stat(dir); err != nil {
		return pebble.Contents{}, &DataError{dir, "name the directory of a server: --data DIR", err}
	}
	if _, err := os.Stat(s.under("store")); errors.Is(err, os.ErrNotExist) {
		if _, err := os.Stat(s.under(resetStore)); err == nil {
			return pebble.Contents{}, nil // the next start completes the reset
		}
		if s.wasUsed() {
			tell(pebble.Finding{Where: s.under("store"), What: "it is missing, and what lies beside it says that there was one"})
			return pebble.Contents{}, nil
		}
		return pebble.Contents{}, &DataError{dir, "name the directory of a server: --data DIR", errors.New("there is no store in it")}
	}
	i, err := pebble.Inspect(pebble.Options{Dir: s.under("store"), Logger: log})
	if err != nil {
		return pebble.Contents{}, s.dataError(cmp.Or(errors.Unwrap(err), err))
	}
	contents, err := i.Check(ctx, tell)
	if err == nil && !i.Empty() {
		store, named := i.Store(), func(where, what string) { tell(pebble.Finding{Where: where, What: what}) }
		err = errors.Join(
			stream.Check(ctx, store, contents.Kept, named),
			function.CheckCode(ctx, store.Coord(), filepath.Join(dir, "functions"), named),
			bucket.Check(ctx, store.Local(), filepath.Join(dir, "objects"), named),
		)
	}
	return contents, errors.Join(err, i.Close())
}
