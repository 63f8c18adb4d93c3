package pebble

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/shardmill/shardmill/record"
)

func buildBlock(first record.Position, at record.Millis, rs []record.Record) *block {
	size := 0
	for i := range rs {
		size += recordBytes(&rs[i])
	}
	w := newBuilder(first, at, len(rs), size)
	for i := range rs {
		w.add(&rs[i])
	}
	return w.finish()
}

var sampleRecords = []record.Record{
	{Key: "k", Data: []byte("data")},
	{Key: "", Data: []byte{}},
	{
		Key: string(bytes.Repeat([]byte("ж"), 200)), Explicit: true, Hash: record.MaxHashKey,
		Data: bytes.Repeat([]byte{0}, 300),
	},
}

// docs/format/block.md: the bytes of version 1. A change here is a change of the format: it needs a new version.
func TestBlockBytesStayAsTheyAre(t *testing.T) {
	t.Parallel()
	b := buildBlock(7, 0x0102030405, []record.Record{
		{Key: "ab", Data: []byte("xyz")}, {Explicit: true, Hash: record.HashKey{15: 9}},
	})
	want := []byte{
		1, 0, 0, 0, // version, flags, reserved
		2, 0, 0, 0, // records
		5, 4, 3, 2, 1, 0, 0, 0, // first arrival
		5, 4, 3, 2, 1, 0, 0, 0, // last arrival
		0, 0, 0, 0, // sum, below
		65, 0, 0, 0, // length
		7, 0, 0, 0, 25, 0, 0, 0, // ends
		4, 'a', 'b', 0, 'x', 'y', 'z',
		1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0,
	}
	copy(want[24:28], []byte{0x28, 0x44, 0xd8, 0xaf}) // CRC-32C of the rest, computed elsewhere
	if d := cmp.Diff(want, b.bytes); d != "" {
		t.Fatalf("block (-want +got):\n%s", d)
	}
}

// docs/format/store.md: the bytes of version 1.
func TestShardStateBytesStayAsTheyAre(t *testing.T) {
	t.Parallel()
	st := shardState{closed: true, epoch: 1, first: 2, trim: 3, last: 4, highest: 5}
	want := []byte{
		1, 1, 0, 0, 0, 0, 0, 0, // version, flags, reserved, sum
		1, 0, 0, 0, 0, 0, 0, 0, // epoch
		2, 0, 0, 0, 0, 0, 0, 0, // first
		3, 0, 0, 0, 0, 0, 0, 0, // trim
		4, 0, 0, 0, 0, 0, 0, 0, // last
		5, 0, 0, 0, 0, 0, 0, 0, // highest
	}
	copy(want[4:8], []byte{0x8d, 0xe4, 0xb5, 0x59}) // CRC-32C of the rest, computed elsewhere
	if d := cmp.Diff(want, st.encode()); d != "" {
		t.Fatalf("state (-want +got):\n%s", d)
	}
	if got, err := decodeState(want); err != nil || got != st {
		t.Fatalf("decoded %+v, %v", got, err)
	}
}

func TestABlockComesBackAsItWas(t *testing.T) {
	t.Parallel()
	b, err := openBlock(7, buildBlock(7, 1234, sampleRecords).bytes)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range sampleRecords {
		want.Pos, want.Arrival = record.Position(7+i), 1234
		got, err := b.record(i)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Fatalf("record %d (-want +got):\n%s", i, d)
		}
	}
}

// One changed bit is found wherever it is: no function is ever given damaged records.
func TestEveryFlippedBitIsFound(t *testing.T) {
	t.Parallel()
	good := buildBlock(7, 1234, sampleRecords).bytes
	for i := range len(good) * 8 {
		bad := bytes.Clone(good)
		bad[i/8] ^= 1 << (i % 8)
		if _, err := openBlock(7, bad); !errors.Is(err, errBlock) {
			t.Fatalf("bit %d flipped: %v", i, err)
		}
	}
	for n := range good {
		if _, err := openBlock(7, good[:n]); !errors.Is(err, errBlock) {
			t.Fatalf("cut to %d bytes: %v", n, err)
		}
	}
}

// The checksum may be right and the rest wrong: any program that can write the file can compute it. Decoding must
// return an error, never panic.
func FuzzOpenBlock(f *testing.F) {
	f.Add(buildBlock(1, 5, sampleRecords).bytes)
	f.Add(buildBlock(1, 5, sampleRecords[:1]).bytes)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) >= blockHeader {
			data[0], data[1], data[2], data[3] = blockVersion, 0, 0, 0
			binary.LittleEndian.PutUint32(data[28:], uint32(len(data)))
			binary.LittleEndian.PutUint32(data[24:], blockSum(data))
		}
		b, err := openBlock(1, data)
		if err != nil {
			return
		}
		for i := range b.count {
			if r, err := b.record(i); err == nil && len(r.Data)+len(r.Key) > len(data) {
				t.Fatalf("record %d is larger than its block", i)
			}
		}
		_, _, _ = b.seek(1, b.lastArrival)
	})
}

func FuzzDecodeState(f *testing.F) {
	f.Add((&shardState{closed: true, epoch: 3, first: 1, trim: 2, last: 9, highest: 77}).encode())
	f.Fuzz(func(t *testing.T, data []byte) {
		if st, err := decodeState(data); err == nil && !bytes.Equal(st.encode(), data) {
			t.Fatalf("%x decodes to %+v, which encodes differently", data, st)
		}
	})
}
