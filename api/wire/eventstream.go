package wire

import (
	"encoding/binary"
	"hash/crc32"
)

// Messages of AWS's event streams, which some operations answer with:
//
//	length u32 | length of the headers u32 | CRC-32 of both u32 | headers | payload | CRC-32 of all before u32
//
// big-endian; the checksums are those of IEEE. A header is its name and a text here: other types do not occur. Source:
// Amazon Transcribe Developer Guide, "Event stream encoding"; the SDKs.
const (
	TypeEventStream = "application/vnd.amazon.eventstream"

	messageHead = 12
	headerText  = 7 // the type of a header's value
)

// BeginMessage appends the head of a message with headers, given as name, value, name, value; the payload is appended
// next, and EndMessage completes it. A name has at most 255 bytes and a value at most 65,535.
func BeginMessage(b []byte, headers ...string) []byte {
	from := len(b)
	b = append(b, make([]byte, messageHead)...)
	for i := 0; i+1 < len(headers); i += 2 {
		name, value := headers[i], headers[i+1]
		b = append(append(b, byte(len(name))), name...)
		b = binary.BigEndian.AppendUint16(append(b, headerText), uint16(len(value)))
		b = append(b, value...)
	}
	binary.BigEndian.PutUint32(b[from+4:], uint32(len(b)-from-messageHead))
	return b
}

// EndMessage completes the message that begins at b[from:], whose payload is the rest of b.
func EndMessage(b []byte, from int) []byte {
	m := b[from:]
	binary.BigEndian.PutUint32(m, uint32(len(m)+4))
	binary.BigEndian.PutUint32(m[8:], crc32.ChecksumIEEE(m[:8]))
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(m))
}
