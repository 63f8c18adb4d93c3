package stream

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/big"
	"math/bits"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/shardmill/shardmill/record"
)

// The vectors are numbers from the layout's documentation and numbers seen in production in 2019 and 2026.
var sequenceVectors = []struct {
	text string
	seq  Sequence
}{
	{"49646437577108476416916876405825929425585429676275269634", Sequence{1700000000, 0, 0, 1700000000, 2}},
	{"49646437577130777162115407028967465143858078037781250066", Sequence{1700000000, 1, 0, 1700000000, 2}},
	{"49646437577153077907313937652109000862130726399287230498", Sequence{1700000000, 2, 0, 1700000000, 2}},
	{"49646437577130777162115407028967465143858078037781250322", Sequence{1700000000, 17, 0, 1700000000, 2}},
	{"49646437577108476416916876405831974054683511274644439042", Sequence{1700000000, 0, 5, 1700000123, 2}},
	{
		"49646437577119626789516141717395488358902180459539595266",
		Sequence{1700000000, 0, record.MaxPosition, 1700000600, 2},
	},
	{"49594189147623985939251953501666965394405037144469929986", Sequence{1553568712, 0, 195, 1553568735, 2}},
	{
		"49674026002850188218576229259473476449429298564223254594",
		Sequence{1777319237, 3076, 21689507110, 1777320018, 2},
	},
}

// D-08, D-10, D-20: the text form, both ways.
func TestSequenceNumbersReadAndPrintAsInProduction(t *testing.T) {
	t.Parallel()
	for _, v := range sequenceVectors {
		got, err := ParseSequenceNumber(v.text)
		if err != nil || got != v.seq {
			t.Errorf("ParseSequenceNumber(%s) = %+v, %v; want %+v", v.text, got, err, v.seq)
		}
		if s := v.seq.String(); s != v.text {
			t.Errorf("%+v prints as %s, want %s", v.seq, s, v.text)
		}
	}
}

// D-09: neighbouring shards of one stream start 2^144 + 16 apart.
func TestNeighbouringShardsStartAFixedStepApart(t *testing.T) {
	t.Parallel()
	number := func(shard record.ShardID) *big.Int {
		n, _ := new(big.Int).SetString(Sequence{1700000000, shard, 0, 1700000000, 2}.String(), 10)
		return n
	}

	step := new(big.Int).Sub(number(1), number(0)).String()

	if step != "22300745198530623141535718272648361505980432" {
		t.Errorf("the step is %s", step)
	}
}

func TestOlderSequenceNumbersParse(t *testing.T) {
	t.Parallel()
	hex := func(s string) string {
		n, ok := new(big.Int).SetString(s, 16)
		if !ok {
			t.Fatal(s)
		}
		return n.String()
	}
	cases := []struct {
		name, text string
		want       Sequence
		ok         bool
	}{
		{"a small number is version 0 and ends in the shard", "5", Sequence{Shard: 5}, true},
		{"zero", "0", Sequence{}, true},
		{"the emptiest version 2", hex("2" + strings.Repeat("0", 45) + "2"), Sequence{Version: 2}, true},
		{"the emptiest version 1", hex("2" + strings.Repeat("0", 45) + "1"), Sequence{Version: 1}, true},
		{
			"version 1 keeps its time elsewhere",
			hex("2" + "00000000a" + "0" + "00" + "00000000b" + strings.Repeat("0", 16) + "00000007" + "1"),
			Sequence{Created: 10, Shard: 7, Time: 11, Version: 1},
			true,
		},
		{"version 3 is unknown", hex("2" + strings.Repeat("0", 45) + "3"), Sequence{}, false},
		{
			"an index with its top bit set", hex("2" + strings.Repeat("0", 10) + "8" + strings.Repeat("0", 34) + "2"),
			Sequence{},
			false,
		},
		{"a creation time that AWS refuses", hex("2" + "3bb2cc3d8" + strings.Repeat("0", 36) + "2"), Sequence{}, false},
		{
			"the last creation time that AWS takes", hex("2" + "3bb2cc3d7" + strings.Repeat("0", 36) + "2"),
			Sequence{Created: 16025174999, Version: 2},
			true,
		},
		{"between the versions", hex("2" + strings.Repeat("0", 40)), Sequence{}, false},
		{"nothing", "", Sequence{}, false},
		{"no number", "12a", Sequence{}, false},
		{"a sign", "-1", Sequence{}, false},
		{"more digits than bits", strings.Repeat("9", 129), Sequence{}, false},
	}
	for _, c := range cases {
		got, err := ParseSequenceNumber(c.text)
		if (err == nil) != c.ok || got != c.want {
			t.Errorf("%s: ParseSequenceNumber(%s) = %+v, %v; want %+v, ok %v", c.name, c.text, got, err, c.want, c.ok)
		}
	}
}

func TestShardWithItsTopBitSetPrintsAsNegative(t *testing.T) {
	t.Parallel()
	if got := (Sequence{Shard: 1 << 31, Version: 2}).shardText(); got != "shardId--02147483648" {
		t.Error(got)
	}
}

// D-10: whatever the parts, printing and parsing agree with math/big and with each other, and order follows creation,
// nibble, index.
func TestSequenceNumbersRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		q := Sequence{
			Created: rapid.Int64Range(0, seqLastCreated).Draw(t, "created"),
			Shard:   record.ShardID(rapid.Uint32().Draw(t, "shard")),
			Pos:     record.Position(rapid.Uint64Range(0, uint64(record.MaxPosition)).Draw(t, "pos")),
			Time:    rapid.Int64Range(0, seqMask36).Draw(t, "time"), Version: 2,
		}
		want := big.NewInt(2)
		for _, f := range []struct {
			bits uint
			v    uint64
		}{
			{36, uint64(q.Created)},
			{4, uint64(q.Shard) & 15},
			{64, uint64(q.Pos)},
			{8, 0},
			{36, uint64(q.Time)},
			{32, uint64(q.Shard)},
			{4, 2},
		} {
			want.Lsh(want, f.bits).Or(want, new(big.Int).SetUint64(f.v))
		}

		text := q.String()
		back, err := ParseSequenceNumber(text)

		if text != want.String() || err != nil || back != q {
			t.Fatalf("%+v prints as %s, want %s; parses as %+v, %v", q, text, want, back, err)
		}
	})
}

func TestEightDigitsAreWrittenAtOnce(t *testing.T) {
	t.Parallel()
	check := func(v uint64) {
		var b [8]byte
		binary.LittleEndian.PutUint64(b[:], digits8(v))
		if want := fmt.Sprintf("%08d", v); string(b[:]) != want {
			t.Fatalf("%s is written as %s", want, b)
		}
	}
	for v := range uint64(10_000) { // both halves are written alike: every four digits in each
		check(v)
		check(v * 10_000)
		check(v*10_000 + (9_999 - v))
	}
}

func TestWordsAreDividedExactly(t *testing.T) {
	t.Parallel()
	check := func(t rapid.TB, hi, lo uint64) {
		t.Helper()
		quo, rem := byTenTo19(hi, lo)
		if q, r := bits.Div64(hi, lo, tenTo19); quo != q || rem != r {
			t.Fatalf("(%d, %d) / 10^19 is %d, rest %d; want %d, rest %d", hi, lo, quo, rem, q, r)
		}
	}
	// One division in twenty thousand needs the second correction of the quotient: chance would hardly find one.
	check(t, 9_963_798_628_966_191_794, 18_316_217_460_110_795_626)
	check(t, 9_611_591_721_416_520_567, 18_207_261_101_364_472_657)
	check(t, tenTo19-14, math.MaxUint64)
	rapid.Check(t, func(t *rapid.T) {
		hi := rapid.OneOf(rapid.Uint64Max(tenTo19-1), rapid.Just(uint64(tenTo19-1))).Draw(t, "hi")
		lo := rapid.OneOf(rapid.Uint64(), rapid.Just(uint64(math.MaxUint64))).Draw(t, "lo")
		check(t, hi, lo)
	})
}

// D-17, D-18: shard ids are read leniently.
func TestShardIDsAreNormalised(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"0", "-0", "shard-0", "anything-0", "shardId-0", "shardId-000000000000", "a-0-b"} {
		if id, ok := ParseShardID(s); !ok || id != 0 {
			t.Errorf("ParseShardID(%q) = %v, %v", s, id, ok)
		}
	}
	for _, s := range []string{
		"", "-", "ABKLFD8", "2.14E4", "2147483648", "shardId-002147483648", "shardId-", "a-b-0", "0x1",
	} {
		if id, ok := ParseShardID(s); ok {
			t.Errorf("ParseShardID(%q) = %v, want malformed", s, id)
		}
	}
	if id, ok := ParseShardID("x-2147483647"); !ok || id != 2147483647 {
		t.Error(id, ok)
	}
}

func FuzzParseSequenceNumber(f *testing.F) {
	for _, v := range sequenceVectors {
		f.Add(v.text)
	}
	f.Add("5")
	f.Add(strings.Repeat("9", 129))
	f.Fuzz(func(t *testing.T, text string) {
		q, err := ParseSequenceNumber(text)
		_ = q.shardText()
		if err != nil || q.Version != 2 {
			return
		}
		again, err := ParseSequenceNumber(q.String())
		if err != nil || again != q {
			t.Fatalf("%s parses as %+v, which prints as %s and parses as %+v, %v", text, q, q.String(), again, err)
		}
	})
}

func BenchmarkSequenceNumber(b *testing.B) {
	q := Sequence{1700000000, 3076, 21689507110, 1777320018, 2}
	buf := make([]byte, 0, 64)
	b.ReportAllocs()
	for b.Loop() {
		buf = q.Append(buf[:0])
	}
}
