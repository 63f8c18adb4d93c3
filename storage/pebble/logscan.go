package pebble

import (
	"encoding/binary"
	"errors"
	"io"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// A log is a sequence of blocks of 32 KiB, and a block is a sequence of chunks that never cross its end: checksum u32,
// length u16, kind u8, log number u32, and, in the kinds written today, how many bytes of the log were known durable
// u64; then the bytes. A record, here one commit, is one whole chunk, or a first, some middle ones and a last.
const (
	logBlock      = 32 << 10
	plainHead     = 7 // without the number of the log
	numberedHead  = 11
	promisingHead = 19

	chunkFull   = 1 // of each four kinds: plain 1–4, numbered 5–8, promising 9–12
	chunkFirst  = 2
	chunkMiddle = 3
	chunkLast   = 0 // 4 modulo 4
)

// logScan is what scanLog found in a log.
type logScan struct {
	sound    int64 // bytes up to the end of the last readable record
	whole    int64 // bytes up to the end of the last readable chunk, which may begin a record
	closed   bool  // it ends like a closed log
	broken   int64 // offset of the first unreadable chunk, if there are bytes
	torn     int64 // bytes from there that seem to belong to this log: a write that was cut off, or damage
	promised int64 // a whole chunk behind it was written when that many bytes were durable
}

// damaged reports whether more was durable than can be read: no crash does that.
func (l logScan) damaged() bool { return l.promised > l.broken && l.promised > l.sound }

// scanLog reads a log as Pebble does, then searches behind the place where Pebble stops.
func scanLog(fs vfs.FS, path string, number uint64) (l logScan, err error) {
	f, err := fs.Open(path)
	if err != nil {
		return l, err
	}
	defer f.Close()
	buf := make([]byte, logBlock)
	started := false // inside a record
	for base := int64(0); ; base += logBlock {
		n, err := io.ReadFull(f, buf)
		if errors.Is(err, io.EOF) {
			if started {
				l.broken = base
				l.torn = max(l.torn, base-l.sound)
			}
			return l, nil
		}
		if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			return l, err
		}
		b := buf[:n]
		for at := 0; ; {
			c := chunkAt(b[at:], uint32(number))
			switch c.state {
			case chunkEndsBlock:
				if allZero(b[at:]) {
					l.whole = base + int64(n)
				}
				if n < logBlock && (started || !allZero(b[at:])) {
					l.broken = base + int64(at)
					l.torn = base + int64(n) - l.sound
				}
			case chunkEndsLog:
				l.whole = base + int64(at) + numberedHead
				l.closed = !started
				return l, nil
			case chunkBroken:
				l.broken = base + int64(at)
				if started || c.ours {
					l.torn = base + int64(min(at+c.size, n)) - l.sound
				}
				return l, l.searchBehind(f, b, at, base, uint32(number))
			case chunkWhole:
				position := c.kind % 4
				if first := position == chunkFull || position == chunkFirst; first == started {
					l.broken = base + int64(at)
					return l, l.searchBehind(f, b, at, base, uint32(number))
				}
				at += c.size
				l.whole = base + int64(at)
				if started = position == chunkFirst || position == chunkMiddle; !started {
					l.sound = base + int64(at)
				}
				continue
			}
			break
		}
	}
}

// searchBehind looks for whole chunks behind the broken one at offset at of block b, which begins at base.
func (l *logScan) searchBehind(f vfs.File, b []byte, at int, base int64, number uint32) error {
	found := func(c chunk, end int64) {
		l.promised = max(l.promised, int64(min(c.promise, 1<<62)))
		l.torn = max(l.torn, end-l.sound)
	}
	// Within its block the next chunk may begin anywhere: the length of the broken one says nothing.
	for i := at + 1; i+numberedHead <= len(b); {
		if c := chunkAt(b[i:], number); c.state == chunkWhole && c.kind > 4 {
			i += c.size
			found(c, base+int64(i))
			continue
		}
		i++
	}
	buf := make([]byte, logBlock)
	for base += logBlock; ; base += logBlock {
		n, err := io.ReadFull(f, buf)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			return err
		}
		for i := 0; i < n; {
			c := chunkAt(buf[i:n], number)
			if c.state != chunkWhole {
				break
			}
			i += c.size
			found(c, base+int64(i))
		}
	}
}

type chunkState uint8

const (
	chunkWhole chunkState = iota
	chunkBroken
	chunkEndsBlock // too little room is left for another
	chunkEndsLog   // the end mark of a closed log
)

type chunk struct {
	state   chunkState
	kind    uint8
	size    int // including its head
	ours    bool
	promise uint64
}

// chunkAt returns the chunk at the beginning of b; b reaches to the end of its block.
func chunkAt(b []byte, number uint32) chunk {
	if len(b) < plainHead {
		return chunk{state: chunkEndsBlock}
	}
	length, kind := int(binary.LittleEndian.Uint16(b[4:])), b[6]
	c := chunk{state: chunkBroken, kind: kind, size: length}
	switch {
	case kind == 0:
		if len(b) < promisingHead && allZero(b) { // the next chunk did not fit
			c.state = chunkEndsBlock
		}
		return c
	case kind > 12:
		return c
	case kind <= 4:
		c.size += plainHead
	default:
		head := numberedHead
		if kind > 8 {
			head = promisingHead
		}
		c.size += head
		if len(b) < numberedHead {
			return c
		}
		of := binary.LittleEndian.Uint32(b[7:])
		c.ours = of == number
		if of == number+1 && length == 0 && kind == 5 {
			c.state = chunkEndsLog
			return c
		}
		if !c.ours || len(b) < head {
			return c
		}
		if kind > 8 {
			c.promise = binary.LittleEndian.Uint64(b[11:])
		}
	}
	if c.size > len(b) || binary.LittleEndian.Uint32(b) != chunkSum(b[6:c.size]) {
		return c
	}
	c.state, c.ours = chunkWhole, true
	return c
}

func allZero(b []byte) bool {
	for _, x := range b {
		if x != 0 {
			return false
		}
	}
	return true
}
