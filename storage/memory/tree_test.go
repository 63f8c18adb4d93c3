package memory

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// The tree agrees with a sorted slice; views taken on the way must keep showing their moment.
func TestTreeAgreesWithASortedSlice(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var tr tree
		var model []string
		type moment struct {
			v    view
			keys []string
		}
		var moments []moment
		keys := rapid.Map(rapid.IntRange(0, 600), func(i int) string { return fmt.Sprintf("%03d", i) })
		for range rapid.IntRange(1, 40).Draw(t, "rounds") {
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0, 1:
				for _, k := range rapid.SliceOfN(keys, 1, 200).Draw(t, "set") {
					tr.set(item{key: k})
					if i, ok := slices.BinarySearch(model, k); !ok {
						model = slices.Insert(model, i, k)
					}
				}
			case 2:
				lo, hi := keys.Draw(t, "lo"), keys.Draw(t, "hi")
				tr.removeRange(lo, hi)
				model = slices.DeleteFunc(model, func(k string) bool { return k >= lo && k < hi })
			case 3:
				moments = append(moments, moment{tr.view(), slices.Clone(model)})
			}
		}
		moments = append(moments, moment{tr.view(), model})
		for _, m := range moments {
			var up, down []string
			m.v.ascend("", func(it item) bool { up = append(up, it.key); return true })
			m.v.descend("", false, func(it item) bool { down = append(down, it.key); return true })
			slices.Reverse(down)
			if !slices.Equal(up, m.keys) || !slices.Equal(down, m.keys) {
				t.Fatalf("ascending %v\ndescending %v\nwant %v", up, down, m.keys)
			}
		}
	})
}
