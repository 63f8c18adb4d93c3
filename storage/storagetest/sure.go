package storagetest

import (
	"context"
	"errors"
	"testing"

	"github.com/shardmill/shardmill/storage"
)

// sureTests test what storage.Sure makes of a backend whose replies get lost.
var sureTests = []test{
	sureOf("an answer that is lost after the commit was applied is found",
		func(b *bench, f *Faulty, sure storage.Coord) {
			f.FailNext(1, LoseWord)
			rev, err := sure.Commit(b.ctx, "g/", op("a", "1", storage.Absent), op("b", "1", storage.Any))
			b.must(err)
			if a, c := b.get("g/a"), b.get("g/b"); a.Revision != rev || c.Revision != rev || string(a.Value) != "1" {
				b.t.Fatalf("revision %d; %+v and %+v", rev, a, c)
			}
			b.must(second(sure.Commit(b.ctx, "g/", op("a", "2", rev))))
		}),
	sureOf("an answer that is lost before the commit was applied says that nothing happened",
		func(b *bench, f *Faulty, sure storage.Coord) {
			f.FailNext(1, LoseIt)
			err := second(sure.Commit(b.ctx, "g/", op("a", "1", storage.Absent)))
			if !errors.Is(err, storage.ErrUnchanged) || errors.Is(err, storage.ErrUnknown) ||
				!errors.Is(err, ErrLost) || !storage.Unchanged(err) || b.get("g/a").Revision != 0 {
				b.t.Fatalf("%v; %+v", err, b.get("g/a"))
			}
			b.must(second(sure.Commit(b.ctx, "g/", op("a", "1", storage.Absent))))
		}),
	sureOf("a deletion is found out about as well", func(b *bench, f *Faulty, sure storage.Coord) {
		rev := b.commit("g/", op("a", "1", storage.Absent))
		f.FailNext(1, LoseIt)
		b.want(second(sure.Commit(b.ctx, "g/", gone("a", rev))), storage.ErrUnchanged)
		f.FailNext(1, LoseWord)
		b.must(second(sure.Commit(b.ctx, "g/", gone("a", rev))))
		b.must(second(sure.Commit(b.ctx, "g/", op("a", "2", storage.Absent))))
	}),
	sureOf("what expects nothing is done again", func(b *bench, f *Faulty, sure storage.Coord) {
		f.FailNext(2, LoseIt)
		rev, err := sure.Commit(b.ctx, "g/", op("a", "1", storage.Any))
		b.must(err)
		if b.get("g/a").Revision != rev {
			b.t.Fatalf("%d, %+v", rev, b.get("g/a"))
		}
	}),
	sureOf("a conflict stays one, and one with somebody faster too", func(b *bench, f *Faulty, sure storage.Coord) {
		rev := b.commit("g/", op("a", "1", storage.Absent))
		b.want(second(sure.Commit(b.ctx, "g/", op("a", "2", storage.Absent))), storage.ErrConflict)
		f.Fail(func([]storage.Op) Fault {
			f.fault = nil
			b.commit("g/", op("a", "theirs", rev))
			return LoseIt
		})
		b.want(second(sure.Commit(b.ctx, "g/", op("a", "2", rev))), storage.ErrConflict)
	}),
	sureOf("a refusal is passed on without a look", func(b *bench, f *Faulty, sure storage.Coord) {
		f.Unread(func(string) bool { return true })
		f.FailNext(1, Refuse)
		b.want(second(sure.Commit(b.ctx, "g/", op("a", "1", storage.Absent))), storage.ErrUnchanged)
	}),
	sureOf(
		"what could not be found out is no conflict with oneself, applied",
		func(b *bench, f *Faulty, sure storage.Coord) { b.forerunner(f, sure, LoseWord) },
	),
	sureOf(
		"what could not be found out is no conflict with oneself, lost",
		func(b *bench, f *Faulty, sure storage.Coord) { b.forerunner(f, sure, LoseIt) },
	),
	sureOf("and two such commits are none", func(b *bench, f *Faulty, sure storage.Coord) {
		rev := b.commit("g/", op("a", "0", storage.Absent))
		f.Unread(func(string) bool { return true })
		f.FailNext(1, LoseWord)
		b.want(second(sure.Commit(b.ctx, "g/", op("a", "1", rev))), storage.ErrUnknown)
		f.FailNext(1, LoseIt)
		err := second(sure.Commit(b.ctx, "g/", op("a", "2", rev)))
		if err == nil || storage.Unchanged(err) && !errors.Is(err, storage.ErrConflict) {
			b.t.Fatalf("got %v", err)
		}
		f.Unread(nil)
		b.must(second(sure.Commit(b.ctx, "g/", op("a", "3", rev))))
		if string(b.get("g/a").Value) != "3" {
			b.t.Fatalf("%+v", b.get("g/a"))
		}
	}),
	sureOf("a conflict that may be with oneself is none while nothing can be read",
		func(b *bench, f *Faulty, sure storage.Coord) {
			f.Unread(func(string) bool { return true })
			f.FailNext(1, LoseWord)
			b.want(second(sure.Commit(b.ctx, "g/", op("a", "1", storage.Absent))), storage.ErrUnknown)
			if err := second(sure.Commit(b.ctx, "g/", op("a", "2", storage.Absent))); !errors.Is(
				err, storage.ErrUnchanged,
			) ||
				errors.Is(err, storage.ErrConflict) {
				b.t.Fatalf("got %v", err)
			}
			f.Unread(nil)
			b.must(second(sure.Commit(b.ctx, "g/", op("a", "3", storage.Absent))))
		}),
	sureOf("somebody else's commit after it is a conflict", func(b *bench, f *Faulty, sure storage.Coord) {
		f.Unread(func(string) bool { return true })
		f.FailNext(1, LoseWord)
		b.want(second(sure.Commit(b.ctx, "g/", op("a", "1", storage.Absent))), storage.ErrUnknown)
		f.Unread(nil)
		b.commit("g/", op("a", "theirs", storage.Any))
		b.want(second(sure.Commit(b.ctx, "g/", op("a", "2", storage.Absent))), storage.ErrConflict)
	}),
	sureOf("an outcome is found out about though whoever asked has gone",
		func(b *bench, f *Faulty, sure storage.Coord) {
			ctx, cancel := context.WithCancel(b.ctx)
			f.Fail(func([]storage.Op) Fault { cancel(); return LoseIt })
			b.want(second(sure.Commit(ctx, "g/", op("a", "1", storage.Absent))), storage.ErrUnchanged)
		}),
	sureOf("a value tells what became of a commit, where somebody else's deletion cannot",
		func(b *bench, f *Faulty, sure storage.Coord) {
			rev := b.commit("g/", op("a", "1", storage.Absent), op("b", "1", storage.Absent))
			f.Fail(func([]storage.Op) Fault {
				b.commit("g/", gone("a", rev))
				return LoseIt
			})
			b.want(second(sure.Commit(b.ctx, "g/", gone("a", rev), op("b", "2", rev))), storage.ErrUnchanged)
		}),
	sureOf("of several ops on a key the first says what was expected, and the last what is left",
		func(b *bench, f *Faulty, sure storage.Coord) {
			f.FailNext(1, LoseWord)
			rev, err := sure.Commit(b.ctx, "g/", op("a", "1", storage.Absent), op("a", "2", storage.Any))
			b.must(err)
			f.FailNext(1, LoseIt)
			b.want(second(sure.Commit(b.ctx, "g/", op("a", "3", rev), gone("a", storage.Any))), storage.ErrUnchanged)
			f.FailNext(1, LoseIt)
			// what was there before does not matter, so it is done again
			b.must(second(sure.Commit(b.ctx, "g/", gone("a", storage.Any), op("a", "4", storage.Absent))))
		}),
	sureOf("whoever goes on from a forerunner overwrites nobody else", func(b *bench, f *Faulty, sure storage.Coord) {
		rev := b.commit("g/", op("b", "0", storage.Absent))
		theirs := b.commit("g/", op("b", "theirs", rev))
		f.Unread(func(string) bool { return true })
		f.FailNext(1, LoseWord)
		b.want(second(sure.Commit(b.ctx, "g/", op("a", "1", storage.Absent), op("b", "1", theirs))), storage.ErrUnknown)
		f.Unread(nil)
		b.want(second(sure.Commit(b.ctx, "g/", op("a", "2", storage.Absent), op("b", "2", rev))), storage.ErrConflict)
		if string(b.get("g/b").Value) != "1" {
			b.t.Fatalf("%+v", b.get("g/b"))
		}
	}),
	sureOf("a forerunner may have deleted a key, and its values are its own",
		func(b *bench, f *Faulty, sure storage.Coord) {
			rev := b.commit("g/", op("b", "0", storage.Absent))
			f.Unread(func(string) bool { return true })
			f.FailNext(1, LoseWord)
			first := op("a", "1", storage.Absent)
			b.want(second(sure.Commit(b.ctx, "g/", first, gone("b", rev))), storage.ErrUnknown)
			first.Value[0] = 'x' // the bytes are the caller's again
			f.Unread(nil)
			next, err := sure.Commit(b.ctx, "g/", op("a", "2", storage.Absent), op("b", "2", rev))
			b.must(err)
			if e := b.get("g/b"); e.Revision != next || string(e.Value) != "2" {
				b.t.Fatalf("%+v", e)
			}
		}),
	sureOf("once a key is known again its conflicts are what they say, read or not",
		func(b *bench, f *Faulty, sure storage.Coord) {
			for _, answer := range []Fault{None, LoseWord} {
				rev := b.get("g/a").Revision
				f.Unread(func(string) bool { return true })
				f.FailNext(1, LoseWord)
				b.want(second(sure.Commit(b.ctx, "g/", op("a", "1", rev))), storage.ErrUnknown)
				f.Unread(nil)
				f.FailNext(1, answer)
				b.must(second(sure.Commit(b.ctx, "g/", op("a", "2", b.get("g/a").Revision))))

				f.Unread(func(string) bool { return true })
				b.want(second(sure.Commit(b.ctx, "g/", op("a", "3", rev))), storage.ErrConflict)
				f.Unread(nil)
			}
		}),
}

// forerunner makes a commit whose outcome stays unknown, and then another that expects what the caller last knew.
func (b *bench) forerunner(f *Faulty, sure storage.Coord, fault Fault) {
	f.Unread(func(string) bool { return true })
	f.FailNext(1, fault)
	b.want(
		second(sure.Commit(b.ctx, "g/", op("a", "1", storage.Absent), op("b", "1", storage.Any))), storage.ErrUnknown,
	)
	f.Unread(nil)

	rev, err := sure.Commit(b.ctx, "g/", op("a", "2", storage.Absent))

	b.must(err)
	if e := b.get("g/a"); e.Revision != rev || string(e.Value) != "2" {
		b.t.Fatalf("%d, %+v", rev, e)
	}
	b.want(second(sure.Commit(b.ctx, "g/", op("a", "3", storage.Absent))), storage.ErrConflict) // once
}

// sureOf returns a test on a Faulty Coord and its Sure wrapper.
func sureOf(name string, run func(b *bench, f *Faulty, sure storage.Coord)) test {
	return simple(name, func(_ *testing.T, b *bench) {
		f := &Faulty{Coord: b.Store.Coord()}
		run(b, f, storage.Sure(f))
	})
}

func op(key, value string, expect storage.Revision) storage.Op {
	return storage.Op{Key: "g/" + key, Value: []byte(value), Expect: expect}
}

func gone(key string, expect storage.Revision) storage.Op {
	return storage.Op{Key: "g/" + key, Expect: expect}
}

func second[T any](_ T, err error) error { return err }
