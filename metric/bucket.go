package metric

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/shardmill/shardmill/storage"
)

// bucket is one minute of a series, or a sum of several.
type bucket struct {
	minute int64 // since 1970
	Summary
}

// Summary holds the statistics of a period.
type Summary struct {
	Count, Sum, Min, Max float64
	blind                bool // some values came as sums: percentiles are unknown
	sketch               sketch
}

func (b *bucket) reset() {
	b.minute, b.Summary = 0, Summary{sketch: b.sketch.emptied()}
}

func (s *Summary) add(v, n float64) {
	s.include(n, v*n, v, v)
	s.sketch.add(indexOf(v), n)
}

func (s *Summary) addSummary(count, sum, minimum, maximum float64) {
	s.include(count, sum, minimum, maximum)
	s.blind = true
}

func (s *Summary) include(count, sum, minimum, maximum float64) {
	if s.Count == 0 {
		s.Min, s.Max = minimum, maximum
	} else {
		s.Min, s.Max = min(s.Min, minimum), max(s.Max, maximum)
	}
	s.Count += count
	s.Sum += sum
}

// Join adds another period.
func (s *Summary) Join(o *Summary) {
	if o.Count == 0 {
		return
	}
	s.include(o.Count, o.Sum, o.Min, o.Max)
	s.blind = s.blind || o.blind
	s.sketch.merge(&o.sketch)
}

// Average returns Sum divided by Count.
func (s *Summary) Average() float64 { return s.Sum / s.Count }

// Percentile returns the least value that is not below p percent of the values, within 1 %. p is from 0 to 100. known
// is false when values came as sums.
func (s *Summary) Percentile(p float64) (v float64, known bool) {
	if s.blind || s.Count == 0 {
		return 0, false
	}
	switch {
	case p <= 0:
		return s.Min, true
	case p >= 100:
		return s.Max, true
	}
	return min(max(s.sketch.quantile(p/100), s.Min), s.Max), true
}

const bucketVersion = 1

const flagBlind = 1

// appendBucket appends the encoding of a bucket; its minute is in the key.
func appendBucket(dst []byte, b *bucket) []byte {
	flags := byte(0)
	if b.blind {
		flags = flagBlind
	}
	dst = append(dst, bucketVersion, flags)
	for _, v := range []float64{b.Count, b.Sum, b.Min, b.Max} {
		dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(v))
	}
	dst = binary.AppendUvarint(dst, uint64(len(b.sketch.cells)))
	last := int32(0)
	for _, c := range b.sketch.cells {
		dst = binary.AppendVarint(dst, int64(c.index)-int64(last))
		dst = appendCount(dst, c.count)
		last = c.index
	}
	return dst
}

// appendCount writes a count that is a whole number as twice that, and any other as 1 and eight bytes.
func appendCount(dst []byte, n float64) []byte {
	if n >= 0 && n < 1<<52 && n == math.Trunc(n) {
		return binary.AppendUvarint(dst, uint64(n)<<1)
	}
	return binary.LittleEndian.AppendUint64(append(dst, 1), math.Float64bits(n))
}

// decodeBucket decodes what appendBucket wrote into b. Damage is storage.ErrCorrupt.
func decodeBucket(src []byte, b *bucket) error {
	b.reset()
	if len(src) < 34 || src[0] != bucketVersion || src[1] > flagBlind {
		return fmt.Errorf("a minute of a metric: %w: it begins with % x", storage.ErrCorrupt, src[:min(2, len(src))])
	}
	b.blind = src[1] == flagBlind
	for i, v := range []*float64{&b.Count, &b.Sum, &b.Min, &b.Max} {
		*v = math.Float64frombits(binary.LittleEndian.Uint64(src[2+8*i:]))
	}
	src = src[34:]
	cut := fmt.Errorf("a minute of a metric: %w: its values end early", storage.ErrCorrupt)
	n, k := binary.Uvarint(src)
	if k <= 0 || n > uint64(len(src)) {
		return cut
	}
	src = src[k:]
	last := int64(0)
	for range n {
		step, k := binary.Varint(src)
		if k <= 0 {
			return cut
		}
		src = src[k:]
		last += step
		count, k := binary.Uvarint(src)
		if k <= 0 || last < -maxIndex || last > maxIndex {
			return cut
		}
		src = src[k:]
		whole := float64(count >> 1)
		if count == 1 {
			if len(src) < 8 {
				return cut
			}
			whole = math.Float64frombits(binary.LittleEndian.Uint64(src))
			src = src[8:]
		}
		b.sketch.add(int32(last), whole)
	}
	return nil
}
