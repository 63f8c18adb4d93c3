package checkpoint

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"github.com/shardmill/shardmill/esm"
	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/storage"
)

// version is the first byte of every stored checkpoint. docs/format/checkpoint.md describes the rest.
const version = 4 // 1 had no tumbling windows, 2 no numbers of batches, 3 no filters of batches

// Append encodes a checkpoint and its owner's epoch.
func Append(dst []byte, cp *esm.Checkpoint, epoch uint64) []byte {
	dst = append(dst, version)
	u := func(v uint64) { dst = binary.AppendUvarint(dst, v) }
	str := func(s string) {
		u(uint64(len(s)))
		dst = append(dst, s...)
	}
	u(epoch)
	u(uint64(cp.Low))
	u(uint64(cp.Generation))
	u(uint64(cp.Factor))
	u(uint64(cp.MaxArrival))
	if cp.Ended {
		u(1)
	} else {
		u(0)
	}
	u(cp.Batches)
	u(uint64(len(cp.Lanes)))
	for i := range cp.Lanes {
		m := &cp.Lanes[i]
		u(uint64(m.Settled))
		u(uint64(len(m.Plan)))
		for _, p := range m.Plan {
			u(uint64(p.ID.Generation))
			u(uint64(p.ID.First))
			u(uint64(p.ID.Last))
			u(p.ID.Filter)
			u(uint64(p.First))
			u(uint64(p.Last))
			u(p.Batch)
			u(uint64(p.Parent.Origin))
			u(p.Parent.Number)
			u(uint64(p.Failures))
			u(uint64(p.Invocations))
			u(uint64(p.Status))
			str(p.FunctionError)
			str(p.Version)
		}
	}
	return appendWindow(dst, cp.Window)
}

// Flags of a window.
const (
	flagEarly   = 1 << iota // its state outgrew its limit, and the function is still to be told
	flagClosing             // its final invocation is due
	flagApart               // its state is not here but in keys of its own
)

// maxInline is the largest state that lies in the checkpoint itself; a larger one has keys of its own.
const maxInline = 64 << 10

// appendWindow encodes a tumbling window; one byte 0 when there is none.
func appendWindow(dst []byte, w *esm.WindowMark) []byte {
	u := func(v uint64) { dst = binary.AppendUvarint(dst, v) }
	if w == nil {
		u(0)
		return dst
	}
	flags := uint64(0)
	if w.Early {
		flags |= flagEarly
	}
	if w.Closing {
		flags |= flagClosing
	}
	if len(w.State) > maxInline {
		flags |= flagApart
	}
	u(uint64(w.Width.Milliseconds()))
	u(flags)
	u(uint64(w.Start))
	u(uint64(w.End))
	u(uint64(w.Closed))
	u(uint64(w.First))
	u(uint64(w.Last))
	u(uint64(w.Failures))
	u(uint64(w.Invocations))
	u(w.Batch)
	u(uint64(len(w.State)))
	if flags&flagApart == 0 {
		dst = append(dst, w.State...)
	}
	return dst
}

// Bounds that a stored checkpoint cannot exceed: the factor is at most 10, and bisecting 10,000 records nests at most
// 14 deep.
const (
	maxLanes = 64
	maxPlan  = 1024
	maxWidth = 900_000 // ms
)

// Decode reads what Append wrote, of this version or an older one. A value that cannot be read is storage.ErrCorrupt.
// apart is the length of a state that has keys of its own; the checkpoint's is empty then.
func Decode(b []byte) (cp esm.Checkpoint, epoch uint64, apart int, err error) {
	if len(b) == 0 || b[0] < 1 || b[0] > version {
		return cp, 0, 0, fmt.Errorf(
			"%w: unknown checkpoint version; it may come from a newer shardmill", storage.ErrCorrupt,
		)
	}
	d := decoder{b: b[1:], version: b[0]}
	epoch = d.uvarint()
	cp.Low = d.position()
	cp.Generation = uint32(d.most(math.MaxUint32))
	cp.Factor = d.count(maxLanes)
	cp.MaxArrival = record.Millis(d.most(math.MaxInt64))
	cp.Ended = d.most(1) == 1
	cp.Batches = d.number()
	if n := d.count(maxLanes); n > 0 {
		cp.Lanes = make([]esm.LaneMark, n)
	}
	for i := range cp.Lanes {
		m := &cp.Lanes[i]
		m.Settled = d.position()
		for range d.count(maxPlan) {
			m.Plan = append(m.Plan, esm.SegmentMark{
				ID: esm.BatchID{
					Generation: uint32(d.most(math.MaxUint32)), Factor: cp.Factor, Lane: i,
					First: d.position(), Last: d.position(), Filter: d.filter(),
				},
				First: d.position(), Last: d.position(), Batch: d.number(), Parent: d.parent(),
				Failures: d.count(math.MaxInt32), Invocations: d.count(math.MaxInt32), Status: d.count(999),
				FunctionError: d.str(), Version: d.str(),
			})
		}
	}
	if d.version >= 2 {
		cp.Window, apart = d.window()
	}
	if d.bad || len(d.b) != 0 {
		return esm.Checkpoint{}, 0, 0, fmt.Errorf(
			"%w: checkpoint of %d bytes does not parse", storage.ErrCorrupt, len(b),
		)
	}
	return cp, epoch, apart, nil
}

func (d *decoder) window() (w *esm.WindowMark, apart int) {
	width := d.most(maxWidth)
	if width == 0 {
		return nil, 0
	}
	millis := func() record.Millis { return record.Millis(d.most(math.MaxInt64)) }
	flags := d.most(flagEarly | flagClosing | flagApart)
	w = &esm.WindowMark{
		Width: time.Duration(width) * time.Millisecond, Early: flags&flagEarly != 0, Closing: flags&flagClosing != 0,
		Start: millis(), End: millis(), Closed: millis(), First: d.position(), Last: d.position(),
		Failures: d.count(math.MaxInt32), Invocations: d.count(math.MaxInt32), Batch: d.number(),
	}
	if flags&flagApart != 0 {
		apart = d.count(esm.MaxState)
	} else {
		w.State = d.str()
	}
	open, aggregated := w.End != 0, w.Last != 0
	if open && w.Start >= w.End || !open && (aggregated || flags != 0 || w.State != "") || w.First > w.Last ||
		aggregated != (w.First != 0) {
		d.bad = true
	}
	return w, apart
}

type decoder struct {
	b       []byte
	version byte
	bad     bool
}

// number returns the number of a batch; 0 in a version that had none.
func (d *decoder) number() uint64 {
	if d.version < 3 {
		return 0
	}
	return d.uvarint()
}

// filter returns that of a batch.
func (d *decoder) filter() uint64 {
	if d.version < 4 {
		return esm.FilterUnknown
	}
	return d.uvarint()
}

func (d *decoder) parent() (p esm.Parent) {
	if d.version >= 3 {
		p.Origin = esm.Origin(d.most(uint64(esm.OriginWindow)))
		p.Number = d.uvarint()
	}
	return p
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.bad, d.b = true, nil
		return 0
	}
	d.b = d.b[n:]
	return v
}

// most returns a number up to limit; a larger one does not parse.
func (d *decoder) most(limit uint64) uint64 {
	n := d.uvarint()
	if n > limit {
		d.bad, d.b = true, nil
		return 0
	}
	return n
}

func (d *decoder) count(limit uint64) int { return int(d.most(limit)) }

func (d *decoder) position() record.Position {
	return record.Position(d.most(uint64(record.MaxPosition)))
}

func (d *decoder) str() string {
	n := d.uvarint()
	if n > uint64(len(d.b)) {
		d.bad, d.b = true, nil
		return ""
	}
	s := string(d.b[:n])
	d.b = d.b[n:]
	return s
}
