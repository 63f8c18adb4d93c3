package bucket

import (
	"slices"
	"sort"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// Whatever the keys, the pages of a list together are what sorting and grouping all of them gives, for objects and for
// uploads.
func TestListsAgreeWithAModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		b := begin(t, "")
		key := rapid.StringOfN(rapid.SampledFrom([]rune("ab/\x00ä")), 1, 5, -1)
		keys := rapid.SliceOfNDistinct(key, 0, 12, rapid.ID[string]).Draw(rt, "keys")
		for _, k := range keys {
			b.put(k, k)
			if _, err := b.Begin(t.Context(), "bbb", k, Upload{}); err != nil {
				t.Fatal(err)
			}
		}
		q := Query{
			Prefix:    rapid.SampledFrom([]string{"", "a", "a/", "\x00"}).Draw(rt, "prefix"),
			Delimiter: rapid.SampledFrom([]string{"", "/", "b/"}).Draw(rt, "delimiter"),
			After:     rapid.OneOf(rapid.Just(""), key).Draw(rt, "after"), Max: rapid.IntRange(1, 4).Draw(rt, "max"),
		}
		var want []string
		sort.Strings(keys)
		for _, k := range keys {
			rest, ok := strings.CutPrefix(k, q.Prefix)
			if !ok || k <= q.After {
				continue
			}
			if head, _, found := strings.Cut(rest, q.Delimiter); q.Delimiter != "" && found {
				k = q.Prefix + head + q.Delimiter
			}
			if k != q.After && !slices.Contains(want, k) {
				want = append(want, k)
			}
		}
		var objects, uploads []string
		for from := q; ; {
			page, err := b.List(t.Context(), "bbb", from)
			if err != nil {
				t.Fatal(err)
			}
			for _, o := range page.Objects {
				objects = append(objects, o.Key)
			}
			objects = append(objects, page.Groups...)
			if from.After = page.Last; from.After == "" {
				break
			}
		}
		for from, id := q, ""; ; {
			page, err := b.Uploads(t.Context(), "bbb", from, id)
			if err != nil {
				t.Fatal(err)
			}
			for _, u := range page.Uploads {
				uploads = append(uploads, u.Key)
			}
			uploads = append(uploads, page.Groups...)
			if from.After, id = page.Last, page.LastID; from.After == "" {
				break
			}
		}
		sort.Strings(objects) // within a page, groups come behind objects
		sort.Strings(uploads)
		if !slices.Equal(objects, want) || !slices.Equal(uploads, want) {
			rt.Fatalf("of %q, %+v\nlists %q\nand uploads %q\nwant %q", keys, q, objects, uploads, want)
		}
	})
}
