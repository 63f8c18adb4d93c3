package stream

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"
	"strconv"

	"github.com/shardmill/shardmill/record"
)

// Layout of a version 2 sequence number, bits counted from the right. The leading hex digit, bits 184 to 187, is the
// constant 2. Source: numbers seen in production from 2015 to 2026, and the layout kinesalite derived from them.
const (
	seqShardShift   = 4   // 32 bits: shard index
	seqTimeShift    = 36  // 36 bits: record time, epoch seconds
	seqIndexShift   = 80  // 64 bits, top bit 0: the record's position
	seqNibbleShift  = 144 // 4 bits: low bits of the shard index
	seqCreatedShift = 148 // 36 bits: shard creation time, epoch seconds

	seqVersion     = 2
	seqLastCreated = 16025175000 - 1 // AWS refuses later creation times
	seqMask36      = 1<<36 - 1
)

// A Sequence is a parsed sequence number.
type Sequence struct {
	Created int64           // when the shard was created, epoch seconds
	Shard   record.ShardID  // versions 1 and 2: 32 bits; version 0: 16 bits
	Pos     record.Position // the sequence index of version 2; 0 in older versions, which order differently
	Time    int64           // record time, epoch seconds; 0 in version 0
	Version int             // 0, 1 or 2; we issue 2
}

// uint192 is a number of three words, least significant first.
type uint192 [3]uint64

// SequenceDigits is how many digits the sequence number of any record has: the leading bits of version 2 fix it.
const SequenceDigits = 56

// String returns q as the Kinesis API prints it. Only version 2 can be printed.
func (q Sequence) String() string { return string(q.Append(make([]byte, 0, SequenceDigits))) }

// Append appends the text of q, SequenceDigits long, to dst.
func (q Sequence) Append(dst []byte) []byte {
	shard, pos, at := uint64(q.Shard), uint64(q.Pos&record.MaxPosition), uint64(q.Time)&seqMask36
	n := uint192{
		seqVersion | shard<<seqShardShift | at<<seqTimeShift,
		at>>(64-seqTimeShift) | pos<<(seqIndexShift-64),
		pos>>(128-seqIndexShift) | shard&15<<(seqNibbleShift-128) |
			uint64(q.Created)&seqMask36<<(seqCreatedShift-128) | 2<<(184-128),
	}
	dst = slices.Grow(dst, SequenceDigits)
	whole := dst[:len(dst)+SequenceDigits]
	n.decimal((*[SequenceDigits]byte)(whole[len(dst):]))
	return whole
}

// field returns width bits of n from bit shift on.
func (n *uint192) field(shift, width uint) uint64 {
	word, bit := shift/64, shift%64
	v := n[word] >> bit
	if bit > 0 && word < 2 {
		v |= n[word+1] << (64 - bit)
	}
	return v & (1<<width - 1)
}

const tenTo19 = 10_000_000_000_000_000_000 // the largest power of ten in a word

// decimal writes n, a number of 56 digits, into d. It divides by 10^19 instead of using math/big: a batch of 10,000
// records prints 10,000 of these.
func (n uint192) decimal(d *[SequenceDigits]byte) {
	high, rem := byTenTo19(n[2], n[1])
	low, last := byTenTo19(rem, n[0])
	first, middle := byTenTo19(high, low)
	top := first / 1e16
	d[0], d[1] = byte('0'+top/10), byte('0'+top%10)
	put16(d[2:], first%1e16)
	for i, v := range [...]uint64{middle, last} {
		group := d[18+19*i:]
		top := v / 1e16
		group[0], group[1], group[2] = byte('0'+top/100), byte('0'+top/10%10), byte('0'+top%10)
		put16(group[3:], v%1e16)
	}
}

// byTenTo19 divides the two words hi, below 10^19, and lo. Two multiplications with the divisor's reciprocal take a
// quarter of the time of a division: Möller and Granlund, "Improved division by invariant integers", algorithm 4.
func byTenTo19(hi, lo uint64) (quo, rem uint64) {
	const reciprocal = 0xd83c94fb6d2ac34a // ⌊(2^128 − 1) / 10^19⌋ − 2^64
	quo, low := bits.Mul64(reciprocal, hi)
	low, carry := bits.Add64(low, lo, 0)
	quo += hi + carry + 1
	rem = lo - quo*tenTo19
	if rem > low {
		quo--
		rem += tenTo19
	}
	if rem >= tenTo19 {
		quo++
		rem -= tenTo19
	}
	return quo, rem
}

// put16 writes v, below 10^16, as 16 digits.
func put16(d []byte, v uint64) {
	binary.LittleEndian.PutUint64(d, digits8(v/1e8))
	binary.LittleEndian.PutUint64(d[8:], digits8(v%1e8))
}

// digits8 returns the eight digits of v, below 10^8, the first in the lowest byte. It cuts v into halves, and each part
// again, all parts at once: 10486/2^20 and 103/2^10 divide by 100 and by 10, exactly for so few digits.
func digits8(v uint64) uint64 {
	v = v/10000 | v%10000<<32
	q := v * 10486 >> 20 & 0x0000_007f_0000_007f
	v = q | (v-100*q)<<16
	q = v * 103 >> 10 & 0x000f_000f_000f_000f
	v = q | (v-10*q)<<8
	return v | 0x3030_3030_3030_3030
}

// parseUint192 reads decimal text; ok is false when it is not plain digits or needs more than 192 bits.
func parseUint192(text string) (n uint192, ok bool) {
	if text == "" {
		return n, false
	}
	for i := range len(text) {
		c := text[i]
		if c < '0' || c > '9' {
			return n, false
		}
		carry := uint64(c - '0')
		for w := range n {
			hi, lo := bits.Mul64(n[w], 10)
			var over uint64
			n[w], over = bits.Add64(lo, carry, 0)
			carry = hi + over
		}
		if carry != 0 {
			return n, false
		}
	}
	return n, true
}

func (n uint192) less(o uint192) bool {
	for i := 2; i > 0; i-- {
		if n[i] != o[i] {
			return n[i] < o[i]
		}
	}
	return n[0] < o[0]
}

// ParseSequenceNumber parses a sequence number in any of the three layouts that AWS has used. It fails for text that is
// not a decimal number, for an unknown version, for a shard creation time that AWS would refuse, and for an index with
// its top bit set.
func ParseSequenceNumber(text string) (Sequence, error) {
	bad := func(why string) (Sequence, error) {
		return Sequence{}, fmt.Errorf("stream: sequence number of %d characters: %s", len(text), why)
	}
	n, ok := parseUint192(text)
	if !ok {
		return bad("not a decimal number of at most 192 bits")
	}
	pow124, pow129 := uint192{0, 1 << 60}, uint192{0, 0, 2}
	if n.less(pow124) {
		n[1] |= 1 << 60
	}
	var q Sequence
	switch {
	case n.less(pow129):
		// Version 0 is defined by its hex digits from the left: 1, created 9, byte 2, random 16, shard 4.
		hex := fmt.Sprintf("%x%016x%016x", n[2], n[1], n[0])
		if n[2] == 0 {
			hex = fmt.Sprintf("%x%016x", n[1], n[0])
		}
		created, _ := strconv.ParseInt(hex[1:10], 16, 64)
		shard, _ := strconv.ParseUint(hex[28:32], 16, 32)
		q = Sequence{Created: created, Shard: record.ShardID(shard)}
	case n.field(184, 8) != 2:
		return bad("its leading digit is unknown")
	case n[0]&15 == 2:
		index := n.field(seqIndexShift, 48) | n.field(seqIndexShift+48, 16)<<48
		if index > uint64(record.MaxPosition) {
			return bad("its index is out of range")
		}
		q = Sequence{
			Created: int64(n.field(seqCreatedShift, 36)), Shard: record.ShardID(n.field(seqShardShift, 32)),
			Pos: record.Position(index), Time: int64(n.field(seqTimeShift, 36)), Version: 2,
		}
	case n[0]&15 == 1:
		// Version 1, from the left: 2, created 9, nibble 1, byte 2, time 9, random 14, counter 2, shard 8, version 1.
		q = Sequence{
			Created: int64(n.field(seqCreatedShift, 36)), Shard: record.ShardID(n.field(seqShardShift, 32)),
			Time: int64(n.field(100, 36)), Version: 1,
		}
	default:
		return bad("its version is unknown")
	}
	if q.Created > seqLastCreated {
		return bad("its creation time is out of range")
	}
	return q, nil
}

// shardText returns q's shard as AWS prints it: a shard field with its top bit set is shown as negative.
func (q Sequence) shardText() string {
	if q.Version > 0 && q.Shard >= 1<<31 {
		return fmt.Sprintf("shardId-%012d", -int64(q.Shard))
	}
	return q.Shard.String()
}

// ParseShardID reads a shard id as leniently as AWS does: the digits between the first and the second hyphen, or the
// whole text if it has none. "0", "shard-0" and "shardId-000000000000" name the same shard. ok is false for anything
// else and above 2147483647.
func ParseShardID(text string) (id record.ShardID, ok bool) {
	digits := text
	for i := range len(text) {
		if text[i] == '-' {
			digits = text[i+1:]
			break
		}
	}
	for i := range len(digits) {
		if digits[i] == '-' {
			digits = digits[:i]
			break
		}
	}
	if digits == "" {
		return 0, false
	}
	var n uint64
	for i := range len(digits) {
		if digits[i] < '0' || digits[i] > '9' {
			return 0, false
		}
		if n = n*10 + uint64(digits[i]-'0'); n > 1<<31-1 {
			return 0, false
		}
	}
	return record.ShardID(n), true
}
