package table

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"

	"github.com/shardmill/shardmill/companion/table/expr"
	"github.com/shardmill/shardmill/storage"
)

func sample() expr.Item {
	ns, _ := expr.SetOf(expr.NS, []expr.Value{num(10), num(9)})
	return expr.Item{
		"s": expr.Text("é"), "n": num(-5), "b": {Kind: expr.B, Text: "\x00"}, "t": {Kind: expr.BOOL, Bool: true},
		"0": {Kind: expr.NULL}, "ns": ns,
		"l": {Kind: expr.L, List: []expr.Value{{Kind: expr.M, Map: expr.Item{}}}},
	}
}

// The bytes of docs/format/table.md; a change here needs a new version.
func TestItemsAreStoredInTheDocumentedForm(t *testing.T) {
	t.Parallel()
	want := "01" + "07" + "0130" + "05" + "0162" + "03" + "0100" + "016c" + "06" + "01" + "0700" + "016e" + "02" +
		"022d35" +
		"026e73" + "09" + "02" + "020139" + "02023130" + "0173" + "01" + "02c3a9" + "0174" + "0401"
	if got := hex.EncodeToString(encodeItem(sample())); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	s := definition()
	s.Global[0].Number, s.Local[0].Number = 2, 1
	schemas := s.schemas()
	item := with(key("a\x00", 1), expr.Item{"g": expr.Text("u")})
	hash := hex.EncodeToString(hashPlace(item["id"])[:4])
	if got := hex.EncodeToString(schemas[0].placeOf(item)); got != hash+"6100ff0000"+"03400131"+"00" {
		t.Errorf("the table's place is %s", got)
	}
	if got := hex.EncodeToString(
		schemas[1].placeOf(item),
	); got != hash+"6100ff0000"+"750000"+"6100ff0000"+"0340013100" {
		t.Errorf("the local index' place is %s", got)
	}
}

func TestDamagedItemsAreNamed(t *testing.T) {
	t.Parallel()
	b := encodeItem(sample())
	for n := range b {
		if _, err := decodeItem(b[:n]); !errors.Is(err, storage.ErrCorrupt) {
			t.Errorf("cut to %d bytes: %v", n, err)
		}
	}
	for _, bad := range [][]byte{
		append(bytes.Clone(b), 0), append([]byte{2}, b[1:]...),
		{1, 1, 1, 'a', 99},
		{1, 0xff, 0xff, 0xff, 0xff, 0x0f},
		{1, 1, 1, 'a', byte(expr.N), 1, 'x'},
	} {
		if _, err := decodeItem(bad); !errors.Is(err, storage.ErrCorrupt) {
			t.Errorf("%x: %v", bad, err)
		}
	}
	for _, bad := range [][]byte{nil, {2, '{', '}'}, {1, '{'}, {1, '{', '}'}} {
		if _, err := decodeMeta(bad); !errors.Is(err, storage.ErrCorrupt) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func FuzzDecodeItem(f *testing.F) {
	f.Add(encodeItem(sample()))
	f.Add([]byte{1, 1, 1, 'a', byte(expr.L), 1, byte(expr.L), 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		item, err := decodeItem(b)
		if err != nil {
			return
		}
		again, err := decodeItem(encodeItem(item))
		if err != nil || !bytes.Equal(encodeItem(item), encodeItem(again)) {
			t.Errorf("%v became %v: %v", item, again, err)
		}
	})
}
