package simshell

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/shardmill/shardmill/record"
	"github.com/shardmill/shardmill/stream"
)

// head is what every record's data begins with: its number, its length, and a checksum of the rest.
const head = 8 + 4 + 4

// dataOf is the data of a record, made from its number alone, so that its receiver can tell whether it is whole.
func dataOf(id uint64, size int) []byte {
	size = max(size, head)
	b := make([]byte, size)
	binary.BigEndian.PutUint64(b, id)
	binary.BigEndian.PutUint32(b[8:], uint32(size))
	body := b[head:]
	x := id*0x9e3779b97f4a7c15 + 1
	for i := 0; i < len(body); i += 8 {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		var word [8]byte
		binary.LittleEndian.PutUint64(word[:], x)
		copy(body[i:], word[:])
	}
	binary.BigEndian.PutUint32(b[12:], crc32.ChecksumIEEE(body))
	return b
}

// idOf is the number of the record whose data this is; an error when a byte of it is not what it was.
func idOf(b []byte) (uint64, error) {
	if len(b) > 0 && b[0] == '{' {
		return textID(b)
	}
	if len(b) < head || int(binary.BigEndian.Uint32(b[8:])) != len(b) {
		return 0, fmt.Errorf("data of %d bytes that was never put", len(b))
	}
	id := binary.BigEndian.Uint64(b)
	if binary.BigEndian.Uint32(b[12:]) != crc32.ChecksumIEEE(b[head:]) {
		return id, fmt.Errorf("the data of record %d is not what was put", id)
	}
	return id, nil
}

// delivered is one record as the function got it.
type delivered struct {
	id       uint64
	key      string
	pos      record.Position
	sequence string
	arrival  record.Millis
	size     int // bytes of the payload
}

// event is an invocation's payload taken apart.
type event struct {
	shard        record.ShardID
	records      []delivered
	role         string
	windowed     bool
	start, end   string // of the tumbling window, as written
	state        string
	final, early bool
}

// scanner takes a payload apart, strictly in the order in which it is written. The first thing that is not as it must
// be stays in err.
type scanner struct {
	b   []byte
	err error
}

// skip passes a text that must come next.
func (s *scanner) skip(text string) {
	if s.err != nil {
		return
	}
	if !bytes.HasPrefix(s.b, []byte(text)) {
		s.err = fmt.Errorf("%.60q where %q is expected", s.b, text)
		return
	}
	s.b = s.b[len(text):]
}

// at reports whether a text comes next, and passes it.
func (s *scanner) at(text string) bool {
	if s.err == nil && bytes.HasPrefix(s.b, []byte(text)) {
		s.b = s.b[len(text):]
		return true
	}
	return false
}

// until takes everything before the next mark, and passes the mark.
func (s *scanner) until(mark string) []byte {
	if s.err != nil {
		return nil
	}
	i := bytes.Index(s.b, []byte(mark))
	if i < 0 {
		s.err = fmt.Errorf("%.60q has no %q", s.b, mark)
		return nil
	}
	out := s.b[:i]
	s.b = s.b[i+len(mark):]
	return out
}

// unpack takes a payload apart and checks every byte of data in it.
func unpack(payload []byte) (e event, err error) {
	s := &scanner{b: payload}
	s.skip(`{"Records":[`)
	shard := ""
	for first := true; s.err == nil && !s.at(`]`); first = false {
		if !first {
			s.skip(`,`)
		}
		var d delivered
		before := len(s.b)
		s.skip(`{"kinesis":{"kinesisSchemaVersion":"1.0","partitionKey":"`)
		d.key = string(s.until(`","sequenceNumber":"`))
		d.sequence = string(s.until(`","data":"`))
		text := s.until(`","approximateArrivalTimestamp":`)
		arrival := string(s.until(`}`))
		s.until(`,"eventID":"`)
		shard = string(s.until(`:`))
		if again := string(s.until(`"`)); s.err == nil && again != d.sequence {
			return e, fmt.Errorf("the event id of %s is that of %s", d.sequence, again)
		}
		s.until(`"invokeIdentityArn":"`)
		e.role = string(s.until(`"`))
		s.until(`}`)
		if s.err != nil {
			return e, s.err
		}
		d.size = before - len(s.b) + 1
		if d.arrival, err = millis(arrival); err != nil {
			return e, err
		}
		data := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
		n, err := base64.StdEncoding.Decode(data, text)
		if err != nil {
			return e, fmt.Errorf("the data of %s is no base64: %w", d.sequence, err)
		}
		if d.id, err = idOf(data[:n]); err != nil {
			return e, err
		}
		q, err := stream.ParseSequenceNumber(d.sequence)
		if err != nil {
			return e, err
		}
		d.pos, e.shard = q.Pos, q.Shard
		if len(e.records) > 0 && shard != e.shard.String() {
			return e, fmt.Errorf("record %s is of %s, not of %s", d.sequence, e.shard, shard)
		}
		e.records = append(e.records, d)
	}
	if s.at(`,"window":{"start":"`) {
		e.windowed = true
		e.start = string(s.until(`","end":"`))
		e.end = string(s.until(`"},"state":`))
		e.state = string(s.until(`,"shardId":"`))
		shard = string(s.until(`"`))
		e.final = string(s.until2(`,"isFinalInvokeForWindow":`, `,`)) == "true"
		s.skip(`"isWindowTerminatedEarly":`)
		if e.early = s.at(`true`); !e.early {
			s.skip(`false`)
		}
		if _, err := fmt.Sscanf(shard, "shardId-%d", &e.shard); err != nil && s.err == nil {
			s.err = fmt.Errorf("shard %q: %w", shard, err)
		}
	}
	s.skip(`}`)
	if s.err == nil && len(s.b) > 0 {
		s.err = fmt.Errorf("%.60q after the end", s.b)
	}
	return e, s.err
}

// until2 passes everything up to from, and takes what is between it and mark.
func (s *scanner) until2(from, mark string) []byte {
	s.until(from)
	return s.until(mark)
}

// millis reads an instant that is written as seconds with three decimals.
func millis(text string) (record.Millis, error) {
	var seconds, rest int64
	if _, err := fmt.Sscanf(text, "%d.%03d", &seconds, &rest); err != nil {
		return 0, fmt.Errorf("an arrival of %q: %w", text, err)
	}
	return record.Millis(seconds*1000 + rest), nil
}
