package queue

import (
	"cmp"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// model is the index as a plain list, slow and obvious.
type model []entry

func (m model) visible(now int64) []uint64 {
	var out []uint64
	for _, e := range m {
		if e.visible <= now {
			out = append(out, e.seq)
		}
	}
	slices.Sort(out)
	return out
}

func (m model) counts(now int64) (visible, inFlight, delayed int) {
	for _, e := range m {
		switch {
		case e.visible <= now:
			visible++
		case e.receives > 0:
			inFlight++
		default:
			delayed++
		}
	}
	return visible, inFlight, delayed
}

// The index agrees with a naive model after any adds, receives, deletes and passing of time.
func TestIndexAgreesWithANaiveModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		x, m, now := newIndex(), model{}, int64(1000)
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				seq := rapid.Uint64Range(1, 50).Draw(t, "seq")
				if slices.ContainsFunc(m, func(e entry) bool { return e.seq == seq }) {
					return
				}
				e := entry{seq: seq, visible: now + rapid.Int64Range(-3, 5).Draw(t, "hidden for")}
				m = append(m, e)
				x.add(&e, now)
			},
			"take": func(t *rapid.T) {
				n, hide := rapid.IntRange(0, 4).Draw(t, "n"), rapid.Int64Range(0, 5).Draw(t, "hide")
				want := m.visible(now)
				want = want[:min(n, len(want))]
				var got []uint64
				for _, e := range x.take(n, now, hide) {
					got = append(got, e.seq)
				}
				if !slices.Equal(got, want) {
					t.Fatalf("took %v, want %v", got, want)
				}
				for i := range m {
					if slices.Contains(want, m[i].seq) {
						m[i].visible = now + hide
						m[i].receives++
					}
				}
			},
			"remove": func(t *rapid.T) {
				if len(m) > 0 {
					i := rapid.IntRange(0, len(m)-1).Draw(t, "i")
					x.remove(x.bySeq[m[i].seq])
					m = slices.Delete(m, i, i+1)
				}
			},
			"wait": func(t *rapid.T) {
				now += rapid.Int64Range(1, 4).Draw(t, "ms")
				x.reveal(now)
			},
			"": func(t *rapid.T) {
				gv, gf, gd := x.counts()
				if v, f, d := m.counts(now); v != gv || f != gf || d != gd {
					t.Fatalf("counts %d %d %d, want %d %d %d", gv, gf, gd, v, f, d)
				}
				slices.SortFunc(m, func(a, b entry) int { return cmp.Compare(a.seq, b.seq) })
				e := x.oldest
				for i := range m {
					if e == nil || e.seq != m[i].seq {
						t.Fatalf("sending order breaks at %d", m[i].seq)
					}
					e = e.after
				}
				if e != nil || len(x.bySeq) != len(m) {
					t.Fatal("the index holds more than was added")
				}
			},
		})
	})
}
