package kpl_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/shardmill/shardmill/internal/kpl"
	"github.com/shardmill/shardmill/record"
)

// vector is the aggregate of two records, A with the key a and E with the key e, that the scenarios are about.
const vector = "84mawgoBYQoBZRoFCAAaAUEaBQgBGgFFXHp0wvxYefAiTzikdu3OFA=="

func bytesOf(t *testing.T, text string) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// K-02: one shard, the vector; "2 user records, sub-sequence 0 and 1, data A and E".
func TestAnAggregateIsItsUserRecordsInOrder(t *testing.T) {
	t.Parallel()

	a, ok := kpl.Open(bytesOf(t, vector))

	want := []record.Record{{Key: "a", Data: []byte("A")}, {Key: "e", Data: []byte("E")}}
	if got := slices.Collect(a.All()); !ok || a.Len() != 2 || !cmp.Equal(got, want) {
		t.Errorf("ok %v, %d records: %s", ok, a.Len(), cmp.Diff(want, got))
	}
	whole := record.HashKeyRange{End: record.MaxHashKey}
	if !a.Within(whole) {
		t.Error("the records are not within a shard that has all keys")
	}
}

// K-03: two shards, the vector on shard 0; "0 user records: e hashes to shard 1".
func TestAnAggregateWithARecordOfAnotherShardIsNotWithinIt(t *testing.T) {
	t.Parallel()
	a, _ := kpl.Open(bytesOf(t, vector))
	half := record.HashKey{0x80}
	end := record.HashKey(bytes.Repeat([]byte{0xff}, 16))
	end[0] = 0x7f

	if a.Within(record.HashKeyRange{End: end}) {
		t.Error("the key e is taken for one of shard 0")
	}
	var p kpl.Packer // a hash key counts, not the key
	for _, hash := range []record.HashKey{{1}, {2}} {
		p.Add(record.Record{Key: "e", Hash: hash, Explicit: true}, 1000)
	}
	if a, _ := kpl.Open(p.Record().Data); !a.Within(record.HashKeyRange{End: end}) {
		t.Error("hash keys of shard 0 are not taken for such")
	}
	if a.Within(record.HashKeyRange{Start: half, End: record.MaxHashKey}) {
		t.Error("the key a is taken for one of shard 1")
	}
}

// K-04: the vector with last byte 15; "one record, whole blob". K-05: "blob f3899ac2 alone … one record".
func TestWhatDoesNotFitTheFormatIsOneRecord(t *testing.T) {
	t.Parallel()
	wrongSum := bytesOf(t, vector)
	wrongSum[len(wrongSum)-1] = 0x15
	for name, b := range map[string][]byte{
		"a wrong checksum": wrongSum, "nothing but the beginning": wrongSum[:4], "nothing": nil,
		"a checksum of nothing":           append(wrongSum[:4:4], bytes.Repeat([]byte{0}, 16)...),
		"text":                            []byte("an ordinary record"),
		"an empty message":                kpl.Framed(nil),
		"a group with the end of another": kpl.Framed([]byte("\x0a\x01k\x1a\x05\x08\x00\x1a\x01d\x5b\x64")),
		"a tag without a key":             kpl.Framed([]byte("\x0a\x01k\x1a\x09\x08\x00\x1a\x01d\x22\x02\x12\x00")),
	} {
		if a, ok := kpl.Open(b); ok {
			t.Errorf("%s: taken for an aggregate of %d records", name, a.Len())
		}
	}
}

// What AWS's Python library and its protobuf make, read and refuse. Source: testdata/vectors.txt says how it was made.
func TestAggregatesOfTheLibraryOfAWS(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/vectors.txt")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ = bytes.Cut(text, []byte("\n\n")) // what it is
	unhex := func(s string) []byte {
		b, err := hex.DecodeString(strings.Trim(s, "-"))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	cases := strings.Split(strings.TrimSpace(string(text)), "\n\n")
	if len(cases) < 20 {
		t.Fatalf("found %d vectors", len(cases))
	}
	for _, c := range cases {
		lines := strings.Split(c, "\n")
		var want []record.Record
		wanted := true
		for _, line := range lines[2:] {
			part := strings.Fields(line)
			if line == "  one record" {
				wanted = false
				continue
			}
			r := record.Record{Key: string(unhex(part[0])), Data: unhex(part[2])}
			r.Hash, r.Explicit = record.ParseHashKey(part[1])
			want = append(want, r)
		}
		a, ok := kpl.Open(unhex(strings.TrimSpace(lines[1])))
		if ok != wanted {
			t.Errorf("%s: taken for an aggregate: %v, want %v", lines[0], ok, wanted)
			continue
		}
		if got := slices.Collect(a.All()); a.Len() != len(want) || !cmp.Equal(got, want) {
			t.Errorf("%s: %d records: %s", lines[0], a.Len(), cmp.Diff(want, got))
		}
	}
}

// The record that the library of AWS makes of the same user records, byte for byte.
func TestAPackerWritesWhatTheLibraryOfAWSWrites(t *testing.T) {
	t.Parallel()
	var p kpl.Packer
	p.Add(record.Record{Key: "a", Data: []byte("A")}, 1<<20)
	p.Add(record.Record{Key: "e", Data: []byte("E")}, 1<<20)

	got := p.Record()

	want := record.Record{Key: "a", Hash: record.MD5Of("a"), Explicit: true, Data: bytesOf(t, vector)}
	if !cmp.Equal(got, want) {
		t.Error(cmp.Diff(want, got))
	}
}

// KPL: a record on its own is put as it is, with its own key.
func TestASingleRecordIsNotPacked(t *testing.T) {
	t.Parallel()
	var p kpl.Packer
	r := record.Record{Key: "k", Hash: record.HashKey{1}, Explicit: true, Data: []byte("alone")}
	p.Add(r, 1)

	if got := p.Record(); !cmp.Equal(got, r) {
		t.Error(cmp.Diff(r, got))
	}
	if p.Len() != 0 || p.Size() != 0 {
		t.Errorf("the packer keeps %d records of %d bytes", p.Len(), p.Size())
	}
}

// A packer has copied what it was given, and fills a record to its last byte.
func TestAPackerCopiesAndFills(t *testing.T) {
	t.Parallel()
	var p kpl.Packer
	data := []byte("one")
	add := func(most int) bool { return p.Add(record.Record{Key: "k", Data: data}, most) }
	add(1)
	copy(data, "two")
	if got := p.Record().Data; string(got) != "one" {
		t.Errorf("alone: %q", got)
	}
	add(1)
	add(1 << 20)
	full := p.Size()
	p.Record()
	add(1)
	if add(full-1) || !add(full) {
		t.Errorf("two records make %d bytes, and do not fit exactly", full)
	}
}

// Whatever is packed comes out again, whole and in order; a packer knows its size to the byte and keeps its bound.
func TestWhatIsPackedComesOutAgain(t *testing.T) {
	t.Parallel()
	key := rapid.OneOf(rapid.SampledFrom([]string{"a", "b", "schlüssel"}), rapid.StringN(1, 8, -1))
	one := rapid.Custom(func(t *rapid.T) record.Record {
		r := record.Record{Key: key.Draw(t, "key"), Data: rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(t, "data")}
		if rapid.Bool().Draw(t, "explicit") {
			r.Explicit, r.Hash = true, record.MD5Of(key.Draw(t, "hash"))
		}
		return r
	})
	var p kpl.Packer // used again and again, as a writer does
	rapid.Check(t, func(t *rapid.T) {
		records := rapid.SliceOfN(one, 1, 40).Draw(t, "records")
		most := rapid.IntRange(1, 3000).Draw(t, "most")
		var packed []record.Record
		for _, r := range records {
			if !p.Add(r, most) {
				break
			}
			packed = append(packed, r)
		}
		size := p.Size()
		out := p.Record()

		if out.Size() != size || len(packed) > 1 && size > most {
			t.Fatalf("%d bytes, announced as %d, of at most %d", out.Size(), size, most)
		}
		if len(packed) == 1 {
			return
		}
		a, ok := kpl.Open(out.Data)
		if got := slices.Collect(a.All()); !ok || !cmp.Equal(got, packed) {
			t.Fatalf("ok %v: %s", ok, cmp.Diff(packed, got))
		}
		if out.HashKeyOf() != packed[0].HashKeyOf() {
			t.Fatal("the aggregate does not go where its first record goes")
		}
	})
}

// Anybody can put bytes that look like an aggregate: whatever they are, reading ends, and what is read can be packed
// and read again. A sum is added, without which nothing would get behind it.
func FuzzOpen(f *testing.F) {
	seed, _ := base64.StdEncoding.DecodeString(vector)
	f.Add(seed[4 : len(seed)-16])
	f.Add([]byte("\x0a\x01k\x12\x015\x1a\x07\x08\x00\x10\x00\x1a\x01d\x53\x08\x01\x54"))
	f.Fuzz(func(t *testing.T, message []byte) {
		a, ok := kpl.Open(kpl.Framed(message))
		if !ok {
			return
		}
		read := slices.Collect(a.All())
		if a.Len() != len(read) {
			t.Fatalf("%d records announced, %d read", a.Len(), len(read))
		}
		var p kpl.Packer
		for _, r := range read {
			if !p.Add(r, 1<<30) {
				t.Fatal("a record does not fit")
			}
		}
		if len(read) < 2 {
			return
		}
		b, ok := kpl.Open(p.Record().Data)
		if again := slices.Collect(b.All()); !ok || !cmp.Equal(again, read) {
			t.Fatalf("ok %v: %s", ok, cmp.Diff(read, again))
		}
	})
}
