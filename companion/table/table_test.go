package table

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/shardmill/shardmill/companion/table/expr"
	"github.com/shardmill/shardmill/fault"
	"github.com/shardmill/shardmill/internal/clock"
	"github.com/shardmill/shardmill/storage"
	"github.com/shardmill/shardmill/storage/memory"
	"github.com/shardmill/shardmill/storage/storagetest"
)

// newCrashable returns a memory backend that can lose what was not synced, and fail or wait on demand.
func newCrashable() *storagetest.Crashable {
	return storagetest.NewCrashable(func() storage.Local { return memory.New(memory.Options{}).Local() })
}

// bench is a running Tables with one table, orders, whose key is id (S) and at (N), with the global index byG: g (S)
// and at.
type bench struct {
	t     *testing.T
	local *storagetest.Crashable
	clock *clock.Clock
	*Tables
}

var orders = Name{Account: "111122223333", Region: "eu-west-1", Table: "orders"}

func definition() Definition {
	return Definition{
		Attributes: []Attribute{{"id", "S"}, {"at", "N"}, {"g", "S"}},
		Key:        []KeyElement{{"id", "HASH"}, {"at", "RANGE"}}, Billing: OnDemand,
		EncryptionKey: "arn:aws:kms:a:b:key/c",
		Global: []Index{
			{
				Name: "byG", Key: []KeyElement{{"g", "HASH"}, {"at", "RANGE"}}, Projection: Include,
				Attributes: []string{"x"},
			},
		},
		Local: []Index{{Name: "byL", Key: []KeyElement{{"id", "HASH"}, {"g", "RANGE"}}, Projection: KeysOnly}},
	}
}

func setup(t *testing.T) *bench {
	b := open(t, newCrashable())
	_, err := b.Create(t.Context(), orders, definition())
	b.must(err)
	return b
}

// open starts Tables over a store, as a new process would.
func open(t *testing.T, local *storagetest.Crashable) *bench {
	t.Helper()
	c := clock.New(0)
	ts, err := New(Options{Local: local, Clock: c})
	if err == nil {
		err = ts.Start(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(ts.Stop)
	return &bench{t, local, c, ts}
}

func (b *bench) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

func num(n int) expr.Value { return expr.Num(expr.Integer(n)) }

func key(id string, at int) expr.Item { return expr.Item{"id": expr.Text(id), "at": num(at)} }

func with(item expr.Item, more expr.Item) expr.Item {
	for k, v := range more {
		item[k] = v
	}
	return item
}

func (b *bench) put(item expr.Item) Written {
	b.t.Helper()
	w, err := b.Write(b.t.Context(), orders, Write{Kind: Put, Item: item})
	b.must(err)
	return w
}

func (b *bench) delete(k expr.Item) Written {
	b.t.Helper()
	w, err := b.Write(b.t.Context(), orders, Write{Kind: Delete, Key: k})
	b.must(err)
	return w
}

func (b *bench) get(k expr.Item) expr.Item {
	b.t.Helper()
	got, err := b.Get(b.t.Context(), orders, k, true)
	b.must(err)
	return got.Item
}

func (b *bench) page(r Range) Page {
	b.t.Helper()
	p, err := b.Page(b.t.Context(), orders, r)
	b.must(err)
	return p
}

func (b *bench) same(got, want any) {
	b.t.Helper()
	if d := cmp.Diff(want, got, cmp.AllowUnexported(expr.Number{}), cmpopts.EquateEmpty()); d != "" {
		b.t.Errorf("(-want +got)\n%s", d)
	}
}

func byHash(name string, v expr.Value) []expr.KeyPart {
	return []expr.KeyPart{{Attribute: name, Operator: "=", Values: []expr.Value{v}}}
}

func refused(t *testing.T, err error, code, message string) {
	t.Helper()
	var f *fault.Error
	if !errors.As(err, &f) || f.Code != code || f.Message != message {
		t.Errorf("got %v, want %s: %s", err, code, message)
	}
}

// Acknowledged changes survive kill -9: items, indexes, definitions.
func TestWritesAreDurableWhenTheyReturn(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.put(with(key("a", 1), expr.Item{"g": expr.Text("u"), "x": num(1), "y": num(2)}))
	b.put(key("a", 2))
	b.delete(key("a", 2))
	u, err := expr.NewScope(nil, map[string]expr.Value{":1": num(1)}).Update("ADD n :1")
	b.must(err)
	_, err = b.Write(t.Context(), orders, Write{Kind: Update, Key: key("b", -7), Update: u})
	b.must(err)

	b = open(t, b.local.Kill())

	b.same(b.get(key("a", 1)), with(key("a", 1), expr.Item{"g": expr.Text("u"), "x": num(1), "y": num(2)}))
	b.same(b.get(key("a", 2)), expr.Item(nil))
	b.same(b.get(key("b", -7)), with(key("b", -7), expr.Item{"n": num(1)}))
	b.same(b.page(Range{Index: "byG", Query: byHash("g", expr.Text("u"))}).Items, []expr.Item{
		with(key("a", 1), expr.Item{"g": expr.Text("u"), "x": num(1)}),
	})
	d, err := b.Describe(t.Context(), orders)
	b.must(err)
	if d.Items != 2 || d.Indexes["byG"].Items != 1 || d.Indexes["byL"].Items != 1 {
		t.Errorf("counted %+v", d)
	}
}

// A write that the store refuses changes nothing, and the next one works.
func TestWriteThatFailsChangesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.put(with(key("a", 1), expr.Item{"g": expr.Text("u")}))
	b.local.FailWith(storage.ErrFull)
	_, err := b.Write(t.Context(), orders, Write{Kind: Put, Item: key("a", 1)})
	refused(t, err, CodeInternal, "")
	b.local.FailWith(storage.ErrBusy)
	done, _, err := b.WriteAll(t.Context(), []Named{{orders, Write{Kind: Put, Item: key("a", 1)}}})
	if err != nil || !slices.Equal(done, []bool{false}) {
		t.Errorf("%v %v, want one left to do", done, err)
	}
	b.local.FailWith(nil)

	b.same(b.get(key("a", 1)), with(key("a", 1), expr.Item{"g": expr.Text("u")}))
	b.put(key("a", 1))
	if p := b.page(Range{Index: "byG"}); p.Read != 0 {
		t.Errorf("the index still has %v", p.Items)
	}
}

// A deleted table leaves nothing behind, and the next table of that name inherits nothing.
func TestDeletedTableLeavesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.put(with(key("a", 1), expr.Item{"g": expr.Text("u")}))
	_, err := b.Delete(t.Context(), orders)
	b.must(err)
	if n := b.local.Count("table/i/") + b.local.Count("table/t/"); n != 0 {
		t.Errorf("%d keys are left", n)
	}
	_, err = b.Get(t.Context(), orders, key("a", 1), true)
	refused(t, err, CodeNotFound, "Requested resource not found")
	_, err = b.Create(t.Context(), orders, definition())
	b.must(err)
	b.same(b.get(key("a", 1)), expr.Item(nil))
}

func TestProtectedTableStays(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, err := b.Change(t.Context(), orders, Change{Protected: new(true)})
	b.must(err)
	_, err = b.Delete(t.Context(), orders)
	refused(
		t, err, CodeValidation,
		"Resource cannot be deleted as it is currently protected against deletion. Disable deletion protection first.",
	)
}

// Accounts and regions do not see each other's tables; names come in byte order, page by page.
func TestListGoesByAccountAndRegion(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, n := range []Name{
		{"111122223333", "eu-west-1", "b.b"},
		{"111122223333", "eu-west-1", "aaa"},
		{"111122223333", "eu-west-2", "other"},
		{"111122223334", "eu-west-1", "other"},
	} {
		_, err := b.Create(t.Context(), n, definition())
		b.must(err)
	}
	names, more, err := b.List(t.Context(), "111122223333", "eu-west-1", "", 2)
	if err != nil || !more || !slices.Equal(names, []string{"aaa", "b.b"}) {
		t.Errorf("%v %t %v", names, more, err)
	}
	names, more, err = b.List(t.Context(), "111122223333", "eu-west-1", "b.b", 2)
	if err != nil || more || !slices.Equal(names, []string{"orders"}) {
		t.Errorf("%v %t %v", names, more, err)
	}
}

// F-68's rule without the wire: writes of one item take turns, reads see whole items.
func TestWritesOfOneItemTakeTurns(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u, err := expr.NewScope(nil, map[string]expr.Value{":1": num(1)}).Update("ADD n :1 SET m = if_not_exists(n, :1)")
	b.must(err)
	var all sync.WaitGroup
	for i := range 100 {
		all.Go(func() {
			_, err := b.Write(t.Context(), orders, Write{Kind: Update, Key: key("a", i%2), Update: u})
			if err != nil {
				t.Error(err)
			}
			b.page(Range{Index: "byL"})
		})
	}
	all.Wait()
	for i := range 2 {
		b.same(b.get(key("a", i))["n"], num(50))
	}
}

func TestItemsHaveLimits(t *testing.T) {
	t.Parallel()
	b := setup(t)
	put := func(item expr.Item) error {
		_, err := b.Write(t.Context(), orders, Write{Kind: Put, Item: item})
		return err
	}
	room := MaxItemBytes - expr.ItemSize(with(key("a", 1), expr.Item{"x": expr.Text("")}))
	b.must(put(with(key("a", 1), expr.Item{"x": expr.Text(strings.Repeat("x", room))})))
	refused(
		t, put(with(key("a", 1), expr.Item{"x": expr.Text(strings.Repeat("x", room+1))})), CodeValidation,
		"Item size has exceeded the maximum allowed size",
	)
	u, err := expr.NewScope(nil, map[string]expr.Value{":1": num(1)}).Update("SET y = :1")
	b.must(err)
	_, err = b.Write(t.Context(), orders, Write{Kind: Update, Key: key("a", 1), Update: u})
	refused(t, err, CodeValidation, "Item size to update has exceeded the maximum allowed size")
	b.must(put(key(strings.Repeat("k", maxHashKey), 1)))
	refused(t, put(key(strings.Repeat("k", maxHashKey+1), 1)), CodeValidation,
		"One or more parameter values were invalid: Size of hashkey has exceeded the maximum size limit of2048 bytes")
	refused(t, put(with(key("a", 1), expr.Item{"g": num(1)})), CodeValidation,
		"One or more parameter values were invalid: Type mismatch for Index Key g Expected: S Actual: N IndexName: byL")
	deep := expr.Value{Kind: expr.NULL}
	for range MaxDepth {
		deep = expr.Value{Kind: expr.L, List: []expr.Value{deep}}
	}
	b.must(put(with(key("a", 1), expr.Item{"x": deep})))
	b = open(t, b.local.Kill())
	b.same(b.get(key("a", 1))["x"], deep)
	if err := put(with(key("a", 1), expr.Item{
		"x": {Kind: expr.M, Map: expr.Item{"y": deep}},
	})); fault.CodeOf(err) != CodeValidation {
		t.Errorf("one level more: %v", err)
	}
}

// Scylla's issue 5862 describes AWS: removing from a missing item does not create it; an update without actions does.
func TestUpdateThatOnlyTakesAwayMakesNoItem(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u, err := expr.NewScope(nil, nil).Update("REMOVE x")
	b.must(err)
	_, err = b.Write(t.Context(), orders, Write{Kind: Update, Key: key("a", 1), Update: u})
	b.must(err)
	b.same(b.get(key("a", 1)), expr.Item(nil))
	_, err = b.Write(t.Context(), orders, Write{Kind: Update, Key: key("a", 1)})
	b.must(err)
	b.same(b.get(key("a", 1)), key("a", 1))
}

func TestStartAndStopTwice(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.must(b.Start(t.Context()))
	b.Stop()
	b.Stop()
	if _, err := b.Get(t.Context(), orders, key("a", 1), true); !errors.Is(err, ErrStopped) {
		t.Errorf("got %v", err)
	}
	b.must(b.Start(t.Context()))
	b.same(b.get(key("a", 1)), expr.Item(nil))
}

// Tables made one after the other have different numbers, even across a restart.
func TestNumbersOfTablesAreNotReused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, err := b.Delete(t.Context(), orders)
	b.must(err)
	b = open(t, b.local.Kill())
	_, err = b.Create(t.Context(), orders, definition())
	b.must(err)
	if n := b.tables[orders].meta.Number; n != 2 {
		t.Errorf("the second table has number %d", n)
	}
}
