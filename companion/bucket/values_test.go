package bucket

import (
	"bytes"
	"testing"
)

// namedValues are values that give their contents the names that a test has chosen.
type namedValues struct {
	*values
	names []blob
}

func (v *namedValues) create() (draft, error) {
	n := v.names[0]
	v.names = v.names[1:]
	return &valueDraft{local: v.local, name: n}, nil
}

// Names in the store are random: a content is counted, read and removed whatever its bytes, and takes none of its
// neighbours along.
func TestContentInTheStoreMayHaveAnyName(t *testing.T) {
	t.Parallel()
	b := begin(t, "")
	least, most := blob{}, blob(bytes.Repeat([]byte{0xff}, len(blob{})))
	second, last := least, most
	second[len(second)-1], last[len(last)-1] = 1, 0xfe
	store := b.Buckets.content.(*values)
	b.Buckets.content = &namedValues{store, []blob{least, second, last, most}}
	body := string(bytes.Repeat([]byte("0123456789"), valueSize/10+1)) // two values each
	keys := []string{"least", "second", "last", "most"}
	for _, key := range keys {
		b.put(key, body)
	}
	for i, key := range keys {
		if n := b.kept(); n != len(keys)-i {
			t.Errorf("before %s goes, %d contents are kept", key, n)
		}
		for _, left := range keys[i:] {
			if got := b.content(left); got != body {
				t.Errorf("before %s goes, %d bytes of %s are left", key, len(got), left)
			}
		}
		if _, err := b.Remove(t.Context(), "bbb", Remove{Key: key}); err != nil {
			t.Fatal(err)
		}
	}
	if n := b.kept(); n != 0 {
		t.Errorf("%d contents are left", n)
	}
}
