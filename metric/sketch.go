package metric

import (
	"math"
	"slices"
)

// sketch counts values by the logarithm of their magnitude, so that every value of a cell is within 1 % of the cell's
// value. Cells are in order of index: negative values below 0, zero in cell 0, positive values above. A minute of
// latencies fills a few dozen cells. Source of the method: Masson, Rim, Lee, "DDSketch: a fast and fully-mergeable
// quantile sketch with relative-error guarantees", VLDB 2019.
type sketch struct{ cells []cell }

type cell struct {
	index int32
	count float64
}

// accuracy is the largest relative error; less than the promised 1 %, so that rounding does not matter.
const accuracy = 0.009

const gamma = (1 + accuracy) / (1 - accuracy)

var logGamma = math.Log(gamma)

// Magnitudes below 2^-360 count as zero; the index of 2^360 is the largest.
const (
	tiny     = 0x1p-360
	offset   = 14_000 // index of 1
	maxIndex = 2 * offset
)

// indexOf returns the cell of a value whose magnitude is at most MaxValue.
func indexOf(v float64) int32 {
	m := math.Abs(v)
	if m < tiny {
		return 0
	}
	i := int32(math.Ceil(math.Log(m)/logGamma)) + offset
	if v < 0 {
		return -i
	}
	return i
}

// valueOf returns the value that represents a cell.
func valueOf(index int32) float64 {
	switch {
	case index == 0:
		return 0
	case index < 0:
		return -valueOf(-index)
	}
	return 2 * math.Exp(float64(index-offset)*logGamma) / (gamma + 1)
}

func (s *sketch) add(index int32, n float64) {
	i, found := slices.BinarySearchFunc(s.cells, index, func(c cell, index int32) int {
		return int(c.index) - int(index)
	})
	if found {
		s.cells[i].count += n
		return
	}
	s.cells = slices.Insert(s.cells, i, cell{index, n})
}

func (s *sketch) merge(o *sketch) {
	if len(s.cells) == 0 {
		s.cells = append(s.cells, o.cells...)
		return
	}
	for _, c := range o.cells {
		s.add(c.index, c.count)
	}
}

// emptied returns an empty sketch that reuses the memory of s.
func (s *sketch) emptied() sketch {
	if cap(s.cells) > 256 { // an unusual minute does not keep its memory
		return sketch{}
	}
	return sketch{s.cells[:0]}
}

// quantile returns the least value that is not below a fraction q of the values, 0 to 1: of ten values the p99 is the
// largest, not the second largest.
func (s *sketch) quantile(q float64) float64 {
	total := 0.0
	for _, c := range s.cells {
		total += c.count
	}
	rank := q * total * (1 - 1e-12) // 0.07 × 100 is a little more than 7
	seen := 0.0
	for _, c := range s.cells {
		if seen += c.count; seen >= rank {
			return valueOf(c.index)
		}
	}
	if len(s.cells) == 0 {
		return 0
	}
	return valueOf(s.cells[len(s.cells)-1].index)
}
