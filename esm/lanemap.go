package esm

import (
	"math/big"

	"github.com/shardmill/shardmill/record"
)

// LaneMap assigns partition keys to lanes: the shard's hash key range is cut into Factor equal parts, so a key stays in
// its lane while the factor stays. AWS describes lanes per partition key but does not publish the function; this one
// refines shard routing.
type LaneMap struct {
	starts []record.HashKey // of lanes 1 … factor−1
}

// NewLaneMap returns the map of a shard with range r for a factor. Lane i holds the hash keys p with
// ⌊(p−start)·factor/width⌋ = i.
func NewLaneMap(r record.HashKeyRange, factor int) LaneMap {
	var m LaneMap
	start := r.Start.Big()
	width := new(big.Int).Sub(r.End.Big(), start)
	width.Add(width, big.NewInt(1))
	f := big.NewInt(int64(factor))
	for i := 1; i < factor; i++ {
		at := new(big.Int).Mul(width, big.NewInt(int64(i)))
		at.Add(at, f).Sub(at, big.NewInt(1)).Div(at, f).Add(at, start) // start + ⌈i·width/factor⌉
		var h record.HashKey
		if at.BitLen() > 128 { // a range narrower than the factor at the very top of the space: the lane is empty
			break
		}
		at.FillBytes(h[:])
		m.starts = append(m.starts, h)
	}
	return m
}

// Of returns the lane of a hash key, from 0.
func (m LaneMap) Of(h record.HashKey) uint8 {
	lane := len(m.starts)
	for lane > 0 && h.Compare(m.starts[lane-1]) < 0 {
		lane--
	}
	return uint8(lane)
}
