package storagetest

import (
	"fmt"
	"slices"
	"testing"

	"github.com/shardmill/shardmill/storage"
)

var localTests = []test{
	simple("ScanGoesBothWays", func(t *testing.T, b *bench) {
		var keys []string
		for i := range 500 {
			keys = append(keys, fmt.Sprintf("p/%03d", i))
		}
		for i := range keys { // out of order
			k := keys[(i*7)%len(keys)]
			b.apply(storage.Soon, storage.LocalOp{Key: []byte(k), Value: []byte("v" + k)})
		}
		b.apply(storage.Sync, storage.LocalOp{Key: []byte("o/"), Value: []byte("x")}, storage.LocalOp{
			Key: []byte("q/"), Value: []byte("x"),
		})
		for _, c := range []struct {
			lo, hi string
			want   []string
		}{
			{"p/", "p0", keys},
			{"p/100", "p/103", keys[100:103]},
			{"p/1", "p/100x", keys[100:101]},
			{"p/499", "", []string{"p/499", "q/"}},
			{"", "p/001", []string{"o/", "p/000"}},
			{"r", "", nil},
			{"p/300", "p/300", nil},
		} {
			b.same(fmt.Sprintf("scan [%s, %s)", c.lo, c.hi), b.keys(c.lo, c.hi, false), c.want)
			down := slices.Clone(c.want)
			slices.Reverse(down)
			b.same(fmt.Sprintf("scan [%s, %s) in reverse", c.lo, c.hi), b.keys(c.lo, c.hi, true), down)
		}
		n := 0
		b.must(b.Store.Local().Scan([]byte("p/"), nil, false, func(k, v []byte) bool {
			if string(v) != "v"+string(k) {
				t.Errorf("%s holds %s", k, v)
			}
			n++
			return n < 10
		}))
		if n != 10 {
			t.Fatalf("the scan went on for %d keys after being told to stop at 10", n)
		}
	}),
	simple("OpsApplyInOrderAndAsAWhole", func(t *testing.T, b *bench) {
		for i := range 10 {
			b.apply(storage.Soon, storage.LocalOp{Key: fmt.Appendf(nil, "k%d", i), Value: []byte("old")})
		}
		b.apply(storage.Sync,
			storage.LocalOp{Key: []byte("k5"), Value: []byte("dropped")},
			storage.LocalOp{Key: []byte("k2"), Until: []byte("k8")},
			storage.LocalOp{Key: []byte("k3"), Value: []byte("new")},
			storage.LocalOp{Key: []byte("k9")},
			storage.LocalOp{Key: []byte("empty"), Value: []byte{}})
		b.same("keys", b.keys("", "", false), []string{"empty", "k0", "k1", "k3", "k8"})
		if v, ok, err := b.Store.Local().Get([]byte("k3")); string(v) != "new" || !ok || err != nil {
			t.Fatalf("k3 is %q, %v, %v", v, ok, err)
		}
		if v, ok, err := b.Store.Local().Get([]byte("empty")); v == nil || len(v) != 0 || !ok || err != nil {
			t.Fatalf("the empty value is %v, %v, %v", v, ok, err)
		}
		if v, ok, err := b.Store.Local().Get([]byte("k5")); v != nil || ok || err != nil {
			t.Fatalf("k5 is %q, %v, %v; want nothing", v, ok, err)
		}
	}),
	simple("AScanSeesOneMoment", func(t *testing.T, b *bench) {
		const n = 400
		write := func(v string) error {
			ops := make([]storage.LocalOp, n)
			for i := range ops {
				ops[i] = storage.LocalOp{Key: fmt.Appendf(nil, "s/%03d", i), Value: []byte(v)}
			}
			return b.Store.Local().Apply(b.ctx, storage.Soon, ops...)
		}
		b.must(write("0"))
		done := make(chan struct{})
		go func() {
			defer close(done)
			for i := range 50 {
				if err := write(fmt.Sprint(i + 1)); err != nil {
					t.Errorf("apply: %v", err)
				}
			}
		}()
		for reverse := false; !isClosed(done); reverse = !reverse {
			first, seen := "", 0
			b.must(b.Store.Local().Scan([]byte("s/"), []byte("s0"), reverse, func(_, v []byte) bool {
				if seen++; first == "" {
					first = string(v)
				}
				if string(v) != first {
					t.Errorf("a scan saw %s and %s: two moments", first, v)
					return false
				}
				return true
			}))
			if seen != n {
				t.Fatalf("a scan saw %d keys of %d", seen, n)
			}
		}
	}),
	simple("AVisitMayWrite", func(t *testing.T, b *bench) {
		for i := range 20 {
			b.apply(storage.Soon, storage.LocalOp{Key: fmt.Appendf(nil, "a/%02d", i), Value: []byte("x")})
		}
		b.must(b.Store.Local().Scan([]byte("a/"), []byte("a0"), false, func(k, _ []byte) bool {
			b.apply(storage.Soon, storage.LocalOp{Key: slices.Clone(k)}, storage.LocalOp{
				Key: append([]byte("b"), k...), Value: []byte("y"),
			})
			return true
		}))
		if a, moved := b.keys("a/", "a0", false), b.keys("ba/", "ba0", false); len(a) != 0 || len(moved) != 20 {
			t.Fatalf("%d keys stayed, %d moved", len(a), len(moved))
		}
	}),
}

func (b *bench) apply(d storage.Durability, ops ...storage.LocalOp) {
	b.t.Helper()
	b.must(b.Store.Local().Apply(b.ctx, d, ops...))
}

// keys scans [lo, hi); an empty hi is no bound.
func (b *bench) keys(lo, hi string, reverse bool) (keys []string) {
	b.t.Helper()
	var until []byte
	if hi != "" {
		until = []byte(hi)
	}
	b.must(b.Store.Local().Scan([]byte(lo), until, reverse, func(k, _ []byte) bool {
		keys = append(keys, string(k))
		return true
	}))
	return keys
}
