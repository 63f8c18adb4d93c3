package mapping

import (
	"errors"
	"testing"

	"github.com/shardmill/shardmill/storage"
	"github.com/shardmill/shardmill/storage/storagetest"
)

// A change whose reply is lost returns what really happened: success if it was applied; if not, nothing has changed and
// the same call succeeds.
func TestChangesWhoseAnswersAreLost(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]storagetest.Fault{
		"applied": storagetest.LoseWord, "not applied": storagetest.LoseIt,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			faulty := &storagetest.Faulty{}
			b := setup(t, func(o *Options) { faulty.Coord, o.Coord = o.Coord, faulty })
			do := func(what string, call func() error) {
				t.Helper()
				faulty.FailNext(1, fault)
				err := call()
				if fault == storagetest.LoseIt {
					if !errors.Is(err, storage.ErrUnchanged) {
						t.Fatalf("%s: %v", what, err)
					}
					err = call()
				}
				if err != nil {
					t.Fatalf("%s: %v", what, err)
				}
			}
			var m *Mapping
			do("create", func() (err error) { m, _, err = b.Create(t.Context(), me, input()); return err })
			do("settle", func() error { return b.Settled(t.Context(), m.UUID, 1, Enabled) })
			do("update", func() error {
				_, _, err := b.Update(t.Context(), me, m.UUID, UpdateInput{
					Knobs{BatchSize: new(int64(7)), FunctionName: new("g")},
				})
				return err
			})
			if got := b.get(t, m.UUID); got.BatchSize != 7 || got.Version != 2 || got.FunctionName != "g" {
				t.Errorf("updated to %+v", got)
			}
			do("settle", func() error { return b.Settled(t.Context(), m.UUID, 2, Enabled) })
			do("delete", func() error { _, err := b.Delete(t.Context(), me, m.UUID); return err })
			do("remove", func() error { return b.Removed(t.Context(), m.UUID) })
			if n := b.coord.keys(); n != 0 {
				t.Errorf("%d keys are left", n)
			}
		})
	}
}

// A loop that cannot win ends: here leftovers of an unfinished change hold the new pair, so that what the loop reads
// never changes.
func TestUpdateThatCannotWinEnds(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m := b.create(t)
	b.settle(t)
	g := "arn:aws:lambda:us-east-1:000000000000:function:g"
	if _, err := b.coord.Commit(t.Context(), group, storage.Op{
		Key: pairKey(orders, g), Value: []byte(m.UUID), Expect: storage.Any,
	}); err != nil {
		t.Fatal(err)
	}
	before := b.coord.count()

	_, _, err := b.Update(t.Context(), me, m.UUID, UpdateInput{Knobs{FunctionName: new("g")}})

	if !errors.Is(err, storage.ErrConflict) || b.coord.count()-before > 3 {
		t.Errorf("%v after %d commits", err, b.coord.count()-before)
	}
}

// So does a create: its UUID already has a row.
func TestCreateThatCannotWinEnds(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *Options) { o.NewUUID = func() string { return "00000000-0000-4000-8000-000000000001" } })
	b.create(t)

	_, _, err := b.Create(t.Context(), me, input(func(in *CreateInput) { in.FunctionName = new("g") }))

	if !errors.Is(err, storage.ErrConflict) {
		t.Errorf("got %v", err)
	}
}
