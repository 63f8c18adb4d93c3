package pebble_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	crdb "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
	"github.com/shardmill/shardmill/storage/pebble"
)

// findings checks the closed store in fs.
func findings(t *testing.T, fs vfs.FS) []pebble.Finding {
	t.Helper()
	found, _ := inspected(t, fs)
	return found
}

func inspected(t *testing.T, fs vfs.FS) (found []pebble.Finding, _ pebble.Contents) {
	t.Helper()
	i, err := pebble.Inspect(pebble.Options{Dir: "store", FS: fs})
	if err != nil {
		return []pebble.Finding{{Where: "opening", What: err.Error()}}, pebble.Contents{}
	}
	c, err := i.Check(t.Context(), func(f pebble.Finding) { found = append(found, f) })
	if err := errors.Join(err, i.Close(), i.Close()); err != nil {
		t.Fatal(err)
	}
	return found, c
}

// files returns the content of everything in a directory, by name.
func files(t *testing.T, fs vfs.FS, dir string) map[string]string {
	t.Helper()
	names, err := fs.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, name := range names {
		f, err := fs.Open(fs.PathJoin(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		info, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		b := make([]byte, info.Size())
		if _, err := f.ReadAt(b, 0); err != nil && len(b) > 0 {
			t.Fatal(err)
		}
		all[name] = string(b)
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// lived returns a closed store that has had a life: three shards of one counter with records in tables and in a log,
// one of them trimmed, one closed, a stream that was deleted, and values of both kinds.
func lived(t *testing.T) *vfs.MemFS {
	t.Helper()
	fs := vfs.NewMem()
	s := open(t, pebble.Options{Dir: "store", FS: fs}.WithMemTable(1<<18))
	ctx := t.Context()
	var writers []storage.Writer
	for _, id := range []storage.Shard{{Stream: 1}, {Stream: 1, Index: 1}, {Stream: 1, Index: 2}, {Stream: 2}} {
		if err := s.Log().Create(ctx, id, 0); err != nil {
			t.Fatal(err)
		}
		w, _, err := s.Log().Acquire(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		writers = append(writers, w)
	}
	for i := range 60 {
		if _, err := put(t, s, writers[i%4], fmt.Sprint(i, "/", strings.Repeat("x", 10_000))); err != nil {
			t.Fatal(err)
		}
	}
	_, err := s.Log().Close(ctx, writers[1].Shard)
	if err := errors.Join(
		err, s.Log().Trim(ctx, writers[0].Shard, 20), s.Log().Delete(ctx, 2),
		s.Local().Apply(ctx, storage.Sync, storage.LocalOp{Key: []byte("room/a"), Value: []byte("x")}),
	); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Coord().Commit(ctx, "", storage.Op{Key: "room/b", Value: []byte("y")}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return fs
}

// A store that is sound is found sound, and no byte of it is changed, whether it was closed or killed.
func TestAnInspectionFindsNothingInASoundStoreAndChangesNothing(t *testing.T) {
	t.Parallel()
	fs := lived(t)
	before := files(t, fs, "store")

	found, c := inspected(t, fs)

	if len(found) > 0 {
		t.Errorf("found %+v", found)
	}
	if c.Shards != 3 || c.Records != 38 || c.Blocks != c.Records || c.Values != 2 {
		t.Errorf("looked at %+v", c)
	}
	after := files(t, fs, "store")
	for name, content := range before {
		if after[name] != content {
			t.Errorf("%s was changed", name)
		}
	}
	if len(after) != len(before) {
		t.Errorf("%d files have become %d", len(before), len(after))
	}
}

// While a process has the store open, it cannot be inspected: what it writes would look like damage.
func TestAStoreInUseIsNotInspected(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, _ := made(t, pebble.Options{Dir: dir})
	_, err := pebble.Inspect(pebble.Options{Dir: dir})
	if err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("inspected: %v", err)
	}
	_ = s
}

// Every kind of damage is found, and named by its place.
func TestAnInspectionFindsDamage(t *testing.T) {
	t.Parallel()
	shard := storage.Shard{Stream: 1}
	// where the first block of a shard that is left begins, and its bytes
	block := func(t *testing.T, db *crdb.DB, id storage.Shard) (pos record.Position, value []byte) {
		it, err := db.NewIter(&crdb.IterOptions{
			LowerBound: pebble.BlockKey(id, 20), UpperBound: pebble.BlockKey(id, 1<<40),
		})
		if err != nil || !it.First() {
			t.Fatal("there is no block", err)
		}
		pos = record.Position(binary.BigEndian.Uint64(it.Key()[9:]))
		value = bytes.Clone(it.Value())
		if err := it.Close(); err != nil {
			t.Fatal(err)
		}
		return pos, value
	}
	other := storage.Shard{Stream: 1, Index: 2}
	for name, c := range map[string]struct {
		damage func(t *testing.T, db *crdb.DB, b *crdb.Batch)
		want   []string
	}{
		"a block is gone": {func(t *testing.T, db *crdb.DB, b *crdb.Batch) {
			pos, _ := block(t, db, other)
			_ = b.Delete(pebble.BlockKey(other, pos), nil)
		}, []string{"records are missing before position"}},
		"blocks beside a trim are gone": {func(_ *testing.T, _ *crdb.DB, b *crdb.Batch) {
			// where the trim of the first shard ends
			_ = b.Delete(pebble.BlockKey(storage.Shard{Stream: 1, Index: 1}, 20), nil)
			_ = b.Delete(pebble.BlockKey(other, 21), nil)
		}, []string{"records are missing before position 22"}},
		"the newest block is gone": {func(_ *testing.T, _ *crdb.DB, b *crdb.Batch) {
			closed := storage.Shard{Stream: 1, Index: 1}
			_ = b.Delete(pebble.BlockKey(closed, 44), nil) // of 45 positions every third is its own
		}, []string{"shardId-000000000001 of stream 1", "its newest records are missing"}},
		"a block's bytes are wrong": {func(t *testing.T, db *crdb.DB, b *crdb.Batch) {
			pos, value := block(t, db, other)
			value[len(value)-1]++
			_ = b.Set(pebble.BlockKey(other, pos), value, nil)
		}, []string{"shardId-000000000002 of stream 1", "cannot be read", "checksum"}},
		"two shards have the same position": {func(t *testing.T, db *crdb.DB, b *crdb.Batch) {
			pos, value := block(t, db, other)
			_ = b.Set(pebble.BlockKey(shard, pos), value, nil)
		}, []string{"positions that were given to others"}},
		"a shard has no state": {func(_ *testing.T, _ *crdb.DB, b *crdb.Batch) {
			_ = b.Delete(pebble.ShardKey(other), nil)
		}, []string{"shardId-000000000002 of stream 1", "no state"}},
		"a shard's state is damaged": {func(_ *testing.T, _ *crdb.DB, b *crdb.Batch) {
			_ = b.Set(pebble.ShardKey(other), make([]byte, 48), nil)
		}, []string{"shardId-000000000002 of stream 1", "bad shard state"}},
		"an index entry leads nowhere": {func(_ *testing.T, _ *crdb.DB, b *crdb.Batch) {
			_ = b.Set(pebble.TimeKey(other, 5), binary.LittleEndian.AppendUint64(nil, 1<<40), nil)
		}, []string{"shardId-000000000002 of stream 1", "no such block begins"}},
		"an index entry names the wrong instant": {func(t *testing.T, db *crdb.DB, b *crdb.Batch) {
			pos, _ := block(t, db, other)
			_ = b.Set(pebble.TimeKey(other, 5), binary.LittleEndian.AppendUint64(nil, uint64(pos)), nil)
		}, []string{"shardId-000000000002 of stream 1", "no such block begins"}},
		"a value is newer than the counter": {func(_ *testing.T, _ *crdb.DB, b *crdb.Batch) {
			_ = b.Set([]byte("\x50room/b"), binary.LittleEndian.AppendUint64(nil, 2), nil)
		}, []string{`"room/b"`, "revision is 2"}},
		"a key lies in no table": {func(_ *testing.T, _ *crdb.DB, b *crdb.Batch) {
			_ = b.Set([]byte("\x30lost"), nil, nil)
		}, []string{"nothing refers to"}},
		"the format is gone": {func(_ *testing.T, _ *crdb.DB, b *crdb.Batch) {
			_ = b.Delete(pebble.FormatKey(), nil)
		}, []string{"the format version"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fs := lived(t)
			s := open(t, pebble.Options{Dir: "store", FS: fs})
			b := pebble.DB(s).NewBatch()
			c.damage(t, pebble.DB(s), b)
			if err := errors.Join(b.Commit(crdb.Sync), s.Close()); err != nil {
				t.Fatal(err)
			}

			var text strings.Builder
			for _, f := range findings(t, fs) {
				fmt.Fprintf(&text, "%s: %s\n", f.Where, f.What)
			}

			for _, want := range c.want {
				if !strings.Contains(text.String(), want) {
					t.Errorf("%q is not in what was found:\n%s", want, text.String())
				}
			}
		})
	}
}

// One record is enough to be missed, if it was the newest.
func TestAnInspectionMissesTheNewestRecord(t *testing.T) {
	t.Parallel()
	fs := vfs.NewMem()
	s, w := made(t, pebble.Options{Dir: "store", FS: fs})
	for i := range 3 {
		if _, err := put(t, s, w, fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	_, err := s.Log().Close(t.Context(), w.Shard)
	if err := errors.Join(err, pebble.DB(s).Delete(pebble.BlockKey(w.Shard, 3), crdb.Sync), s.Close()); err != nil {
		t.Fatal(err)
	}

	found := findings(t, fs)

	if len(found) != 1 || !strings.HasSuffix(found[0].What, "that it ends at 3, and the last one is at 2") {
		t.Errorf("found %+v", found)
	}
}

// What a start would refuse because durable bytes are missing is a finding, and the rest is checked as well.
func TestAnInspectionFindsWhatTheFilesTell(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		suffix string
		change func([]byte) []byte
		want   string
	}{
		"a log was cut":         {".log", func(b []byte) []byte { return b[:len(b)/2] }, "can be read up to byte"},
		"a blob was cut":        {".blob", func(b []byte) []byte { return b[:len(b)/2] }, "it was cut"},
		"a byte of a blob":      {".blob", flip(func(n int) int { return n / 2 }), "corrupt"},
		"a byte of a table":     {".sst", flip(func(int) int { return 40 }), "checksum"},
		"a byte of the mark":    {"MARK", flip(func(int) int { return 4096 + 8 }), ""}, // the other one counts
		"a byte of a log":       {".log", flip(func(n int) int { return n / 2 }), "can be read up to byte"},
		"the sign is not there": {"SHARDMILL", nil, "not a shardmill data directory"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fs := lived(t)
			path := oldest(t, fs, c.suffix)
			if c.suffix == ".log" { // the last one: others are in tables
				for n := range files(t, fs, "store") {
					if strings.HasSuffix(n, ".log") {
						path = max(path, n)
					}
				}
			}
			if c.change == nil {
				remove(t, fs, path)
			} else {
				write(t, fs, path, string(c.change([]byte(files(t, fs, "store")[path]))))
			}

			var text strings.Builder
			for _, f := range findings(t, fs) {
				fmt.Fprintf(&text, "%s: %s\n", f.Where, f.What)
			}

			if c.want == "" && text.Len() > 0 || !strings.Contains(text.String(), c.want) {
				t.Errorf("%q is not in what was found:\n%s", c.want, text.String())
			}
		})
	}
}
